"""The floor: the least that a Flask view with a database does to accept a one-time code.

One indexed SELECT, one HMAC check over three time steps, one guarded UPDATE (what makes a code work
once), one INSERT, one COMMIT. No session, no page, no event, no signature.

The server is told its database by FLOOR_DATABASE_URL.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask, request

from app.clock import Clock, SystemClock

PERIOD = 30

tables = sa.MetaData()
devices = sa.Table(
    "devices",
    tables,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
)
checks = sa.Table(
    "checks",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
)
find = sa.select(devices).where(devices.c.name == sa.bindparam("who"))
use_up = (
    sa.update(devices)
    .where(devices.c.name == sa.bindparam("who"), devices.c.last_step < sa.bindparam("step"))
    .values(last_step=sa.bindparam("step"))
)
record = sa.insert(checks)


def code(secret: bytes, step: int) -> str:
    """Return the six digits that an authenticator app shows in this time step (RFC 6238)."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def step_now() -> int:
    """Return the time step of this moment."""
    return step_at(SystemClock().now())


def step_at(moment: datetime) -> int:
    """Return the time step of a moment."""
    return int(moment.timestamp()) // PERIOD


def connect(url: str) -> sa.Engine:
    """Open the database as safely as Gatehouse opens its own: a commit is on the disk."""
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_pragmas)
        sa.event.listen(engine, "begin", lambda one: one.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def fill(url: str, secrets: Iterable[tuple[str, bytes]]) -> None:
    """Make the tables, and one device for each name and secret."""
    engine = connect(url)
    tables.create_all(engine)
    with engine.begin() as connection:
        rows = [{"name": name, "secret": secret, "last_step": 0} for name, secret in secrets]
        connection.execute(sa.insert(devices), rows)
    engine.dispose()


def create_app(clock: Clock | None = None) -> Flask:
    """Build the server."""
    app = Flask(__name__)
    engine = app.extensions["engine"] = connect(os.environ["FLOOR_DATABASE_URL"])
    clock = clock or SystemClock()

    @app.post("/check")
    def check() -> tuple[dict[str, bool], int]:
        name, given, now = request.form["name"], request.form["code"], step_at(clock.now())
        with engine.begin() as connection:
            device = connection.execute(find, {"who": name}).one()
            steps = range(now - 1, now + 2)
            right = [s for s in steps if hmac.compare_digest(code(device.secret, s), given)]
            step = right[0] if right else 0
            used = connection.execute(use_up, {"who": name, "step": step}) if right else None
            accepted = used is not None and used.rowcount == 1
            connection.execute(record, {"name": name, "step": step, "accepted": accepted})
        return {"accepted": accepted}, 200 if accepted else 422

    return app
