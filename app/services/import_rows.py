"""Rows of a bulk import: what they may hold, and which of them can't be taken over."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from app.errors import Invalid
from app.factors.totp import USUAL
from app.services.user_fields import CONTACT_NEEDED, UserChanges, checked, email_key

_LEAST_SECRET_BYTES = 10
"""80 bits: what other systems gave out, and we take over."""
_MOST_SECRET_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What an authenticator app of the user's already holds.

    Attributes:
        secret: as base32, however it was written down.
    """

    secret: str = field(repr=False)
    digits: int = 6
    period: int = 30
    algorithm: str = "SHA1"

    @property
    def parameters(self) -> dict[str, Any]:
        """What differs from the usual kind."""
        mine = {"digits": self.digits, "period": self.period, "algorithm": self.algorithm}
        return {name: value for name, value in mine.items() if value != USUAL[name]}

    def key(self) -> bytes:
        """Return the secret itself.

        Raises:
            Invalid: it is not base32, too short, or too long.
        """
        plain = re.sub(r"[\s-]", "", self.secret).upper().rstrip("=")
        try:
            key = base64.b32decode(plain + "=" * (-len(plain) % 8))
        except (binascii.Error, ValueError):
            raise Invalid("totp_secret", "write it in base32.") from None
        if not _LEAST_SECRET_BYTES <= len(key) <= _MOST_SECRET_BYTES:
            raise Invalid("totp_secret", "it must have 80 to 1024 bits.")
        return key


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row as it was read; what is not in it changes nothing."""

    number: int
    changes: UserChanges
    seed: Seed | None = None


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """Why a row was not taken over.

    Attributes:
        code: stable, lower-case, documented name.
        field: which field of the row is to blame.
    """

    number: int
    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedRow:
    """A row whose values are in their normal form."""

    number: int
    changes: UserChanges
    email_key: str | None
    """None for a row that names its user by the number."""
    seed: Seed | None
    key: bytes = field(repr=False)
    """Of the seed."""


class RowChecks:
    """Checks one row after the other, and remembers whom they were about."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def checked(self, row: Row) -> CheckedRow | BadRow:
        """Return the row with its values in their normal form, or why they have none."""
        try:
            changes = checked(row.changes)
            key = row.seed.key() if row.seed else b""
        except Invalid as error:
            message = error.message.removeprefix(f"{error.field}: ")
            return BadRow(number=row.number, code=error.code, message=message, field=error.field)
        address = email_key(given) if (given := changes.get("email")) else None
        number = None if address else changes.get("phone_number")
        if not (address or number):
            return BadRow(
                number=row.number, code="invalid_request", message=CONTACT_NEEDED, field="email"
            )
        field_ = self._repeats(
            email=address, phone_number=number, external_id=changes.get("external_id")
        )
        self._remember(phone_number=changes.get("phone_number"))
        if field_:
            message = "An earlier row of this file has the same."
            return BadRow(number=row.number, code="duplicate_row", message=message, field=field_)
        return CheckedRow(
            number=row.number, changes=changes, email_key=address, seed=row.seed, key=key
        )

    def _repeats(self, **names: str | None) -> str | None:
        """Remember the names, unless one was there before: then return which."""
        marks = _marks(names)
        repeated = next((name for name, mark in marks.items() if mark in self._seen), None)
        if repeated is None:
            self._seen.update(marks.values())
        return repeated

    def _remember(self, **names: str | None) -> None:
        self._seen.update(_marks(names).values())


def _marks(names: dict[str, str | None]) -> dict[str, bytes]:
    return {
        name: hashlib.sha256(f"{name}:{value}".encode()).digest()[:16]
        for name, value in names.items()
        if value
    }
