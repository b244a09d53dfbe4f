"""Reading messages along an index, whatever the planner thinks, from any place in the log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.db import on_sqlite
from app.models import Message

_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_NIL = uuid.UUID(int=0)

Way = dict[InstrumentedAttribute[Any], object]
"""The leading columns of an index that ends with moment and id, and the one value of each."""


@dataclass(frozen=True)
class Place:
    """Where a message stands among the others: they are ordered by moment and id."""

    at: datetime
    id: uuid.UUID

    @property
    def key(self) -> tuple[datetime, int]:
        """What places are compared by."""
        return self.at, self.id.int


@dataclass(frozen=True)
class Cursor:
    """A place in the log: what is older than a message, or what is newer.

    Attributes:
        place: of the message at the edge, which is not itself meant.
    """

    place: Place
    newer: bool = False

    def __str__(self) -> str:
        at = self.place.at.astimezone(UTC).replace(tzinfo=None).isoformat()
        return f"{'n' if self.newer else 'o'}{at}~{self.place.id.hex}"

    @classmethod
    def read(cls, text: str | None) -> Cursor | None:
        """Return what `str` wrote; None if it is nothing of the kind."""
        head, (at, _, message_id) = (text or "")[:1], (text or "")[1:].partition("~")
        if head not in {"n", "o"}:
            return None
        try:
            moment = datetime.fromisoformat(at)
            place = Place(moment.replace(tzinfo=UTC), uuid.UUID(message_id))
        except ValueError:
            return None
        return cls(place, head == "n") if moment.tzinfo is None else None


def along(
    way: Way, cursor: Cursor | None, *, since: datetime | None = None, until: datetime | None = None
) -> sa.Select[*tuple[Any, ...]]:
    """Select along an index, in such words that no planner reads along another.

    Whole keys are compared and ordered by, as `audit_ranges.along` has it.

    Args:
        cursor: only what lies beyond it, on its side.
        since: the first moment.
        until: the first moment that is too late.
    """
    first = Place(since or _FIRST, _NIL)
    last = Place(until or _LAST, _NIL)
    newer = cursor is not None and cursor.newer
    if cursor and newer:
        first = max(first, cursor.place, key=lambda one: one.key)
    elif cursor:
        last = min(last, cursor.place, key=lambda one: one.key)
    columns = [*way, Message.created_at, Message.id]

    def edge(place: Place) -> sa.Tuple:
        bound = zip(columns, [*way.values(), place.at, place.id], strict=True)
        return sa.tuple_(*(sa.literal(value, column.type) for column, value in bound))

    key = sa.tuple_(*columns)
    begins = key > edge(first) if cursor and newer else key >= edge(first)
    on_one = [column == value for column, value in way.items()]
    within = sa.and_(*on_one, Message.created_at >= first.at, Message.created_at <= last.at)
    ranged = sa.select(*_FILTERED).where(begins, key < edge(last), on_sqlite(within))
    return ranged.order_by(*(one.asc() if newer else one.desc() for one in columns))


_FILTERED = (
    Message.id,
    Message.created_at,
    Message.organization_id,
    Message.channel,
    Message.status,
    Message.user_id,
    Message.recipient,
    Message.country,
    Message.provider_account_id,
    Message.provider,
)
