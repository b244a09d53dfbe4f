"""Counts of messages, each changed by one conditional statement, so that parallel sends add up."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import UtcDateTime
from app.models import SendCooldown, SendCount, SendScope

DAY = timedelta(days=1)
CONVERSION_DAYS = 30
_FORGOTTEN_AFTER = {
    SendScope.SENT: CONVERSION_DAYS * DAY,
    SendScope.CONFIRMED: CONVERSION_DAYS * DAY,
    SendScope.BUDGET: 400 * DAY,
}
"""How long after the end of its window a count may be asked for; the others a day."""
_AT_ONCE = 5_000


class Window(Enum):
    """For how long is counted, in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def begins(self, now: datetime) -> datetime:
        """Return when the window began that is open now."""
        moment = now.astimezone(UTC)
        if self is Window.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self is Window.DAY else midnight.replace(day=1)

    def ends(self, now: datetime) -> datetime:
        """Return when the window that is open now will be over."""
        begun = self.begins(now)
        if self is Window.HOUR:
            return begun + timedelta(hours=1)
        return begun + DAY if self is Window.DAY else (begun + 32 * DAY).replace(day=1)


@dataclass(frozen=True)
class Slot:
    """One thing that is counted, in the window of now."""

    organization_id: uuid.UUID
    scope: SendScope
    window: Window
    key: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """Where it comes among others: all lock in this order, so that none waits in a circle."""
        return list(SendScope).index(self.scope), self.key


def add(tx: Session, slot: Slot, amount: int, most: int | None, now: datetime) -> int | None:
    """Count so many more, unless it would be more than may be.

    Returns:
        The count from now on; None if it stays as it was.
    """
    if most is not None and amount > most:
        return None
    fresh = _insert(tx, slot, now).values(count=amount, refused=0)
    room = None if most is None else SendCount.count + amount <= most
    charge = fresh.on_conflict_do_update(
        index_elements=_KEY, set_={"count": SendCount.count + amount}, where=room
    )
    return _told(tx, charge.returning(SendCount.count))


def add_refused(tx: Session, slot: Slot, now: datetime) -> int:
    """Count one that was refused, and return how many were."""
    fresh = _insert(tx, slot, now).values(count=0, refused=1)
    charge = fresh.on_conflict_do_update(
        index_elements=_KEY, set_={"refused": SendCount.refused + 1}
    )
    return _told(tx, charge.returning(SendCount.refused)) or 0


def find(tx: Session, slot: Slot, now: datetime) -> SendCount | None:
    """Return the row of a slot, if anything was counted."""
    key = (slot.organization_id, slot.scope, slot.window.begins(now), slot.key)
    return tx.get(SendCount, key, populate_existing=True)


def wait_again(
    tx: Session,
    organization_id: uuid.UUID,
    recipient_hash: str,
    cooldowns: Sequence[int],
    now: datetime,
) -> bool:
    """Let the next message to a recipient wait, a little longer each time.

    Returns:
        Whether this one need not: if it does, nothing is changed.
    """
    rested = SendCooldown.expires_at <= now
    sends = sa.case((rested, 1), else_=SendCooldown.sends + 1)
    waits = [sa.literal(now + timedelta(seconds=one), UtcDateTime()) for one in cooldowns]
    expires_at = now + timedelta(seconds=cooldowns[-1]) + DAY
    steps = [(sends == number, wait) for number, wait in enumerate(waits[:-1], start=1)]
    fresh = (
        _dialect(tx)
        .insert(SendCooldown)
        .values(
            organization_id=organization_id,
            recipient_hash=recipient_hash,
            sends=1,
            retry_at=waits[0],
            expires_at=expires_at,
        )
    )
    again = fresh.on_conflict_do_update(
        index_elements=[SendCooldown.organization_id, SendCooldown.recipient_hash],
        set_={
            "sends": sends,
            "retry_at": sa.case(*steps, else_=waits[-1]) if steps else waits[-1],
            "expires_at": expires_at,
        },
        where=SendCooldown.retry_at <= now,
    )
    return _told(tx, again.returning(SendCooldown.sends)) is not None


def purge(tx: Session, now: datetime) -> bool:
    """Delete some of the rows that nobody asks for any more; tell whether there may be more."""
    return _purge(tx, SendCount, now) + _purge(tx, SendCooldown, now) >= _AT_ONCE


def _purge(tx: Session, model: type[SendCount] | type[SendCooldown], now: datetime) -> int:
    """Delete what is still of no use when its turn comes: a message may have come in between."""
    columns = model.__table__.primary_key
    old = sa.select(*columns).where(model.expires_at <= now).limit(_AT_ONCE)
    gone = sa.delete(model).where(sa.tuple_(*columns).in_(old), model.expires_at <= now)
    done = tx.execute(gone, execution_options={"synchronize_session": False})
    return int(done.rowcount)  # type: ignore[attr-defined]


_KEY = [SendCount.organization_id, SendCount.scope, SendCount.begins_at, SendCount.key]


def _insert(tx: Session, slot: Slot, now: datetime) -> Any:
    return (
        _dialect(tx)
        .insert(SendCount)
        .values(
            organization_id=slot.organization_id,
            scope=slot.scope,
            begins_at=slot.window.begins(now),
            key=slot.key,
            expires_at=slot.window.ends(now) + _FORGOTTEN_AFTER.get(slot.scope, DAY),
        )
    )


def _dialect(tx: Session) -> Any:
    return sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql


def _told(tx: Session, statement: Any) -> int | None:
    """Return the one number that a statement returns, which is none where it changed nothing."""
    number: int | None = tx.scalar(statement)
    return number
