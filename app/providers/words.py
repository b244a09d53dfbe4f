"""What providers have in common to say and to ask: safe words, numbers, failed calls."""

from __future__ import annotations

import json
import re
from typing import Any

from app.addresses import NotAllowed
from app.errors import Invalid
from app.outbound import Answer, CallFailed
from app.providers.base import Account, DeliveryError, Outgoing

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST = 300
_SHORTEST_SECRET = 6
_TRY_AGAIN = frozenset({408, 425, 429})


def safe(words: str, outgoing: Outgoing) -> str:
    """Return a vendor's words in one line, without what is nobody's but the recipient's."""
    hidden = {outgoing.recipient, outgoing.recipient.removeprefix("+"), outgoing.text.strip()}
    hidden |= {one for one in outgoing.variables.values() if len(one) >= _SHORTEST_SECRET}
    hidden.add(outgoing.variables.get("code", ""))
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        # A vendor may group the digits of a number or a code in another way.
        pattern = r"[\s.\-]*".join(map(re.escape, secret))
        words = re.sub(pattern, "…", words, flags=re.IGNORECASE)
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in words).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def number(outgoing: Outgoing) -> str:
    """Return the recipient's number, which there is no other for.

    Raises:
        DeliveryError: it is not one in E.164.
    """
    if not _NUMBER.fullmatch(outgoing.recipient):
        raise DeliveryError(
            "invalid_recipient", "The recipient is not a number in E.164.", undeliverable=True
        )
    return outgoing.recipient


def is_number(text: str) -> bool:
    """Tell whether a text is a phone number in E.164."""
    return _NUMBER.fullmatch(text) is not None


def required(account: Account, *names: str) -> None:
    """See that settings are there.

    Raises:
        Invalid: the first that is not.
    """
    for name in names:
        if not account.value(name):
            raise Invalid(name, "fill it in.")


def delivery_error(error: NotAllowed | CallFailed | Invalid) -> DeliveryError:
    """Return what kept a call from being made or answered as the failure of a delivery."""
    if isinstance(error, Invalid):
        return DeliveryError("invalid_setting", error.message, permanent=True)
    if isinstance(error, NotAllowed):
        return DeliveryError("address_not_allowed", str(error), permanent=True)
    permanent = error.code in {"certificate", "malformed_request"}
    return DeliveryError(error.code, error.detail, permanent=permanent, maybe_sent=error.said)


def is_final(status: int) -> bool:
    """Tell whether an HTTP status means that asking again will be answered the same."""
    return status < 500 and status not in _TRY_AGAIN


def json_object(answer: Answer) -> dict[str, Any]:
    """Return the object that an answer holds, {} if it holds none."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
