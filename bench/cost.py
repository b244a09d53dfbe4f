"""What one request costs by itself: statements, and time of the processor, beside the floor.

All runs in this one process and thread, and time is that of the thread, so what else the machine
does spoils little: rates need a quiet machine, these figures do not. Slices of each call and of the
floor take turns, and every figure is the median of the slices.

    .venv/bin/python bench/cost.py
    .venv/bin/python bench/cost.py --database sqlite --profile "a right code, by API"
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import os
import pstats
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit

import floor
import sqlalchemy as sa
from single import STEP, Alone, Ask, alone, jar, send
from stage import DATABASES, Person

USERS = 40
ROUNDS = 9
FLOOR, RIGHT, WRONG = "the floor", "a right code, by API", "a wrong code, by API"
LOOK, TYPE = "the verify page", "a right code, on the page"


class Statements:
    """Counts what an engine sends, commits and all."""

    def __init__(self, engine: sa.Engine) -> None:
        self.sent: list[str] = []
        sa.event.listen(engine, "before_cursor_execute", self._keep)
        sa.event.listen(engine, "commit", lambda _connection: self.sent.append("COMMIT"))

    def _keep(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.sent.append(" ".join(statement.split()))


class Desk:
    """Makes the requests of each round."""

    def __init__(self, found: Alone, *, pages: bool) -> None:
        made = found.made
        self.app, self.floor_app, self._pages = found.app, found.floor_app, pages
        self._made, self._clock = made, found.clock
        self._place = f"/api/v2/org/{made.demo['organization']['domain']}"
        self._people = made.enroll(USERS)
        self._bearer = self._token()

    def round(self) -> dict[str, tuple[Any, list[Ask]]]:
        """Return what is asked of which application, a step of time later."""
        self._clock.move(2 * STEP)
        visits = [self._visit(one) for one in self._people if self._pages]
        floor_asks = [
            Ask("/check", 200, urlencode({"name": one.floor_names[0], "code": code}).encode())
            for one in self._people
            for code in [floor.code(one.secret, self._step())]
        ]
        return {
            FLOOR: (self.floor_app, floor_asks),
            WRONG: (self.app, [self._judge(one, -1000) for one in self._people]),
            RIGHT: (self.app, [self._judge(one, 0) for one in self._people]),
            **({LOOK: (self.app, [look for look, _ in visits])} if visits else {}),
            **({TYPE: (self.app, [typed for _, typed in visits])} if visits else {}),
        }

    def _step(self) -> int:
        return int(self._clock.now().timestamp()) // floor.PERIOD

    def _judge(self, one: Person, off: int) -> Ask:
        body = json.dumps({"code": floor.code(one.secret, self._step() + off)}).encode()
        path = f"{self._place}/totp-challenge/validation/{one.id}"
        return Ask(path, 200, body, "application/json", {"HTTP_AUTHORIZATION": self._bearer})

    def _token(self) -> str:
        key = self._made.demo["api_key"]
        fields = {name: key[name] for name in ("client_id", "client_secret")}
        body = urlencode({"grant_type": "client_credentials", **fields}).encode()
        told = send(self.app, Ask("/oauth/token", 200, body))
        return f"Bearer {json.loads(told.body)['access_token']}"

    def _visit(self, one: Person) -> tuple[Ask, Ask]:
        """Return the look at the page of a new session, and the form with the code, a step on."""
        fields = {
            "user_id": one.id,
            "redirect_uri": self._made.demo["application"]["redirect_uri"],
            "client_id": self._made.demo["application"]["client_id"],
        }
        opened = Ask(
            f"{self._place}/gateway-sessions",
            201,
            json.dumps(fields).encode(),
            "application/json",
            {"HTTP_AUTHORIZATION": self._bearer},
        )
        url = urlsplit(json.loads(send(self.app, opened).body)["url"])
        entered = send(self.app, Ask(f"{url.path}?{url.query}", 303))
        cookies = entered.cookies
        look = Ask(entered.header("Location"), 200, headers={"HTTP_COOKIE": jar(cookies)})
        page = send(self.app, look)
        cookies |= page.cookies
        code = floor.code(one.secret, self._step() + 1)
        body = urlencode({"csrf_token": page.csrf, "code": code}).encode()
        typed = Ask(look.path, 303, body, headers={"HTTP_COOKIE": jar(cookies)})
        return look, typed


@dataclass
class Cost:
    """What one kind of request came to."""

    milliseconds: list[float] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


def measure(desk: Desk, counters: list[Statements], rounds: int) -> dict[str, Cost]:
    """Take so many rounds."""
    costs: dict[str, Cost] = {}
    for number in range(rounds + 1):
        for name, (app, asks) in desk.round().items():
            for counter in counters:
                counter.sent.clear()
            took = [send(app, ask).took for ask in asks]
            cost = costs.setdefault(name, Cost())
            if number:  # the first warms up
                cost.milliseconds.append(median(took) * 1000)
            sent = [one for counter in counters for one in counter.sent]
            cost.statements = sent[-len(sent) // len(asks) :]
    return costs


def profile(desk: Desk, name: str, rounds: int) -> str:
    """Return where the time of one kind of request goes."""
    profiler = cProfile.Profile()
    number = 0
    for _ in range(rounds):
        for one, (app, asks) in desk.round().items():
            for ask in asks:
                if one == name:
                    number += 1
                    profiler.enable()
                send(app, ask)
                profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("cumulative").print_stats(900)
    return f"{number} requests\n{text.getvalue()}"


def on(kind: str, act: Callable[[Desk, list[Statements]], object], *, pages: bool) -> None:
    """Do something with a fresh database of this kind."""
    with alone(kind) as found:
        act(Desk(found, pages=pages), [Statements(engine) for engine in found.engines])


def show(kind: str, costs: dict[str, Cost], told: bool) -> None:
    """Print a table."""
    least = median(costs[FLOOR].milliseconds)
    print(f"\n{kind:<30}{'ms of CPU':>12}{'x floor':>10}{'share':>8}{'statements':>12}")
    for name, cost in costs.items():
        mid = median(cost.milliseconds)
        number = len(cost.statements)
        print(f"{name:<30}{mid:>12.3f}{mid / least:>10.2f}{least / mid:>8.2f}{number:>12}")
    for name, cost in costs.items() if told else ():
        print(f"\n{name}:", *(f"  {one[:230]}" for one in cost.statements), sep="\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description="What one request costs, beside the floor.")
    parser.add_argument("--database", choices=DATABASES, help="only this one (default: both)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--statements", action="store_true", help="print each statement")
    parser.add_argument("--profile", metavar="NAME", help="profile one kind of request instead")
    parser.add_argument("--api", action="store_true", help="leave the hosted page out")
    options = parser.parse_args()
    os.environ["GATEHOUSE_LOG_FORMAT"] = "json"

    def act(desk: Desk, counters: list[Statements]) -> None:
        if options.profile:
            print(profile(desk, options.profile, options.rounds))
        else:
            show(kind, measure(desk, counters, options.rounds), options.statements)

    for kind in [options.database] if options.database else DATABASES:
        on(kind, act, pages=not options.api)


if __name__ == "__main__":
    main()
