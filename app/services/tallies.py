"""What verifications came to: a finished day is counted once and kept, the rest when asked for.

Counting a million of them for each look at a page would take seconds; ninety kept days take
milliseconds, and today's are few.
"""

from __future__ import annotations

import contextlib
import math
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import Database
from app.models import CUSTOMERS, CountedDay, Organization, Purpose, Verification

_SETTLED_AFTER = timedelta(minutes=10)
"""So long after midnight no transaction of the day before is still open."""
_DAYS_AT_ONCE = 30
_STEP = math.log(1.01)
"""Times are kept in steps of one percent."""
DAY = timedelta(days=1)
_APPLICATION = sa.type_coerce(Verification.application_id, sa.types.NullType())
"""As the driver has it: making a UUID of each row would take longer than reading it."""


@dataclass(frozen=True, order=True)
class Cell:
    """What verifications are told apart by.

    Attributes:
        application: its id, or nothing for an answer that a backend brought.
        kind: of the factor.
    """

    application: str
    purpose: str
    kind: str
    accepted: bool


@dataclass(frozen=True)
class Tally:
    """How many verifications there were of each sort, and how long the accepted visits took.

    Attributes:
        counts: by sort.
        times: how many visits took about so long, by application and step of the time.
    """

    counts: Counter[Cell] = field(default_factory=Counter)
    times: Counter[tuple[str, int]] = field(default_factory=Counter)

    def total(
        self,
        *,
        accepted: bool | None = None,
        kind: str | None = None,
        purposes: Iterable[Purpose] = (Purpose.VERIFICATION, Purpose.RECOVERY),
    ) -> int:
        """Return how many there were.

        Args:
            accepted: only accepted, or only refused ones.
            kind: only those of one factor.
            purposes: only those for one of these.
        """
        wanted = {purpose.value for purpose in purposes}
        return sum(
            number
            for cell, number in self.counts.items()
            if cell.purpose in wanted
            and accepted in (None, cell.accepted)
            and kind in (None, cell.kind)
        )

    @property
    def kinds(self) -> set[str]:
        """The factors that were used to verify."""
        others = {Purpose.ENROLLMENT.value, Purpose.SKIP.value}
        return {cell.kind for cell in self.counts if cell.purpose not in others}

    def took_at_most(self, share: float) -> float | None:
        """Return the seconds within which this share of the accepted visits was over."""
        wanted = math.ceil(share * self.times.total())
        steps: Counter[int] = Counter()
        for (_, step), number in self.times.items():
            steps[step] += number
        for step in sorted(steps):
            wanted -= steps[step]
            if wanted <= 0:
                return math.exp(step * _STEP) / 1000
        return None

    def of(self, application: str | None) -> Tally:
        """Return what came from one application; None means all."""
        if application is None:
            return self
        return Tally(
            Counter({c: n for c, n in self.counts.items() if c.application == application}),
            Counter({t: n for t, n in self.times.items() if t[0] == application}),
        )

    def add(self, other: Tally) -> None:
        """Add what another one counted."""
        self.counts.update(other.counts)
        self.times.update(other.times)

    def written(self) -> dict[str, Any]:
        """Return what `read` reads."""
        return {
            "counts": [[c.application, c.purpose, c.kind, c.accepted, n] for c, n in self._sorted],
            "times": [[application, step, n] for (application, step), n in self.times.items()],
        }

    @property
    def _sorted(self) -> list[tuple[Cell, int]]:
        return sorted(self.counts.items())

    @classmethod
    def read(cls, written: dict[str, Any]) -> Tally:
        """Return what was written."""
        return cls(
            Counter({Cell(*names): number for *names, number in written["counts"]}),
            Counter({(name, step): number for name, step, number in written["times"]}),
        )


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
        times[_named(application_id), _step(took_ms)] += number
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


@lru_cache(100_000)
def _step(took_ms: int) -> int:
    return round(math.log(max(took_ms, 1)) / _STEP)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + number * DAY
