"""Measures how fast Gatehouse is, as ratios to its own /healthz: `make bench`.

One number a second says more about the machine than about the code. So each slice of a call is
measured right beside a slice of /healthz, over the same connections, and the ratio of the two is
what to compare between two versions of the code. The bench shares the machine with the servers.

The floor is the least that any Flask view with a database does to accept a code (`floor.py`), under
the same server with the same settings. A sign-in does much more; the ratio says how much it costs.

The part `admin` looks at the admin area of an organization with 100,000 users, 1,000,000
verifications and as many events; how long that takes depends most on making them.

The part `messages` has 200 messages a second fall due, at a provider that takes 300 ms for each,
and tells at which share of its rate a right code is judged meanwhile.

    make bench
    .venv/bin/python bench/run.py --json --database sqlite --part visits
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from urllib.parse import parse_qs, urlencode, urlsplit

import admin
import floor
import messages
import results
import verifications
from load import Call, Connections, Reply, Sample, WrongAnswer
from stage import DATABASES, Person, Stage, stage

PARTS = ["verification", "visits", "messages", "admin"]
VERIFICATION_PART, VISITS_PART, MESSAGES_PART, ADMIN_PART = PARTS
SHORT = [VERIFICATION_PART, VISITS_PART]
"""Parts of `make bench`; the others take much longer."""
ROUNDS = 10
MESSAGE_ROUNDS = 2
VISITS = 24
"""Sign-ins in a round; each has a user of its own, whose code works once."""
SLICE = 0.25  # seconds, of a call that can be repeated at will
BESIDE_VISITS = 24
"""Sign-ins that are judged while messages are sent."""
LONGEST = 30.0  # seconds of what is measured as a whole
LONGEST_SLICE = 1.5  # seconds, of one that ends when each visit had its turn
BESIDE = 0.12  # seconds of /healthz beside each slice
WITHIN = {"sqlite": 34, "postgresql": 70}  # seconds, after which no further round begins
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HEALTH = Call("GET", "/healthz", 200)
KEYS = Call("GET", "/.well-known/jwks.json", 200)
HEALTH_ROW, VERIFY_ROW, FLOOR_ROW = "GET /healthz", "POST a right code", "the floor"
LOOK_ROW = "GET the verify page"
ALONE_ROW, BESIDE_ROW = "a right code, nothing else", "a right code, beside messages"


class Visit:
    """One sign-in, from the application's ask to the redeemed result; each method is a step."""

    def __init__(self, made: Stage, person: Person) -> None:
        application = made.demo["application"]
        pair = f"{application['client_id']}:{application['client_secret']}".encode()
        self._basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        self._sessions = f"/api/v2/org/{made.demo['organization']['domain']}/gateway-sessions"
        self._redirect_uri = application["redirect_uri"]
        self._person = person
        self._id = self._start = self._page = self._csrf = self._result = ""
        self._cookies: dict[str, str] = {}

    def open(self) -> Call:
        """Ask, as the application."""
        return self._from_application(
            self._sessions,
            201,
            {"user_id": self._person.id, "redirect_uri": self._redirect_uri, "state": "s"},
        )

    def enter(self) -> Call:
        """Come with the browser."""
        return Call("GET", self._start, 303, then=self._learn)

    def look(self) -> Call:
        """Look at the page."""
        return Call("GET", self._page, 200, self._cookie(), then=self._learn)

    def mistype(self) -> Call:
        """Type a code of another hour."""
        return self._type(floor.code(self._person.secret, floor.step_now() - 1000), 422)

    def confirm(self) -> Call:
        """Type the right code."""
        return self._type(floor.code(self._person.secret, floor.step_now()), 303)

    def redeem(self) -> Call:
        """Use the result up, as the application."""
        return self._from_application(
            f"{self._sessions}/{self._id}/redeem", 200, {"result": self._result}
        )

    def checks(self) -> list[Call]:
        """Have the floor judge the same code, for each of the user's devices there."""
        code = floor.code(self._person.secret, floor.step_now())
        bodies = [urlencode({"name": name, "code": code}) for name in self._person.floor_names]
        return [Call("POST", "/check", 200, FORM, body.encode()) for body in bodies]

    def _from_application(self, path: str, status: int, fields: dict[str, str]) -> Call:
        headers = {**self._basic, "Content-Type": "application/json"}
        return Call("POST", path, status, headers, json.dumps(fields).encode(), self._open_learn)

    def _type(self, code: str, status: int) -> Call:
        body = urlencode({"csrf_token": self._csrf, "code": code}).encode()
        return Call("POST", self._page, status, {**FORM, **self._cookie()}, body, self._learn)

    def _cookie(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def _open_learn(self, reply: Reply) -> None:
        answer = json.loads(reply.body)
        url = urlsplit(answer.get("url", ""))
        self._id, self._start = answer["id"], f"{url.path}?{url.query}"

    def _learn(self, reply: Reply) -> None:
        """Keep cookies, the form's token, and where the answer leads."""
        for header in reply.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self._cookies[name] = value
        if found := re.search(rb'name="csrf_token" value="([^"]+)"', reply.body):
            self._csrf = found[1].decode()
        location = urlsplit(reply.headers.get("Location", ""))
        self._page = self._page or location.path
        self._result = parse_qs(location.query).get("result", [""])[0]


@dataclass
class Row:
    """What all slices of one call came to."""

    times: list[float]
    rates: list[float]
    ratios: list[float]


class Bench:
    """The measurements on one database."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.sent: list[float] = []
        """Messages a second, in each round beside them."""
        self.judged: dict[str, dict[str, float]] = {}
        """Codes by API, beside the floor."""
        self.grown: dict[str, float] = {}
        """Megabytes by which exports made the servers grow."""

    def round(self, made: Stage, people: list[Person]) -> None:
        """Measure each call once, and take these people through a sign-in."""
        with ExitStack() as stack:
            gateway = stack.enter_context(Connections(made.port))
            at = stack.enter_context(Connections(made.floor_port))
            gateway.measure(repeat(KEYS), BESIDE)  # so that all have their connections
            self.beside("GET /.well-known/jwks.json", gateway, repeat(KEYS), SLICE)
            self.beside("POST /oauth/token", gateway, repeat(_token_call(made)), SLICE)
            visits = [Visit(made, person) for person in people]
            for name, step in (
                ("POST gateway-sessions", Visit.open),
                ("GET the address, first visit", Visit.enter),
                (LOOK_ROW, Visit.look),
                ("POST a wrong code", Visit.mistype),
                (VERIFY_ROW, Visit.confirm),
                ("POST redeem", Visit.redeem),
            ):
                calls = [step(visit) for visit in visits]
                sample = self.beside(name, gateway, calls, LONGEST_SLICE)
                visits = [visits[number] for number in sample.done]
                if step is Visit.confirm:
                    checks = [call for visit in visits for call in visit.checks()]
                    self.beside(FLOOR_ROW, at, checks, LONGEST_SLICE, gateway=gateway)

    def beside(
        self,
        name: str,
        to: Connections,
        calls: Iterable[Call],
        seconds: float,
        *,
        gateway: Connections | None = None,
    ) -> Sample:
        """Measure calls right beside a slice of /healthz.

        Args:
            gateway: connections to Gatehouse, if `to` are to another server.
        """
        health = (gateway or to).measure(repeat(HEALTH), BESIDE)
        sample = to.measure(calls, seconds)
        self._keep(HEALTH_ROW, health, health)
        self._keep(name, sample, health)
        return sample

    def _keep(self, name: str, sample: Sample, health: Sample) -> None:
        row = self.rows.setdefault(name, Row([], [], []))
        row.times += sample.times
        row.rates.append(sample.rate)
        row.ratios.append(sample.rate / health.rate)

    def beside_messages(self, made: Stage, traffic: messages.Traffic) -> None:
        """Measure right codes alone, and then beside messages that are sent."""
        with Connections(made.port) as gateway:
            gateway.measure(repeat(KEYS), BESIDE)
            self._confirm(made, gateway, ALONE_ROW)
            calls = self._ready(made, gateway)
            traffic.beside(lambda: self._take(BESIDE_ROW, gateway, calls))
        self.sent = traffic.rates

    def _confirm(self, made: Stage, gateway: Connections, name: str) -> None:
        self._take(name, gateway, self._ready(made, gateway))

    def _ready(self, made: Stage, gateway: Connections) -> list[Call]:
        """Return right codes of people who look at the page that asks for them."""
        visits = [Visit(made, person) for person in made.enroll(BESIDE_VISITS)]
        for step in (Visit.open, Visit.enter, Visit.look):
            gateway.measure([step(visit) for visit in visits], LONGEST)
        return [visit.confirm() for visit in visits]

    def _take(self, name: str, gateway: Connections, calls: list[Call]) -> None:
        sample = gateway.measure(calls, LONGEST)
        row = self.rows.setdefault(name, Row([], [], []))
        row.times += sample.times
        row.rates.append(sample.rate)

    def kept(self) -> dict[str, float] | None:
        """Return how many messages went in a second, and which share of codes' rate was kept."""
        if not self.sent:
            return None
        alone, beside = (median(self.rows[name].rates) for name in (ALONE_ROW, BESIDE_ROW))
        return {
            "per_second": round(median(self.sent), 1),
            "alone_per_second": round(alone, 1),
            "beside_per_second": round(beside, 1),
            "kept": round(beside / alone, 3),
        }

    def report(self) -> dict[str, dict[str, float]]:
        """Return the table: rates and ratios are medians over the slices."""
        if HEALTH_ROW not in self.rows:
            return {}
        health = _p50_p95(self.rows[HEALTH_ROW])
        return {name: _line(row, health) for name, row in self.rows.items() if row.ratios}

    def page_to_floor(self) -> float | None:
        """Return the rate of a look at the page with its form, as a share of two of the floor."""
        if VERIFY_ROW not in self.rows:
            return None
        looks, forms, floors = (self.rows[name].rates for name in (LOOK_ROW, VERIFY_ROW, FLOOR_ROW))
        took = [1 / look + 1 / form for look, form in zip(looks, forms, strict=True)]
        pairs = zip(floors, took, strict=True)
        return round(median(2 / rate / seconds for rate, seconds in pairs), 3)

    def to_floor(self) -> float | None:
        """Return the verification's rate as a share of the floor's, in the median of rounds."""
        if VERIFY_ROW not in self.rows:
            return None
        pairs = zip(self.rows[VERIFY_ROW].rates, self.rows[FLOOR_ROW].rates, strict=True)
        return round(median(one / other for one, other in pairs), 3)


def _token_call(made: Stage) -> Call:
    key = made.demo["api_key"]
    fields = {
        "grant_type": "client_credentials",
        "client_id": key["client_id"],
        "client_secret": key["client_secret"],
    }
    return Call("POST", "/oauth/token", 200, FORM, urlencode(fields).encode())


def _line(row: Row, health: tuple[float, float]) -> dict[str, float]:
    p50, p95 = _p50_p95(row)
    return {
        "per_second": round(median(row.rates), 1),
        "per_second_ratio": round(median(row.ratios), 3),
        "p50_ms": round(p50 * 1000, 2),
        "p50_ratio": round(p50 / health[0], 2),
        "p95_ms": round(p95 * 1000, 2),
        "p95_ratio": round(p95 / health[1], 2),
    }


def _p50_p95(row: Row) -> tuple[float, float]:
    times = row.times * 2 if len(row.times) == 1 else row.times
    return median(times), quantiles(times, n=20)[-1]


def measure(kind: str, began: float, parts: list[str]) -> Bench:
    """Measure on one kind of database."""
    bench = Bench()
    with (
        tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder,
        stage(kind, Path(folder)) as made,
    ):
        if VERIFICATION_PART in parts:
            bench.judged = verifications.measure(made)
        if VISITS_PART in parts:
            _measure_visits(bench, made, began + WITHIN[kind])
        if MESSAGES_PART in parts:
            traffic = messages.traffic(made)
            for _ in range(MESSAGE_ROUNDS):
                bench.beside_messages(made, traffic)
        if ADMIN_PART in parts:
            bench.grown = admin.measure(made, bench.beside)
    return bench


def _measure_visits(bench: Bench, made: Stage, end: float) -> None:
    """Measure as many rounds as there is time for."""
    longest = 0.0
    for _ in range(ROUNDS):
        before = monotonic()
        bench.round(made, made.enroll(VISITS))
        longest = max(longest, monotonic() - before)
        if monotonic() + longest > end:
            break


def show(kind: str, bench: Bench) -> None:
    """Print one table."""
    for name, line in bench.judged.items():
        print(f"{kind}: {name:<24}{line['per_second']:>8.0f}/s{line['of_floor']:>8.2f}", end="")
        print(f"{line['p50_ms']:>10.1f} ms{line['p99_ms']:>10.1f} ms{line['p99_to_p50']:>6.1f}")
    print(f"\n{kind:<30}{'requests/s':>12}{'ratio':>8}{'p50 ms':>10}{'ratio':>8}", end="")
    print(f"{'p95 ms':>10}{'ratio':>8}")
    for name, line in bench.report().items():
        print(f"{name:<30}{line['per_second']:>12.0f}{line['per_second_ratio']:>8.2f}", end="")
        print(f"{line['p50_ms']:>10.1f}{line['p50_ratio']:>8.1f}", end="")
        print(f"{line['p95_ms']:>10.1f}{line['p95_ratio']:>8.1f}")
    if (to_floor := bench.to_floor()) is not None:
        rounds = len(bench.rows[VERIFY_ROW].rates)
        print(f"A right code runs at {to_floor:.2f} of the floor. Rounds: {rounds}.")
    if kept := bench.kept():
        print(
            f"Beside {kept['per_second']:.0f} messages a second (of {messages.RATE} that fall due) "
            f"right codes keep "
            f"{kept['kept']:.2f} of their rate ({kept['beside_per_second']:.0f} of "
            f"{kept['alone_per_second']:.0f} a second)."
        )
    for name, megabytes in bench.grown.items():
        print(f"The {name} made the servers hold {megabytes:.0f} MB more.")
    sys.stdout.flush()


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description="Measure Gatehouse as ratios to its /healthz.")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--database", choices=DATABASES, help="only this one (default: both)")
    parser.add_argument("--part", choices=PARTS, help="only this one (default: the short ones)")
    parser.add_argument("--full", action="store_true", help="all parts")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the servers end, too
    began, told = monotonic(), {}
    parts = PARTS if options.full else SHORT
    for kind in [options.database] if options.database else DATABASES:
        try:
            bench = measure(kind, began, [options.part] if options.part else parts)
        except WrongAnswer as error:
            sys.exit(f"{kind}: {error}")
        told[kind] = {
            "verification": bench.judged,
            "page_to_floor": bench.page_to_floor(),
            "calls": bench.report(),
            "right_code_to_floor": bench.to_floor(),
            "messages": bench.kept(),
            "exports_grew_mb": bench.grown,
        }
        if not options.json:
            show(kind, bench)
    if not options.part and not options.database:
        results.write(told)
    if options.json:
        print(json.dumps(told | {"processors": os.cpu_count()}))


if __name__ == "__main__":
    main()
