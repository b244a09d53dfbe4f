"""Judging an attempt: charge it, judge it, consume what it used, record the verdict."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import touched_one
from app.factors import FACTORS, recovery_code
from app.factors.base import Accepted, Outcome, Reason, Refused
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    GatewaySession,
    MethodSetting,
    Purpose,
    Result,
    SessionStatus,
    User,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.limits import Limits
from app.services.recovery import Recovery


class Verifications:
    """Judges answers: codes of authenticators, and recovery codes."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        limits: Limits,
        recovery: Recovery,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._limits = limits
        self._recovery = recovery
        self._delivery = delivery
        self._audit = audit

    def attempt(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator,
        answer: str,
        *,
        purpose: Purpose,
    ) -> Verification | Refused:
        """Judge one answer for one authenticator, once, and remember the verdict.

        Charged, judged, consumed and recorded in the caller's one transaction; the charge
        survives even if anything after it raises. An answer that can't be one is not charged.

        Args:
            session: the ask for which the answer was given.
            purpose: confirming a new authenticator, or the user.

        Returns:
            The accepted verification, or why the answer was refused.
        """
        if not FACTORS[authenticator.kind].well_formed(answer):
            return Refused(reason=Reason.MALFORMED, attempts_left=self._limits.left(session))
        now = self._clock.now()
        if refused := self._charge(tx, actor, session, authenticator, now):
            return refused
        outcome = self._consume(tx, authenticator, answer, now)
        verdict = Verification(
            gateway_session_id=session.id,
            authenticator_id=authenticator.id,
            kind=authenticator.kind,
            purpose=purpose,
            step=outcome.step,
            at=now,
        )
        return self._conclude(tx, actor, session, authenticator, verdict, outcome)

    def attempt_recovery(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        """Judge one recovery code, under the same rules; an accepted one suspends the phone.

        What the user has is suspended in the same transaction: it can't verify any more, and dies
        when a new authenticator is confirmed.
        """
        user = session.user
        if refused := self._recovery.refusal(user):
            return refused
        if not recovery_code.well_formed(answer):
            return Refused(reason=Reason.MALFORMED, attempts_left=self._limits.left(session))
        now = self._clock.now()
        if refused := self._charge(tx, actor, session, None, now):
            return refused
        refused = self._recovery.consume(tx, user, answer, now=now)
        verdict = Verification(
            gateway_session_id=session.id,
            kind=recovery_code.KIND,
            purpose=Purpose.RECOVERY,
            at=now,
        )
        if refused is None:
            self._suspend(tx, actor, session)
        return self._conclude(tx, actor, session, None, verdict, refused or Accepted(step=0))

    def accepted(
        self,
        tx: Session,
        session: GatewaySession,
        purpose: Purpose,
        *,
        since: datetime | None = None,
    ) -> Verification | None:
        """Return the session's newest accepted verification by what is still there.

        Args:
            purpose: for which it was.
            since: how old it may be at most; None for any age.
        """
        found = (
            sa.select(Verification)
            .outerjoin(Authenticator, Authenticator.id == Verification.authenticator_id)
            .where(
                Verification.gateway_session_id == session.id,
                Verification.purpose == purpose,
                Verification.accepted,
                # A recovery code has no authenticator.
                sa.or_(
                    Verification.kind == recovery_code.KIND,
                    Authenticator.status == AuthenticatorStatus.ACTIVE,
                ),
            )
        )
        if since is not None:
            found = found.where(Verification.at > since)
        return tx.scalar(found.order_by(Verification.at.desc()).limit(1))

    def completed_by(self, tx: Session, session: GatewaySession, answer: str) -> bool:
        """Tell whether this very answer is the one that completed the session (a double tap)."""
        row = tx.execute(
            sa.select(Verification, Authenticator)
            .join(Result, Result.verification_id == Verification.id)
            .join(Authenticator, Authenticator.id == Verification.authenticator_id)
            .where(Result.gateway_session_id == session.id, Verification.step.is_not(None))
        ).first()
        if row is None or row.Authenticator.secret is None or row.Verification.step is None:
            return False
        outcome = FACTORS[row.Verification.kind].check(
            self._secret(row.Authenticator),
            answer,
            now=row.Verification.at,
            last_step=row.Verification.step - 1,
            strict=False,
        )
        return isinstance(outcome, Accepted) and outcome.step == row.Verification.step

    def _charge(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator | None,
        now: datetime,
    ) -> Refused | None:
        spent = self._limits.charge(tx, session, authenticator, now=now)
        if spent is None:
            return None
        left = self._limits.left(session)
        if left == 0 and session.status is SessionStatus.PENDING:
            self._fail(tx, actor, session)
        over = session.status is not SessionStatus.PENDING
        return Refused(
            reason=Reason.TOO_MANY if over else Reason.LOCKED,
            retry_at=spent.retry_at,
            attempts_left=left,
        )

    def _consume(self, tx: Session, one: Authenticator, answer: str, now: datetime) -> Outcome:
        """Judge the answer for one authenticator; an accepted one uses its step up for ever."""
        outcome = FACTORS[one.kind].check(
            self._secret(one),
            answer,
            now=now,
            last_step=one.last_step,
            strict=self._is_strict(tx, one),
        )
        if isinstance(outcome, Refused):
            return outcome
        if self._was_told(tx, one, outcome.step):
            return Refused(reason=Reason.REPLAYED)
        consume = (
            sa.update(Authenticator)
            .where(
                Authenticator.id == one.id,
                Authenticator.status == one.status,
                Authenticator.last_step < outcome.step,
            )
            .values(last_step=outcome.step, last_used_at=now)
        )
        return outcome if touched_one(tx, consume) else Refused(reason=Reason.REPLAYED)

    def _was_told(self, tx: Session, one: Authenticator, step: int) -> bool:
        """Tell whether a guesser was told when this code becomes right ("your clock is fast")."""
        told = sa.select(Verification.id).where(
            Verification.authenticator_id == one.id,
            Verification.step == step,
            Verification.accepted.is_(False),
        )
        return tx.scalar(told.limit(1)) is not None

    def _secret(self, one: Authenticator) -> bytes:
        return self._vault.open(one.secret or "", place=secret_place(one.id))

    def _is_strict(self, tx: Session, one: Authenticator) -> bool:
        setting = sa.select(MethodSetting.strict).join(
            User, User.organization_id == MethodSetting.organization_id
        )
        mine = setting.where(User.id == one.user_id, MethodSetting.kind == one.kind)
        return bool(tx.scalar(mine))

    def _conclude(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator | None,
        verdict: Verification,
        outcome: Outcome,
    ) -> Verification | Refused:
        """Record the verdict; a right answer gives the charge back, the last wrong one ends all."""
        verdict.accepted = isinstance(outcome, Accepted)
        verdict.reason = outcome.reason.value if isinstance(outcome, Refused) else None
        tx.add(verdict)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.VERIFICATION_ACCEPTED if verdict.accepted else EventKind.VERIFICATION_REFUSED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
            kind=verdict.kind,
            purpose=verdict.purpose.value,
            reason=verdict.reason,
        )
        if isinstance(outcome, Accepted):
            self._limits.forgive(tx, session, authenticator)
            return verdict
        return self._refuse(tx, actor, session, authenticator, outcome)

    def _refuse(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator | None,
        refused: Refused,
    ) -> Refused:
        left = self._limits.left(session)
        if left == 0:
            self._fail(tx, actor, session)
        spent = self._limits.spent(session, authenticator, now=self._clock.now())
        wait = spent.retry_at if spent else None
        return replace(refused, attempts_left=left, retry_at=refused.retry_at or wait)

    def _fail(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        session.status, session.ended_at = SessionStatus.FAILED, self._clock.now()
        self._audit.record(
            tx,
            EventKind.GATEWAY_SESSION_FAILED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
        )

    def _suspend(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        tx.execute(
            sa.update(Authenticator)
            .where(
                Authenticator.user_id == session.user_id,
                Authenticator.status == AuthenticatorStatus.ACTIVE,
            )
            .values(status=AuthenticatorStatus.SUSPENDED)
        )
        organization, user = session.user.organization, session.user
        for kind in (EventKind.RECOVERY_CODE_USED, EventKind.AUTHENTICATORS_SUSPENDED):
            self._audit.record(
                tx, kind, actor, organization_id=organization.id, gateway_session=session
            )
        left = self._recovery.remaining(tx, user)
        self._delivery.notify(tx, actor, organization, user, "recovery_code_used", left=left)


def secret_place(authenticator_id: uuid.UUID) -> str:
    """Return where an authenticator's secret stands, to bind the sealed one to it."""
    return f"authenticators.secret:{authenticator_id}"


def live(tx: Session, session: GatewaySession, kinds: set[str]) -> list[Authenticator]:
    """Return the user's authenticators that can verify, of these kinds, last used first."""
    return list(
        tx.scalars(
            sa.select(Authenticator)
            .where(
                Authenticator.user_id == session.user_id,
                Authenticator.status == AuthenticatorStatus.ACTIVE,
                Authenticator.kind.in_(kinds),
            )
            .order_by(Authenticator.last_used_at.desc(), Authenticator.id)
        )
    )
