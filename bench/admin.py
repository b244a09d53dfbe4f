"""The admin area of an organization with 100,000 users, as an administrator's browser sees it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import crowd
import floor
import sqlalchemy as sa
from beside import Besides
from load import Call, Connections, WrongAnswer
from part import Figure
from stage import Stage

from app.models import Environment, Event

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SLICE = 1.0  # seconds of one page
ROUNDS = 2
LONGEST = 120.0  # seconds for one export


@dataclass
class Desk:
    """An administrator's browser: it signs in as people do, and keeps its cookies."""

    made: Stage
    to: Connections
    cookies: dict[str, str] = field(default_factory=dict)
    page: str = ""
    csrf: str = ""
    location: str = ""

    @property
    def cookie(self) -> dict[str, str]:
        """The header that the browser sends."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def sign_in(self) -> None:
        """Go the whole way: password, the code on the hosted page, and back."""
        who = self.made.demo["administrator"]
        self._get("/admin/sign-in")
        self._post("/admin/sign-in", email=who["email"], password=who["password"])
        self._follow()
        secret = base64.b32decode(who["totp_secret"])
        self._post(self.page, code=floor.code(secret, floor.step_now()))
        self._follow()

    def _follow(self) -> None:
        while self.location:
            self._get(self.location)

    def _get(self, path: str) -> None:
        self._send("GET", path, self.cookie, None)

    def _post(self, path: str, **fields: str) -> None:
        body = urlencode({"csrf_token": self.csrf, **fields}).encode()
        self._send("POST", path, {**FORM, **self.cookie}, body)

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> None:
        reply = self.to.ask(Call(method, path, 0, headers, body))
        if reply.status not in {200, 303}:
            raise WrongAnswer(f"{method} {path}: {reply.status}")
        for header in reply.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        if found := re.search(rb'name="csrf_token" value="([^"]+)"', reply.body):
            self.csrf = found[1].decode()
        to = urlsplit(reply.headers.get("Location", ""))
        self.location = f"{to.path}?{to.query}" if reply.status == 303 else ""
        self.page = path.partition("?")[0]


def measure(made: Stage) -> list[Figure]:
    """Fill the demo's organization, look at each page of it, and have files made."""
    place, user = _fill(made)
    besides = Besides()
    with Connections(made.port) as to:
        desk = Desk(made, to)
        desk.sign_in()
        for _ in range(ROUNDS):
            for name, path in _pages(made, user):
                call = Call("GET", f"{place}{path}", 200, desk.cookie)
                besides.measure(name, to, repeat(call), SLICE)
        grown = {
            name: _export(made, besides, to, desk, name, f"{place}{path}") for name, path in EXPORTS
        }
    more = [Figure(f"{name}: memory more", megabytes, " MB") for name, megabytes in grown.items()]
    return besides.figures() + more


def _fill(made: Stage) -> tuple[str, str]:
    """Put the crowd in, and return the organization's address and the id of somebody in it."""
    wired, demo = made.wired, made.demo
    with wired.database.reading() as tx:
        domain = demo["organization"]["domain"]
        organization = wired.organizations.find(tx, Environment.SANDBOX, domain)
        application = wired.applications.find(tx, demo["application"]["client_id"])
        assert application is not None
    crowd.fill(wired, organization, application)
    with wired.database.reading() as tx:
        user = wired.directory.find(tx, organization, "user77777@harbor.example")
    return f"/admin/sandbox/{domain}", str(user.id)


def _pages(made: Stage, user: str) -> list[tuple[str, str]]:
    with made.wired.database.reading() as tx:
        middle = (tx.scalar(sa.select(sa.func.max(Event.id))) or 0) // 2
    return [
        ("overview, 14 days", "/"),
        ("overview, 90 days", "/?period=90d"),
        ("overview, 24 hours", "/?period=24h"),
        ("users, first page", "/users"),
        ("users, last page", f"/users?page={crowd.USERS // 25}"),
        ("users, by name", "/users?sort=name"),
        ("users, search", "/users?q=user4711"),
        ("users, overdue", "/users?status=overdue"),
        ("one user", f"/users/{user}"),
        ("audit, first page", "/audit"),
        ("audit, refusals", "/audit?kind=verification%3Arefused"),
        ("audit, one user's", "/audit?user=user77777%40harbor.example"),
        ("audit, half-way down", f"/audit?at=o{middle}"),
    ]


EXPORTS = (
    ("export of all users", "/users/export.csv"),
    ("export of all refusals", "/audit/events.csv?kind=verification%3Arefused"),
)


def _export(
    made: Stage, besides: Besides, to: Connections, desk: Desk, name: str, path: str
) -> float:
    """Have a file made once, and return by how many megabytes the servers grew for it."""
    before = _peaks(made.server)
    besides.measure(name, to, [Call("GET", path, 200, desk.cookie)], LONGEST)
    after = _peaks(made.server)
    return max(after[pid] - before.get(pid, 0) for pid in after) / 1024


def _peaks(server: int) -> dict[int, int]:
    """Return the most memory, in KB, that each process of the server ever held."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = {}
    for pid in map(int, children):
        status = Path(f"/proc/{pid}/status").read_text()
        [peak] = re.findall(r"VmHWM:\s+(\d+)", status)
        found[pid] = int(peak)
    return found
