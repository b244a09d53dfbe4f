"""Recipients: how an address or a number is told to whoever need not know the whole of it."""

from __future__ import annotations

import phonenumbers


def masked(recipient: str) -> str:
    """Return enough of an e-mail address or phone number to know it again, and no more."""
    local, at, domain = recipient.rpartition("@")
    if at:
        return f"{local[:1]}•••@{domain}"
    if ":" in recipient:
        return " and ".join(masked(one) for one in recipient.split(":"))
    try:
        code = phonenumbers.parse(recipient).country_code
    except phonenumbers.NumberParseException:
        return "•••"
    return f"+{code} ••• {recipient[-2:]}"
