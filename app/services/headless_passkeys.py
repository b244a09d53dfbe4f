"""Passkeys for backends that show pages of their own on the gateway's host."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ksuid import Ksuid
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Refusal
from app.factors import PASSKEY
from app.factors.base import Reason, Refused
from app.models import Authenticator, Purpose, User, Verification
from app.services.audit import Actor
from app.services.enrollment import Enrollment, Ground
from app.services.headless import Judged, closed, limit_reached
from app.services.method_settings import MethodSettings
from app.services.passkey_challenges import PasskeyChallenges
from app.services.passkeys import Passkeys
from app.services.recovery import REENROLLMENTS, Recovery
from app.services.standing import demand_unsuspended
from app.services.verification import Occasion, Verifications

REGISTRATION_PREFIX = "passkey-registration_"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A passkey that waits to be made.

    Attributes:
        options: for the browser.
        recovery_codes: that start to work with it; None if the user keeps the old.
        remaining: recovery codes that the user could use now.
    """

    request_id: str
    options: dict[str, Any]
    expires_at: datetime
    recovery_codes: list[str] | None = field(repr=False)
    remaining: int


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the user's passkeys are asked."""

    request_id: str
    options: dict[str, Any]
    expires_at: datetime


class HeadlessPasskeys:
    """Registers and verifies passkeys; the same rules as for our pages hold."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        passkeys: Passkeys,
        challenges: PasskeyChallenges,
        enrollment: Enrollment,
        verifications: Verifications,
        recovery: Recovery,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._passkeys = passkeys
        self._challenges = challenges
        self._enrollment = enrollment
        self._verifications = verifications
        self._recovery = recovery

    def register(self, tx: Session, actor: Actor, user: User, *, forced: bool) -> Registration:
        """Begin a passkey for a user.

        Args:
            forced: whether a human looked: what the user has is replaced, with new codes.

        Raises:
            Refusal: `passkeys_inactive`, `already_enrolled`, `enrollment_closed`,
                `reenrollment_limit_reached`, `user_frozen`, `user_suspended`.
        """
        self._demand_active(tx, user)
        ground = (
            self._enrollment.ground(tx, user, forced=True)
            if forced
            else self._enrollment.ground_beside(tx, user)
        )
        if ground is None:
            raise closed(tx, self._enrollment, user)
        if ground is Ground.RECOVERED and user.reenrollments >= REENROLLMENTS:
            raise limit_reached()
        if forced:
            self._enrollment.force(tx, user)
        request_id = REGISTRATION_PREFIX + str(Ksuid(self._clock.now()))
        pending = self._enrollment.begin(
            tx, actor, user, PASSKEY.kind, request_id=request_id, forced=forced
        )
        issues = ground.issues_codes
        codes = self._recovery.issue(tx, actor, user, pending=pending) if issues else None
        asked = self._passkeys.ask_new(tx, user, user.organization.name)
        return Registration(
            request_id=request_id,
            options=asked.options,
            expires_at=asked.challenge.expires_at,
            recovery_codes=codes,
            remaining=self._recovery.remaining(tx, user),
        )

    def finish(self, tx: Session, actor: Actor, user: User, answer: str) -> Judged:
        """Judge the passkey that a browser made.

        Raises:
            Refusal: `passkeys_inactive`, `no_pending_enrollment`, `user_suspended`.
        """
        self._demand_active(tx, user)
        pending = self._pending(tx, user)
        ground = Ground.FORCED if pending.forced else self._enrollment.ground_beside(tx, user)
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

    def ask(self, tx: Session, user: User) -> Question:
        """Ask the user's passkeys to sign.

        Raises:
            Refusal: `passkeys_inactive`, `not_enrolled`, `user_suspended`.
        """
        self._demand_active(tx, user)
        asked = self._passkeys.ask(tx, user, self._passkeys.mine(tx, user))
        if asked is None:
            raise _no_passkey()
        return Question(
            request_id=asked.challenge.id,
            options=asked.options,
            expires_at=asked.challenge.expires_at,
        )

    def verify(self, tx: Session, actor: Actor, user: User, answer: str) -> Judged:
        """Judge what a passkey signed.

        Raises:
            Refusal: `passkeys_inactive`, `not_enrolled`, `user_suspended`.
        """
        self._demand_active(tx, user)
        mine = self._passkeys.mine(tx, user)
        if not mine:
            raise _no_passkey()
        request_id = self._challenges.request_of(tx, user, answer) or ""
        verdict = self._verifications.attempt(
            tx,
            actor,
            user,
            mine,
            answer,
            purpose=Purpose.VERIFICATION,
            occasion=Occasion(challenge_id=request_id or None),
        )
        return Judged(
            request_id=request_id,
            judged_at=self._clock.now(),
            refused=verdict if isinstance(verdict, Refused) else None,
        )

    def _pending(self, tx: Session, user: User) -> Authenticator:
        pending = self._enrollment.pending(tx, user)
        if pending is None or pending.kind != PASSKEY.kind:
            raise Refusal(
                "no_pending_enrollment",
                "No passkey waits to be made. Begin one by POST passkey-registration.",
            )
        return pending

    def _demand_active(self, tx: Session, user: User) -> None:
        demand_unsuspended(user)
        if PASSKEY.kind not in self._method_settings.hosted(tx, user.organization):
            raise Refusal(
                "passkeys_inactive",
                f"The organization {user.organization.domain} takes no passkeys. Switch them on "
                "under Methods in its admin area.",
            )


def _no_passkey() -> Refusal:
    return Refusal("not_enrolled", "The user has no passkey. Register one first.")
