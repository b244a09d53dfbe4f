"""Binding an authenticator to a user: begin, confirm with a first code, replace, reset."""

from __future__ import annotations

import uuid
from datetime import timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.factors import FACTORS
from app.factors.base import Prompt, Reason, Refused, Subject
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    GatewaySession,
    Organization,
    Purpose,
    User,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.recovery import REENROLLMENTS, Recovery
from app.services.verification import Verifications, secret_place

PENDING_FOR = timedelta(minutes=30)
MOST_PER_USER = 10


class Ground(StrEnum):
    """On what ground a user may add an authenticator in a session."""

    FIRST = "first"
    """There never was one, or the last was reset while reopening enrollment."""
    VOUCHED = "vouched"
    """An authenticator of the user's was verified in this session; it stays."""
    RECOVERED = "recovered"
    """A recovery code was used in this session; what it suspended is replaced."""
    APPROVED = "approved"
    """An administrator verified the user; what is suspended is replaced."""
    FORCED = "forced"
    """An API key says that a human looked; all that was there is replaced."""

    @property
    def issues_codes(self) -> bool:
        """Whether five new recovery codes come with it; the others leave the codes as they are."""
        return self in {Ground.FIRST, Ground.FORCED}


class Enrollment:
    """Begins, confirms and resets authenticators."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        verifications: Verifications,
        recovery: Recovery,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._verifications = verifications
        self._recovery = recovery
        self._delivery = delivery
        self._audit = audit

    def begin(self, tx: Session, actor: Actor, session: GatewaySession, kind: str) -> Authenticator:
        """Start an authenticator that counts for nothing until its first code confirms it.

        One that this session began before is given up for it.
        """
        now = self._clock.now()
        lock(tx, GatewaySession.id, session.id)
        tx.execute(
            sa.delete(Authenticator).where(
                Authenticator.gateway_session_id == session.id,
                Authenticator.status == AuthenticatorStatus.PENDING,
            )
        )
        pending = Authenticator(
            id=uuid.uuid4(),
            user_id=session.user_id,
            gateway_session_id=session.id,
            kind=kind,
            status=AuthenticatorStatus.PENDING,
            created_at=now,
            expires_at=min(now + PENDING_FOR, session.expires_at),
        )
        secret = FACTORS[kind].begin_enrollment()
        pending.secret = self._vault.seal(secret, place=secret_place(pending.id))
        tx.add(pending)
        self._audit.record(
            tx,
            EventKind.ENROLLMENT_BEGUN,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
            kind=kind,
        )
        return pending

    def pending(self, tx: Session, session: GatewaySession) -> Authenticator | None:
        """Return what this session began and has not confirmed yet."""
        return tx.scalar(
            sa.select(Authenticator).where(
                Authenticator.gateway_session_id == session.id,
                Authenticator.status == AuthenticatorStatus.PENDING,
                Authenticator.expires_at > self._clock.now(),
            )
        )

    def prompt(self, authenticator: Authenticator, session: GatewaySession) -> Prompt:
        """Return what the user needs to add a pending authenticator to a device."""
        secret = self._vault.open(authenticator.secret or "", place=secret_place(authenticator.id))
        subject = Subject(issuer=session.user.organization.name, label=session.user.email)
        return FACTORS[authenticator.kind].prompt(secret, subject)

    def confirm(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        pending: Authenticator,
        answer: str,
        *,
        ground: Ground,
    ) -> Verification | Refused:
        """Make a pending authenticator count, if the answer proves that it works.

        Args:
            ground: why the user may. It is used up in the same transaction by a conditional
                change, so of several enrollments side by side on one ground, one gets through.
        """
        verdict = self._verifications.attempt(
            tx, actor, session, pending, answer, purpose=Purpose.ENROLLMENT
        )
        if isinstance(verdict, Refused):
            return verdict
        if not self._use(tx, session, ground):
            verdict.accepted, verdict.reason = False, Reason.EXPIRED.value
            return Refused(reason=Reason.EXPIRED)
        confirm = (
            sa.update(Authenticator)
            .where(
                Authenticator.id == pending.id,
                Authenticator.status == AuthenticatorStatus.PENDING,
            )
            .values(
                status=AuthenticatorStatus.ACTIVE, confirmed_at=self._clock.now(), expires_at=None
            )
        )
        if not touched_one(tx, confirm):
            raise RuntimeError("a pending authenticator was confirmed twice")
        self._audit.record(
            tx,
            EventKind.AUTHENTICATOR_CONFIRMED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
            kind=pending.kind,
            authenticator=str(pending.id),
            ground=ground.value,
        )
        self._delivery.notify(
            tx, actor, session.user.organization, session.user, "authenticator_added"
        )
        return verdict

    def approve(self, tx: Session, actor: Actor, organization: Organization, user: User) -> bool:
        """Record that a human verified the user: re-enrollments count anew.

        Returns:
            Whether the user has a re-enrollment due, and may now do it at the next visit.
        """
        due = self.is_due(tx, user)
        user.reenrollments, user.reenrollment_approved = 0, due
        self._audit.record(
            tx,
            EventKind.REENROLLMENT_APPROVED,
            actor,
            organization_id=organization.id,
            user_id=user.id,
            due=due,
        )
        return due

    def force(self, tx: Session, user: User) -> None:
        """Prepare a forced enrollment: a human looked, and the old recovery codes die at once."""
        user.reenrollments = 0
        self._recovery.discard(tx, user)

    def is_due(self, tx: Session, user: User) -> bool:
        """Tell whether the user's authenticator was suspended and not replaced since."""
        return self.has(tx, user, AuthenticatorStatus.SUSPENDED) and not self.has(
            tx, user, AuthenticatorStatus.ACTIVE
        )

    def has(self, tx: Session, user: User, status: AuthenticatorStatus) -> bool:
        """Tell whether the user has an authenticator in this state."""
        found = sa.select(Authenticator.id).where(
            Authenticator.user_id == user.id, Authenticator.status == status
        )
        return tx.scalar(found.limit(1)) is not None

    def reset(
        self, tx: Session, actor: Actor, organization: Organization, user: User, *, reopen: bool
    ) -> int:
        """Remove all of a user's authenticators and recovery codes; return how many died.

        Args:
            reopen: whether the user may enroll anew at the next visit without further proof.
        """
        now = self._clock.now()
        removed = tx.execute(
            sa.update(Authenticator)
            .where(
                Authenticator.user_id == user.id,
                Authenticator.status != AuthenticatorStatus.REMOVED,
            )
            .values(status=AuthenticatorStatus.REMOVED, removed_at=now, secret=None),
        )
        self._recovery.discard(tx, user)
        user.enrollment_open = reopen or user.enrollment_open
        user.reenrollments, user.reenrollment_approved = 0, False
        self._audit.record(
            tx,
            EventKind.AUTHENTICATORS_RESET,
            actor,
            organization_id=organization.id,
            user_id=user.id,
            reopened=reopen,
        )
        count = int(removed.rowcount)  # type: ignore[attr-defined]
        if count:
            self._delivery.notify(tx, actor, organization, user, "authenticators_reset")
        return count

    def _use(self, tx: Session, session: GatewaySession, ground: Ground) -> bool:
        """Use up the ground, and let what is replaced die: both, or neither and False."""
        with tx.begin_nested() as savepoint:
            if used := self._used(tx, session, ground):
                return used
            savepoint.rollback()
        return False

    def _used(self, tx: Session, session: GatewaySession, ground: Ground) -> bool:
        mine = sa.update(User).where(User.id == session.user_id)
        match ground:
            case Ground.VOUCHED:
                return True
            case Ground.FIRST:
                return touched_one(
                    tx, mine.where(User.enrollment_open).values(enrollment_open=False)
                )
            case Ground.APPROVED:
                approved = mine.where(User.reenrollment_approved)
                used = touched_one(tx, approved.values(reenrollment_approved=False))
                return used and self._replace(tx, session, AuthenticatorStatus.SUSPENDED)
            case Ground.RECOVERED:
                counted = mine.where(User.reenrollments < REENROLLMENTS)
                one_more = {"reenrollments": User.reenrollments + 1, "reenrollment_approved": False}
                used = touched_one(tx, counted.values(one_more))
                return used and self._replace(tx, session, AuthenticatorStatus.SUSPENDED)
            case Ground.FORCED:
                touched_one(tx, mine.values(enrollment_open=False, reenrollment_approved=False))
                both = (AuthenticatorStatus.SUSPENDED, AuthenticatorStatus.ACTIVE)
                self._replace(tx, session, *both)
                return True

    def _replace(
        self, tx: Session, session: GatewaySession, *statuses: AuthenticatorStatus
    ) -> bool:
        removed = tx.execute(
            sa.update(Authenticator)
            .where(Authenticator.user_id == session.user_id, Authenticator.status.in_(statuses))
            .values(status=AuthenticatorStatus.REMOVED, removed_at=self._clock.now(), secret=None)
        )
        return bool(removed.rowcount)  # type: ignore[attr-defined]
