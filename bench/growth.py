"""What a right code costs with a thousand, a hundred thousand and a million users.

All runs in this process (`single.py`), one request at a time. Figures are of time on the wall, so
that the database's own is in them, beside the floor's, whose table does not grow: what compares
two sizes is how many requests of the floor one verification takes. With the last size there are
five times as many events, too, and then each statement of a verification is asked for its plan.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from secrets import token_bytes
from statistics import median
from typing import Any, cast
from urllib.parse import urlencode

import floor
import sqlalchemy as sa
from borrowed import heard, scans
from crowd import Bulk, tidy
from part import Figure, Options
from single import STEP, Alone, Ask, alone, send

from app.crypto import Vault, parse_keys
from app.models import Authenticator, Environment, Event, User
from app.services.verification import secret_place

SIZES = (1_000, 100_000, 1_000_000)
SMALL_SIZES = (200, 1_000, 10_000)
PEOPLE = 150
"""Of each size, picked by chance, whose codes are judged."""
ROUNDS = 4
MOST = 1.15
"""Times the cost with the first size."""


@dataclass(frozen=True)
class _Person:
    user_id: uuid.UUID
    secret: bytes = field(repr=False)
    floor_name: str


class Growth:
    """An organization that grows."""

    def __init__(self, found: Alone) -> None:
        self.found, self._size = found, 0
        wired, demo = found.made.wired, found.made.demo
        self._wired = wired
        self._domain = demo["organization"]["domain"]
        with wired.database.reading() as tx:
            self._organization = wired.organizations.find(tx, Environment.SANDBOX, self._domain).id
        self._application = uuid.UUID(int=0)
        self._bearer = self._token()
        self._random = Random(10)  # noqa: S311 (who is measured is no secret)

    def to(self, size: int, events: int) -> None:
        """Let there be so many users, and so many events if any."""
        wired, engine = self._wired, self._wired.database.engine
        bulk = Bulk(
            wired,
            self._organization,
            self._application,
            users=size,
            deeds=events,
            after=self._size,
        )
        puts = [bulk.users, bulk.authenticators, *([bulk.events] if events else [])]
        with _hurried(engine):
            for put in puts:
                with wired.database.writing() as tx:
                    put(tx)
        tidy(engine)
        self._size = size

    def measure(self) -> tuple[float, float]:
        """Return the median milliseconds of a verification and of the floor."""
        people = self._people()
        floor.fill(
            str(self.found.engines[1].url.render_as_string(hide_password=False)),
            [(one.floor_name, one.secret) for one in people],
        )
        judged, floors = list[float](), list[float]()
        for number in range(ROUNDS + 1):
            self.found.clock.move(2 * STEP)
            for one in people:
                waited = self._judge(one), self._check(one)
                if number:  # the first warms up
                    judged.append(waited[0])
                    floors.append(waited[1])
        return median(judged) * 1000, median(floors) * 1000

    def scans(self) -> list[str]:
        """Return which statements of a verification read a table whole."""
        engine = self.found.engines[0]
        self.found.clock.move(2 * STEP)
        with heard(engine) as sent:
            for one in self._people()[:5]:
                self._judge(one)
        return scans(engine, sent, may_scan=frozenset({"signing_keys"}))

    def _people(self) -> list[_Person]:
        """Give some of the crowd an app whose secret is known here."""
        keys = parse_keys(self._wired.config.encryption_keys.get_secret_value())
        vault, rows, people = Vault(keys), [], []
        for number in self._random.sample(range(1, self._size), min(PEOPLE, self._size // 2)):
            if number % 20 == 0 or number % 500 == 1:  # has none, or is locked
                continue
            one = _Person(_id(1, number), token_bytes(20), f"{self._size} {number}")
            sealed = vault.seal(one.secret, place=secret_place(_id(2, number)))
            rows.append({"which": _id(2, number), "secret": sealed})
            people.append(one)
        authenticators = cast(sa.Table, Authenticator.__table__)
        change = sa.update(authenticators).where(authenticators.c.id == sa.bindparam("which"))
        with self._wired.database.engine.begin() as connection:
            connection.execute(change, rows)
        return people

    def _judge(self, one: _Person) -> float:
        path = f"/api/v2/org/{self._domain}/totp-challenge/validation/{one.user_id}"
        body = json.dumps({"code": self._code(one)}).encode()
        headers = {"HTTP_AUTHORIZATION": self._bearer}
        told = send(self.found.app, Ask(path, 200, body, "application/json", headers))
        assert b'"success":true' in told.body, told.body
        return told.waited

    def _check(self, one: _Person) -> float:
        fields = {"name": one.floor_name, "code": self._code(one)}
        return send(self.found.floor_app, Ask("/check", 200, urlencode(fields).encode())).waited

    def _code(self, one: _Person) -> str:
        return floor.code(one.secret, floor.step_at(self.found.clock.now()))

    def _token(self) -> str:
        key = self.found.made.demo["api_key"]
        fields = {name: key[name] for name in ("client_id", "client_secret")}
        body = urlencode({"grant_type": "client_credentials", **fields}).encode()
        told = send(self.found.app, Ask("/oauth/token", 200, body))
        return f"Bearer {json.loads(told.body)['access_token']}"


def measure(options: Options) -> list[Figure]:
    """Measure each size, and look at the plans of the last."""
    lines, costs = list[Figure](), list[float]()
    with alone(options.kind) as found:
        growth = Growth(found)
        for size in SMALL_SIZES if options.small else SIZES:
            growth.to(size, 5 * size if len(costs) == len(SIZES) - 1 else 0)
            judged, least = growth.measure()
            costs.append(judged / least)
            lines += [
                Figure(f"{size:,} users: a right code", judged, " ms"),
                Figure(f"{size:,} users: in requests of the floor", judged / least),
            ]
        whole = growth.scans()
    for one in whole:
        print(one)
    return [
        *lines,
        Figure("the last, of the first", costs[-1] / costs[0], at_most=MOST),
        Figure("statements that read a table whole", len(whole), at_most=0),
    ]


def _id(kind: int, number: int) -> uuid.UUID:
    """Return what a `crowd.Dialect` makes of a number."""
    return uuid.UUID(hex=f"{kind:x}{number:031x}")


@contextmanager
def _hurried(engine: sa.Engine) -> Iterator[None]:
    """Have rows put in without the indexes of their tables, and with nothing waited for."""
    tables = [model.metadata.tables[model.__tablename__] for model in (User, Authenticator, Event)]
    indexes = [
        one for table in tables for one in sorted(table.indexes, key=lambda it: str(it.name))
    ]
    engine.dispose()
    sa.event.listen(engine, "connect", _hurry)
    with engine.begin() as connection:
        for one in indexes:
            one.drop(connection)
    yield
    with engine.begin() as connection:
        for one in indexes:
            one.create(connection)
    sa.event.remove(engine, "connect", _hurry)
    engine.dispose()


def _hurry(connection: Any, _record: object) -> None:
    """Set up a connection for filling; what is measured uses others, which wait for the disk."""
    if isinstance(connection, sqlite3.Connection):
        for setting in ("synchronous=OFF", "cache_size=-500000", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {setting}")
    else:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.commit()
