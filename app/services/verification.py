"""Judging an attempt: charge it, judge it, consume what it used, record the verdict."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import touched
from app.factors import FACTORS, MESSAGE_CODES, PASSKEY, SECRET_FACTORS, recovery_code
from app.factors.base import Accepted, Outcome, Reason, Refused, Tolerance
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    GatewaySession,
    Purpose,
    Result,
    SessionStatus,
    User,
    Verification,
)
from app.remembered import remembered
from app.services.audit import Actor, Audit, EventKind
from app.services.authenticator_rows import kept
from app.services.challenges import Challenges
from app.services.charges import know
from app.services.delivery import Delivery
from app.services.limits import Answering, Limits
from app.services.method_settings import MethodSettings
from app.services.passkeys import Passkeys
from app.services.recovery import Recovery
from app.services.standing import forget_browsers, is_frozen, settle


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """For what an answer was given.

    Attributes:
        session: the ask, if a browser gave the answer.
        challenge_id: what a backend is told as `request_id`, if it brought the answer.
        application_id: on whose behalf a backend asks, if it says.
    """

    session: GatewaySession | None = None
    challenge_id: str | None = None
    application_id: uuid.UUID | None = None


class Verifications:
    """Judges answers: codes of authenticators, and recovery codes."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        limits: Limits,
        method_settings: MethodSettings,
        challenges: Challenges,
        passkeys: Passkeys,
        recovery: Recovery,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._limits = limits
        self._method_settings = method_settings
        self._challenges = challenges
        self._passkeys = passkeys
        self._recovery = recovery
        self._delivery = delivery
        self._audit = audit

    def attempt(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        authenticators: Sequence[Authenticator],
        answer: str,
        *,
        purpose: Purpose,
        occasion: Occasion,
    ) -> Verification | Refused:
        """Judge one answer, once, and remember the verdict.

        Charged, judged, consumed and recorded in the caller's one transaction; the charge
        survives even if anything after it raises. An answer that can't be one is not charged.

        Args:
            authenticators: for any of which it may be the answer; all of them are charged.
            purpose: confirming a new authenticator, or the user.
            occasion: the session, or the backend's request, for which it was given.

        Returns:
            The accepted verification, or why the answer was refused.
        """
        possible = [one for one in authenticators if FACTORS[one.kind].well_formed(answer)]
        if not possible:
            return self._malformed(occasion)
        possible = self._passkeys.answering(possible, answer)
        now = self._clock.now()
        answering = Answering(authenticators=tuple(possible))
        if refused := self._charge(tx, actor, user, answering, occasion, now):
            return refused
        authenticator, outcome = self._judge(tx, user, possible, answer, purpose, occasion, now)
        if occasion.session is None:
            outcome = _without_clock(outcome)
        verdict = Verification(
            authenticator_id=authenticator.id,
            kind=(outcome.kind if isinstance(outcome, Accepted) else None) or authenticator.kind,
            purpose=purpose,
            step=outcome.step,
            user_verified=isinstance(outcome, Accepted) and outcome.user_verified,
            key=outcome.key if isinstance(outcome, Accepted) else None,
            at=now,
        )
        return self._conclude(tx, actor, user, answering, verdict, outcome, occasion)

    def attempt_recovery(
        self, tx: Session, actor: Actor, user: User, answer: str, *, occasion: Occasion
    ) -> Verification | Refused:
        """Judge one recovery code, under the same rules; an accepted one suspends the phone.

        What the user has, but for passkeys, is suspended in the same transaction: it can't verify
        any more, and dies when a new authenticator is confirmed. Passkeys go on until the user
        says that they are lost (see `suspend_passkeys`).
        """
        if is_frozen(user):
            return Refused(reason=Reason.LOCKED)
        if refused := self._recovery.refusal(user):
            return refused
        if not recovery_code.well_formed(answer):
            return self._malformed(occasion)
        now = self._clock.now()
        answering = Answering(recovery=True)
        if refused := self._charge(tx, actor, user, answering, occasion, now):
            return refused
        refused = self._recovery.consume(tx, user, answer, now=now)
        verdict = Verification(kind=recovery_code.KIND, purpose=Purpose.RECOVERY, at=now)
        if refused is None:
            self._suspend(tx, actor, user, occasion)
        outcome = refused or Accepted(step=0)
        return self._conclude(tx, actor, user, answering, verdict, outcome, occasion)

    def spend_recovery(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        answer: str,
        *,
        occasion: Occasion,
        purpose: Purpose = Purpose.RECOVERY,
    ) -> Verification | Refused:
        """Judge one recovery code of a user who has no authenticator app: it is single-use alone.

        There is nothing that it would stand in for, so nothing is suspended, and no day is used.

        Args:
            purpose: `VERIFICATION` where it ends a visit by itself.
        """
        if not recovery_code.well_formed(answer):
            return self._malformed(occasion)
        now = self._clock.now()
        answering = Answering(recovery=True)
        if refused := self._charge(tx, actor, user, answering, occasion, now):
            return refused
        refused = self._recovery.spend(tx, user, answer, now=now)
        verdict = Verification(kind=recovery_code.KIND, purpose=purpose, at=now)
        if refused is None:
            forget_browsers(tx, [user.id])
            self._audit.record(
                tx,
                EventKind.RECOVERY_CODE_USED,
                actor,
                user=user,
                gateway_session=occasion.session,
            )
            self._tell_of_recovery(tx, actor, user, suspended=False)
        outcome = refused or Accepted(step=0)
        return self._conclude(tx, actor, user, answering, verdict, outcome, occasion)

    def suspend_passkeys(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        lost: Collection[uuid.UUID],
        *,
        session: GatewaySession,
    ) -> int:
        """Suspend passkeys that the user says are lost; return how many.

        Args:
            lost: their ids; those of nothing that works are passed over.
        """
        suspended = tx.execute(
            sa.update(Authenticator)
            .where(
                Authenticator.user_id == user.id,
                Authenticator.kind == PASSKEY.kind,
                Authenticator.status == AuthenticatorStatus.ACTIVE,
                Authenticator.id.in_(lost),
            )
            .values(status=AuthenticatorStatus.SUSPENDED)
        )
        count = int(suspended.rowcount)  # type: ignore[attr-defined]
        settle(tx, user.id)
        if count:
            self._audit.record(
                tx,
                EventKind.AUTHENTICATORS_SUSPENDED,
                actor,
                user=user,
                gateway_session=session,
                passkeys=count,
            )
        return count

    def vouches(self, tx: Session, user: User, *, since: datetime) -> bool:
        """Tell whether a backend lately verified something that the user still has."""
        found = (
            sa.select(Verification.id)
            .join(Authenticator, Authenticator.id == Verification.authenticator_id)
            .where(
                Verification.user_id == user.id,
                Verification.gateway_session_id.is_(None),
                Verification.accepted,
                Verification.at > since,
                Authenticator.status == AuthenticatorStatus.ACTIVE,
            )
        )
        return tx.scalar(found.limit(1)) is not None

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

        def read() -> Sequence[Verification]:
            return tx.scalars(_ACCEPTED, {"session_id": session.id}).all()

        question = (Verification, session.id)
        found = remembered(tx, question, read, of=[Verification, Authenticator])
        fitting = (one for one in found if one.purpose is purpose)
        newest = next(fitting, None)
        return newest if newest and (since is None or newest.at > since) else None

    def completed_by(self, tx: Session, session: GatewaySession, answer: str) -> bool:
        """Tell whether this very answer is the one that completed the session (a double tap)."""
        row = tx.execute(
            sa.select(Verification, Authenticator)
            .join(Result, Result.verification_id == Verification.id)
            .join(Authenticator, Authenticator.id == Verification.authenticator_id)
            .where(Result.gateway_session_id == session.id, Verification.step.is_not(None))
        ).first()
        if row is None or row.Verification.step is None:
            return False
        if row.Verification.kind in _ASKED:
            asked = self._passkeys if row.Verification.kind == PASSKEY.kind else self._challenges
            return asked.was_used(tx, session, answer, at=row.Verification.at)
        if row.Authenticator.secret is None:
            return False
        outcome = SECRET_FACTORS[row.Verification.kind].check(
            self._secret(row.Authenticator),
            answer,
            now=row.Verification.at,
            last_step=row.Verification.step - 1,
            parameters=row.Authenticator.parameters,
            tolerance=self._method_settings.of_user(tx, session.user).tolerance,
        )
        return isinstance(outcome, Accepted) and outcome.step == row.Verification.step

    def _malformed(self, occasion: Occasion) -> Refused:
        left = self._limits.left(occasion.session) if occasion.session else None
        return Refused(reason=Reason.MALFORMED, attempts_left=left)

    def _charge(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        answering: Answering,
        occasion: Occasion,
        now: datetime,
    ) -> Refused | None:
        session = occasion.session
        spent = self._limits.charge(tx, user, answering, session=session, now=now)
        if spent is None:
            return None
        if session is None:
            return Refused(reason=Reason.LOCKED, retry_at=spent.retry_at, attempts_left=0)
        left = self._limits.left(session)
        if left == 0 and session.status is SessionStatus.PENDING:
            self._fail(tx, actor, session)
        over = session.status is not SessionStatus.PENDING
        return Refused(
            reason=Reason.TOO_MANY if over else Reason.LOCKED,
            retry_at=spent.retry_at,
            attempts_left=left,
        )

    def _judge(
        self,
        tx: Session,
        user: User,
        authenticators: list[Authenticator],
        answer: str,
        purpose: Purpose,
        occasion: Occasion,
        now: datetime,
    ) -> tuple[Authenticator, Outcome]:
        """Judge the answer for each in turn; what says most of a wrong one is its reason."""
        tolerance = self._method_settings.of_user(tx, user).tolerance
        told: list[tuple[Authenticator, Refused]] = []
        for one in authenticators:
            if one.kind in _ASKED:
                asked = self._passkeys if one.kind == PASSKEY.kind else self._challenges
                outcome = asked.consume(
                    tx, one, answer, purpose=purpose, session=occasion.session, now=now
                )
            else:
                outcome = self._consume(tx, one, answer, now, tolerance)
            if isinstance(outcome, Accepted):
                return one, outcome
            told.append((one, outcome))
        return min(told, key=lambda pair: _TELLING.index(pair[1].reason))

    def _consume(
        self, tx: Session, one: Authenticator, answer: str, now: datetime, tolerance: Tolerance
    ) -> Accepted | Refused:
        """Judge the answer for one authenticator; an accepted one is used up for ever."""
        outcome = SECRET_FACTORS[one.kind].check(
            self._secret(one),
            answer,
            now=now,
            last_step=one.last_step,
            parameters=one.parameters,
            tolerance=tolerance,
        )
        if isinstance(outcome, Refused):
            return outcome
        values = {"one": one.id, "standing": one.status, "step_now": outcome.step, "moment": now}
        written = touched(tx, _CONSUME, values)
        if written is None:
            return Refused(reason=Reason.REPLAYED)
        know(one, written._asdict())
        return outcome

    def _secret(self, one: Authenticator) -> bytes:
        return self._vault.open(one.secret or "", place=secret_place(one.id))

    def _conclude(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        answering: Answering,
        verdict: Verification,
        outcome: Outcome,
        occasion: Occasion,
    ) -> Verification | Refused:
        """Record the verdict; a right answer gives the charge back, the last wrong one ends all."""
        verdict.user_id, verdict.organization_id = user.id, user.organization_id
        verdict.took_ms = _took(occasion, verdict.at)
        verdict.gateway_session_id = occasion.session.id if occasion.session else None
        verdict.application_id = (
            occasion.session.application_id if occasion.session else occasion.application_id
        )
        verdict.challenge_id = occasion.challenge_id
        verdict.accepted = isinstance(outcome, Accepted)
        verdict.reason = outcome.reason.value if isinstance(outcome, Refused) else None
        tx.add(verdict)
        self._audit.record(
            tx,
            EventKind.VERIFICATION_ACCEPTED if verdict.accepted else EventKind.VERIFICATION_REFUSED,
            actor,
            user=user,
            gateway_session=occasion.session,
            kind=verdict.kind,
            purpose=verdict.purpose.value,
            reason=verdict.reason,
        )
        if isinstance(outcome, Accepted):
            user.last_verified_at = verdict.at
            self._limits.forgive(tx, user, answering)
            return verdict
        return self._refuse(tx, actor, user, answering, outcome, occasion.session)

    def _refuse(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        answering: Answering,
        refused: Refused,
        session: GatewaySession | None,
    ) -> Refused:
        now = self._clock.now()
        left = self._limits.left_before_wait(user, answering, now=now)
        if session is not None:
            left = self._limits.left(session)
            if left == 0:
                self._fail(tx, actor, session)
        if self._limits.alarms(user.failures) and (
            session is None or session.subject_authenticated
        ):
            self._delivery.notify(
                tx,
                actor,
                user.organization,
                user,
                "answers_refused",
                count=user.failures,
                locked=not self._limits.allows(user.failures, None, now=now),
            )
        spent = self._limits.spent(user, answering, session=session, now=now)
        wait = spent.retry_at if spent else None
        return replace(refused, attempts_left=left, retry_at=refused.retry_at or wait)

    def _fail(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        session.status, session.ended_at = SessionStatus.FAILED, self._clock.now()
        self._audit.record(
            tx,
            EventKind.GATEWAY_SESSION_FAILED,
            actor,
            user=session.user,
            gateway_session=session,
        )

    def _suspend(self, tx: Session, actor: Actor, user: User, occasion: Occasion) -> None:
        tx.execute(
            sa.update(Authenticator)
            .where(
                Authenticator.user_id == user.id,
                Authenticator.status == AuthenticatorStatus.ACTIVE,
                Authenticator.kind != PASSKEY.kind,
            )
            .values(status=AuthenticatorStatus.SUSPENDED)
        )
        settle(tx, user.id)
        for kind in (EventKind.RECOVERY_CODE_USED, EventKind.AUTHENTICATORS_SUSPENDED):
            self._audit.record(tx, kind, actor, user=user, gateway_session=occasion.session)
        self._tell_of_recovery(tx, actor, user, suspended=True)

    def _tell_of_recovery(self, tx: Session, actor: Actor, user: User, *, suspended: bool) -> None:
        self._delivery.notify(
            tx,
            actor,
            user.organization,
            user,
            "recovery_code_used",
            left=self._recovery.remaining(tx, user),
            suspended=suspended,
        )


_one = cast(sa.Table, Authenticator.__table__)
_verdict = cast(sa.Table, Verification.__table__)
_STEP: sa.BindParameter[int] = sa.bindparam("step_now")
_WAS_TOLD = sa.exists().where(
    _verdict.c.authenticator_id == _one.c.id,
    _verdict.c.step == _STEP,
    _verdict.c.accepted.is_(False),
)
"""A guesser was told when this code becomes right ("your clock is fast")."""
_CONSUME = (
    sa.update(_one)
    .where(
        _one.c.id == sa.bindparam("one"),
        _one.c.status == sa.bindparam("standing"),
        _one.c.last_step < _STEP,
        ~_WAS_TOLD,
    )
    .values(last_step=_STEP, last_used_at=sa.bindparam("moment"), failures=0, retry_at=None)
    .returning(_one.c.last_step, _one.c.last_used_at, _one.c.failures, _one.c.retry_at)
)
"""Uses a step up, and starts the count of what it was for anew (see `Limits.forgive`)."""
_ACCEPTED = (
    sa.select(Verification)
    .outerjoin(Authenticator, Authenticator.id == Verification.authenticator_id)
    .where(
        Verification.gateway_session_id == sa.bindparam("session_id"),
        Verification.accepted,
        # A recovery code has no authenticator.
        sa.or_(
            Verification.kind == recovery_code.KIND,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
        ),
    )
    .order_by(Verification.at.desc())
    # What a recovery code stood for may have been set up since, by a statement of its own.
    .execution_options(populate_existing=True)
)
_ASKED = {PASSKEY.kind, *MESSAGE_CODES}
"""Kinds whose answers are for a challenge of ours."""
_TELLING = (
    Reason.COPIED,
    Reason.NOT_ALLOWED,
    Reason.TOO_WEAK,
    Reason.ALREADY_ENROLLED,
    Reason.SUSPENDED,
    Reason.REPLAYED,
    Reason.EXPIRED,
    Reason.CLOCK_OFF,
    Reason.WRONG,
)


def _without_clock(outcome: Outcome) -> Outcome:
    """Return a verdict that tells a backend nothing of when a code would be right."""
    is_off = isinstance(outcome, Refused) and outcome.reason is Reason.CLOCK_OFF
    return Refused(reason=Reason.WRONG) if is_off else outcome


def _took(occasion: Occasion, at: datetime) -> int | None:
    """Return how many milliseconds the user's visit had lasted when the answer came."""
    session = occasion.session
    return int((at - session.created_at).total_seconds() * 1000) if session else None


def secret_place(authenticator_id: uuid.UUID) -> str:
    """Return where an authenticator's secret stands, to bind the sealed one to it."""
    return f"authenticators.secret:{authenticator_id}"


def live(tx: Session, user: User, kinds: set[str]) -> list[Authenticator]:
    """Return the user's authenticators that can verify, of these kinds, last used first.

    Those that never were follow, the safest first.
    """
    order = list(FACTORS)
    active = AuthenticatorStatus.ACTIVE
    found = [one for one in kept(tx, user.id) if one.status is active and one.kind in kinds]
    return sorted(found, key=lambda one: -1 if one.last_used_at else order.index(one.kind))


def last_kind(tx: Session, authenticator: Authenticator) -> str | None:
    """Return as what the authenticator last verified somebody: by which channel its code came."""
    accepted = sa.select(Verification.kind).where(
        Verification.authenticator_id == authenticator.id, Verification.accepted
    )
    return tx.scalar(accepted.order_by(Verification.at.desc()).limit(1))
