"""The counts, as rows hold them, against the same counts in plain Python, over long walks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Authenticator, GatewaySession, User
from app.services.audit import OPERATOR
from app.services.limits import Answering, Spent
from tests.conftest import FixedClock, Harbor, stage

pytestmark = pytest.mark.both_databases

PER_SESSION, PER_USER = 4, 9
WAITS = {2: 60, 4: 300, 6: 3600}
RECOVERY = "recovery"
WALKS = range(5)
STRIDES = (*[0] * 20, 1, 58, 59, 60, 60, 61, 299, 300, 300, 301, 3599, 3600)
"""Seconds between two steps: most often none, and else about as long as a wait."""


@dataclass
class Count:
    """What is counted for one authenticator, or for recovery codes."""

    failures: int = 0
    retry_at: datetime | None = None

    def charge(self, now: datetime) -> None:
        self.failures += 1
        waits = [wait for least, wait in WAITS.items() if self.failures >= least]
        self.retry_at = now + timedelta(seconds=max(waits)) if waits else None

    def waits(self, now: datetime) -> bool:
        return self.retry_at is not None and self.retry_at > now


@dataclass
class Book:
    """All counts of one user, and of the session that is open."""

    ones: dict[uuid.UUID | str, Count]
    ends_at: datetime
    judged: int = 0
    failures: int = 0

    def refusal(self, what: list[Any], *, in_session: bool, now: datetime) -> Spent | None:
        if self.failures == PER_USER or (in_session and self.judged == PER_SESSION):
            return Spent(retry_at=None)
        ahead = [self.ones[one].retry_at for one in what if self.ones[one].waits(now)]
        return Spent(retry_at=max(filter(None, ahead))) if ahead else None

    def takes(self, now: datetime) -> bool:
        """Tell whether the session has an answer judged."""
        return self.judged < PER_SESSION and now < self.ends_at

    def charge(self, what: list[Any], *, in_session: bool, now: datetime) -> None:
        self.failures += 1
        self.judged += in_session
        for one in what:
            self.ones[one].charge(now)

    def left(self, what: list[Any], now: datetime) -> int:
        if self.refusal(what, in_session=False, now=now):
            return 0
        lefts = [PER_USER - self.failures]
        for one in what:
            lefts += [least - self.ones[one].failures for least in WAITS]
        return min(left for left in lefts if left > 0)


@dataclass
class Walk:
    """One user with two apps, whose counts are taken through many steps."""

    harbor: Harbor
    random: Random
    session_id: str = ""
    book: Book = field(init=False)
    user_id: uuid.UUID = field(init=False)

    def __post_init__(self) -> None:
        self.user_id = uuid.UUID(self.harbor.ada)
        own = sa.select(Authenticator.id).where(Authenticator.user_id == self.user_id)
        self.apps = [row[0] for row in self.harbor.rows(own)]
        self.book = Book({one: Count() for one in [*self.apps, RECOVERY]}, self.harbor.clock.now())
        self.begins_a_session()

    @property
    def limits(self) -> Any:
        return self.harbor.services.limits

    def begins_a_session(self) -> None:
        self.session_id = self.harbor.notes.opens(self.harbor.ada)["id"]
        of_it = sa.select(GatewaySession.expires_at).where(GatewaySession.id == self.session_id)
        self.book.judged, self.book.ends_at = 0, self.harbor.rows(of_it)[0][0]

    def picks(self) -> list[Any]:
        """Return what is answered for: one app, both, recovery codes, or nothing of them."""
        both, one = list(self.apps), [self.random.choice(self.apps)]
        return self.random.choice([one, one, both, [RECOVERY], [*one, RECOVERY], []])

    def steps(self) -> None:
        seldom = [self.succeeds, self.types_the_session_s, self.is_owed, self.is_suspended]
        act = self.random.choice([self.answers] * 9 + seldom)
        self.harbor.clock.advance(self.random.choice(STRIDES))
        act()
        if self.book.judged == PER_SESSION or self.random.random() < 0.03:
            self.ends_the_session()
            self.begins_a_session()
        if self.book.failures == PER_USER and self.random.random() < 0.3:
            self.is_unlocked()
        self.agrees()

    def answers(self) -> None:
        what, in_session, now = self.picks(), self.random.random() < 0.7, self.harbor.clock.now()
        expected = self.book.refusal(what, in_session=in_session, now=now)
        with self.harbor.services.database.writing() as tx:
            user, session = self._found(tx)
            answering = self._answering(tx, what)
            given = session if in_session else None
            assert self.limits.spent(user, answering, session=given, now=now) == expected
            if in_session and not self.book.takes(now):
                expected = expected or Spent(retry_at=None)
            told = self.limits.charge(tx, user, answering, session=given, now=now)
            assert told == expected
            if expected is None:
                self.book.charge(what, in_session=in_session, now=now)
            self._knows(user, session, answering, what)
            left = self.limits.left_before_wait(user, answering, now=now)
            assert left == self.book.left(what, now)

    def succeeds(self) -> None:
        what = self.picks()
        with self.harbor.services.database.writing() as tx:
            user, _ = self._found(tx)
            self.limits.forgive(tx, user, self._answering(tx, what))
        self.book.failures = 0
        self.book.ones |= {one: Count() for one in what}

    def types_the_session_s(self) -> None:
        with self.harbor.services.database.writing() as tx:
            _, session = self._found(tx)
            now = self.harbor.clock.now()
            may = self.book.takes(now)
            assert self.limits.charge_session(tx, session, now=now) is may
            self.book.judged += may
            assert session.judged == self.book.judged

    def ends_the_session(self) -> None:
        """Type into a session that is used up, and at the moment when its time is over."""
        self.types_the_session_s()
        self.answers()
        self.agrees()
        self.begins_a_session()
        self.harbor.clock.moment = self.book.ends_at
        self.types_the_session_s()

    def is_owed(self) -> None:
        """Charge what could not be charged with its verdict."""
        one, now = self.random.choice(self.apps), self.harbor.clock.now()
        with self.harbor.services.database.writing() as tx:
            made = self.limits.owed(self.user_id, one, now=now)(tx)
        may = self.book.refusal([one], in_session=False, now=now) is None
        assert (made is not None) is may
        if may:
            self.book.charge([one], in_session=False, now=now)

    def is_suspended(self) -> None:
        """Have an answer refused that nothing but the user's state is in the way of."""
        now = self.harbor.clock.now()
        with self.harbor.services.database.writing() as tx:
            user, _ = self._found(tx)
            user.suspended_at = now
            for what in ([], [RECOVERY]):
                expected = self.book.refusal(what, in_session=False, now=now)
                told = self.limits.charge(tx, user, self._answering(tx, what), now=now)
                assert told == (expected or Spent(retry_at=None))
            user.suspended_at = None

    def is_unlocked(self) -> None:
        with self.harbor.services.database.writing() as tx:
            self.limits.unlock(tx, OPERATOR, self._found(tx)[0])
        self.book.failures = 0
        self.book.ones = {one: Count() for one in self.book.ones}

    def agrees(self) -> None:
        """Hold what the rows say against the book."""
        with self.harbor.services.database.reading() as tx:
            user, session = self._found(tx)
            everything = [*self.apps, RECOVERY]
            self._knows(user, session, self._answering(tx, everything), everything)
            assert self.limits.left(session) == PER_SESSION - self.book.judged
        for one in self.apps:
            self._foresees(self.book.ones[one])

    def _foresees(self, count: Count) -> None:
        """Hold what is told of counts that were read, without their rows, against the book."""
        now, failures = self.harbor.clock.now(), self.book.failures
        is_locked = failures == PER_USER
        may = self.limits.allows(failures, count.retry_at, now=now)
        assert may is not (is_locked or count.waits(now))
        assert self.limits.until(failures, count.retry_at) == (
            None if is_locked else count.retry_at
        )
        then = Count(count.failures)
        then.charge(now)
        assert self.limits.wait_after(then.failures, now=now) == then.retry_at

    def _found(self, tx: Any) -> tuple[User, GatewaySession]:
        return tx.get_one(User, self.user_id), tx.get_one(GatewaySession, self.session_id)

    def _answering(self, tx: Any, what: list[Any]) -> Answering:
        apps = tuple(tx.get_one(Authenticator, one) for one in what if one != RECOVERY)
        return Answering(authenticators=apps, recovery=RECOVERY in what)

    def _knows(
        self, user: User, session: GatewaySession, answering: Answering, what: list[Any]
    ) -> None:
        assert (session.judged, user.failures) == (self.book.judged, self.book.failures)
        for one in answering.authenticators:
            assert Count(one.failures, one.retry_at) == self.book.ones[one.id]
        if RECOVERY in what:
            count = Count(user.recovery_failures, user.recovery_retry_at)
            assert count == self.book.ones[RECOVERY]


@pytest.fixture
def harbor(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    limits = {"attempts_per_session": PER_SESSION, "failures_per_user": PER_USER}
    waits = ",".join(f"{least}:{seconds}" for least, seconds in WAITS.items())
    with stage(database_url, tmp_path, clock, waits=waits, **limits) as made:
        yield made


def test_rows_count_as_the_book_does(harbor: Harbor) -> None:
    harbor.adds_another(harbor.enrolls())
    for number in WALKS:
        walk = Walk(harbor, Random(number))  # noqa: S311 (the same walk each time)
        walk.is_unlocked()
        for _ in range(60):
            walk.steps()
