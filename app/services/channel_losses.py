"""Channel losses: who could confirm no longer if a channel were switched off."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Authenticator, AuthenticatorStatus, Organization, User
from app.services.method_settings import MethodSettings
from app.services.phone_numbers import PHONE_CHANNELS


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What switching a channel off comes to.

    Attributes:
        users: who have an authenticator whose codes could come by it.
        instead: channels by which these codes would still come.
        stranded: who would have nothing left to confirm with but a recovery code.
    """

    users: int
    instead: Collection[str]
    stranded: int


class ChannelLosses:
    """Counts, before a channel is switched off, whom it would stop."""

    def __init__(self, method_settings: MethodSettings) -> None:
        self._method_settings = method_settings

    def of(self, tx: Session, organization: Organization, channel: str) -> Loss:
        """Return what the organization's users would lose with a channel."""
        kind = "sms" if channel in PHONE_CHANNELS else channel
        usable = self._method_settings.channels(tx, organization)
        family = PHONE_CHANNELS if kind == "sms" else {channel}
        instead = (usable & {*family}) - {channel}
        left = self._method_settings.hosted(tx, organization)
        if not instead:
            left -= {kind}
        has_it = _has(kind)
        return Loss(
            users=_count(tx, organization, has_it),
            instead=instead,
            stranded=0 if instead else _count(tx, organization, has_it, sa.not_(_has(*left))),
        )


def _count(tx: Session, organization: Organization, *where: sa.ColumnElement[bool]) -> int:
    mine = (User.organization_id == organization.id, User.enrolled == sa.true())
    return tx.scalar(sa.select(sa.func.count()).select_from(User).where(*mine, *where)) or 0


def _has(*kinds: str) -> sa.ColumnElement[bool]:
    """Return, as SQL, whether a user has an active authenticator of one of these kinds.

    One look-up for each user, as `user_lists` has it.
    """
    one = (
        sa.select(Authenticator.user_id)
        .where(
            Authenticator.user_id == User.id,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
            Authenticator.kind.in_(kinds),
        )
        .limit(1)
        .scalar_subquery()
    )
    return one.is_not(None)
