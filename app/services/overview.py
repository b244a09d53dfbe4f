"""The overview: what verifications of a period came to, beside those of the period before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Application, Organization, Purpose, User
from app.services.application_reach import select_serving
from app.services.tallies import DAY, Tallies, count, first_day, midnight
from app.services.tally import Tally
from app.services.user_states import UserStates, UserStatus

_HOUR = timedelta(hours=1)
_SLOW = 0.9


@dataclass(frozen=True, kw_only=True)
class Period:
    """A time to look at.

    Attributes:
        name: as an address says it.
        title: as a page says it.
        slices: how many bars its chart has.
        width: what each of them stands for.
    """

    name: str
    title: str
    slices: int
    width: timedelta

    def began(self, now: datetime) -> datetime:
        """Return when its first slice began, if `now` is in the last."""
        return self._floor(now) - (self.slices - 1) * self.width

    def _floor(self, now: datetime) -> datetime:
        if self.width == DAY:
            return midnight(now.date())
        return now.replace(minute=0, second=0, microsecond=0)


PERIODS = {
    period.name: period
    for period in (
        Period(name="24h", title="Last 24 hours", slices=24, width=_HOUR),
        *(
            Period(name=f"{days}d", title=f"Last {days} days", slices=days, width=DAY)
            for days in (7, 14, 30, 90)
        ),
    )
}
USUAL = PERIODS["14d"]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What one bar of the chart stands for."""

    at: datetime
    tally: Tally


@dataclass(frozen=True, kw_only=True)
class Used:
    """How a method did."""

    kind: str
    accepted: int
    refused: int
    share: int
    """Of all accepted verifications, in percent."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a period came to.

    Attributes:
        slices: in the order of time; the last one is not over yet.
        total: of all slices.
        before: of as long a time before them.
    """

    period: Period
    slices: Sequence[Slice]
    total: Tally
    before: Tally

    @property
    def share(self) -> float | None:
        """How many of a hundred answers were right; None if none was given."""
        return _share(self.total)

    @property
    def gain(self) -> float | None:
        """By how many points that is better than before; None if there is nothing to compare."""
        share, before = self.share, _share(self.before)
        return None if share is None or before is None else round(share - before, 1)

    @property
    def median_seconds(self) -> float | None:
        """In which half of the accepted visits were over."""
        return self.total.took_at_most(0.5)

    @property
    def slow_seconds(self) -> float | None:
        """How long the slowest tenth took at least."""
        return self.total.took_at_most(_SLOW)

    @property
    def enrollments(self) -> int:
        """How many authenticators were confirmed."""
        return self.total.total(accepted=True, purposes=[Purpose.ENROLLMENT])

    @property
    def methods(self) -> list[Used]:
        """What was used to verify, most used first."""
        accepted = self.total.total(accepted=True)
        found = [
            Used(
                kind=kind,
                accepted=(mine := self.total.total(accepted=True, kind=kind)),
                refused=self.total.total(accepted=False, kind=kind),
                share=round(100 * mine / accepted) if accepted else 0,
            )
            for kind in self.total.kinds
        ]
        return sorted(found, key=lambda one: (-one.accepted, -one.refused, one.kind))


@dataclass(frozen=True, kw_only=True)
class People:
    """How the users stand, each in one word."""

    numbers: Mapping[UserStatus, int]

    def of(self, status: UserStatus) -> int:
        """Return how many stand so."""
        return self.numbers.get(status, 0)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.numbers.values())

    @property
    def enrolled(self) -> int:
        """How many have a method that works; locked for a while or not."""
        return self.of(UserStatus.ENROLLED)


class Overview:
    """Puts the figures of an organization together."""

    def __init__(self, clock: Clock, tallies: Tallies, states: UserStates) -> None:
        self._clock = clock
        self._tallies = tallies
        self._states = states

    def figures(
        self, tx: Session, organization: Organization, period: Period, application: str | None
    ) -> Figures:
        """Return what a period came to.

        Args:
            application: the id of the only one to count; None means all, and answers that
                backends brought.
        """
        now = self._clock.now()
        since = period.began(now)
        parts = self._days if period.width == DAY else self._hours
        slices = [
            Slice(at=at, tally=tally.of(application))
            for at, tally in parts(tx, organization, period, now)
        ]
        shown = [one for one in slices if one.at >= since]
        earlier = [one for one in slices if one.at < since]
        return Figures(period=period, slices=shown, total=_sum(shown), before=_sum(earlier))

    def ever(self, tx: Session, organization: Organization) -> bool:
        """Tell whether anything was verified yet."""
        return first_day(tx, organization.id) is not None

    def people(self, tx: Session, organization: Organization) -> People:
        """Count how the users stand.

        Few are locked or enrolling anew: they are found by indexes of their own. The others are
        counted by an index that holds nothing else, one part of it after the other, which is
        faster than to group its rows.
        """
        standing = self._states.now(tx, organization)
        mine = (
            sa.select(sa.func.count())
            .select_from(User)
            .where(User.organization_id == organization.id)
        )
        groups = {
            (enrolled, suspended): tx.scalar(
                mine.where(
                    User.enrolled == sa.literal(enrolled),
                    User.suspended_at.is_not(None) if suspended else User.suspended_at.is_(None),
                )
            )
            or 0
            for enrolled in (True, False)
            for suspended in (True, False)
        }
        few = sa.select(User.enrolled, sa.func.count()).group_by(User.enrolled)
        locked = _by_enrolled(tx, few.where(standing.condition(UserStatus.LOCKED)))
        anew = _by_enrolled(tx, few.where(standing.condition(UserStatus.REENROLLMENT)))
        bare = UserStatus.OVERDUE if standing.requires else UserStatus.PENDING
        return People(
            numbers={
                UserStatus.SUSPENDED: groups.get((True, True), 0) + groups.get((False, True), 0),
                UserStatus.LOCKED: sum(locked.values()),
                UserStatus.REENROLLMENT: sum(anew.values()),
                UserStatus.ENROLLED: groups.get((True, False), 0) - locked.get(True, 0),
                bare: groups.get((False, False), 0) - locked.get(False, 0) - sum(anew.values()),
            }
        )

    def applications(self, tx: Session, organization: Organization) -> Sequence[Application]:
        """Return those that may send users of the organization, by name."""
        by_name = select_serving(organization).order_by(Application.name, Application.id)
        return tx.scalars(by_name).all()

    def _days(
        self, tx: Session, organization: Organization, period: Period, now: datetime
    ) -> Iterator[tuple[datetime, Tally]]:
        """Yield each day of the period and of the one before."""
        first, last = period.began(now).date() - period.slices * DAY, now.date()
        found = self._tallies.of_days(tx, organization, first, last)
        for number in range((last - first).days + 1):
            day = first + number * DAY
            yield midnight(day), found.get(day) or Tally()

    def _hours(
        self, tx: Session, organization: Organization, period: Period, now: datetime
    ) -> Iterator[tuple[datetime, Tally]]:
        """Yield all that was before the period at once, then each of its hours."""
        at = period.began(now)
        earlier = at - period.slices * _HOUR
        yield earlier, count(tx, organization.id, earlier, at, with_times=False)
        while at <= now:
            yield at, count(tx, organization.id, at, at + _HOUR)
            at += _HOUR


def _by_enrolled(tx: Session, counted: sa.Select[bool, int]) -> dict[bool, int]:
    return {enrolled: number for enrolled, number in tx.execute(counted)}  # noqa: C416


def _sum(slices: Sequence[Slice]) -> Tally:
    total = Tally()
    for one in slices:
        total.add(one.tally)
    return total


def _share(tally: Tally) -> float | None:
    judged = tally.total()
    return round(100 * tally.total(accepted=True) / judged, 1) if judged else None
