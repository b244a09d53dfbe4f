"""Recovery in a visit: a saved code in place of what was lost, and what comes after it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.clock import Clock
from app.factors.base import Reason, Refused
from app.models import GatewaySession, Purpose, Verification
from app.services.audit import Actor
from app.services.method_settings import MethodSettings
from app.services.recovery import Recovery
from app.services.verification import Occasion, Verifications
from app.services.visits import Step, Visits


@dataclass(frozen=True, kw_only=True)
class RecoveryState:
    """How a user stands with recovery codes.

    Attributes:
        remaining: codes that could still be used.
        length: how many letters and digits each has.
        recovered: whether one was accepted in this session.
        refusal: why none is judged now, and until when.
    """

    remaining: int
    length: int
    recovered: bool
    refusal: Refused | None


class VisitRecovery:
    """Judges recovery codes in visits."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        recovery: Recovery,
        verifications: Verifications,
        visits: Visits,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._recovery = recovery
        self._verifications = verifications
        self._visits = visits

    def state(self, tx: Session, session: GatewaySession) -> RecoveryState:
        """Return how the user stands with recovery codes."""
        user = session.user
        refusal, retry_at = self._recovery.refusal(user), user.recovery_retry_at
        if refusal is None and retry_at and retry_at > self._clock.now():
            refusal = Refused(reason=Reason.LOCKED, retry_at=retry_at)
        recovered = self._verifications.accepted(tx, session, Purpose.RECOVERY) is not None
        return RecoveryState(
            remaining=self._recovery.remaining(tx, user),
            length=self._recovery.length(tx, user),
            recovered=recovered,
            refusal=refusal,
        )

    def fits(self, session: GatewaySession) -> bool:
        """Tell whether a recovery code leads on: it reaches no class that an application asks."""
        return not session.acr_values

    def answer(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        """Judge a recovery code; where there is no choice, a new authenticator is begun at once."""
        if not self.fits(session) or self._visits.step(tx, session) not in {Step.VERIFY, Step.DUE}:
            return Refused(reason=Reason.EXPIRED)
        verdict = self._verifications.attempt_recovery(
            tx, actor, session.user, answer, occasion=Occasion(session=session)
        )
        if isinstance(verdict, Verification):
            offered = self._method_settings.hosted(
                tx, session.user.organization, session.application
            )
            if len(offered) == 1:
                self._visits.set_up(tx, actor, session, *offered)
        return verdict
