"""Codes that we make, and that reach the user as a message."""

from __future__ import annotations

import re
import secrets

from app.factors.totp import normalize

DIGITS = 6
SHORTEST, LONGEST = 6, 10
REFERENCE_LENGTH = 4
_READABLE = "ACDEFGHJKLMNPQRTUVWXY34679"
"""Letters and digits that nobody mistakes for each other."""
_BETWEEN = re.compile(r"[\s,;+/]+")


class MessageCode:
    """A random code, sent to what the user has.

    Args:
        kind: the channel, such as `sms`; `dual` goes by e-mail and to the phone.
        hosted: whether users have an authenticator of this kind; the other channels carry codes
            for a phone number, whose authenticator is `sms`.
    """

    def __init__(self, kind: str, *, hosted: bool = False) -> None:
        self.kind = kind
        self.hosted = hosted

    def new_code(self, digits: int = DIGITS) -> str:
        """Return so many random digits."""
        return f"{secrets.randbelow(10**digits):0{digits}d}"

    def well_formed(self, answer: str) -> bool:
        """Tell whether it is digits, as many as a code may have; for `dual` it may be two codes."""
        codes = split(answer)
        return len(codes) in ((1, 2) if self.kind == "dual" else (1,)) and all(map(_is_one, codes))


def split(answer: str) -> list[str]:
    """Return the codes in an answer, without what people put between the digits of one.

    One code may be typed in groups ("123 456"); two are told apart because together they are too
    long for one.
    """
    parts = [normalize(part) for part in _BETWEEN.split(answer.strip()) if part]
    whole = "".join(parts)
    if _is_one(whole) or not whole.isdigit():
        return [whole]
    return parts if len(parts) == 2 else _halves(parts, whole)


def new_reference() -> str:
    """Return a few letters by which a person knows which message belongs to which page."""
    return "".join(secrets.choice(_READABLE) for _ in range(REFERENCE_LENGTH))


def _halves(parts: list[str], whole: str) -> list[str]:
    """Return two codes of the same length that were typed in groups, or the answer as it is."""
    middle = len(whole) // 2
    grouped = len(parts) % 2 == 0 and "".join(parts[: len(parts) // 2]) == whole[:middle]
    return [whole[:middle], whole[middle:]] if grouped else [whole]


def _is_one(code: str) -> bool:
    return SHORTEST <= len(code) <= LONGEST and code.isdigit()
