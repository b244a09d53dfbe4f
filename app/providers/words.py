"""What providers have in common to say and to ask: safe words, numbers, failed calls."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from app.addresses import NotAllowed
from app.errors import Invalid
from app.exchanges import CallFailed
from app.providers.base import Account, Callback, DeliveryError, Outgoing

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX = re.compile(rf"{_ATOM}(\.{_ATOM})*@[a-z0-9-]+(\.[a-z0-9-]+)*", re.I)
_LONGEST = 300
_NO_SECRETS = frozenset({"minutes", "organization"})
_TRY_AGAIN = frozenset({408, 425, 429})
_UNCLEAR = frozenset({502, 504})
_BETWEEN = re.compile(r"[\s.\-]+")
_ONE_I = {0x131: "i", 0x307: None}
"""The letters i of Turkish, which patterns take for ours and case folding does not."""
_MINUTES = re.compile(r"[1-9][0-9]{0,2}")


def safe(words: str, outgoing: Outgoing) -> str:
    """Return a vendor's words in one line, without what is nobody's but the recipient's."""
    hidden = {outgoing.recipient, outgoing.recipient.removeprefix("+"), outgoing.text.strip()}
    hidden |= {value for name, value in outgoing.variables.items() if name not in _NO_SECRETS}
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        if _bare(secret) in _bare(words):
            # A vendor may group the digits of a number or a code in another way.
            pattern = r"[\s.\-]*".join(map(re.escape, secret))
            words = re.sub(pattern, "…", words, flags=re.IGNORECASE)
    line = one_line(words)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _bare(text: str) -> str:
    """Return a text without what may stand between, in one case.

    What can be found in another text is in its bare form, too, and that is seen a hundred times
    faster than a pattern is made.
    """
    return _BETWEEN.sub("", text).casefold().translate(_ONE_I)


def one_line(text: str) -> str:
    """Return a text without line breaks and whatever else can't be printed."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def on_one_of(channels: Collection[str], outgoing: Outgoing) -> None:
    """See that a message is for a channel that a provider carries.

    Raises:
        DeliveryError: it is not.
    """
    if outgoing.channel not in channels:
        told = f"It does not carry {outgoing.channel}."
        raise DeliveryError("wrong_channel", told, permanent=True)


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


def mailbox(outgoing: Outgoing) -> str:
    """Return the recipient's address, which there is no other for.

    Raises:
        DeliveryError: it is not one plain e-mail address.
    """
    if not is_mailbox(outgoing.recipient):
        raise DeliveryError(
            "invalid_recipient", "The recipient is not one e-mail address.", undeliverable=True
        )
    return outgoing.recipient


def is_mailbox(text: str) -> bool:
    """Tell whether a text is one plain e-mail address, in ASCII, and nothing beside it."""
    return _MAILBOX.fullmatch(text) is not None


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


def status_error(vendor: str, status: int) -> DeliveryError:
    """Return what an HTTP status says where the vendor says nothing more."""
    return DeliveryError(
        f"{vendor}_{status}" if vendor == "http" else f"{vendor}_http_{status}",
        f"HTTP {status}",
        permanent=is_final(status),
        maybe_sent=status in _UNCLEAR,
    )


def is_final(status: int) -> bool:
    """Tell whether an HTTP status means that asking again will be answered the same."""
    return status < 500 and status not in _TRY_AGAIN


def object_in(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is, {} if it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def lifetime(outgoing: Outgoing) -> int | None:
    """Return after how many seconds the message is worth nothing, if it says so."""
    minutes = outgoing.variables.get("minutes", "")
    return int(minutes) * 60 if _MINUTES.fullmatch(minutes) else None


def header(callback: Callback, name: str) -> str:
    """Return a header of a callback, whatever the case of its name; "" if it is not there."""
    wanted = name.lower()
    return next((value for key, value in callback.headers.items() if key.lower() == wanted), "")
