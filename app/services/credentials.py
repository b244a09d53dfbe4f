"""Secrets of API keys and applications: made here, shown once, replaced with an overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.db import lock
from app.errors import Invalid, Refusal
from app.models import ApiKey, Application

MOST_OVERLAP = timedelta(days=7)
_NAME_LENGTH = 100

Holder = TypeVar("Holder", ApiKey, Application)


class Credentials(Generic[Holder]):
    """Makes and compares the secrets of one kind of caller.

    Args:
        prefix: with which somebody's secret begins, for secret scanners.
        purpose: for which its hash is derived.
    """

    def __init__(
        self, clock: Clock, vault: Vault, *, prefix: Callable[[Holder], str], purpose: str
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._prefix: Callable[[Holder], str] = prefix
        self._purpose = purpose

    def issue(self, holder: Holder, secret: str | None = None) -> str:
        """Give somebody new its first secret and return it.

        Args:
            secret: one that was made elsewhere, as a protocol sets its form.
        """
        secret = secret or self._prefix(holder) + new_token()
        holder.secret_hash = self._vault.hash(secret, purpose=self._purpose)
        return secret

    def replace(
        self,
        tx: Session,
        holder: Holder,
        overlap: timedelta,
        *,
        instead_of: str | None = None,
        secret: str | None = None,
    ) -> str:
        """Give a holder a new secret and return it; the old one works on for the overlap.

        Args:
            instead_of: the mark of the secret that is meant; a form sent twice does no harm then.
            secret: the new one, if it was made elsewhere.

        Raises:
            Invalid: the overlap is negative, or longer than a week.
            Refusal: `secret_replaced`, if it was another one by now.
        """
        if not timedelta(0) <= overlap <= MOST_OVERLAP:
            most = int(MOST_OVERLAP.total_seconds())
            raise Invalid("overlap_seconds", f"use a number from 0 to {most}.")
        lock(tx, type(holder).id, holder.id)
        tx.refresh(holder, ["secret_hash"])  # of two that replace at once, the second replaces
        if instead_of not in {None, self.mark(holder)}:
            raise Refusal(
                "secret_replaced",
                "The secret was replaced already. The one that was shown then works.",
                status=409,
            )
        keeps = overlap > timedelta(0)
        holder.previous_secret_hash = holder.secret_hash if keeps else None
        holder.previous_until = self._clock.now() + overlap if keeps else None
        return self.issue(holder, secret)

    def hashes(self, secret: str) -> list[str]:
        """Return how a holder's row may keep this secret, to find the row by it."""
        return self._vault.hashes(secret, purpose=self._purpose)

    def mark(self, holder: Holder) -> str:
        """Return what changes whenever the secret does, and tells nothing of it."""
        return hashlib.sha256(holder.secret_hash.encode()).hexdigest()[:16]

    def match(self, secret: str, holder: Holder | None) -> bool:
        """Tell whether the secret is the holder's, or the one before it while that still works."""
        current = holder.secret_hash if holder else None
        overlaps = holder is not None and self.overlaps_until(holder) is not None
        previous = holder.previous_secret_hash if holder and overlaps else None
        # Both are compared whoever it is, so that no answer comes sooner than another.
        found = [
            self._vault.matches(secret, stored, purpose=self._purpose)
            for stored in (current, previous)
        ]
        return any(found)

    def overlaps_until(self, holder: Holder) -> datetime | None:
        """Return until when the secret before this one works, if it still does."""
        until = holder.previous_until
        return until if until is not None and self._clock.now() < until else None


def checked_name(name: str) -> str:
    """Return the name of a key or an application with its spaces in order.

    Raises:
        Invalid: nobody could read it.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= _NAME_LENGTH or not name.isprintable():
        raise Invalid("name", f"give it 1 to {_NAME_LENGTH} printable characters.")
    return name
