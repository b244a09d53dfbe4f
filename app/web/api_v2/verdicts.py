"""How a refused answer is told to a backend."""

from __future__ import annotations

from app.factors.base import Reason, Refused
from app.services.limits import locked

UNSENT = ("channel_unavailable", "country_not_allowed", "number_refused")
"""What a call may answer that sends a code, besides `locked` and `rate_limited`."""

_REASONS = {
    Reason.MALFORMED: "wrong",
    Reason.WRONG: "wrong",
    Reason.CLOCK_OFF: "wrong",
    Reason.REPLAYED: "replayed",
    Reason.SUSPENDED: "reenrollment_due",
    Reason.RECOVERY_LIMITED: "recovery_limited",
    Reason.REENROLLMENT_LIMIT: "reenrollment_limit_reached",
    Reason.EXPIRED: "expired",
    Reason.ALREADY_ENROLLED: "already_enrolled",
    Reason.NOT_ALLOWED: "not_allowed",
    Reason.COPIED: "copied",
}


def reason_of(refused: Refused | None) -> str | None:
    """Return the word for why an answer was refused."""
    return _REASONS[refused.reason] if refused else None


def demand_unlocked(refused: Refused | None) -> None:
    """Answer 429 where the answer was not even judged.

    Raises:
        Refusal: `locked`; nothing was charged, so there is nothing to keep.
    """
    if refused is not None and refused.reason is Reason.LOCKED:
        raise locked(refused.retry_at)
