"""Passwords of administrators: what may be one, and hashing by argon2id."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from zxcvbn import zxcvbn

from app.errors import Invalid

SHORTEST, LONGEST = 12, 128
_LEAST_GUESSES = 10**8
"""What fewer guesses find is common: a listed password, or one made from it by the usual tricks."""
_JUDGED = 72
"""So many characters zxcvbn takes."""
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY_S = (  # made once, since each command would wait for it; as costly as any other
    "$argon2id$v=19$m=19456,t=2,p=1$AToqeceBwa6sq3zG7uTpIQ"
    "$0xaIa/idRNKzEWP2FmHhBG2aZzfsQkntQ5WCP8XcD7I"
)


def checked(password: str, *known: str) -> str:
    """Return a password that may be used.

    Args:
        known: what a guesser tries first, such as the e-mail address and the organization's name.

    Raises:
        Invalid: it is too short, too long, or soon guessed (NIST SP 800-63B-4, 3.1.1.2).
    """
    if len(password) < SHORTEST:
        raise Invalid("password", f"Use at least {SHORTEST} characters. Several words are good.")
    if len(password) > LONGEST:
        raise Invalid("password", f"Use at most {LONGEST} characters.")
    judged = zxcvbn(password[:_JUDGED], user_inputs=["gatehouse", *known])
    if judged["guesses"] < _LEAST_GUESSES:
        raise Invalid(
            "password", "That is soon guessed. Use words that don’t belong together, or a manager."
        )
    return password


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    return _hasher.hash(password)


def matches(password: str, kept: str | None) -> bool:
    """Tell whether it is the password; for nobody's it takes as long to say no."""
    if len(password) > LONGEST:
        password = ""  # none of ours: the time to hash it must not grow with it
    try:
        return _hasher.verify(kept or _NOBODY_S, password) and kept is not None
    except (Argon2Error, InvalidHashError):
        return False
