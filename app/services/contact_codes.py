"""What a backend may ask for a contact that its key vouches for: codes, and an app beside them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Refusal
from app.factors import recovery_code
from app.factors.base import Prompt, Reason, Refused
from app.models import Authenticator, AuthenticatorStatus, Purpose, User, Verification
from app.services.audit import Actor
from app.services.challenges import Asked, Challenges
from app.services.contact_methods import APP, kind_of
from app.services.enrollment import Enrollment, Ground
from app.services.message_codes import MessageCodes
from app.services.recovery import REENROLLMENTS
from app.services.standing import demand_unfrozen
from app.services.verification import Occasion, Verifications


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A right answer.

    Attributes:
        bound: whether it was the first one, so that something was set up by it.
        recovery_code_used: whether it was a recovery code.
        due: whether an app has to be set up anew, which that code stood in for.
    """

    at: datetime
    bound: bool = False
    recovery_code_used: bool = False
    due: bool = False


@dataclass(frozen=True, kw_only=True)
class AppBegun:
    """An authenticator app that waits for its first code."""

    authenticator: Authenticator
    prompt: Prompt = field(repr=False)


class ContactCodes:
    """Serves API v1 by the use cases of every other door: same limits, same rules."""

    def __init__(
        self,
        clock: Clock,
        challenges: Challenges,
        message_codes: MessageCodes,
        enrollment: Enrollment,
        verifications: Verifications,
    ) -> None:
        self._clock = clock
        self._challenges = challenges
        self._message_codes = message_codes
        self._enrollment = enrollment
        self._verifications = verifications

    def send(
        self, tx: Session, actor: Actor, user: User, channel: str, recipient: str
    ) -> Asked | Refused:
        """Send a code to a contact; the first right one binds it.

        Args:
            recipient: for which the key vouches; `<e-mail address>:<number>` for dual.

        Raises:
            Refusal: `reenrollment_due`; `user_frozen`, if the contact is not bound yet.
        """
        self._demand_nothing_due(tx, user)
        if not _live(self._enrollment.bound(tx, user, kind_of(channel), recipient)):
            demand_unfrozen(user)
        authenticator = self._enrollment.bind(tx, actor, user, kind_of(channel), recipient)
        asked = self._message_codes.send(tx, actor, user, authenticator, channel=channel)
        if isinstance(asked, Asked):
            self._enrollment.renew(authenticator)
        return asked

    def begin_app(self, tx: Session, actor: Actor, user: User) -> AppBegun:
        """Begin an authenticator app, in place of one that was begun and not confirmed.

        Raises:
            Refusal: `already_enrolled`, `verification_required`, `enrollment_closed`,
                `reenrollment_limit_reached`, `user_frozen`.
        """
        ground = self._ground(tx, user)
        if ground is Ground.RECOVERED and user.reenrollments >= REENROLLMENTS:
            raise _limit_reached()
        pending = self._enrollment.begin(tx, actor, user, APP)
        return AppBegun(authenticator=pending, prompt=self._enrollment.prompt(tx, pending, user))

    def verify(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        kind: str,
        recipient: str | None,
        answer: str,
        *,
        application_id: uuid.UUID | None = None,
    ) -> Passed | Refused:
        """Judge a code of one kind, or a recovery code, which its shape tells.

        Args:
            kind: of authenticator: `email`, `sms`, `dual` or `totp`.
            recipient: where the code was sent; None for an app.

        Raises:
            Refusal: `reenrollment_due`, `reenrollment_limit_reached`; for an app `not_enrolled` and
                those of `begin_app`.
        """
        occasion = Occasion(challenge_id=self._challenges.new_id(), application_id=application_id)
        if recovery_code.well_formed(answer):
            return self._recover(tx, actor, user, answer, occasion)
        if recipient is None:
            return self._verify_app(tx, actor, user, answer, occasion)
        self._demand_nothing_due(tx, user)
        found = list(self._enrollment.bound(tx, user, kind, recipient))
        if live := _live(found):
            return self._attempt(tx, actor, user, live, answer, occasion)
        waiting = [one for one in found if _waits(one, self._clock.now())]
        if not waiting:
            return Refused(reason=Reason.WRONG)
        demand_unfrozen(user)
        return self._confirm(tx, actor, user, waiting[0], answer, Ground.CONTACT, occasion)

    def _verify_app(
        self, tx: Session, actor: Actor, user: User, answer: str, occasion: Occasion
    ) -> Passed | Refused:
        live = self._enrollment.live(tx, user, APP)
        if live:
            return self._attempt(tx, actor, user, live, answer, occasion)
        pending = self._enrollment.pending(tx, user)
        if pending is None or pending.kind != APP or pending.forced:
            self._demand_nothing_due(tx, user)
            raise Refusal(
                "not_enrolled",
                "The user has no authenticator app. Begin one by POST /v1/mfa with Type=APP.",
            )
        ground = self._ground(tx, user)
        return self._confirm(tx, actor, user, pending, answer, ground, occasion)

    def _attempt(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        live: list[Authenticator],
        answer: str,
        occasion: Occasion,
    ) -> Passed | Refused:
        verdict = self._verifications.attempt(
            tx, actor, user, live, answer, purpose=Purpose.VERIFICATION, occasion=occasion
        )
        return self._passed(verdict)

    def _confirm(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        pending: Authenticator,
        answer: str,
        ground: Ground,
        occasion: Occasion,
    ) -> Passed | Refused:
        verdict = self._enrollment.confirm(
            tx, actor, user, pending, answer, ground=ground, occasion=occasion
        )
        return self._passed(verdict, bound=True)

    def _passed(self, verdict: Verification | Refused, *, bound: bool = False) -> Passed | Refused:
        if isinstance(verdict, Refused):
            return verdict
        return Passed(at=verdict.at, bound=bound)

    def _recover(
        self, tx: Session, actor: Actor, user: User, answer: str, occasion: Occasion
    ) -> Passed | Refused:
        """Judge a recovery code; for who has an app, with all that it means to have lost that."""
        stands_in = self._enrollment.has_kind(tx, user, APP)
        judge = (
            self._verifications.attempt_recovery
            if stands_in
            else self._verifications.spend_recovery
        )
        verdict = judge(tx, actor, user, answer, occasion=occasion)
        if isinstance(verdict, Refused):
            if verdict.reason is Reason.REENROLLMENT_LIMIT:
                raise _limit_reached()
            return verdict
        return Passed(at=verdict.at, recovery_code_used=True, due=stands_in)

    def _ground(self, tx: Session, user: User) -> Ground:
        """Return why an app may be added now.

        Raises:
            Refusal: it may not.
        """
        if self._enrollment.live(tx, user, APP):
            raise Refusal(
                "already_enrolled", "The user has an authenticator app, and nothing is due."
            )
        ground = self._enrollment.ground_beside(tx, user)
        if ground is not None:
            return ground
        demand_unfrozen(user)
        if self._enrollment.has(tx, user, AuthenticatorStatus.ACTIVE):
            raise Refusal(
                "verification_required",
                "The user has another method. Verify a code of it first, then ask again within "
                "20 minutes.",
            )
        raise Refusal(
            "enrollment_closed",
            "The user's authenticators were removed. An administrator has to open enrollment.",
        )

    def _demand_nothing_due(self, tx: Session, user: User) -> None:
        """Let nothing stand in for an app that a recovery code stopped, but a new app."""
        if self._enrollment.is_due(tx, user):
            raise Refusal(
                "reenrollment_due",
                "A recovery code stopped what the user had. Set up a new authenticator app by "
                "POST /v1/mfa with Type=APP.",
            )


def _live(found: Sequence[Authenticator]) -> list[Authenticator]:
    return [one for one in found if one.status is AuthenticatorStatus.ACTIVE]


def _waits(one: Authenticator, now: datetime) -> bool:
    return one.expires_at is not None and one.expires_at > now


def _limit_reached() -> Refusal:
    return Refusal(
        "reenrollment_limit_reached",
        f"Recovery codes replaced {REENROLLMENTS} authenticators. An administrator has to verify "
        "the user.",
    )
