"""Magic links: who opens one reads the mailbox; a short code says so where it was asked for."""

from __future__ import annotations

from app.factors.recovery_code import ALPHABET, normalize

KIND = "magic_link"
LENGTH = 6


def short_code(seed: bytes) -> str:
    """Return six letters and digits made from random bytes, never digits alone.

    The same bytes give the same code, so that a link that is opened twice tells one code.
    """
    marks = "".join(ALPHABET[byte % len(ALPHABET)] for byte in seed)
    codes = (marks[start : start + LENGTH] for start in range(len(marks) - LENGTH + 1))
    return next(code for code in codes if not code.isdigit())


def well_formed(answer: str) -> bool:
    """Tell whether it could be a short code; if not, it is not worth an attempt."""
    code = normalize(answer)
    return len(code) == LENGTH and set(code) <= set(ALPHABET) and not code.isdigit()
