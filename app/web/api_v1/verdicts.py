"""How a refusal that was counted is told to a client of API v1."""

from __future__ import annotations

from app.errors import Refusal
from app.factors.base import Reason, Refused
from app.services import send_refusals
from app.services.limits import locked


def not_sent(refused: Refused) -> Refusal:
    """Return why nothing was sent.

    Raises:
        Refusal: it has nothing to do with how much was sent, so nothing is to be kept either.
    """
    if refused.reason is Reason.CHANNEL_OFF:
        raise Refusal("method_disabled", "The channel is off.", status=403)
    refusal = send_refusals.not_sent(refused)
    if refused.reason in {Reason.COUNTRY_NOT_ALLOWED, Reason.NUMBER_REFUSED}:
        raise refusal
    return refusal


def not_verified(refused: Refused) -> Refusal:
    """Return why an answer was not accepted; whatever is wrong with a code is told alike."""
    if refused.reason is Reason.LOCKED:
        return locked(refused.retry_at)
    if refused.reason is Reason.RECOVERY_LIMITED:
        return Refusal(
            "recovery_limited",
            "One recovery code a day is accepted. Wait until retry_at.",
            status=429,
            retry_at=refused.retry_at,
        )
    return Refusal("invalid_code", "The code is wrong, used, or too old.", status=401)
