"""Recovery in a visit: a saved code in place of what was lost, and what comes after it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.clock import Clock
from app.factors.base import Reason, Refused
from app.models import GatewaySession, Purpose, Verification
from app.services.audit import Actor
from app.services.enrollment import Enrollment
from app.services.method_settings import MethodSettings
from app.services.recovery import Recovery
from app.services.standing import is_frozen
from app.services.verification import Occasion, Verifications
from app.services.visit_passkeys import VisitPasskeys
from app.services.visits import Step, Visits


@dataclass(frozen=True, kw_only=True)
class RecoveryState:
    """How a user stands with recovery codes.

    Attributes:
        remaining: codes that could still be used.
        length: how many letters and digits each has.
        recovered: whether one was accepted in this session.
        replaces: whether one stands in for what was lost, so that this stops working; else it
            works once, and that is all.
        refusal: why none is judged now, and until when.
    """

    remaining: int
    length: int
    recovered: bool
    replaces: bool
    refusal: Refused | None


class VisitRecovery:
    """Judges recovery codes in visits."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        recovery: Recovery,
        enrollment: Enrollment,
        verifications: Verifications,
        visits: Visits,
        visit_passkeys: VisitPasskeys,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._recovery = recovery
        self._enrollment = enrollment
        self._verifications = verifications
        self._visits = visits
        self._visit_passkeys = visit_passkeys

    def state(self, tx: Session, session: GatewaySession) -> RecoveryState:
        """Return how the user stands with recovery codes."""
        user, replaces = session.user, self._replaces(tx, session)
        refusal = self._recovery.refusal(user) if replaces else None
        retry_at = user.recovery_retry_at
        if refusal is None and retry_at and retry_at > self._clock.now():
            refusal = Refused(reason=Reason.LOCKED, retry_at=retry_at)
        recovered = self._verifications.accepted(tx, session, Purpose.RECOVERY) is not None
        return RecoveryState(
            remaining=self._recovery.remaining(tx, user),
            length=self._recovery.length(tx, user),
            recovered=recovered,
            replaces=replaces,
            refusal=refusal,
        )

    def fits(self, session: GatewaySession) -> bool:
        """Tell whether a recovery code leads on: it reaches no class that an application asks.

        Neither does it change anything of a user who stopped all changes, or of whom it isn't sure
        that an application named them: a new authenticator would follow.
        """
        named = session.subject_authenticated
        return named and not session.bars_recovery and not is_frozen(session.user)

    def answer(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        """Judge a recovery code.

        Where it stands in for what was lost, and there is no choice, a new authenticator is begun
        at once; else it confirms the user, once.
        """
        if not self.fits(session) or self._visits.step(tx, session) not in {Step.VERIFY, Step.DUE}:
            return Refused(reason=Reason.EXPIRED)
        if not self._replaces(tx, session):
            return self._spend(tx, actor, session, answer)
        verdict = self._verifications.attempt_recovery(
            tx, actor, session.user, answer, occasion=Occasion(session=session)
        )
        if isinstance(verdict, Verification):
            self._go_on(tx, actor, session)
        return verdict

    def tell_losses(
        self, tx: Session, actor: Actor, session: GatewaySession, lost: Collection[uuid.UUID]
    ) -> None:
        """Suspend the passkeys that are lost, too; then go on as `answer` does.

        Args:
            lost: ids of passkeys of the user's.
        """
        self._visit_passkeys.tell_losses(tx, actor, session, lost)
        self._go_on(tx, actor, session)

    def _go_on(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        offered = self._method_settings.hosted(tx, session.user.organization, session)
        if len(offered) == 1:
            self._visits.set_up(tx, actor, session, *offered)

    def _replaces(self, tx: Session, session: GatewaySession) -> bool:
        user = session.user
        alone = self._enrollment.has_messages_alone(tx, user)
        return not alone or session.counts_replacement or self._enrollment.is_due(tx, user)

    def _spend(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        verdict = self._verifications.spend_recovery(
            tx,
            actor,
            session.user,
            answer,
            occasion=Occasion(session=session),
            purpose=Purpose.VERIFICATION,
        )
        if isinstance(verdict, Refused):
            return verdict
        return self._visits.conclude(tx, actor, session, verdict)
