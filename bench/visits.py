"""Each call of a sign-in, and the page with its form beside two requests of the floor."""

from __future__ import annotations

import base64
import json
import re
from contextlib import ExitStack
from itertools import repeat
from statistics import median
from time import monotonic
from urllib.parse import parse_qs, urlencode, urlsplit

import floor
from beside import SLICE as BESIDE
from beside import Besides
from load import Call, Connections, Reply
from part import Figure
from stage import Person, Stage

ROUNDS = 10
VISITS = 24
"""Sign-ins in a round; each has a user of its own, whose code works once."""
SLICE = 0.25  # seconds, of a call that can be repeated at will
LONGEST_SLICE = 1.5  # seconds, of one that ends when each visit had its turn
WITHIN = 30  # seconds, after which no further round begins
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KEYS = Call("GET", "/.well-known/jwks.json", 200)
LOOK_ROW, VERIFY_ROW, FLOOR_ROW = "GET the verify page", "POST a right code", "the floor"
SHARE = 0.35
"""Of the rate of a floor that serves the same number of requests."""


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

    @classmethod
    def of(cls, made: Stage, user_id: str) -> Visit:
        """Return the visit of a user whose app is not known here."""
        return cls(made, Person(user_id, b""))

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


def measure(made: Stage) -> list[Figure]:
    """Measure as many rounds as there is time for."""
    besides, longest, end = Besides(), 0.0, monotonic() + WITHIN
    for _ in range(ROUNDS):
        before = monotonic()
        _round(besides, made, made.enroll(VISITS))
        longest = max(longest, monotonic() - before)
        if monotonic() + longest > end:
            break
    return [
        Figure("the page and its form, of two of the floor", _to_floor(besides), at_least=SHARE),
        *besides.figures(),
    ]


def _round(besides: Besides, made: Stage, people: list[Person]) -> None:
    """Measure each call once, and take these people through a sign-in."""
    with ExitStack() as stack:
        gateway = stack.enter_context(Connections(made.port))
        at = stack.enter_context(Connections(made.floor_port))
        gateway.measure(repeat(KEYS), BESIDE)  # so that all have their connections
        besides.measure("GET /.well-known/jwks.json", gateway, repeat(KEYS), SLICE)
        besides.measure("POST /oauth/token", gateway, repeat(_token_call(made)), SLICE)
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
            sample = besides.measure(name, gateway, calls, LONGEST_SLICE)
            visits = [visits[number] for number in sample.done]
            if step is Visit.confirm:
                checks = [call for visit in visits for call in visit.checks()]
                besides.measure(FLOOR_ROW, at, checks, LONGEST_SLICE, gateway=gateway)


def _to_floor(besides: Besides) -> float:
    """Return the rate of a look at the page with its form, as a share of two of the floor."""
    looks, forms, floors = (besides.rows[name].rates for name in (LOOK_ROW, VERIFY_ROW, FLOOR_ROW))
    took = [1 / look + 1 / form for look, form in zip(looks, forms, strict=True)]
    return median(2 / rate / seconds for rate, seconds in zip(floors, took, strict=True))


def _token_call(made: Stage) -> Call:
    key = made.demo["api_key"]
    fields = {
        "grant_type": "client_credentials",
        "client_id": key["client_id"],
        "client_secret": key["client_secret"],
    }
    return Call("POST", "/oauth/token", 200, FORM, urlencode(fields).encode())
