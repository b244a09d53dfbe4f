"""What a backend may do for a user without a browser: enroll, challenge and verify (the guides)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ksuid import Ksuid
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Invalid, Refusal
from app.factors import PASSKEY, recovery_code
from app.factors.base import Prompt, Reason, Refused
from app.factors.totp import Totp
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Challenge,
    Purpose,
    User,
    Verification,
)
from app.services.audit import Actor
from app.services.challenges import Asked, Challenges
from app.services.enrollment import Enrollment, Ground
from app.services.limits import Answering, Limits, locked
from app.services.message_codes import MessageCodes
from app.services.method_settings import MethodSettings
from app.services.recovery import REENROLLMENTS, Recovery
from app.services.send_refusals import not_sent
from app.services.standing import demand_unfrozen, demand_unsuspended
from app.services.totp_settings import GATEWAY, METHODS
from app.services.verification import Occasion, Verifications, live

ENROLLMENT_PREFIX = "totp-enrollment_"


@dataclass(frozen=True, kw_only=True)
class Begun:
    """An enrollment that waits for its first code.

    Attributes:
        prompt: for an authenticator app.
        recovery_codes: that start to work with the confirmation; None if the user keeps the old.
        remaining: recovery codes that the user could use now.
        challenge: of a code by SMS.
        code: of that challenge, for the application to send; None if we sent it.
    """

    authenticator: Authenticator
    prompt: Prompt | None = field(repr=False)
    recovery_codes: list[str] | None = field(repr=False)
    remaining: int
    challenge: Challenge | None = None
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Posed:
    """A challenge as it stands before its answer.

    Attributes:
        code: for the application to send; None where the user's own app makes it, or we sent it.
        sent_at: when we sent it.
    """

    request_id: str
    challenged_at: datetime
    expires_at: datetime | None
    code: str | None = field(repr=False)
    sent_at: datetime | None
    attempts_left: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict on an answer that a backend brought.

    Attributes:
        refused: why it is not accepted; None if it is.
        authenticator: what was confirmed, if it was an enrollment.
    """

    request_id: str
    judged_at: datetime
    refused: Refused | None
    recovery_code_used: bool = False
    authenticator: Authenticator | None = None


class Headless:
    """Serves backends that show their own pages; the same rules as for our pages hold."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        challenges: Challenges,
        message_codes: MessageCodes,
        enrollment: Enrollment,
        verifications: Verifications,
        recovery: Recovery,
        limits: Limits,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._challenges = challenges
        self._message_codes = message_codes
        self._enrollment = enrollment
        self._verifications = verifications
        self._recovery = recovery
        self._limits = limits

    def enroll(
        self, tx: Session, actor: Actor, user: User, *, method: str | None, forced: bool
    ) -> Begun:
        """Begin an authenticator for a user.

        Args:
            method: `app` or `sms`; None takes the organization's first.
            forced: whether a human looked: what the user has is replaced, with new codes.

        Raises:
            Refusal: `totp_connection_inactive`, `already_enrolled`, `enrollment_closed`,
                `reenrollment_limit_reached`, `user_frozen`, `user_suspended`, those of `not_sent`.
            Invalid: the method is not offered, or the user has no phone number for it.
        """
        kind = self._kind(tx, user, method)
        ground = self._enrollment.ground(tx, user, forced=forced)
        if ground is None:
            raise closed(tx, self._enrollment, user)
        if ground is Ground.RECOVERED and user.reenrollments >= REENROLLMENTS:
            raise limit_reached()
        if forced:
            self._enrollment.force(tx, user)
        request_id = ENROLLMENT_PREFIX + str(Ksuid(self._clock.now()))
        pending = self._enrollment.begin(
            tx, actor, user, kind, request_id=request_id, forced=forced
        )
        issues = ground.issues_codes
        codes = self._recovery.issue(tx, actor, user, pending=pending) if issues else None
        remaining = self._recovery.remaining(tx, user)
        if kind == Totp.kind:
            prompt = self._enrollment.prompt(tx, pending, user)
            return Begun(
                authenticator=pending, prompt=prompt, recovery_codes=codes, remaining=remaining
            )
        asked = self._ask(tx, actor, user, pending)
        return Begun(
            authenticator=pending,
            prompt=None,
            recovery_codes=codes,
            remaining=remaining,
            challenge=asked.challenge,
            code=asked.code,
        )

    def confirm(self, tx: Session, actor: Actor, user: User, answer: str) -> Judged:
        """Judge the first code of what `enroll` began.

        Raises:
            Refusal: `totp_connection_inactive`, `no_pending_enrollment`, `user_suspended`.
        """
        self._demand_active(tx, user)
        pending = self._enrollment.pending(tx, user)
        if pending is None or pending.kind == PASSKEY.kind:
            raise Refusal(
                "no_pending_enrollment",
                "No enrollment waits for a code. Begin one by POST totp-enrollment.",
            )
        ground = self._enrollment.ground(tx, user, forced=pending.forced)
        verdict: Verification | Refused = Refused(reason=Reason.EXPIRED)
        if ground is not None:
            verdict = self._enrollment.confirm(
                tx,
                actor,
                user,
                pending,
                answer,
                ground=ground,
                occasion=Occasion(challenge_id=pending.request_id),
            )
        return Judged(
            request_id=pending.request_id or "",
            judged_at=self._clock.now(),
            refused=verdict if isinstance(verdict, Refused) else None,
            authenticator=pending,
        )

    def challenge(self, tx: Session, actor: Actor, user: User) -> Posed:
        """Pose a challenge: a code by SMS if the user has that, else nothing but its id.

        Raises:
            Refusal: `totp_connection_inactive`, `not_enrolled`, `locked`, `user_suspended`, those
                of `not_sent`.
        """
        choices = self._choices(tx, user)
        if not choices:
            raise self._nothing(tx, user)
        now = self._clock.now()
        answering = Answering(authenticators=tuple(choices))
        left = self._limits.left_before_wait(user, answering, now=now)
        by_message = next((one for one in choices if one.kind != Totp.kind), None)
        if by_message is None:
            return Posed(
                request_id=self._challenges.new_id(),
                challenged_at=now,
                expires_at=None,
                code=None,
                sent_at=None,
                attempts_left=left,
            )
        if spent := self._limits.spent(user, Answering(authenticators=(by_message,)), now=now):
            raise locked(spent.retry_at)
        asked = self._ask(tx, actor, user, by_message)
        return Posed(
            request_id=asked.challenge.id,
            challenged_at=now,
            expires_at=asked.challenge.expires_at,
            code=asked.code,
            sent_at=None if asked.code else now,
            attempts_left=left,
        )

    def verify(self, tx: Session, actor: Actor, user: User, answer: str) -> Judged:
        """Judge a code of an app, a code by SMS, or a recovery code; its shape tells which.

        Raises:
            Refusal: `totp_connection_inactive`, `not_enrolled`, `reenrollment_limit_reached`,
                `user_suspended`.
        """
        choices = self._choices(tx, user)
        due = self._enrollment.is_due(tx, user)
        if not choices and not due:
            raise self._nothing(tx, user)
        request_id, now = self._challenges.new_id(), self._clock.now()
        occasion = Occasion(challenge_id=request_id)
        if recovery_code.well_formed(answer):
            verdict = self._verifications.attempt_recovery(
                tx, actor, user, answer, occasion=occasion
            )
        elif choices:
            verdict = self._verifications.attempt(
                tx,
                actor,
                user,
                self._open(user, choices, now),
                answer,
                purpose=Purpose.VERIFICATION,
                occasion=occasion,
            )
        else:
            verdict = Refused(reason=Reason.SUSPENDED)
        if isinstance(verdict, Refused):
            return Judged(request_id=request_id, judged_at=now, refused=verdict)
        used = verdict.purpose is Purpose.RECOVERY
        return Judged(request_id=request_id, judged_at=now, refused=None, recovery_code_used=used)

    def _ask(self, tx: Session, actor: Actor, user: User, authenticator: Authenticator) -> Asked:
        """Make a code, and send it, or hand it over for the application to send.

        Raises:
            Refusal: nothing is sent now; then nothing is begun either.
        """
        if self._method_settings.of_user(tx, user).sms_delivery != GATEWAY:
            return self._challenges.hand_over(tx, actor, user, authenticator)
        kind = authenticator.kind
        asked = self._message_codes.send(tx, actor, user, authenticator, channel=kind)
        if isinstance(asked, Refused):
            raise not_sent(asked)
        return asked

    def _open(self, user: User, choices: list[Authenticator], now: datetime) -> list[Authenticator]:
        """Return those that are not locked, so that one locked phone leaves the other usable."""
        usable = [
            one
            for one in choices
            if not self._limits.spent(user, Answering(authenticators=(one,)), now=now)
        ]
        return usable or choices

    def _choices(self, tx: Session, user: User) -> list[Authenticator]:
        self._demand_active(tx, user)
        return live(tx, user, self._method_settings.offered(tx, user.organization))

    def _demand_active(self, tx: Session, user: User) -> None:
        """Refuse what every call refuses, whatever it is for."""
        demand_unsuspended(user)
        if not self._method_settings.offered(tx, user.organization):
            raise Refusal(
                "totp_connection_inactive",
                f"The organization {user.organization.domain} offers no method. Switch its TOTP "
                "connection on.",
            )

    def _kind(self, tx: Session, user: User, method: str | None) -> str:
        self._demand_active(tx, user)
        offered = self._method_settings.of_user(tx, user).methods
        chosen = method or offered[0]
        if chosen not in offered:
            raise Invalid("method", f"the organization offers {' and '.join(offered)}.")
        if chosen == "sms" and user.phone_number is None:
            raise Invalid("method", "the user has no phone_number to send a code to.")
        return METHODS[chosen]

    def _nothing(self, tx: Session, user: User) -> Refusal:
        return Refusal("not_enrolled", "The user has no authenticator. Enroll the user first.")


def closed(tx: Session, enrollment: Enrollment, user: User) -> Refusal:
    """Return why a user may add nothing now.

    Raises:
        Refusal: `user_frozen`.
    """
    demand_unfrozen(user)
    if enrollment.has(tx, user, AuthenticatorStatus.ACTIVE):
        return Refusal(
            "already_enrolled",
            "The user has an authenticator. Send force_enroll=true to replace it once a human "
            "has verified the user.",
        )
    return Refusal(
        "enrollment_closed",
        "The user's authenticators were removed. Send force_enroll=true once a human has "
        "verified the user.",
    )


def limit_reached() -> Refusal:
    """Return the refusal of a re-enrollment beyond the last that goes without a human."""
    return Refusal(
        "reenrollment_limit_reached",
        f"Recovery codes replaced {REENROLLMENTS} authenticators. Send force_enroll=true once a "
        "human has verified the user.",
    )
