"""Why a user is locked: how many wrong codes, when, from where, and until when that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.factors import recovery_code
from app.models import Authenticator, AuthenticatorStatus, Event, User, Verification
from app.services.audit import EventKind

_MOST_ADDRESSES = 5


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What is not judged now, and what led to it.

    Attributes:
        kind: of the factor; None if nothing at all of the user is judged.
        authenticator: the one that is locked, if it is one.
        until: None if an administrator has to unlock.
        failures: consecutive wrong answers.
        first_at: when the first of those came that are still on record.
        addresses: from where they came, as far as events tell; a few at most.
        strange: whether the user never verified from any of these.
    """

    kind: str | None
    authenticator: Authenticator | None
    until: datetime | None
    failures: int
    first_at: datetime | None
    last_at: datetime | None
    addresses: tuple[str, ...]
    strange: bool


class UserLocks:
    """Reads the counts, and tells of each that locks."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._per_user = config.failures_per_user
        self._clock = clock

    def of(self, tx: Session, user: User, authenticators: Sequence[Authenticator]) -> list[Lock]:
        """Return what is locked of a user.

        Args:
            authenticators: what the user has.
        """
        refused = Verification.user_id == user.id
        if user.failures >= self._per_user:
            return [self._lock(tx, user, refused, user.failures)]
        locks = [
            self._lock(
                tx,
                user,
                Verification.authenticator_id == one.id,
                one.failures,
                kind=one.kind,
                authenticator=one,
                until=one.retry_at,
            )
            for one in authenticators
            if one.status is AuthenticatorStatus.ACTIVE and self._is_ahead(one.retry_at)
        ]
        if self._is_ahead(user.recovery_retry_at):
            by_code = sa.and_(refused, Verification.kind == recovery_code.KIND)
            locks.append(
                self._lock(
                    tx,
                    user,
                    by_code,
                    user.recovery_failures,
                    kind=recovery_code.KIND,
                    until=user.recovery_retry_at,
                )
            )
        return locks

    def _is_ahead(self, moment: datetime | None) -> bool:
        return moment is not None and moment > self._clock.now()

    def _lock(
        self,
        tx: Session,
        user: User,
        which: sa.ColumnElement[bool],
        failures: int,
        *,
        kind: str | None = None,
        authenticator: Authenticator | None = None,
        until: datetime | None = None,
    ) -> Lock:
        newest = sa.select(Verification.at).where(which, Verification.accepted.is_(False))
        moments = tx.scalars(newest.order_by(Verification.at.desc()).limit(failures)).all()
        first, last = (moments[-1], moments[0]) if moments else (None, None)
        addresses = self._addresses(tx, user, first, last, kind) if first and last else ()
        return Lock(
            kind=kind,
            authenticator=authenticator,
            until=until,
            failures=failures,
            first_at=first,
            last_at=last,
            addresses=addresses,
            strange=bool(addresses) and not self._known(tx, user, addresses),
        )

    def _addresses(
        self, tx: Session, user: User, first: datetime, last: datetime, kind: str | None
    ) -> tuple[str, ...]:
        """Return from where the refused answers came, newest first."""
        refused = (
            sa.select(Event.address, Event.detail)
            .where(
                Event.user_id == user.id,
                Event.kind == EventKind.VERIFICATION_REFUSED.value,
                Event.at.between(first, last),
            )
            .order_by(Event.id.desc())
            .limit(200)
        )
        rows = tx.execute(refused).all()
        found = [row.address for row in rows if kind in {None, row.detail.get("kind")}]
        return tuple(dict.fromkeys(filter(None, found)))[:_MOST_ADDRESSES]

    def _known(self, tx: Session, user: User, addresses: tuple[str, ...]) -> bool:
        accepted = sa.select(Event.id).where(
            Event.user_id == user.id,
            Event.kind == EventKind.VERIFICATION_ACCEPTED.value,
            Event.address.in_(addresses),
        )
        return tx.scalar(accepted.limit(1)) is not None
