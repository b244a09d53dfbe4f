"""Passes: visits that end well with nothing confirmed, because a policy lets the user go on."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.clock import Clock
from app.factors import nothing
from app.models import (
    AuthenticatorStatus,
    Environment,
    GatewaySession,
    Intent,
    Purpose,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.policies import Policies, Postponement
from app.services.standing import is_suspended
from app.services.visits import Step, Visits


class Passes:
    """Lets a user go on unconfirmed where a policy says so, and says so in the result."""

    def __init__(
        self,
        clock: Clock,
        policies: Policies,
        enrollment: Enrollment,
        visits: Visits,
        gateway_sessions: GatewaySessions,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._policies = policies
        self._enrollment = enrollment
        self._visits = visits
        self._gateway_sessions = gateway_sessions
        self._audit = audit

    def pass_on(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """End a visit as soon as it begins, if everybody passes; tell whether that is so."""
        user = session.user
        if not _asks_to_verify(session) or is_suspended(user):
            return False
        if self._visits.step(tx, session) in {Step.ENDED, Step.OPEN_LINK}:
            return False
        if not self._policies.is_off(tx, user, session.application_id):
            return False
        self._end(tx, actor, session, EventKind.POLICY_PASSED)
        return True

    def postponement(self, tx: Session, session: GatewaySession) -> Postponement | None:
        """Return what the user may put off in this visit, if nothing ever was enrolled."""
        if not _asks_to_verify(session) or self._has_something(tx, session):
            return None
        if self._visits.step(tx, session) not in {Step.SET_UP, Step.ENROLL}:
            return None
        return self._policies.postponement(tx, session.user, session.application_id)

    def put_off(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """End a visit because the user chose "Not now"; tell whether that was possible."""
        if self.postponement(tx, session) is None:
            return False
        if not self._policies.put_off(tx, session.user, session.application_id):
            return False
        self._end(tx, actor, session, EventKind.POLICY_SKIPPED)
        return True

    def _has_something(self, tx: Session, session: GatewaySession) -> bool:
        """What a recovery code suspended counts: it is replaced, and nothing else."""
        kept = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
        return any(self._enrollment.has(tx, session.user, status) for status in kept)

    def _end(self, tx: Session, actor: Actor, session: GatewaySession, kind: EventKind) -> None:
        now = self._clock.now()
        passed = Verification(
            user_id=session.user_id,
            organization_id=session.user.organization_id,
            gateway_session_id=session.id,
            application_id=session.application_id,
            kind=nothing.KIND,
            purpose=Purpose.SKIP,
            accepted=True,
            took_ms=int((now - session.created_at).total_seconds() * 1000),
            at=now,
        )
        tx.add(passed)
        tx.flush()
        self._audit.record(tx, kind, actor, user=session.user, gateway_session=session)
        self._gateway_sessions.complete(tx, actor, session, passed)


def _asks_to_verify(session: GatewaySession) -> bool:
    """Tell whether a policy has a say: not where somebody came, or was sent, to enroll.

    Neither where the application asks for more than a policy may come to, isn't sure that it named
    the user, or can't be told that nothing was confirmed.
    """
    if session.spares_nobody or not session.subject_authenticated:
        return False
    if session.user.organization.environment is Environment.ADMINISTRATION:
        return False
    enrolls = session.intent is not Intent.VERIFY or session.force_enroll
    return not enrolls and not session.steps_up
