"""Wrong passwords from browsers that never signed in: counted by the address that was typed.

An address that nobody has is counted and has to wait like one that is an administrator's, so that
no wait, and no time that an answer takes, tells them apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import UtcDateTime
from app.errors import Invalid
from app.models import PasswordGuess
from app.services.user_fields import checked_email, email_key

WAITS = {
    5: timedelta(seconds=30),
    7: timedelta(minutes=1),
    9: timedelta(minutes=5),
    11: timedelta(minutes=15),
}
"""How long passwords wait after so many wrong ones in a row; no longer, or it would be a weapon."""
FORGOTTEN_AFTER = timedelta(days=1)
_AT_ONCE = 5_000
_LONGEST = 320
_PURPOSE = "password guess"


class PasswordGuesses:
    """Counts them, and says how long the next has to wait."""

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    def charge(self, tx: Session, typed: str) -> datetime | None:
        """Count a wrong password before it is judged; return until when none is, if so."""
        now, address_hash = self._clock.now(), self._hash(typed)
        row = {"address_hash": address_hash, "failures": 1, "retry_at": None, "tried_at": now}
        due = sa.or_(PasswordGuess.retry_at.is_(None), PasswordGuess.retry_at <= now)
        charge = (
            _dialect(tx)
            .insert(PasswordGuess)
            .values(row)
            .on_conflict_do_update(
                index_elements=[PasswordGuess.address_hash],
                set_={
                    "failures": PasswordGuess.failures + 1,
                    "retry_at": waiting_until(PasswordGuess.failures + 1, now),
                    "tried_at": now,
                },
                where=due,
            )
            .returning(PasswordGuess.failures)
        )
        if tx.scalar(charge) is not None:
            return None
        until = sa.select(PasswordGuess.retry_at).where(PasswordGuess.address_hash == address_hash)
        return tx.scalar(until)

    def refuse(self, tx: Session, typed: str) -> None:
        """Note when the last one for an address of nobody was refused: as much work as an event."""
        one = sa.update(PasswordGuess).where(PasswordGuess.address_hash == self._hash(typed))
        tx.execute(one.values(tried_at=self._clock.now()))

    def forgive(self, tx: Session, address: str) -> None:
        """Start the count anew."""
        mine = PasswordGuess.address_hash == self._hash(address)
        tx.execute(sa.delete(PasswordGuess).where(mine))

    def _hash(self, typed: str) -> str:
        try:
            spelled = email_key(checked_email(typed))
        except Invalid:
            spelled = typed.strip().casefold()[:_LONGEST]
        return self._vault.hash(spelled, purpose=_PURPOSE)


def waiting_until(
    failures: sa.ColumnElement[int], now: datetime
) -> sa.ColumnElement[datetime | None]:
    """Return, as SQL, when the next password is judged after so many wrong ones in a row."""
    waits = sorted(WAITS.items(), reverse=True)
    return sa.case(
        *((failures >= least, sa.literal(now + wait, UtcDateTime())) for least, wait in waits),
        else_=sa.null(),
    )


def purge(tx: Session, now: datetime) -> bool:
    """Delete some counts that nobody added to for a day; tell whether there may be more."""
    old = PasswordGuess.tried_at < now - FORGOTTEN_AFTER
    some = sa.select(PasswordGuess.address_hash).where(old).limit(_AT_ONCE)
    gone = sa.delete(PasswordGuess).where(PasswordGuess.address_hash.in_(some), old)
    done = tx.execute(gone, execution_options={"synchronize_session": False})
    return int(done.rowcount) >= _AT_ONCE  # type: ignore[attr-defined]


def _dialect(tx: Session) -> Any:
    return sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
