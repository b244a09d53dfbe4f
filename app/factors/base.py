"""What a factor is: values in, values out, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from app.models import KeyStorage


class Reason(StrEnum):
    """Why an attempt was refused, or a message with a code."""

    MALFORMED = "malformed"
    """It can't be an answer at all, so it was not judged."""
    WRONG = "wrong"
    REPLAYED = "replayed"
    """It was right, and it has been used."""
    CLOCK_OFF = "clock_off"
    """It would be right at another time of day."""
    LOCKED = "locked"
    """Too many were refused; the next is judged at a later time."""
    SUSPENDED = "suspended"
    """A recovery code was used instead of it."""
    RECOVERY_LIMITED = "recovery_limited"
    """A recovery code was used less than a day ago."""
    REENROLLMENT_LIMIT = "reenrollment_limit_reached"
    """So many were replaced by recovery codes that a human has to look."""
    EXPIRED = "expired"
    TOO_MANY = "too_many"
    COOLDOWN = "cooldown"
    """The last message to the same recipient was sent a moment ago."""
    SEND_LIMIT = "send_limit"
    """So many messages were sent that no more are, for some time."""
    BUDGET_SPENT = "budget_spent"
    """The organization pays for no more messages this month."""
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NUMBER_REFUSED = "number_refused"
    """No number at all, or one that is never texted or called."""
    CHANNEL_OFF = "channel_off"
    """The organization doesn't send by this channel."""
    NOT_VOUCHED = "not_vouched"
    """Nobody has vouched for the user, so nothing is sent to them."""
    TOO_WEAK = "too_weak"
    """It was right, and reaches less than the application asked."""
    ALREADY_ENROLLED = "already_enrolled"
    """The user's codes go there already, or it is a passkey that somebody has."""
    NOT_ALLOWED = "not_allowed"
    """The organization doesn't take this model of security key."""
    COPIED = "copied"
    """A passkey counts back, so there may be a copy of it, and the organization takes none."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The answer is right.

    Attributes:
        step: the counter that it used up; none at or below it is accepted again.
        kind: as what it counts, if not as its authenticator's kind: by which channel a code came.
        user_verified: whether the authenticator checked who holds it, and said so signed.
        key: how the key is kept that signed the answer, if one did.
    """

    step: int
    kind: str | None = None
    user_verified: bool = False
    key: KeyStorage | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The answer is refused, which is a value and not an exception: returning it commits.

    Attributes:
        reason: for the sentence that the user reads.
        step: the counter at which the answer would be right, if the clock is off.
        drift: by how many seconds the device's clock seems ahead (negative: behind).
        attempts_left: how many more answers this session judges.
        retry_at: when the next answer is judged, if not at once (UTC).
    """

    reason: Reason
    retry_at: datetime | None = None
    step: int | None = None
    drift: int | None = None
    attempts_left: int | None = None


Outcome = Accepted | Refused


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose factor it will be, as the device shows it.

    Attributes:
        issuer: the organization's name.
        label: the user's address or number.
    """

    issuer: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What enrolling needs: a secret to keep, and what to show of it.

    Attributes:
        secret: sealed by the service that keeps it.
        view: values for the factor's own template.
    """

    secret: bytes
    view: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far from the very moment an answer may be.

    Attributes:
        window: steps before and after this one that are accepted (RFC 6238 section 5.2).
        strict: accept none after this one (ASVS 5.0, 6.5.5).
    """

    window: int = 1
    strict: bool = False


Parameters = Mapping[str, Any]
"""What a factor has to know of one authenticator; what is not there is as usual."""


class Factor(Protocol):
    """A kind of method; one module, one row in `FACTORS`, and where pages ask for it, a folder of
    templates."""

    kind: str
    hosted: bool
    """Whether our pages can ask for it."""

    def well_formed(self, answer: str) -> bool:
        """Tell whether the answer could be one at all; if not, it is not worth an attempt."""
        ...


class SecretFactor(Factor, Protocol):
    """A factor whose answers are judged by a secret that the user's device shares with us."""

    def begin_enrollment(self) -> bytes:
        """Return a fresh secret."""
        ...

    def prompt(self, secret: bytes, subject: Subject, parameters: Parameters) -> Prompt:
        """Return what to show so that the secret reaches the user's device."""
        ...

    def check(
        self,
        secret: bytes,
        answer: str,
        *,
        now: datetime,
        last_step: int,
        parameters: Parameters,
        tolerance: Tolerance,
        reads_clock: bool = True,
    ) -> Outcome:
        """Judge an answer.

        Args:
            secret: what `begin_enrollment` made.
            answer: what the user typed, as typed.
            now: UTC.
            last_step: the newest counter accepted so far, -1 for none.
            parameters: of the authenticator.
            tolerance: as the organization set it.
            reads_clock: whether to tell that it would be right at another time of day.
        """
        ...
