"""Codes from an authenticator app: TOTP (RFC 6238), by `cryptography`."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from app.factors.base import (
    Accepted,
    Outcome,
    Parameters,
    Prompt,
    Reason,
    Refused,
    Subject,
    Tolerance,
)

SECRET_BYTES = 20
"""160 bits, as RFC 4226 section 4 recommends."""
ALGORITHMS: dict[str, type[SHA1 | SHA256 | SHA512]] = {
    "SHA1": SHA1,
    "SHA256": SHA256,
    "SHA512": SHA512,
}
USUAL: dict[str, str | int] = {"digits": 6, "period": 30, "algorithm": "SHA1"}
"""What every authenticator app takes for granted."""
DRIFT = 600
"""Seconds either side that are searched to tell a wrong clock from a wrong code."""

_IGNORED = {"Zs", "Pd", "Cf", "Cc"}
"""Unicode categories of spaces, dashes and invisible marks, which people copy with a code."""
_LEAST_DIGITS = 6


class Totp:
    """Time-based codes; as usual SHA-1, six digits, a new one every 30 seconds."""

    kind = "totp"
    hosted = True

    def begin_enrollment(self) -> bytes:
        """Return a fresh 160-bit secret."""
        return secrets.token_bytes(SECRET_BYTES)

    def prompt(self, secret: bytes, subject: Subject, parameters: Parameters) -> Prompt:
        """Return the key as text and as the address that a QR code carries."""
        key = base64.b32encode(secret).decode()
        issuer, label = _without_colon(subject.issuer), _without_colon(subject.label)
        fields = {"secret": key, "issuer": issuer, **unusual(parameters)}
        uri = f"otpauth://totp/{quote(issuer)}:{quote(label)}?{urlencode(fields, quote_via=quote)}"
        return Prompt(secret=secret, view={"key": key, "uri": uri})

    def well_formed(self, answer: str) -> bool:
        """Tell whether it is six digits; more count too, so that no list of codes is free.

        With letters it is another kind of code, typed into the wrong field.
        """
        code = normalize(answer)
        digits = sum(mark.isdigit() for mark in code)
        return digits >= _LEAST_DIGITS and not any(mark.isalpha() for mark in code)

    def check(
        self,
        secret: bytes,
        answer: str,
        *,
        now: datetime,
        last_step: int,
        parameters: Parameters,
        tolerance: Tolerance,
        reads_clock: bool = True,
    ) -> Outcome:
        """Judge a code: right for a step near now, and newer than the last one accepted.

        Args:
            reads_clock: whether to tell a wrong clock from a wrong code.
        """
        codes, code = _codes(secret, parameters), normalize(answer)
        period = shown(parameters).period
        current = int(now.timestamp()) // period
        oldest = current - tolerance.window
        newest = current + (0 if tolerance.strict else tolerance.window)
        near = _matching(codes, code, list(range(oldest, newest + 1)))
        if unused := [step for step in near if step > last_step]:
            return Accepted(step=min(unused))
        if near:
            return Refused(reason=Reason.REPLAYED)
        if not reads_clock:
            return Refused(reason=Reason.WRONG)
        reach = DRIFT // period
        far = _matching(codes, code, _around(current, reach, oldest, newest))
        if far:
            return Refused(reason=Reason.CLOCK_OFF, step=far[0], drift=(far[0] - current) * period)
        return Refused(reason=Reason.WRONG)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What an authenticator shows.

    Attributes:
        digits: of each code.
        period: seconds from one code to the next.
    """

    digits: int
    period: int


def shown(parameters: Parameters) -> Shown:
    """Return what an authenticator with these parameters shows."""
    given = {**USUAL, **parameters}
    return Shown(digits=int(given["digits"]), period=int(given["period"]))


def unusual(parameters: Parameters) -> dict[str, str | int]:
    """Return what of an authenticator's parameters is not as usual."""
    return {
        name: parameters[name]
        for name, usual in USUAL.items()
        if parameters.get(name, usual) != usual
    }


def normalize(answer: str) -> str:
    """Return the digits as a person meant them: no spaces or dashes, and in ASCII."""
    kept = (mark for mark in answer if unicodedata.category(mark) not in _IGNORED)
    return "".join(_ascii_digit(mark) for mark in kept)


def _codes(secret: bytes, parameters: Parameters) -> HOTP:
    algorithm = ALGORITHMS[str(parameters.get("algorithm", USUAL["algorithm"]))]()
    # Seeds that were taken over may be shorter than RFC 4226 asks.
    return HOTP(secret, shown(parameters).digits, algorithm, enforce_key_length=False)


def _without_colon(name: str) -> str:
    """Return a name for the label: it reads `issuer:account`, and a colon in either parts it."""
    return " ".join(name.replace(":", " ").split())


def _ascii_digit(mark: str) -> str:
    """Return the ASCII digit for a decimal digit of any script, or the mark as it is."""
    value = unicodedata.decimal(mark, None)
    return mark if value is None else str(value)


def _around(current: int, reach: int, oldest: int, newest: int) -> list[int]:
    """Return the steps outside the accepted window, nearest first."""
    around = range(current - reach, current + reach + 1)
    outside = [step for step in around if not oldest <= step <= newest]
    return sorted(outside, key=lambda step: abs(step - current))


def _matching(codes: HOTP, code: str, steps: list[int]) -> list[int]:
    """Return every step whose code this is; all are compared, so time tells nothing."""
    given = code.encode("utf-8", "surrogatepass")
    return [step for step in steps if step >= 0 and compare_digest(codes.generate(step), given)]
