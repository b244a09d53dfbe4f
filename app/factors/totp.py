"""Codes from an authenticator app: TOTP (RFC 6238), by pyotp."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from datetime import datetime
from hmac import compare_digest

import pyotp

from app.factors.base import Accepted, Outcome, Prompt, Reason, Refused, Subject

SECRET_BYTES = 20
"""160 bits, as RFC 4226 section 4 recommends."""
DIGITS = 6
PERIOD = 30
WINDOW = 1
"""Steps before and after this one that are accepted (RFC 6238 section 5.2)."""
DRIFT_WINDOW = 20
"""Steps either side that are searched to tell a wrong clock from a wrong code: ten minutes."""

_IGNORED = {"Zs", "Pd", "Cf", "Cc"}
"""Unicode categories of spaces, dashes and invisible marks, which people copy with a code."""


class Totp:
    """Time-based codes: SHA-1, six digits, a new one every 30 seconds."""

    kind = "totp"
    amr: tuple[str, ...] = ("otp",)
    acr = "urn:gatehouse:acr:otp"

    def begin_enrollment(self) -> bytes:
        """Return a fresh 160-bit secret."""
        return secrets.token_bytes(SECRET_BYTES)

    def prompt(self, secret: bytes, subject: Subject) -> Prompt:
        """Return the key as text and as the address that a QR code carries."""
        key = base64.b32encode(secret).decode()
        uri = pyotp.TOTP(key).provisioning_uri(
            name=_without_colon(subject.label), issuer_name=_without_colon(subject.issuer)
        )
        return Prompt(secret=secret, view={"key": key, "uri": uri})

    def well_formed(self, answer: str) -> bool:
        """Tell whether it is six digits; more count too, so that no list of codes is free.

        With letters it is another kind of code, typed into the wrong field.
        """
        code = normalize(answer)
        digits = sum(mark.isdigit() for mark in code)
        return digits >= DIGITS and not any(mark.isalpha() for mark in code)

    def check(
        self, secret: bytes, answer: str, *, now: datetime, last_step: int, strict: bool
    ) -> Outcome:
        """Judge a code: right for a step near now, and newer than the last one accepted.

        Strict means the current and the previous step only (ASVS 5.0, 6.5.5).
        """
        totp = pyotp.TOTP(base64.b32encode(secret).decode(), digits=DIGITS, interval=PERIOD)
        code = normalize(answer)
        current = int(now.timestamp()) // PERIOD
        newest = current if strict else current + WINDOW
        near = _matching(totp, code, range(current - WINDOW, newest + 1))
        if unused := [step for step in near if step > last_step]:
            return Accepted(step=min(unused))
        if near:
            return Refused(reason=Reason.REPLAYED)
        if far := _matching(totp, code, _by_distance(current, newest)):
            drift = (far[0] - current) * PERIOD
            return Refused(reason=Reason.CLOCK_OFF, step=far[0], drift=drift)
        return Refused(reason=Reason.WRONG)


def normalize(answer: str) -> str:
    """Return the digits as a person meant them: no spaces or dashes, and in ASCII."""
    kept = (mark for mark in answer if unicodedata.category(mark) not in _IGNORED)
    return "".join(_ascii_digit(mark) for mark in kept)


def _without_colon(name: str) -> str:
    """Return a name for the label: it reads `issuer:account`, and a colon in either parts it."""
    return " ".join(name.replace(":", " ").split())


def _ascii_digit(mark: str) -> str:
    """Return the ASCII digit for a decimal digit of any script, or the mark as it is."""
    value = unicodedata.decimal(mark, None)
    return mark if value is None else str(value)


def _by_distance(current: int, newest: int) -> list[int]:
    """Return the steps outside the accepted window, nearest first."""
    around = range(current - DRIFT_WINDOW, current + DRIFT_WINDOW + 1)
    outside = [step for step in around if not current - WINDOW <= step <= newest]
    return sorted(outside, key=lambda step: abs(step - current))


def _matching(totp: pyotp.TOTP, code: str, steps: range | list[int]) -> list[int]:
    """Return every step whose code this is; all are compared, so time tells nothing."""
    given = code.encode("utf-8", "surrogatepass")
    return [
        step
        for step in steps
        if step >= 0 and compare_digest(totp.generate_otp(step).encode(), given)
    ]
