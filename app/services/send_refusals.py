"""How a backend is told that a code was not sent."""

from __future__ import annotations

from app.errors import Refusal
from app.factors.base import Reason, Refused
from app.services.limits import locked


def not_sent(refused: Refused) -> Refusal:
    """Return why nothing was sent, and until when nothing is."""
    if refused.reason is Reason.CHANNEL_OFF:
        return Refusal(
            "channel_unavailable", "The organization sends nothing by this channel at present."
        )
    if refused.reason is Reason.COUNTRY_NOT_ALLOWED:
        message = "The organization sends nothing to numbers of this country."
        return Refusal("country_not_allowed", message)
    if refused.reason is Reason.NUMBER_REFUSED:
        message = "Codes are not sent to a number of this kind by this channel."
        return Refusal("number_refused", message)
    if refused.reason is Reason.LOCKED:
        return locked(refused.retry_at)
    return Refusal(
        "rate_limited",
        "So many codes were sent that no other is sent now. Wait until retry_at.",
        status=429,
        retry_at=refused.retry_at,
    )
