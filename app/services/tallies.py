"""What verifications came to: a finished day is counted once and kept, the rest when asked for.

Counting a million of them for each look at a page would take seconds; ninety kept days take
milliseconds, and today's are few.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import Database
from app.models import CUSTOMERS, CountedDay, Organization, Purpose, Verification
from app.services.tally import Cell, Tally, step_of

_SETTLED_AFTER = timedelta(minutes=10)
"""So long after midnight no transaction of the day before is still open."""
_DAYS_AT_ONCE = 30
DAY = timedelta(days=1)
_APPLICATION = sa.type_coerce(Verification.application_id, sa.types.NullType())
"""As the driver has it: making a UUID of each row would take longer than reading it."""


class Tallies:
    """Counts what happened, and keeps what finished days came to."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def count_finished(self) -> bool:
        """Count some of the finished days that aren't yet, each in a transaction of its own.

        Any number of workers may do so at the same time.

        Returns:
            Whether there may be more to count at once.
        """
        with self._database.reading() as tx:
            waiting = list(islice(self._waiting(tx), _DAYS_AT_ONCE))
        for organization_id, day in waiting:
            self._count_day(organization_id, day)
        return len(waiting) == _DAYS_AT_ONCE

    def of_days(
        self, tx: Session, organization: Organization, first: date, last: date
    ) -> dict[date, Tally]:
        """Return the tally of each day from the first to the last on which there may be any."""
        kept = self._kept(tx, organization.id, first, last)
        began = first_day(tx, organization.id)
        if began is None:
            return kept
        until = self._counted_until(tx, organization.id)
        for day in _days(max(first, began, until + DAY if until else began), last):
            kept[day] = count(tx, organization.id, midnight(day), midnight(day + DAY))
        return kept

    def _kept(
        self, tx: Session, organization_id: uuid.UUID, first: date, last: date
    ) -> dict[date, Tally]:
        rows = tx.execute(
            sa.select(CountedDay.day, CountedDay.tally).where(
                CountedDay.organization_id == organization_id,
                CountedDay.day.between(first, last),
            )
        )
        return {day: Tally.read(tally) for day, tally in rows}

    def _counted_until(self, tx: Session, organization_id: uuid.UUID) -> date | None:
        mine = CountedDay.organization_id == organization_id
        return tx.scalar(sa.select(sa.func.max(CountedDay.day)).where(mine))

    def _waiting(self, tx: Session) -> Iterator[tuple[uuid.UUID, date]]:
        last = (self._clock.now() - _SETTLED_AFTER).date() - DAY
        counted = (
            sa.select(sa.func.max(CountedDay.day))
            .where(CountedDay.organization_id == Organization.id)
            .scalar_subquery()
        )
        rows = tx.execute(
            sa.select(Organization.id, counted).where(
                Organization.environment.in_(CUSTOMERS),
                sa.func.coalesce(counted < last, sa.true()),
            )
        )
        for organization_id, until in rows:
            began = until + DAY if until else first_day(tx, organization_id)
            for day in _days(began, last) if began else ():
                yield organization_id, day

    def _count_day(self, organization_id: uuid.UUID, day: date) -> None:
        with self._database.reading() as tx:
            counted = count(tx, organization_id, midnight(day), midnight(day + DAY))
        row = CountedDay(
            organization_id=organization_id,
            day=day,
            tally=counted.written(),
            counted_at=self._clock.now(),
        )
        # Of several workers the first keeps what all of them counted.
        with contextlib.suppress(IntegrityError), self._database.writing() as tx:
            tx.add(row)


def count(
    tx: Session,
    organization_id: uuid.UUID,
    since: datetime,
    until: datetime,
    *,
    with_times: bool = True,
) -> Tally:
    """Count an organization's verifications from one moment until before another.

    Args:
        with_times: whether to look how long they took, too.
    """
    within = sa.and_(
        Verification.organization_id == organization_id,
        Verification.at >= since,
        Verification.at < until,
    )
    counts = _counts(tx, within)
    return Tally(counts, _times(tx, within) if with_times else Counter())


def _counts(tx: Session, within: sa.ColumnElement[bool]) -> Counter[Cell]:
    sort = (
        _APPLICATION,
        Verification.purpose,
        Verification.kind,
        Verification.accepted,
    )
    rows = tx.execute(sa.select(*sort, sa.func.count()).where(within).group_by(*sort))
    return Counter(
        {
            Cell(_named(application_id), purpose.value, kind, accepted): number
            for application_id, purpose, kind, accepted, number in rows
        }
    )


def _times(tx: Session, within: sa.ColumnElement[bool]) -> Counter[tuple[str, int]]:
    """Return how long the accepted visits took."""
    rows = tx.execute(
        sa.select(_APPLICATION, Verification.took_ms, sa.func.count())
        .where(
            within,
            Verification.purpose == Purpose.VERIFICATION,
            Verification.accepted,
            Verification.took_ms.is_not(None),
        )
        .group_by(_APPLICATION, Verification.took_ms)
    )
    times: Counter[tuple[str, int]] = Counter()
    for application_id, took_ms, number in rows:
        times[_named(application_id), step_of(took_ms)] += number
    return times


def first_day(tx: Session, organization_id: uuid.UUID) -> date | None:
    """Return the day of an organization's first verification."""
    mine = Verification.organization_id == organization_id
    first = tx.scalar(sa.select(Verification.at).where(mine).order_by(Verification.at).limit(1))
    return first.date() if first else None


def midnight(day: date) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


@lru_cache(10_000)
def _named(application_id: uuid.UUID | str | None) -> str:
    return str(uuid.UUID(str(application_id))) if application_id else ""


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + number * DAY
