"""Whether the database answers, has the schema of this release, and tells the same time as we."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import schema
from app.checks.files import sqlite_file
from app.checks.findings import Finding, fine, problem, warning
from app.models import Event
from app.schema import Standing
from app.wiring import Services

OFF, FAR_OFF = timedelta(seconds=2), timedelta(seconds=15)
"""Claims on messages last 20 seconds, and codes of authenticator apps 30."""


def check_schema(services: Services) -> Iterator[Finding]:
    """See whether the database answers and is migrated; nothing is made where there is none."""
    file = sqlite_file(services.config)
    if file is not None and not file.exists():
        yield problem("database", f"There is no database at {file}.", "Run: gatehouse init")
        return
    if file is not None and file.stat().st_uid != os.geteuid():
        yield problem(
            "database",
            f"{file} belongs to somebody else: opening it would leave files that they can't use.",
            "Run this command, as all others, as the user who runs Gatehouse.",
        )
        return
    try:
        standing = schema.standing(services.database.engine)
    except sa.exc.SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        yield problem(
            "database",
            f"The database does not answer: {said[0] if said else type(error).__name__}",
            "Check GATEHOUSE_DATABASE_URL, and that the database runs and lets us in.",
        )
        return
    if standing not in (Standing.AT_HEAD, Standing.AHEAD):
        yield problem(
            "database",
            "The database has not the schema of this release.",
            "Run: gatehouse init (with the newest release that any server runs)",
        )
        return
    yield fine("database", "The database answers, and has the schema of this release.")


def check_clock(services: Services) -> Iterator[Finding]:
    """See whether our clock agrees with the database's, and with what was written down before."""
    ahead = _ahead_of_server(services)
    if abs(ahead) >= OFF:
        told = problem if abs(ahead) >= FAR_OFF else warning
        way = "ahead of" if ahead > timedelta() else "behind"
        yield told(
            "clock",
            f"The clock of this machine is {abs(ahead).total_seconds():.0f} seconds {way} the "
            "database's: codes are refused, and messages may be sent twice.",
            "Run a time service, such as chrony, on both.",
        )
        return
    newest = _newest_event(services)
    behind = newest - services.clock.now() if newest else timedelta()
    if behind > FAR_OFF:
        yield problem(
            "clock",
            f"The newest event is {behind.total_seconds():.0f} seconds ahead of our clock.",
            "Set the clock right, here or on the other servers. Codes that were used in the time "
            "to come stay used.",
        )
        return
    yield fine("clock", "The clock agrees with the database.")


def _ahead_of_server(services: Services) -> timedelta:
    """Return how far our clock is ahead of that of a database server; a file has none."""
    if services.database.engine.dialect.name == "sqlite":
        return timedelta()
    with services.database.reading() as tx:
        before = services.clock.now()
        theirs: datetime = tx.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        after = services.clock.now()
    return before + (after - before) / 2 - theirs


def _newest_event(services: Services) -> datetime | None:
    with services.database.reading() as tx:
        return tx.scalar(sa.select(Event.at).order_by(Event.id.desc()).limit(1))
