"""What is read and written to judge one code of one app for a backend: prepared once, by Core.

All is read in one statement. The verdict is written with what was read as its condition, all of it
or nothing: whatever happened to the user in between, it touches no row, and judges nothing.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from app.factors.totp import Totp
from app.models import (
    ApiKey,
    Authenticator,
    AuthenticatorStatus,
    Event,
    KeyUse,
    MethodSetting,
    Organization,
    SigningKey,
    User,
    Verification,
)
from app.prepared import Change, Query, all_or_none

_users, _authenticators = cast(sa.Table, User.__table__), cast(sa.Table, Authenticator.__table__)
_verifications, _events = cast(sa.Table, Verification.__table__), cast(sa.Table, Event.__table__)
_key, _signing = ApiKey.__table__.c, SigningKey.__table__.c
_organization, _setting = Organization.__table__.c, MethodSetting.__table__.c
_user, _one, _told = _users.c, _authenticators.c, _verifications.c
_p = sa.bindparam
_ZERO, _ONE = sa.literal_column("0", sa.Integer), sa.literal_column("1", sa.Integer)

FIND = Query(
    sa.select(
        _key.permissions,
        _organization.id.label("organization_id"),
        _organization.domain,
        _organization.environment,
        _user.id.label("user_id"),
        _user.failures.label("user_failures"),
        _setting.strict,
        _setting.parameters.label("settings"),
        _one.id,
        _one.kind,
        _one.secret,
        _one.parameters,
        _one.last_step,
        _one.failures,
        _one.retry_at,
    ).where(
        _key.id == _p("client_id"),
        _key.blocked_at.is_(None),
        _key.application_id.is_(None),
        sa.exists().where(
            _signing.kid == _p("kid"),
            _signing.use == KeyUse.ACCESS,
            sa.or_(_signing.retired_at.is_(None), _signing.retired_at > _p("over_since")),
        ),
        _organization.environment == _key.environment,
        _organization.domain == _p("domain"),
        _organization.deleted_at.is_(None),
        sa.or_(_key.organization_id.is_(None), _key.organization_id == _organization.id),
        _user.id == _p("read_user"),
        _user.organization_id == _organization.id,
        _user.suspended_at.is_(None),
        _setting.organization_id == _organization.id,
        _setting.kind == Totp.kind,
        _setting.active,
        _one.user_id == _user.id,
        _one.status == AuthenticatorStatus.ACTIVE,
    )
)
"""One row for each authenticator of the user, if nothing at all is in the way of an answer."""

_IS_SAME_USER = (
    _user.id == _p("read_user"),
    _user.failures == _p("user_failures_read"),
    _user.suspended_at.is_(None),
)
_IS_SAME_ONE = (
    _one.id == _p("read_one"),
    _one.status == AuthenticatorStatus.ACTIVE,
    _one.failures == _p("failures_read"),
    _one.last_step == _p("last_step_read"),
    sa.or_(_one.retry_at.is_(None), _one.retry_at <= _p("now")),
)
_WAS_TOLD = sa.exists().where(
    _told.authenticator_id == _one.id,
    _told.step == _p("step"),
    _told.accepted.is_(False),
)
"""Whether a guesser was told when this code becomes right ("your clock is fast")."""


class _Verdict:
    """How a verdict changes the user, the authenticator, and the records."""

    def __init__(
        self, user: dict[str, Any], one: dict[str, Any], *, unless: sa.ColumnElement[bool]
    ) -> None:
        is_same_one = (*_IS_SAME_ONE, ~unless)
        self.user = Change(sa.update(_users).where(*_IS_SAME_USER).values(user))
        self.one = Change(sa.update(_authenticators).where(*is_same_one).values(one))
        held_user = sa.select(_user.id).where(*_IS_SAME_USER).with_for_update().cte("held_user")
        held = (
            sa.select(_one.id, _one.user_id)
            .where(*is_same_one, _one.user_id == held_user.c.id)
            .with_for_update(of=_authenticators)
            .cte("held")
        )
        count_user = sa.update(_users).where(_user.id == held.c.user_id).values(user)
        count_one = sa.update(_authenticators).where(_one.id == held.c.id).values(one)
        self.in_one = Change(
            _inserted(_events, "event", held).add_cte(
                count_user.cte("counted_user"),
                count_one.cte("counted"),
                _inserted(_verifications, "verification", held).cte("judged"),
            )
        )


def _inserted(table: sa.Table, prefix: str, held: sa.CTE) -> sa.Insert:
    """Return what inserts one row if something is held, from parameters with this prefix."""
    columns = [one for one in table.c if one.autoincrement is not True]
    row = [_p(f"{prefix}_{one.name}", type_=one.type) for one in columns]
    return sa.insert(table).from_select(columns, sa.select(*row).select_from(held))


_INSERT_VERIFICATION = Change(sa.insert(_verifications))
_INSERT_EVENT = Change(sa.insert(_events))
_ACCEPTED = _Verdict(
    user={"failures": _ZERO, "last_verified_at": _p("now")},
    one={
        "failures": _ZERO,
        "retry_at": sa.null(),
        "last_step": _p("step"),
        "last_used_at": _p("now"),
    },
    unless=_WAS_TOLD,
)
_REFUSED = _Verdict(
    user={"failures": _p("user_failures_read") + _ONE},
    one={"failures": _p("failures_read") + _ONE, "retry_at": _p("wait_until")},
    unless=sa.false(),
)


def write(
    connection: sa.Connection,
    read: dict[str, Any],
    verification: dict[str, Any],
    event: dict[str, Any],
) -> bool:
    """Write a verdict, if user and authenticator are as they were when it was judged.

    Args:
        connection: a `direct` one.
        read: parameters: what was read, when, and what becomes of it.
        verification: a whole row of it.
        event: the same.
    """
    change = _ACCEPTED if verification["accepted"] else _REFUSED
    if connection.dialect.name == "sqlite":
        return all_or_none(
            connection,
            (change.user, read),
            (change.one, read),
            (_INSERT_VERIFICATION, verification),
            (_INSERT_EVENT, event),
        )
    rows = {"verification": verification, "event": event}
    values = {f"{kind}_{name}": row[name] for kind, row in rows.items() for name in row}
    return change.in_one.make(connection, read | values) == 1
