"""Looking through the audit record, a page at a time, however many events there are.

Each page reads along one index, and looks at no more than `EXAMINED` events. Where a filter that no
index serves leaves too few of them for a page, the page says how far it has looked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.db import Database
from app.models import Event, Organization
from app.services.audit import EventKind
from app.services.audit_names import Names, names_of
from app.services.audit_ranges import BEYOND, USER, Span, Way, along, id_at

EXAMINED = 20_000
"""So many events one page looks at, at most, in each index range."""

_CHUNK = 1000
_SLACK = timedelta(hours=1)
"""So far the order of ids and that of moments may differ: a transaction commits when it is done."""

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events of an organization are looked for; None leaves a thing open.

    Attributes:
        kind: a kind, or a subject: the part of a kind before the colon.
        actor: as `Actor.name` has it.
        since: the first moment.
        until: the first moment that is too late.
    """

    organization_id: uuid.UUID
    kind: str | None = None
    actor: str | None = None
    user_id: uuid.UUID | None = None
    application_id: uuid.UUID | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Cursor:
    """A place in the record: what is older than an event, or what is newer.

    Attributes:
        event_id: of the event at the edge, which is not itself meant.
    """

    event_id: int
    newer: bool = False

    def __str__(self) -> str:
        return f"{'n' if self.newer else 'o'}{self.event_id}"

    @classmethod
    def read(cls, text: str | None) -> Cursor | None:
        """Return what `str` wrote; None if it is nothing of the kind."""
        head, digits = (text or "")[:1], (text or "")[1:]
        if head not in {"n", "o"} or not digits.isascii() or not digits.isdecimal():
            return None
        return cls(int(digits), head == "n") if len(digits) < 19 else None


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Some events, newest first.

    Attributes:
        older: where the next page starts; None if there is nothing older.
        newer: where the page before starts; None if there is nothing newer.
        looked_until: the moment down to which was looked, if this page is not full although there
            are older events.
    """

    events: Sequence[Event]
    older: Cursor | None
    newer: Cursor | None
    looked_until: datetime | None = None


@dataclass(frozen=True)
class _Found:
    """What was found in one direction, nearest first.

    Attributes:
        edge: id up to which was looked.
        ends: whether there is nothing beyond.
    """

    events: list[Event]
    edge: int | None
    ends: bool


class AuditSearch:
    """Finds events by what is known of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, tx: Session, wanted: EventFilter, cursor: Cursor | None = None, *, size: int = 50
    ) -> EventPage:
        """Return a page of events, newest first.

        Args:
            cursor: of another page of the same search; none starts with the newest event.
        """
        newer = cursor is not None and cursor.newer
        found = _look(tx, wanted, cursor.event_id if cursor else None, newer=newer, size=size)
        if newer and (found.ends and len(found.events) < size):
            return self.page(tx, wanted, size=size)  # the newest page is a whole one
        return _newer_page(found) if newer else _older_page(tx, found, cursor)

    def stream(
        self, organization: Organization, wanted: EventFilter
    ) -> Iterator[tuple[Sequence[Event], Names]]:
        """Yield all that is found, newest first, in chunks, each from a short transaction.

        Args:
            organization: whose events the filter looks for.
        """
        cursor: Cursor | None = None
        while True:
            with self._database.reading() as tx:
                page = self.page(tx, wanted, cursor, size=_CHUNK)
                names = names_of(tx, organization, page.events)
            if page.events:
                yield page.events, names
            if page.older is None:
                return
            cursor = page.older


def _older_page(tx: Session, found: _Found, cursor: Cursor | None) -> EventPage:
    events = found.events
    looked_until = None
    if not found.ends and found.edge is not None and (not events or events[-1].id != found.edge):
        looked_until = tx.scalar(sa.select(Event.at).where(Event.id == found.edge))
    first = events[0].id if events else (cursor.event_id - 1 if cursor else None)
    return EventPage(
        events=events,
        older=None if found.ends or found.edge is None else Cursor(found.edge),
        newer=Cursor(first, newer=True) if cursor and first is not None else None,
        looked_until=looked_until,
    )


def _newer_page(found: _Found) -> EventPage:
    events = found.events[::-1]
    edge = found.edge
    return EventPage(
        events=events,
        older=Cursor(events[-1].id) if events else Cursor(edge + 1) if edge is not None else None,
        newer=None if found.ends or edge is None else Cursor(edge, newer=True),
    )


def _look(tx: Session, wanted: EventFilter, start: int | None, *, newer: bool, size: int) -> _Found:
    """Look along every index range that the search needs, and merge what is found."""
    span = _span(tx, wanted).within(start, newer=newer)
    events: list[Event] = []
    edges: list[int] = []
    for way in _ways(wanted):
        looked = _look_along(tx, way, span, wanted, newer=newer, size=size)
        events += looked.events
        if not looked.ends and looked.edge is not None:
            edges.append(looked.edge)
    events.sort(key=lambda event: event.id, reverse=not newer)
    return _merged(events, edges, newer=newer, size=size)


def _merged(events: list[Event], edges: list[int], *, newer: bool, size: int) -> _Found:
    """Leave out what lies beyond the nearest edge: there, not every range was looked along."""
    edge = (min(edges) if newer else max(edges)) if edges else None
    if edge is not None:
        events = [one for one in events if (one.id <= edge if newer else one.id >= edge)]
    if len(events) > size:
        return _Found(events[:size], events[size - 1].id, ends=False)
    return _Found(events, edge, ends=edge is None)


def _look_along(
    tx: Session, way: Way, span: Span, wanted: EventFilter, *, newer: bool, size: int
) -> _Found:
    """Look along one index range: its events in order, of which the rest of the search picks."""
    ranged = along(way, span, newer=newer)
    near = aliased(Event, ranged.limit(EXAMINED).subquery())
    by_id = near.id.asc() if newer else near.id.desc()
    picked = sa.select(near).where(*_asked(near, wanted)).order_by(by_id).limit(size + 1)
    events = list(tx.scalars(picked))
    if len(events) > size:
        return _Found(events, events[size].id, ends=False)
    last = ranged.with_only_columns(Event.id).offset(EXAMINED - 1).limit(1)
    edge = tx.scalar(last)
    return _Found(events, edge, ends=edge is None)


def _ways(wanted: EventFilter) -> list[Way]:
    """Return the index ranges to look along; each has its index in `app.models.event`."""
    mine: Way = {Event.organization_id: wanted.organization_id}
    if wanted.user_id is not None:
        return [{Event.user_id: wanted.user_id}]
    if wanted.address is not None:
        return [{**mine, Event.address: wanted.address}]
    if wanted.actor not in {None, USER}:
        return [{**mine, Event.actor: wanted.actor}]
    if wanted.kind is not None:
        return [{**mine, Event.kind: kind} for kind in _kinds(wanted.kind)]
    if wanted.application_id is not None:
        return [{**mine, Event.application_id: wanted.application_id}]
    return [mine]


def _asked(event: type[Event], wanted: EventFilter) -> list[Condition]:
    """Return all that is asked of an event."""
    asked = [event.organization_id == wanted.organization_id]
    for column, value in (
        (event.user_id, wanted.user_id),
        (event.address, wanted.address),
        (event.actor, wanted.actor),
        (event.application_id, wanted.application_id),
    ):
        if value is not None:
            asked.append(column == value)
    if wanted.kind is not None:
        asked.append(event.kind.in_(_kinds(wanted.kind)))
    if wanted.since is not None:
        asked.append(event.at >= wanted.since)
    if wanted.until is not None:
        asked.append(event.at < wanted.until)
    return asked


def _kinds(kind: str) -> list[str]:
    of_subject = [one.value for one in EventKind if one.value.partition(":")[0] == kind]
    return of_subject or [kind]


def _span(tx: Session, wanted: EventFilter) -> Span:
    """Return between which ids the events of these days lie: no index has their moments."""
    first, last = 0, BEYOND
    if wanted.since is not None:
        first = id_at(tx, wanted.organization_id, wanted.since - _SLACK)
    if wanted.until is not None:
        last = id_at(tx, wanted.organization_id, wanted.until + _SLACK)
    return Span(first, last)
