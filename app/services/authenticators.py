"""What an organization's administrators see of a user's methods, and take away."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock, touched_one
from app.errors import NotFound
from app.models import Authenticator, AuthenticatorStatus, Organization, User
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.recovery import EVERY, REENROLLMENTS, Recovery
from app.services.standing import settle

_LIVE = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)


@dataclass(frozen=True, kw_only=True)
class RecoveryLeft:
    """How a user stands with recovery codes.

    Attributes:
        remaining: codes that were not used.
        next_use_at: when the next one works, if not at once.
        reenrollments: so many times a code replaced an authenticator since a human looked.
        reenrollments_left: so many times it still may.
    """

    remaining: int
    next_use_at: datetime | None
    reenrollments: int
    reenrollments_left: int


class Authenticators:
    """Lists and removes authenticators by an administrator's hand."""

    def __init__(self, clock: Clock, recovery: Recovery, delivery: Delivery, audit: Audit) -> None:
        self._clock = clock
        self._recovery = recovery
        self._delivery = delivery
        self._audit = audit

    def of(self, tx: Session, user: User) -> list[Authenticator]:
        """Return what the user has or is setting up, newest first."""
        mine = sa.select(Authenticator).where(*self._present(user))
        newest = mine.order_by(Authenticator.created_at.desc(), Authenticator.id)
        return list(tx.scalars(newest))

    def find(self, tx: Session, user: User, authenticator_id: str) -> Authenticator:
        """Return one of the user's authenticators.

        Raises:
            NotFound: the user has none with this id.
        """
        mine = sa.select(Authenticator).where(
            *self._present(user), Authenticator.id == _uuid(authenticator_id)
        )
        found = tx.scalar(mine)
        if found is None:
            raise NotFound("authenticator")
        return found

    def remove(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        authenticator: Authenticator,
        *,
        reopen: bool,
        why: str | None = None,
    ) -> None:
        """Remove one authenticator: its secret is erased, and the user is told.

        With the last one the recovery codes die, too.

        Args:
            reopen: whether the user, left with nothing, may enroll at the next visit without
                further proof.
            why: an administrator's reason.

        Raises:
            NotFound: somebody else removed it first.
        """
        lock(tx, User.id, user.id)
        removed = (
            sa.update(Authenticator)
            .where(*self._present(user), Authenticator.id == authenticator.id)
            .values(status=AuthenticatorStatus.REMOVED, removed_at=self._clock.now(), secret=None)
        )
        if not touched_one(tx, removed):
            raise NotFound("authenticator")
        settle(tx, user.id)
        last = authenticator.status in _LIVE and not self._has_live(tx, user)
        if last:
            self._recovery.discard(tx, user)
            user.enrollment_open = reopen
        self._audit.record(
            tx,
            EventKind.AUTHENTICATOR_REMOVED,
            actor,
            organization_id=organization.id,
            user_id=user.id,
            why=why,
            kind=authenticator.kind,
            authenticator=str(authenticator.id),
            reopened=last and reopen,
        )
        if authenticator.status in _LIVE:
            text = "authenticators_reset" if last else "authenticator_removed"
            self._delivery.notify(tx, actor, organization, user, text, kind=authenticator.kind)

    def recovery(self, tx: Session, user: User) -> RecoveryLeft:
        """Return how the user stands with recovery codes."""
        due = user.recovery_used_at + EVERY if user.recovery_used_at else None
        return RecoveryLeft(
            remaining=self._recovery.remaining(tx, user),
            next_use_at=due if due and due > self._clock.now() else None,
            reenrollments=user.reenrollments,
            reenrollments_left=max(0, REENROLLMENTS - user.reenrollments),
        )

    def _present(self, user: User) -> tuple[sa.ColumnElement[bool], ...]:
        """Return what is true of an authenticator that the user has or is setting up."""
        return (
            Authenticator.user_id == user.id,
            Authenticator.status != AuthenticatorStatus.REMOVED,
            sa.or_(
                Authenticator.status != AuthenticatorStatus.PENDING,
                Authenticator.expires_at > self._clock.now(),
            ),
        )

    def _has_live(self, tx: Session, user: User) -> bool:
        live = sa.select(Authenticator.id).where(
            Authenticator.user_id == user.id, Authenticator.status.in_(_LIVE)
        )
        return tx.scalar(live.limit(1)) is not None


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
