"""Right and wrong codes by API, eight in flight, in slices that take turns with the floor's."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from secrets import token_bytes
from statistics import median, quantiles
from urllib.parse import urlencode

import floor
import sqlalchemy as sa
from flight import Flight, request
from load import Call, Connections, Sample
from part import Figure
from stage import Setting, Stage

from app.clock import SystemClock
from app.crypto import Vault, parse_keys
from app.models import Authenticator, AuthenticatorStatus, Environment, User
from app.services.verification import secret_place

USERS = 24_000
"""As many as the fastest floor does not come round to within one period of a code."""
ROUNDS = 5
SLICE = 1.5  # seconds
SHARE = 0.6
"""Of the floor's rate, at least."""
TAIL = 4
"""Times the median that the p99 may be."""
FLOOR, RIGHT, WRONG = "the floor", "a right code, by API", "a wrong code, by API"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Figures:
    """What all slices of one kind of call came to."""

    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """Of the rate of the floor's slice right before."""
    times: list[float] = field(default_factory=list)

    def add(self, sample: Sample, beside: Sample) -> None:
        """Take one slice in."""
        self.rates.append(sample.rate)
        self.shares.append(sample.rate / beside.rate)
        self.times += sample.times

    def table(self, name: str) -> list[Figure]:
        """Return medians, and the tail; the floor itself has no target."""
        p50, p99, judged = median(self.times), quantiles(self.times, n=100)[-1], name != FLOOR
        return [
            Figure(f"{name}: rate", median(self.rates), "/s"),
            *([Figure(f"{name}: of the floor's rate", self._share(), "", SHARE)] if judged else []),
            Figure(f"{name}: median", p50 * 1000, " ms"),
            Figure(f"{name}: p99", p99 * 1000, " ms"),
            Figure(f"{name}: p99 / median", p99 / p50, at_most=TAIL if judged else None),
        ]

    def _share(self) -> float:
        return median(self.shares)


@dataclass(frozen=True)
class Device:
    """An authenticator app of a user whom nothing but this bench knows."""

    user_id: uuid.UUID
    secret: bytes = field(repr=False)


def measure(made: Stage) -> list[Figure]:
    """Measure codes by API beside the floor."""
    devices = enroll(made, USERS)
    floor.fill(
        os.environ["FLOOR_DATABASE_URL"], [(str(one.user_id), one.secret) for one in devices]
    )
    figures: dict[str, Figures] = {FLOOR: Figures(), RIGHT: Figures(), WRONG: Figures()}
    asks = Asks(made)
    turns, guessed = Turns(devices), Turns(devices)

    def checked(turns: Iterable[Device]) -> Iterator[bytes]:
        for one in turns:
            fields = {"name": one.user_id, "code": floor.code(one.secret, floor.step_now())}
            yield request("POST", "/check", "localhost", FORM, urlencode(fields).encode())

    with ExitStack() as stack:
        gateway, at = Flight(made.port), Flight(made.floor_port)
        stack.callback(gateway.close)
        stack.callback(at.close)
        floors = Turns(devices)
        for number in range(ROUNDS + 1):
            beside = at.measure(checked(floors), holds=b'"accepted":true', seconds=SLICE)
            right = gateway.measure(asks.codes(turns), holds=b'"success":true', seconds=SLICE)
            after = at.measure(checked(floors), holds=b'"accepted":true', seconds=SLICE)
            wrong = gateway.measure(
                asks.codes(guessed, -1000), holds=b'"success":false', seconds=SLICE
            )
            if number:  # the first warms up
                for name, sample, other in (
                    (FLOOR, beside, beside),
                    (FLOOR, after, after),
                    (RIGHT, right, beside),
                    (WRONG, wrong, after),
                ):
                    figures[name].add(sample, other)
    return [line for name, one in figures.items() for line in one.table(name)]


class Turns:
    """Goes round all devices; each shows another code when its turn comes again, half a minute on.

    Wrong codes are few enough for each that nobody has to wait.
    """

    def __init__(self, devices: list[Device]) -> None:
        self._devices, self._next = devices, 0

    def __iter__(self) -> Iterator[Device]:
        while True:
            self._next = (self._next + 1) % len(self._devices)
            yield self._devices[self._next]


class Asks:
    """Makes requests that have a backend's users judged."""

    def __init__(self, made: Stage) -> None:
        domain = made.demo["organization"]["domain"]
        self._place = f"/api/v2/org/{domain}/totp-challenge/validation"
        self._headers = {"Authorization": _bearer(made), "Content-Type": "application/json"}
        self._host = f"localhost:{made.port}"

    def codes(self, devices: Iterable[Device], off: int = 0) -> Iterator[bytes]:
        """Yield a request for each device, with its code so many steps of time away."""
        for one in devices:
            body = json.dumps({"code": floor.code(one.secret, floor.step_now() + off)}).encode()
            place = f"{self._place}/{one.user_id}"
            yield request("POST", place, self._host, self._headers, body)


def _bearer(made: Stage) -> str:
    key = made.demo["api_key"]
    fields = {name: key[name] for name in ("client_id", "client_secret")}
    body = urlencode({"grant_type": "client_credentials", **fields}).encode()
    with Connections(made.port) as to:
        reply = to.ask(Call("POST", "/oauth/token", 200, FORM, body))
    return f"Bearer {json.loads(reply.body)['access_token']}"


def enroll(made: Setting, number: int) -> list[Device]:
    """Write so many users with an app each, as if they had enrolled an hour ago."""
    wired, now = made.wired, SystemClock().now()
    vault = Vault(parse_keys(wired.config.encryption_keys.get_secret_value()))
    devices = [Device(uuid.uuid4(), token_bytes(20)) for _ in range(number)]
    with wired.database.writing() as tx:
        domain = made.demo["organization"]["domain"]
        organization = wired.organizations.find(tx, Environment.SANDBOX, domain)
        tx.execute(sa.insert(User), [_user(one, organization.id, now) for one in devices])
        tx.execute(sa.insert(Authenticator), [_app(one, vault, now) for one in devices])
    return devices


def _user(one: Device, organization_id: uuid.UUID, now: object) -> dict[str, object]:
    email = f"{one.user_id.hex}@harbor.example"
    return {
        "id": one.user_id,
        "organization_id": organization_id,
        "email": email,
        "email_key": email,
        "profile": {},
        "enrolled": True,
        "enrollment_open": False,
        "created_at": now,
        "updated_at": now,
    }


def _app(one: Device, vault: Vault, now: object) -> dict[str, object]:
    id_ = uuid.uuid4()
    return {
        "id": id_,
        "user_id": one.user_id,
        "kind": "totp",
        "status": AuthenticatorStatus.ACTIVE,
        "secret": vault.seal(one.secret, place=secret_place(id_)),
        "created_at": now,
        "confirmed_at": now,
    }
