"""Bypass codes: a one-time way in that an administrator reads to a user."""

from __future__ import annotations

import secrets

from app.factors.recovery_code import ALPHABET, normalize

KIND = "bypass_code"
LENGTH = 10
"""Ten characters of five bits hold 50; no other kind of code has as many."""


def new_code() -> str:
    """Return random letters and digits in two groups, never digits alone."""
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        if not code.isdigit():
            return f"{code[:5]}-{code[5:]}"


def well_formed(answer: str) -> bool:
    """Tell whether it could be a bypass code; if not, it is not worth an attempt."""
    code = normalize(answer)
    return len(code) == LENGTH and set(code) <= set(ALPHABET) and not code.isdigit()
