"""Binding an authenticator to a user: begin, confirm with a first code, replace, reset."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.factors import MESSAGE_CODES, SECRET_FACTORS
from app.factors.base import Prompt, Reason, Refused, Subject
from app.factors.totp import Totp
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    EnrollmentInvitation,
    GatewaySession,
    Organization,
    Purpose,
    User,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.authenticator_rows import kept
from app.services.delivery import Delivery
from app.services.method_settings import MethodSettings
from app.services.recovery import REENROLLMENTS, Recovery
from app.services.standing import is_frozen, settle, spend_recoveries
from app.services.verification import Occasion, Verifications, live, secret_place

PENDING_FOR = timedelta(minutes=30)
MOST_PER_USER = 10
VOUCHED_FOR = timedelta(minutes=20)
"""So long an authenticator that was verified vouches for a new one (NIST SP 800-63B-4, 4.1.2.1)."""


class Ground(StrEnum):
    """On what ground a user may add an authenticator in a session."""

    FIRST = "first"
    """There never was one, or the last was reset while reopening enrollment."""
    INVITED = "invited"
    """An administrator's invitation was used in this session, and there is nothing."""
    VOUCHED = "vouched"
    """An authenticator of the user's was verified in this session; it stays."""
    RECOVERED = "recovered"
    """A recovery code was used in this session; what it suspended is replaced."""
    APPROVED = "approved"
    """An administrator verified the user; what is suspended is replaced."""
    FORCED = "forced"
    """An API key says that a human looked; all that was there is replaced."""
    CONTACT = "contact"
    """A key of API v1 vouches for the contact that its codes go to; the rest stays as it is."""

    @property
    def issues_codes(self) -> bool:
        """Whether new recovery codes come with it; the others leave the codes as they are."""
        return self in {Ground.FIRST, Ground.INVITED, Ground.FORCED}

    @property
    def takes_word(self) -> bool:
        """Whether who sent the user here is believed that it is the user: they showed nothing."""
        return self in {Ground.FIRST, Ground.APPROVED, Ground.FORCED}


class Enrollment:
    """Begins, confirms and resets authenticators."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        verifications: Verifications,
        recovery: Recovery,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._verifications = verifications
        self._recovery = recovery
        self._delivery = delivery
        self._audit = audit

    def ground(
        self, tx: Session, user: User, *, session: GatewaySession | None = None, forced: bool
    ) -> Ground | None:
        """Tell on what ground the user may add an authenticator, if on any.

        Args:
            session: the one in which the user is at a browser; without it a backend asks, which
                knows from its own call that a recovery code was used.
            forced: whether an API key says that a human looked.
        """
        if is_frozen(user):
            return None
        if forced:
            return Ground.FORCED
        recovered = self._recovered(tx, user, session)
        active = self.has(tx, user, AuthenticatorStatus.ACTIVE)
        if active and not recovered:
            return Ground.VOUCHED if session and self._vouched(tx, session) else None
        if user.enrollment_open:
            return Ground.FIRST
        if not active and not self.is_due(tx, user):
            return Ground.INVITED if session and _is_invited(tx, session) else None
        if user.reenrollment_approved:
            return Ground.APPROVED
        return Ground.RECOVERED if recovered else None

    def begin(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        kind: str,
        *,
        session: GatewaySession | None = None,
        request_id: str | None = None,
        forced: bool = False,
        recipient: str | None = None,
    ) -> Authenticator:
        """Start an authenticator that counts for nothing until its first code confirms it.

        One that this session, or a backend, began before is given up for it.

        Args:
            session: the one whose pages show it; without it a backend does.
            request_id: what that backend is told.
            forced: see `ground`.
            recipient: where its codes go, of a kind whose codes are sent; None means the number
                on record.
        """
        now = self._clock.now()
        self.give_up(tx, user, session)
        settings = self._method_settings.of_user(tx, user)
        ends = now + PENDING_FOR
        pending = Authenticator(
            id=uuid.uuid4(),
            user_id=user.id,
            gateway_session_id=session.id if session else None,
            request_id=request_id,
            forced=forced,
            kind=kind,
            status=AuthenticatorStatus.PENDING,
            parameters=settings.parameters if kind == Totp.kind else {},
            recipient=(recipient or user.phone_number) if kind in MESSAGE_CODES else None,
            created_at=now,
            expires_at=min(ends, session.expires_at) if session else ends,
        )
        if kind in SECRET_FACTORS:
            secret = SECRET_FACTORS[kind].begin_enrollment()
            pending.secret = self._vault.seal(secret, place=secret_place(pending.id))
        tx.add(pending)
        tx.flush()
        self._audit.record(
            tx, EventKind.ENROLLMENT_BEGUN, actor, user=user, gateway_session=session, kind=kind
        )
        return pending

    def bind(
        self, tx: Session, actor: Actor, user: User, kind: str, recipient: str
    ) -> Authenticator:
        """Return what codes to a contact are for: begun now, unless it is there (see `bound`).

        Args:
            kind: of those whose codes we send.
            recipient: for which the key of a backend vouches.
        """
        if found := next(iter(self.bound(tx, user, kind, recipient)), None):
            return found
        now = self._clock.now()
        pending = Authenticator(
            id=uuid.uuid4(),
            user_id=user.id,
            kind=kind,
            status=AuthenticatorStatus.PENDING,
            recipient=recipient,
            vouched=True,
            created_at=now,
            expires_at=now + PENDING_FOR,
        )
        try:
            with tx.begin_nested():
                tx.add(pending)
        except IntegrityError:  # somebody else was faster
            return self.bound(tx, user, kind, recipient)[0]
        self._audit.record(tx, EventKind.ENROLLMENT_BEGUN, actor, user=user, kind=kind)
        return pending

    def bound(self, tx: Session, user: User, kind: str, recipient: str) -> Sequence[Authenticator]:
        """Return what answers for a contact: live ones first, then what waits for its first code.

        One that waited in vain is still meant: what was guessed at it goes on counting.
        """
        live = Authenticator.status == AuthenticatorStatus.ACTIVE
        waiting = sa.and_(
            Authenticator.status == AuthenticatorStatus.PENDING, Authenticator.vouched
        )
        mine = sa.select(Authenticator).where(
            Authenticator.user_id == user.id,
            Authenticator.kind == kind,
            sa.func.lower(Authenticator.recipient) == recipient.lower(),
            sa.or_(live, waiting),
        )
        live_first = sa.case((live, 0), else_=1)
        return tx.scalars(mine.order_by(live_first, Authenticator.id)).all()

    def renew(self, pending: Authenticator) -> None:
        """Let one that waits for its first code wait anew, since another code was sent."""
        if pending.status is AuthenticatorStatus.PENDING:
            pending.expires_at = self._clock.now() + PENDING_FOR

    def ground_beside(self, tx: Session, user: User) -> Ground | None:
        """Tell on what ground a backend may add an app for a user who has none that works.

        Beside codes by message it needs one of these, verified by the backend a moment ago.
        """
        if is_frozen(user):
            return None
        if not self.has(tx, user, AuthenticatorStatus.ACTIVE):
            return self.ground(tx, user, forced=False)
        lately = self._clock.now() - VOUCHED_FOR
        return Ground.VOUCHED if self._verifications.vouches(tx, user, since=lately) else None

    def pending(
        self, tx: Session, user: User, session: GatewaySession | None = None
    ) -> Authenticator | None:
        """Return what this session (or a backend) began and has not confirmed yet."""
        begun = (one for one in kept(tx, user.id) if _is_begun(one, session))
        now = self._clock.now()
        return next((one for one in begun if one.expires_at and one.expires_at > now), None)

    def prompt(self, tx: Session, authenticator: Authenticator, user: User) -> Prompt:
        """Return what the user needs to add a pending authenticator to a device."""
        secret = self._vault.open(authenticator.secret or "", place=secret_place(authenticator.id))
        issuer = self._method_settings.of_user(tx, user).issuer or user.organization.name
        subject = Subject(issuer=issuer, label=user.label)
        factor = SECRET_FACTORS[authenticator.kind]
        return factor.prompt(secret, subject, authenticator.parameters)

    def confirm(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        pending: Authenticator,
        answer: str,
        *,
        ground: Ground,
        occasion: Occasion,
    ) -> Verification | Refused:
        """Make a pending authenticator count, if the answer proves that it works.

        Args:
            ground: why the user may. It is used up in the same transaction by a conditional
                change, so of several enrollments side by side on one ground, one gets through.
        """
        verdict = self._verifications.attempt(
            tx, actor, user, [pending], answer, purpose=Purpose.ENROLLMENT, occasion=occasion
        )
        if isinstance(verdict, Refused):
            return verdict
        if not self._use(tx, user, ground, occasion.session):
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
        settle(tx, user.id)
        tx.refresh(pending, ["status", "confirmed_at", "expires_at"])
        self._recovery.activate(tx, user, pending)
        self._audit.record(
            tx,
            EventKind.AUTHENTICATOR_CONFIRMED,
            actor,
            user=user,
            gateway_session=occasion.session,
            kind=pending.kind,
            authenticator=str(pending.id),
            ground=ground.value,
        )
        self._tell(tx, actor, user, pending)
        return verdict

    def _tell(self, tx: Session, actor: Actor, user: User, added: Authenticator) -> None:
        """Tell a user of a new authenticator."""
        self._delivery.notify(
            tx,
            actor,
            user.organization,
            user,
            "authenticator_added",
            added=added.recipient,
            authenticator_id=added.id,
            kind=added.kind,
        )

    def approve(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        *,
        why: str | None = None,
    ) -> bool:
        """Record that a human verified the user: re-enrollments count anew.

        Args:
            why: an administrator's reason.

        Returns:
            Whether the user has a re-enrollment due, and may now do it at the next visit.
        """
        due = self.is_due(tx, user)
        user.reenrollments, user.reenrollment_approved = 0, due
        self._audit.record(tx, EventKind.REENROLLMENT_APPROVED, actor, user=user, why=why, due=due)
        self._delivery.notify(tx, actor, organization, user, "reenrollment_approved", due=due)
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

    def live(self, tx: Session, user: User, kind: str) -> list[Authenticator]:
        """Return the user's authenticators of a kind that can verify, last used first."""
        return live(tx, user, {kind})

    def has_kind(self, tx: Session, user: User, kind: str) -> bool:
        """Tell whether the user has one of a kind, be it that a recovery code stopped it."""
        found = sa.select(Authenticator.id).where(
            Authenticator.user_id == user.id,
            Authenticator.kind == kind,
            Authenticator.status.in_((AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)),
        )
        return tx.scalar(found.limit(1)) is not None

    def has_messages_alone(self, tx: Session, user: User) -> bool:
        """Tell whether all that the user has, or a recovery code stopped, gets codes by message."""
        kept = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
        theirs = sa.select(Authenticator.kind).where(
            Authenticator.user_id == user.id, Authenticator.status.in_(kept)
        )
        kinds = set(tx.scalars(theirs))
        return bool(kinds) and kinds <= {*MESSAGE_CODES}

    def has(self, tx: Session, user: User, status: AuthenticatorStatus) -> bool:
        """Tell whether the user has an authenticator in this state."""
        if status is AuthenticatorStatus.REMOVED:
            raise ValueError("what is removed is not kept")
        return any(one.status is status for one in kept(tx, user.id))

    def reset(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        *,
        reopen: bool,
        why: str | None = None,
    ) -> int:
        """Remove all of a user's authenticators and recovery codes; return how many died.

        Args:
            reopen: whether the user may enroll anew at the next visit without further proof.
            why: an administrator's reason.
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
        settle(tx, user.id)
        self._recovery.discard(tx, user)
        user.enrollment_open = reopen or user.enrollment_open
        user.reenrollments, user.reenrollment_approved = 0, False
        self._audit.record(
            tx,
            EventKind.AUTHENTICATORS_RESET,
            actor,
            organization_id=organization.id,
            user_id=user.id,
            why=why,
            reopened=reopen,
        )
        count = int(removed.rowcount)  # type: ignore[attr-defined]
        if count:
            self._delivery.notify(tx, actor, organization, user, "authenticators_reset")
        return count

    def give_up(self, tx: Session, user: User, session: GatewaySession | None = None) -> None:
        """Forget what this session (or a backend) began and has not confirmed yet."""
        if session is not None:
            lock(tx, GatewaySession.id, session.id)
        else:
            lock(tx, User.id, user.id)
        tx.execute(sa.delete(Authenticator).where(_begun(user, session)))

    def _recovered(self, tx: Session, user: User, session: GatewaySession | None) -> bool:
        """Tell whether a recovery code was used: in this session, or told to the backend."""
        if session is None:
            return self.has(tx, user, AuthenticatorStatus.SUSPENDED)
        used = self._verifications.accepted(tx, session, Purpose.RECOVERY)
        return used is not None and used.spent_at is None

    def _vouched(self, tx: Session, session: GatewaySession) -> bool:
        """Tell whether this session lately verified an authenticator that the user still has."""
        lately = self._clock.now() - VOUCHED_FOR
        proof = self._verifications.accepted(tx, session, Purpose.VERIFICATION, since=lately)
        return proof is not None

    def _use(self, tx: Session, user: User, ground: Ground, session: GatewaySession | None) -> bool:
        """Use up the ground, and let what is replaced die: both, or neither and False."""
        lock(tx, User.id, user.id)  # whoever stops a change comes before it, or after
        tx.refresh(user, ["frozen_at"])
        if is_frozen(user):
            return False
        with tx.begin_nested() as savepoint:
            if used := self._used(tx, user, ground, session):
                spend_recoveries(tx, [user.id], self._clock.now())
                return used
            savepoint.rollback()
        return False

    def _used(
        self, tx: Session, user: User, ground: Ground, session: GatewaySession | None
    ) -> bool:
        mine = sa.update(User).where(User.id == user.id)
        match ground:
            case Ground.VOUCHED:
                return True
            case Ground.CONTACT:  # nobody's re-enrollment is done with by this
                open_to = mine.where(User.enrollment_open)
                touched_one(tx, open_to.values(enrollment_open=False))
                return not self.is_due(tx, user)
            case Ground.FIRST:
                return touched_one(
                    tx, mine.where(User.enrollment_open).values(enrollment_open=False)
                )
            case Ground.INVITED:
                return self._has_nothing(tx, user) and touched_one(
                    tx, mine.values(enrollment_open=False, reenrollment_approved=False)
                )
            case Ground.APPROVED:
                approved = mine.where(User.reenrollment_approved)
                used = touched_one(tx, approved.values(reenrollment_approved=False))
                return used and self._replace(tx, user, AuthenticatorStatus.SUSPENDED)
            case Ground.RECOVERED:
                counted = mine.where(User.reenrollments < REENROLLMENTS)
                one_more = {"reenrollments": User.reenrollments + 1, "reenrollment_approved": False}
                used = touched_one(tx, counted.values(one_more))
                stands = session is None or self._recovered(tx, user, session)
                return used and stands and self._replace_suspended(tx, user)
            case Ground.FORCED:
                touched_one(tx, mine.values(enrollment_open=False, reenrollment_approved=False))
                both = (AuthenticatorStatus.SUSPENDED, AuthenticatorStatus.ACTIVE)
                self._replace(tx, user, *both)
                return True

    def _has_nothing(self, tx: Session, user: User) -> bool:
        lock(tx, User.id, user.id)  # of several who look, one sees nothing
        kept = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
        return not any(self.has(tx, user, status) for status in kept)

    def _replace_suspended(self, tx: Session, user: User) -> bool:
        """Let what a recovery code stopped die; who has passkeys alone may have lost none."""
        replaced = self._replace(tx, user, AuthenticatorStatus.SUSPENDED)
        return replaced or self.has(tx, user, AuthenticatorStatus.ACTIVE)

    def _replace(self, tx: Session, user: User, *statuses: AuthenticatorStatus) -> bool:
        removed = tx.execute(
            sa.update(Authenticator)
            .where(Authenticator.user_id == user.id, Authenticator.status.in_(statuses))
            .values(status=AuthenticatorStatus.REMOVED, removed_at=self._clock.now(), secret=None)
        )
        return bool(removed.rowcount)  # type: ignore[attr-defined]


def _is_invited(tx: Session, session: GatewaySession) -> bool:
    """Tell whether the session was opened by an invitation that still stands."""
    found = sa.select(EnrollmentInvitation.id).where(
        EnrollmentInvitation.gateway_session_id == session.id,
        EnrollmentInvitation.revoked_at.is_(None),
    )
    return tx.scalar(found.limit(1)) is not None


def _is_begun(one: Authenticator, session: GatewaySession | None) -> bool:
    """Tell what `_begun` selects of what a user has."""
    if one.status is not AuthenticatorStatus.PENDING:
        return False
    if session is None:
        return one.gateway_session_id is None and not one.vouched
    return one.gateway_session_id == session.id


def _begun(user: User, session: GatewaySession | None) -> sa.ColumnElement[bool]:
    return sa.and_(
        Authenticator.user_id == user.id,
        Authenticator.status == AuthenticatorStatus.PENDING,
        sa.and_(Authenticator.gateway_session_id.is_(None), ~Authenticator.vouched)
        if session is None
        else Authenticator.gateway_session_id == session.id,
    )
