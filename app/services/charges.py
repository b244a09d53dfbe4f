"""Charging an attempt: conditional changes, put together once, that count all or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.dml import ReturningUpdate

from app.db import Base, UtcDateTime, touched
from app.models import Authenticator, GatewaySession, SessionStatus, User

_sessions = cast(sa.Table, GatewaySession.__table__)
_users = cast(sa.Table, User.__table__)
_authenticators = cast(sa.Table, Authenticator.__table__)
_NOW = sa.bindparam("moment", type_=UtcDateTime())
_ID = "charged"


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One attempt, by ids alone, so that it can be charged again after a rollback."""

    changes: Changes
    session_id: str | None
    user_id: uuid.UUID | None
    authenticator_ids: tuple[uuid.UUID, ...]
    recovery: bool
    now: datetime

    def made(self, tx: Session) -> Mapping[object, Mapping[str, Any]] | None:
        """Charge session, user and what is answered for.

        Returns:
            What was written to each of them, by its id; None if one refused, and nothing was.
        """
        tx.flush()  # what is undone below is the charge alone
        written: dict[object, Mapping[str, Any]] = {}
        with tx.connection().begin_nested() as savepoint:
            for id_, change in self._all():
                row = touched(tx, change, {**self._values(), _ID: id_})
                if row is None:
                    savepoint.rollback()
                    return None
                written[id_] = row._asdict()
        return written

    def _all(self) -> list[tuple[object, ReturningUpdate[Any]]]:
        changes: list[tuple[object, ReturningUpdate[Any]]] = []
        if self.session_id is not None:
            changes.append((self.session_id, self.changes.session))
        if self.user_id is not None:
            user = self.changes.recovery if self.recovery else self.changes.user
            changes.append((self.user_id, user))
        return changes + [(one, self.changes.authenticator) for one in self.authenticator_ids]

    def _values(self) -> dict[str, Any]:
        ends = {_end(least): self.now + wait for least, wait in self.changes.waits.items()}
        return {"moment": self.now, **ends}


class Changes:
    """What charges one session, one user, or one authenticator, and tells what it wrote."""

    def __init__(self, *, per_session: int, per_user: int, waits: dict[int, timedelta]) -> None:
        self.waits = waits
        one, user, authenticator = _sessions.c, _users.c, _authenticators.c
        self.session = (
            sa.update(_sessions)
            .where(
                one.id == sa.bindparam(_ID),
                one.status == SessionStatus.PENDING,
                one.judged < per_session,
                one.expires_at > _NOW,
            )
            .values(judged=one.judged + 1)
            .returning(one.judged, one.status)
        )
        open_to_judge = (user.failures < per_user, user.suspended_at.is_(None))
        charge = sa.update(_users).where(user.id == sa.bindparam(_ID), *open_to_judge)
        counts = (user.failures, user.recovery_failures, user.recovery_retry_at)
        self.user = charge.values(failures=user.failures + 1).returning(*counts)
        self.recovery = (
            charge.where(_due(user.recovery_retry_at))
            .values(
                failures=user.failures + 1,
                recovery_failures=user.recovery_failures + 1,
                recovery_retry_at=self._retry_at(user.recovery_failures + 1),
            )
            .returning(*counts)
        )
        self.authenticator = (
            sa.update(_authenticators)
            .where(authenticator.id == sa.bindparam(_ID), _due(authenticator.retry_at))
            .values(
                failures=authenticator.failures + 1,
                retry_at=self._retry_at(authenticator.failures + 1),
            )
            .returning(authenticator.failures, authenticator.retry_at)
        )

    def _retry_at(self, failures: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
        """Return, as SQL, when the next answer is judged after so many consecutive failures."""
        ends = [
            (failures >= least, sa.bindparam(_end(least), type_=UtcDateTime()))
            for least in sorted(self.waits, reverse=True)
        ]
        return sa.case(*ends, else_=sa.null()) if ends else sa.null()


def know(one: Base, written: Mapping[str, Any]) -> None:
    """Let an object say what a change wrote to its row."""
    for name, value in written.items():
        set_committed_value(one, name, value)


def _end(least: int) -> str:
    return f"end_after_{least}"


def _due(retry_at: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.or_(retry_at.is_(None), retry_at <= _NOW)
