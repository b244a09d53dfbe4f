"""What must be true of one user: a small model that shares no code with the product.

It knows what is enrolled, which answers were used, what was charged, and who may pass. It knows no
pages, no rows and no protocols.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tests.actors import Phone

WAITS = [
    (20, timedelta(hours=24)),
    (10, timedelta(hours=1)),
    (9, timedelta(minutes=15)),
    (8, timedelta(minutes=5)),
    (7, timedelta(minutes=2)),
    (6, timedelta(minutes=1)),
    (5, timedelta(seconds=30)),
]
PER_VISIT, PER_USER, PER_BYPASS_CODE, REENROLLMENTS = 5, 100, 10, 5
DAY, PENDING_FOR = timedelta(hours=24), timedelta(minutes=30)
STEP, NEAR, FAR = 30, 1, 20
"""Seconds of a code, and how many steps either side are accepted, or told apart from wrong."""


class Step(StrEnum):
    """Where a visit stands; each is the end of its page's address."""

    SET_UP = "set-up"
    ENROLL = "enroll"
    SAVE_CODES = "recovery-codes"
    VERIFY = "verify"
    DUE = "due"
    BLOCKED = "blocked"
    UNMET = "unmet"
    ENDED = "ended"


class Verdict(StrEnum):
    ACCEPTED = "verification:accepted"
    REFUSED = "verification:refused"
    UNJUDGED = ""


@dataclass
class Count:
    """Consecutive wrong answers for one thing, and until when that keeps others from it."""

    failures: int = 0
    retry_at: datetime | None = None

    def is_locked(self, now: datetime) -> bool:
        return self.retry_at is not None and self.retry_at > now

    def charge(self, now: datetime) -> None:
        self.failures += 1
        waits = [wait for least, wait in WAITS if self.failures >= least]
        self.retry_at = now + waits[0] if waits else None

    def forgive(self) -> None:
        self.failures, self.retry_at = 0, None


@dataclass(eq=False)
class Method:
    """An authenticator app."""

    phone: Phone
    ends: datetime
    """As long as its first code has not come."""
    codes: frozenset[str] | None = None
    """Recovery codes that start to work with it."""
    newest: int = -1
    """Of the steps whose codes were accepted."""
    told: set[int] = field(default_factory=set)
    """Steps of which a page told that their code comes from a wrong clock."""
    count: Count = field(default_factory=Count)

    def judge(self, answer: str, now: datetime, visit: Visit | None) -> bool:
        steps = {step for step in range(-FAR, FAR + 1) if self.phone.code(now, step) == answer}
        current = int(now.timestamp()) // STEP
        near = {current + step for step in steps if abs(step) <= NEAR}
        new = {step for step in near if step > self.newest}
        if new:
            if min(new) in self.told:
                return False
            self.newest = min(new)
            return True
        if not near and steps and visit:
            self.told.add(current + min(steps, key=abs))
        return False


@dataclass(eq=False)
class Visit:
    """One ask of an application about the user, in one browser."""

    ends: datetime
    demands: bool = False
    """Whether the application asks for a class, so that no bypass code will do."""
    judged: int = 0
    over: bool = False
    pending: Method | None = None
    enrolled: Method | None = None
    """What was set up in it, while its new recovery codes wait to be saved."""
    recovered: bool = False

    def is_over(self, now: datetime) -> bool:
        return self.over or now >= self.ends

    def begun(self, now: datetime) -> Method | None:
        return self.pending if self.pending and now < self.pending.ends else None


@dataclass(eq=False)
class Person:
    """A user of one organization."""

    method: Method | None = None
    lost: Method | None = None
    """What a recovery code put out of use, until something is set up in its place."""
    begun: Method | None = None
    """What a backend began."""
    open: bool = True
    """Whether something may be set up without further proof."""
    approved: bool = False
    barred: bool = False
    failures: int = 0
    codes: set[str] = field(default_factory=set)
    used_codes: set[str] = field(default_factory=set)
    recovery: Count = field(default_factory=Count)
    recovered_at: datetime | None = None
    reenrollments: int = 0
    bypass: str = ""
    bypass_ends: datetime | None = None
    bypass_failures: int = 0
    visits: list[Visit] = field(default_factory=list)

    # Where a visit stands

    def step(self, visit: Visit, now: datetime) -> Step:
        if visit.is_over(now):
            return Step.ENDED
        if self.barred:
            return Step.BLOCKED
        if visit.enrolled and visit.enrolled is self.method:
            return Step.SAVE_CODES
        if self.ground(visit):
            return Step.ENROLL if visit.begun(now) else Step.SET_UP
        if self.method:
            return Step.VERIFY
        if self.lost:
            return Step.DUE
        return Step.UNMET if visit.demands else Step.BLOCKED

    def ground(self, visit: Visit | None) -> str:
        """Return why something may be set up, or nothing; without a visit a backend asks."""
        recovered = visit.recovered if visit else self.lost is not None
        if self.method:
            return ""
        if self.open:
            return "first"
        if not self.lost:
            return ""
        if self.approved:
            return "approved"
        return "recovered" if recovered else ""

    # Answers

    def answers(self, answer: str, now: datetime, visit: Visit | None = None) -> Verdict:
        """Judge a code of the app that the user has."""
        assert self.method
        return self._judge(self.method, answer, now, visit)

    def confirms(
        self, method: Method, answer: str, now: datetime, visit: Visit | None = None
    ) -> Verdict:
        """Judge the first code of an app."""
        ground = self.ground(visit)
        verdict = self._judge(method, answer, now, visit)
        if verdict is not Verdict.ACCEPTED:
            return verdict
        self.method, self.lost = method, None
        self.open = self.approved = False
        self.reenrollments += ground == "recovered"
        if visit:
            visit.pending = None
            visit.enrolled = method if ground == "first" else None
        else:
            self.begun = None
        if method.codes is not None:
            self.has_codes(method.codes)
        return verdict

    def recovers(self, answer: str, now: datetime, visit: Visit | None = None) -> Verdict:
        """Judge a recovery code; a right one puts the app out of use."""
        stands_in = self.method is not None or self.lost is not None
        if stands_in and not self.may_recover(now):
            return Verdict.UNJUDGED
        if not self._charge(visit, self.recovery, now):
            return Verdict.UNJUDGED
        if answer not in self.codes:
            return self._refuse(visit)
        self.codes.remove(answer)
        self.used_codes.add(answer)
        self.failures = 0
        self.recovery.forgive()
        self.lost, self.method = self.method or self.lost, None
        self.recovered_at = now
        if visit:
            visit.recovered = True
        return Verdict.ACCEPTED

    def has_codes(self, new: Iterable[str]) -> None:
        """Give the user new recovery codes in place of all others."""
        self.codes, self.used_codes = set(new), self.used_codes | self.codes

    def may_recover(self, now: datetime) -> bool:
        recently = self.recovered_at is not None and now < self.recovered_at + DAY
        return not recently and self.reenrollments < REENROLLMENTS

    def bypasses(self, answer: str, now: datetime, visit: Visit) -> Verdict:
        """Judge a bypass code, which is charged to the visit and to itself."""
        if visit.judged >= PER_VISIT:
            return Verdict.UNJUDGED
        visit.judged += 1
        stands = bool(self.bypass and self.bypass_ends and now < self.bypass_ends)
        if stands and self.bypass_failures < PER_BYPASS_CODE:
            self.bypass_failures += 1
            if answer == self.bypass:
                self.bypass, visit.over = "", True
                return Verdict.ACCEPTED
        return self._refuse(visit)

    def _judge(self, method: Method, answer: str, now: datetime, visit: Visit | None) -> Verdict:
        if not self._charge(visit, method.count, now):
            return Verdict.UNJUDGED
        if not method.judge(answer, now, visit):
            return self._refuse(visit)
        self.failures = 0
        method.count.forgive()
        return Verdict.ACCEPTED

    def _charge(self, visit: Visit | None, count: Count, now: datetime) -> bool:
        """Charge an answer before it is judged: to the visit, the user and what it is for."""
        if visit and visit.judged >= PER_VISIT:
            visit.over = True
            return False
        if self.barred or self.failures >= PER_USER or count.is_locked(now):
            return False
        self.failures += 1
        count.charge(now)
        if visit:
            visit.judged += 1
        return True

    def _refuse(self, visit: Visit | None) -> Verdict:
        if visit and visit.judged >= PER_VISIT:
            visit.over = True
        return Verdict.REFUSED

    # What administrators do

    def is_reset(self, *, reopens: bool) -> None:
        self.method = self.lost = self.begun = None
        self.has_codes([])
        self.open = self.open or reopens
        self.approved, self.reenrollments = False, 0
        for visit in self.visits:
            visit.pending = None

    def is_unlocked(self) -> None:
        self.failures = 0
        self.recovery.forgive()
        for method in (self.method, self.lost, self.begun, *(it.pending for it in self.visits)):
            if method:
                method.count.forgive()

    def is_approved(self) -> None:
        self.reenrollments, self.approved = 0, self.lost is not None

    def is_barred(self) -> None:
        self.barred, self.bypass = True, ""

    def is_given_bypass(self, code: str, until: datetime) -> None:
        self.bypass, self.bypass_ends, self.bypass_failures = code, until, 0
