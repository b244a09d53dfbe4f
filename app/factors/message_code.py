"""Codes that we make, and that reach the user as a message."""

from __future__ import annotations

import secrets

from app.factors.totp import normalize

DIGITS = 6


class MessageCode:
    """A random code, sent to what the user has.

    Args:
        kind: the channel, such as `sms`.
        amr: RFC 8176 values that a verification with it earns.
        acr: the class that it reaches.
    """

    hosted = False

    def __init__(self, kind: str, amr: tuple[str, ...], acr: str) -> None:
        self.kind = kind
        self.amr = amr
        self.acr = acr

    def new_code(self) -> str:
        """Return six random digits."""
        return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"

    def well_formed(self, answer: str) -> bool:
        """Tell whether it is digits, as many as a code has."""
        code = normalize(answer)
        return len(code) == DIGITS and code.isdigit()
