"""What the values in an event's detail are called where administrators read of it."""

from __future__ import annotations

from app.factors.base import Reason
from app.models import SendScope

REFUSALS = {
    Reason.MALFORMED.value: "not a code at all",
    Reason.WRONG.value: "wrong code",
    Reason.REPLAYED.value: "code used before",
    Reason.CLOCK_OFF.value: "clock of the device off",
    Reason.LOCKED.value: "locked",
    Reason.SUSPENDED.value: "suspended",
    Reason.RECOVERY_LIMITED.value: "second recovery code in 24 hours",
    Reason.REENROLLMENT_LIMIT.value: "too many re-enrollments",
    Reason.EXPIRED.value: "too late",
    Reason.TOO_MANY.value: "too many wrong codes",
    Reason.COOLDOWN.value: "too soon after the last one",
    Reason.SEND_LIMIT.value: "too many messages",
    Reason.BUDGET_SPENT.value: "budget spent",
    Reason.COUNTRY_NOT_ALLOWED.value: "country not allowed",
    Reason.NUMBER_REFUSED.value: "number of a kind that gets no messages",
    Reason.CHANNEL_OFF.value: "channel off",
    Reason.NOT_VOUCHED.value: "nobody vouched for the user",
    Reason.TOO_WEAK.value: "less than the application asked",
    Reason.ALREADY_ENROLLED.value: "set up before",
    Reason.NOT_ALLOWED.value: "model of security key not allowed",
    Reason.COPIED.value: "possible copy of a passkey",
}
"""Why an answer or a message was refused, by the `reason` in an event's detail."""

CAPS = {
    SendScope.NUMBER.value: "to one recipient in a day",
    SendScope.USER.value: "to one user in a day",
    SendScope.ADDRESS.value: "for one address in an hour",
    SendScope.PREFIX.value: "to numbers that begin alike in an hour",
    SendScope.ORGANIZATION.value: "for the organization in a day",
}
"""Of what there were too many messages, by the `limit` in an event's detail."""

CHANNELS = {
    "sms": "text message",
    "whatsapp": "WhatsApp",
    "voice": "phone call",
    "email": "email",
}
"""Ways of a message, by the `channel` in an event's detail."""

CAUSES = {
    "by_hand": "by hand",
    "failing": "nothing arrived there for a day",
    "gone": "it answered that it is gone",
}
"""Why a webhook was switched off, by the `cause` in an event's detail."""
