"""Recovery codes: saved secrets, each good for one day without the phone."""

from __future__ import annotations

import secrets

KIND = "recovery_code"
LENGTH = 16
"""At least: sixteen characters of five bits hold 80."""
LONGEST = 32
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32: no I, L, O, U to misread."""
_MISREAD = str.maketrans("ILO", "110")


def new_code(length: int = LENGTH) -> str:
    """Return random letters and digits in groups of four, never digits alone.

    An answer of digits alone is thus always a one-time code, so its kind is known by its shape.
    """
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(length))
        if not code.isdigit():
            return "-".join(code[start : start + 4] for start in range(0, length, 4))


def normalize(answer: str) -> str:
    """Return a code as it is compared: capitals, no hyphens or spaces, misread letters mended."""
    return "".join(mark for mark in answer.upper() if mark.isalnum()).translate(_MISREAD)


def well_formed(answer: str) -> bool:
    """Tell whether it could be a recovery code; if not, it is not worth an attempt."""
    code = normalize(answer)
    fits = LENGTH <= len(code) <= LONGEST
    return fits and set(code) <= set(ALPHABET) and not code.isdigit()
