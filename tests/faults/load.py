"""People who sign in while something breaks, and what must hold of what they were told.

Whatever a client was answered is noted down here, on its side of the wire. Afterwards it is held
against the database: nothing acknowledged may be lost, nothing single-use count twice, and nobody
have come in who should not.
"""

from __future__ import annotations

import http.client
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from app.clock import SystemClock
from app.factors.base import Refused
from app.models import Event as AuditEvent
from app.models import (
    GatewaySession,
    Organization,
    Result,
    SessionStatus,
    User,
    Verification,
)
from app.services.audit import OPERATOR, EventKind
from app.services.enrollment import Ground
from app.services.verification import Occasion
from app.wiring import wire
from tests.actors import Phone, Reply, keep_secret
from tests.conftest import FixedClock, Harbor, wait_for

SIGNERS = 3
"""Threads that sign people in; one more makes users, one more guesses."""
_PERIOD = 30


class Broken(Exception):
    """The server could not answer: the line was cut, or it said that the fault is its own."""


@dataclass
class Person:
    """A user with a phone, and the newest time step whose code was used or may have been."""

    id: str
    phone: Phone
    step: int
    unsure: bool = False
    """Whether nobody knows if the code of that step was taken."""


@dataclass(frozen=True)
class SignIn:
    """An answer that said: this is the user."""

    person: Person
    session_id: str
    step: int
    result: str


@dataclass
class Load:
    """Sign-ins, new users and wrong codes, from several threads until the block ends.

    Args:
        people: how many sign in; each can twice at once, then once in each half minute.
        clock: what the phones show the time by.
    """

    harbor: Harbor
    people: int = 40
    clock: Callable[[], datetime] = SystemClock().now
    signed_in: list[SignIn] = field(default_factory=list)
    redeemed: list[SignIn] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """What no fault explains."""

    def __post_init__(self) -> None:
        self._stopped = Event()
        self._threads: list[Thread] = []
        self._redeemed_ids: set[str] = set()
        names = [f"{uuid.uuid4().hex[:10]}@harbor.example" for _ in range(self.people + 2)]
        *ready, first, second = enrolled(self.harbor, names, self.clock())
        self._ready, self._victims = deque(ready), (first, second)
        self.harbor.backend.token  # noqa: B018 (asked for once, before anything breaks)

    def __enter__(self) -> Load:
        self._threads = [Thread(target=self._repeat, args=(act,), daemon=True) for act in self.acts]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    # What it has seen

    def goes_on(self, sign_ins: int = 5) -> None:
        """Wait until so many more people signed in, and another user was made."""
        before, made = len(self.redeemed), len(self.created)
        wait_for(lambda: len(self.redeemed) >= before + sign_ins and len(self.created) > made)

    def notices(self, times: int = 3) -> None:
        """Wait until so many more requests failed by the server's fault."""
        before = len(self.broken)
        wait_for(lambda: len(self.broken) >= before + times)

    @property
    def counts(self) -> dict[str, int]:
        """How much was done, and how much broke."""
        names = ("opened", "signed_in", "redeemed", "created", "guessed", "broken")
        return {name: len(getattr(self, name)) for name in names}

    # What it does

    @property
    def acts(self) -> list[Callable[[], None]]:
        """What is done over and over, each by a thread."""
        return [self._sign_in] * SIGNERS + [self._create, self._guess]

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            off = self._off()
            try:
                act()
            except (Broken, OSError, http.client.HTTPException) as error:
                self.broken.append(f"{type(error).__name__}: {error}")
                time.sleep(0.05)
            except Exception as error:
                if abs(self._off() - off) < 1:  # else the clock was set in the middle of it
                    self.odd.append(f"{type(error).__name__}: {error}")
                time.sleep(0.05)

    def _off(self) -> float:
        """Return how the clock stands to the seconds that really pass."""
        return self.clock().timestamp() - time.monotonic()

    def _sign_in(self) -> None:
        try:
            person = self._ready.popleft()
        except IndexError:
            time.sleep(0.05)
            return
        try:
            if not self._has_a_code(person):
                time.sleep(0.02)
                return
            self._redeem(self._prove(person))
        finally:
            self._ready.append(person)

    def _has_a_code(self, person: Person) -> bool:
        now = step_at(self.clock())
        return person.unsure or person.step < now + 1

    def _prove(self, person: Person) -> SignIn | None:
        now, again = step_at(self.clock()), person.unsure
        step = person.step if again and person.step >= now - 1 else max(person.step + 1, now)
        session_id, url = self._open(person)
        browser = self.harbor.browser()
        judged(browser.goes_to(url))
        person.step, person.unsure = step, True
        reply = judged(browser.types(code_of(person.phone, step)))
        person.unsure = False
        if reply.status != 303:
            # Else the code had been taken, and the answer been lost on its way; or it was on its
            # way for so long that it was right no more.
            late = step_at(self.clock()) > step + 1
            assert again or late, f"a right code got {reply.status}: {reply.page.text[:300]}"
            return None
        done = SignIn(person, session_id, step, browser.back["result"])
        self.signed_in.append(done)
        return done

    def _open(self, person: Person) -> tuple[str, str]:
        reply = judged(self.harbor.notes.asks(person.id))
        assert reply.status == 201, reply.text
        self.opened.append(reply.json["id"])
        return reply.json["id"], keep_secret(reply.json["url"])

    def _redeem(self, done: SignIn | None) -> None:
        if done is None:
            return
        reply = judged(self.harbor.notes.redeems(done.session_id, done.result))
        assert reply.status == 200, reply.text
        self.redeemed.append(done)

    def _create(self) -> None:
        email = f"{uuid.uuid4().hex[:10]}@harbor.example"
        path = f"/org/{self.harbor.organization.domain}/users"
        reply = judged(self.harbor.backend.calls("POST", path, json={"email": email}))
        if reply.status == 401:  # the token's ten minutes are over, or seem so
            self.harbor.backend._token = ""
            return
        assert reply.status == 201, reply.text
        self.created.append(reply.json["id"])
        time.sleep(0.05)

    def _guess(self) -> None:
        """Try to come in with a wrong code, or with none at all."""
        victim = self._victims[len(self.guessed) % 2]
        session_id, url = self._open(victim)
        self.guessed.append(session_id)
        browser = self.harbor.browser()
        judged(browser.goes_to(url))
        wrong = f"{(int(code_of(victim.phone, step_at(self.clock()))) + 500_000) % 1_000_000:06d}"
        if judged(browser.types(wrong)).status == 303:
            self.odd.append("a wrong code was taken")
        if self.redeemed:
            stolen = self.harbor.notes.redeems(session_id, self.redeemed[-1].result)
            if judged(stolen).status == 200:
                self.odd.append("the result of another session was redeemed")
        time.sleep(0.1)

    # What must hold

    def proves(self) -> None:
        """Hold what clients were told against what the database says, after the fault."""
        assert self.odd == []
        assert self.signed_in, "nobody signed in"
        self._nothing_is_lost()
        self._nothing_counts_twice()
        self._no_door_opened()
        self._the_record_is_whole()

    def _nothing_is_lost(self) -> None:
        sessions = dict(self._rows(sa.select(GatewaySession.id, GatewaySession.status)))
        assert set(self.opened) <= set(sessions)
        assert {sessions[one.session_id] for one in self.signed_in} == {SessionStatus.VERIFIED}
        accepted = set(self._rows(accepted_steps()))
        assert {(one.session_id, one.step) for one in self.signed_in} <= accepted
        redeemed = sa.select(Result.gateway_session_id).where(Result.redeemed_at.is_not(None))
        assert {(one.session_id,) for one in self.redeemed} <= set(self._rows(redeemed))
        users = {str(found) for (found,) in self._rows(sa.select(User.id))}
        assert set(self.created) <= users

    def _nothing_counts_twice(self) -> None:
        used = self._rows(
            sa.select(Verification.authenticator_id, Verification.step).where(Verification.accepted)
        )
        assert len(used) == len(set(used)), "a code was accepted twice"
        told = [(one.person.id, one.step) for one in self.signed_in]
        assert len(told) == len(set(told))
        for one in self.redeemed[-3:]:
            assert self.harbor.notes.redeems(one.session_id, one.result).status == 409
            browser = self.harbor.visits(one.person.id)
            reply = browser.types(code_of(one.person.phone, one.step))
            assert reply.status == 422, "a used code opened the door"

    def _no_door_opened(self) -> None:
        """Whoever came in was let in by a verification of that very session."""
        accepted = {session for session, _ in self._rows(accepted_steps())}
        assert accepted.isdisjoint(self.guessed)
        stated = {session for (session,) in self._rows(sa.select(Result.gateway_session_id))}
        assert stated <= accepted

    def _the_record_is_whole(self) -> None:
        """Each acceptance has its event, in both directions, and the seals are intact."""
        kinds = (EventKind.VERIFICATION_ACCEPTED.value,)
        events = self._rows(
            sa.select(AuditEvent.gateway_session_id).where(
                AuditEvent.kind.in_(kinds), AuditEvent.gateway_session_id.is_not(None)
            )
        )
        accepted = [session for session, _ in self._rows(accepted_steps())]
        assert sorted(session for (session,) in events) == sorted(accepted)
        while self.harbor.services.seals.seal():
            pass
        assert self.harbor.services.seal_checks.check(None).breaks == []

    def _rows(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.harbor.rows(statement)]


def accepted_steps() -> sa.Select[*tuple[Any, ...]]:
    """The accepted verifications of gateway sessions: the session, and the step of the code."""
    return sa.select(Verification.gateway_session_id, Verification.step).where(
        Verification.accepted, Verification.gateway_session_id.is_not(None)
    )


def judged(reply: Reply) -> Reply:
    """Return an answer, unless it says that the fault is the server's."""
    if reply.status >= 500:
        raise Broken(str(reply.status))
    return reply


def step_at(moment: datetime) -> int:
    return int(moment.timestamp()) // _PERIOD


def code_of(phone: Phone, step: int) -> str:
    return phone.code(datetime.fromtimestamp(step * _PERIOD, tz=SystemClock().now().tzinfo))


def enrolled(harbor: Harbor, emails: list[str], now: datetime) -> list[Person]:
    """Make users who enrolled a minute ago: this half minute's code and the next are theirs."""
    earlier = now - timedelta(seconds=2 * _PERIOD)
    services, step, people = wire(harbor.services.config, FixedClock(earlier)), step_at(earlier), []
    with services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        for email in emails:
            made = services.directory.create(tx, OPERATOR, organization, email=email)
            tx.flush()
            user = tx.get_one(User, made.id, options=[joinedload(User.organization)])
            pending = services.enrollment.begin(tx, OPERATOR, user, "totp")
            phone = Phone(services.enrollment.prompt(tx, pending, user).view["uri"])
            confirmed = services.enrollment.confirm(
                tx,
                OPERATOR,
                user,
                pending,
                code_of(phone, step),
                ground=Ground.FIRST,
                occasion=Occasion(),
            )
            assert not isinstance(confirmed, Refused), confirmed
            people.append(Person(str(user.id), phone, step))
    services.database.engine.dispose()
    return people
