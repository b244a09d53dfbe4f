"""Reading events along an index, whatever the planner thinks."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.db import on_sqlite
from app.models import Event

USER = "user"
"""The actor of most events; the index of actors leaves it out."""

BEYOND = 2**62
"""More than any id."""


@dataclass(frozen=True)
class Span:
    """Between which ids is looked: from the first on, up to but without the last."""

    first: int = 0
    last: int = BEYOND

    def within(self, start: int | None, *, newer: bool) -> Span:
        """Return what of it lies beyond an event, on one side."""
        if start is None:
            return self
        if newer:
            return Span(max(self.first, start + 1), self.last)
        return Span(self.first, min(self.last, start))


Way = dict[InstrumentedAttribute[Any], object]
"""The leading columns of an index that ends with the id, and the one value of each."""


def along(way: Way, span: Span, *, newer: bool) -> sa.Select[Event]:
    """Select along an index, in such words that no planner reads along another.

    Whole keys are compared and ordered by: an equality would let the order be that of the ids
    alone, and a planner that expects many hits would walk through other organizations' events.
    """
    columns = [*way, Event.id]
    key = sa.tuple_(*columns)

    def edge(event_id: int) -> sa.Tuple:
        values = [*way.values(), event_id]
        bound = zip(columns, values, strict=True)
        return sa.tuple_(*(sa.literal(value, column.type) for column, value in bound))

    # SQLite finds whole keys by their first column alone, as the id is the number of its rows.
    each = [column == value for column, value in way.items()]
    found = sa.and_(*each, Event.id >= span.first, Event.id < span.last)
    within = (key >= edge(span.first), key < edge(span.last))
    ranged = sa.select(Event).where(*within, on_sqlite(found))
    if Event.actor in way:
        ranged = ranged.where(sa.text(f"events.actor <> '{USER}'"))
    return ranged.order_by(*(one.asc() if newer else one.desc() for one in columns))


def id_at(tx: Session, organization_id: uuid.UUID, moment: datetime) -> int:
    """Return the id from which on events are of this moment or later, found by halving."""
    mine: Way = {Event.organization_id: organization_id}

    def first(span: Span, *, newer: bool) -> sa.Row[int, datetime] | None:
        ranged = along(mine, span, newer=newer).with_only_columns(Event.id, Event.at)
        return tx.execute(ranged.limit(1)).first()

    newest = first(Span(0, BEYOND), newer=False)
    low, high = 0, newest.id + 1 if newest else 0
    while low < high:
        middle = (low + high) // 2
        found = first(Span(middle, BEYOND), newer=True)
        if found is not None and found.at < moment:
            low = found.id + 1
        else:
            high = middle
    return low
