"""Who comes while hosts break: sign-ins, enrollments, and codes that are sent twice at once.

The people are those of `tests/faults/load.py`, with what must hold afterwards of what they were
told; here come those whose codes go to both hosts at the same moment, and those who enroll.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa

from app.models import Authenticator, AuthenticatorStatus, User, Verification
from app.models import Event as AuditEvent
from app.services.audit import EventKind
from tests.actors import Phone, Reply
from tests.conftest import OverHttp
from tests.faults.load import Broken, Load, Person, code_of, enrolled, judged, step_at

TWICE_PEOPLE = 60
_PAUSE = 0.05  # seconds between two acts of a thread


@dataclass(frozen=True)
class Asked:
    """A request, when it was sent, how long its answer took, and its status (0: there was none)."""

    began: float
    took: float
    status: int
    what: str

    @property
    def ended(self) -> float:
        """When whoever asked knew."""
        return self.began + self.took

    @property
    def failed(self) -> bool:
        """Whether that is the server's fault."""
        return self.status == 0 or self.status >= 500


class Timed(OverHttp):
    """Notes down every request, in a list that others share.

    Args:
        to: the host and port that it goes to, whatever the address of the deployment is.
    """

    def __init__(self, base_url: str, to: str, asked: list[Asked]) -> None:
        super().__init__(base_url)
        self._asked = asked
        self._to = f"http://{to}"
        self._calls = base_url.removeprefix("http://")
        self.hosts: Counter[str] = Counter()
        """Which hosts answered, and how often."""

    def request(self, method: str, path: str, **more: Any) -> Reply:
        """Carry it."""
        more["headers"] = {**(more.get("headers") or {}), "Host": self._calls}
        began, status = monotonic(), 0
        try:
            reply = OverHttp(self._to).request(method, path, **more)
            status = reply.status
            self.hosts[reply.headers.get("x-host", "")] += 1
            return reply
        finally:
            what = f"{method} {path.partition('?')[0]}"
            self._asked.append(Asked(began, monotonic() - began, status, what))


@dataclass
class Visitors(Load):
    """The load of the tests, and codes sent twice, and enrollments by API.

    Args:
        two: ways to the two hosts, each with the other host behind it for when it doesn't answer.
        asked: where every way notes its requests down.
    """

    two: tuple[Timed, ...] = ()
    asked: list[Asked] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)
    """Users and time steps whose codes were acknowledged."""
    twice: int = 0
    apart: int = 0
    """Pairs that two different hosts judged."""
    enrolled: list[str] = field(default_factory=list)
    """Users whose enrollment was acknowledged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._pool = ThreadPoolExecutor(2 * len(self.two))
        names = [f"{uuid.uuid4().hex[:10]}@harbor.example" for _ in range(TWICE_PEOPLE)]
        self._twins = deque(enrolled(self.harbor, names, self.clock()))
        domain = self.harbor.organization.domain
        self._judges = f"/api/v2/org/{domain}/totp-challenge/validation"
        self._enrolls = f"/api/v2/org/{domain}/totp-enrollment"

    @property
    def acts(self) -> list[Callable[[], None]]:
        """What is done over and over, each by a thread."""
        return [*super().acts, self._send_twice, self._enroll]

    def _send_twice(self) -> None:
        try:
            person = self._twins.popleft()
        except IndexError:
            sleep(_PAUSE)
            return
        try:
            self._prove_twice(person)
        finally:
            self._twins.append(person)

    def _prove_twice(self, person: Person) -> None:
        step = max(person.step + 1, step_at(self.clock()))
        if step > step_at(self.clock()) + 1:
            sleep(_PAUSE)
            return
        person.step = step  # whatever becomes of it, nobody uses it again
        before = [way.hosts.copy() for way in self.two]
        code, path = code_of(person.phone, step), f"{self._judges}/{person.id}"
        told = list(self._pool.map(lambda way: _tells(self._post(way, path, code)), self.two))
        answered = [way.hosts - old for way, old in zip(self.two, before, strict=True)]
        self.twice += 1
        self.apart += len({next(iter(one), "") for one in answered}) == len(self.two)
        if told.count(True) > 1:
            self.odd.append(f"a code was accepted {told.count(True)} times")
        if told.count(False) == len(told):
            self.odd.append("a right code was accepted by neither host")
        if True in told:
            self.taken.append((person.id, step))
        if None in told:
            raise Broken("one of two")

    def _post(self, way: Timed, path: str, code: str) -> Reply | None:
        headers = {"Authorization": f"Bearer {self.harbor.backend.token}"}
        try:
            return judged(way.request("POST", path, headers=headers, json={"code": code}))
        except (Broken, OSError):
            return None

    def _enroll(self) -> None:
        sleep(_PAUSE)
        if not self.created or len(self.enrolled) >= len(self.created):
            return
        user = self.created[-1]
        if user in self.enrolled:
            return
        begun = judged(self.harbor.wire.request("POST", f"{self._enrolls}/{user}", **self._bearer))
        if begun.status != 201:
            raise Broken("begun by a request whose answer was lost")
        phone = Phone(begun.json["otp_uri"])
        confirm = {"json": {"code": code_of(phone, step_at(self.clock()))}, **self._bearer}
        path = f"{self._enrolls}/validation/{user}"
        reply = judged(self.harbor.wire.request("PUT", path, **confirm))
        assert reply.json["success"], reply.text
        self.enrolled.append(user)

    @property
    def _bearer(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.harbor.backend.token}"}}

    def proves(self) -> None:
        """Hold what clients were told against what the database says, after the faults."""
        super().proves()
        assert self.twice
        assert self.apart, "no pair of codes was judged by two hosts"
        assert self.enrolled, "nobody enrolled"
        self._codes_are_kept()
        self._enrollments_are_kept()

    def _codes_are_kept(self) -> None:
        found = Verification.accepted, Verification.gateway_session_id.is_(None)
        rows = sa.select(Verification.user_id, Verification.step).where(*found)
        kept = Counter((str(user), step) for user, step in self._rows(rows))
        lost = set(self.taken) - set(kept)
        assert not lost, f"{len(lost)} acknowledged verifications are lost"
        assert max(kept.values()) == 1, "a code was accepted twice"
        told = sa.select(AuditEvent.user_id).where(
            AuditEvent.kind == EventKind.VERIFICATION_ACCEPTED.value,
            AuditEvent.gateway_session_id.is_(None),
        )
        events = Counter(str(user) for (user,) in self._rows(told))
        assert events == Counter(user for user, _ in kept.elements()), "events are missing"

    def _enrollments_are_kept(self) -> None:
        active = Authenticator.status == AuthenticatorStatus.ACTIVE
        owners = sa.select(User.id).join(Authenticator, Authenticator.user_id == User.id)
        kept = {str(user) for (user,) in self._rows(owners.where(active))}
        assert set(self.enrolled) <= kept, "acknowledged enrollments are lost"
        kind = AuditEvent.kind == EventKind.AUTHENTICATOR_CONFIRMED.value
        told = {str(user) for (user,) in self._rows(sa.select(AuditEvent.user_id).where(kind))}
        assert set(self.enrolled) <= told, "events of enrollments are missing"


def _tells(reply: Reply | None) -> bool | None:
    """Return the verdict; None if nobody knows."""
    return None if reply is None else bool(reply.json["success"])


def course(asked: list[Asked], began: float, ended: float) -> dict[str, float]:
    """Return how requests went that were sent in a time: how many, their median and tail in ms."""
    found = [one for one in asked if began <= one.began < ended]
    times = [one.took * 1000 for one in found if not one.failed]
    return {
        "requests": len(found),
        "a_second": round(len(found) / (ended - began), 1),
        "p50_ms": round(median(times), 1),
        "p99_ms": round(quantiles(times, n=100)[-1], 1),
        "failed": sum(one.failed for one in found),
    }
