"""Engines: how connections to either database are opened, given out, and begin."""

from __future__ import annotations

import os
import select
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from app import metrics

_BEGIN = "BEGIN IMMEDIATE"
BY_ITSELF: dict[str, dict[str, Any]] = {
    "sqlite": {"begins": False},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}
_GIVES_UP: dict[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
"""When a connection to PostgreSQL counts as broken, if nothing at all comes back: by itself, TCP
takes a quarter of an hour, or two. Seconds, but for the last; an address may say otherwise."""
_IS_GIVEN_UP = """
SELECT set_config(name, value, false)
FROM (VALUES ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
             ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10s')) AS wanted (name, value)
JOIN pg_settings USING (name)
"""
"""The same for the server's end, so that it lets go of what a lost client has locked."""
_LOCK_SECONDS = 30
"""How long one writer on SQLite waits for another."""
_LOOK_AGAIN = 5
"""Milliseconds in which it looks four times whether the lock is free, before it begins anew."""


def opened(url: str) -> sa.Engine:
    """Return an engine for SQLite or PostgreSQL (psycopg), on which nothing is asked yet."""
    engine = sa.create_engine(url, hide_parameters=True, **_pool(url))
    event.listen(engine, "handle_error", _count_error)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _refuse_to_only_read)
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "handle_error", _give_up_connections)
    else:
        event.listen(engine, "connect", _be_given_up)
        event.listen(engine, "checkout", _refuse_closed)
    return engine


def begin_writing(connection: sa.Connection) -> None:
    """Begin a transaction on SQLite with its one lock for writers, once no other one has it.

    By itself SQLite lets who waits sleep for longer each time, up to a tenth of a second, and with
    some of them most sleep while nobody writes. Here they look again and again.
    """
    driver: Any = connection.connection.driver_connection
    end = time.monotonic() + _LOCK_SECONDS
    driver.execute(f"PRAGMA busy_timeout={_LOOK_AGAIN}")
    try:
        while (refusal := _refusal_to_write(driver)) == sqlite3.SQLITE_BUSY:
            if time.monotonic() >= end:
                break
        if refusal:
            connection.exec_driver_sql(_BEGIN)  # so that it fails where failures are heard
    finally:
        with suppress(sqlite3.Error):  # whoever failed may be closed
            driver.execute(f"PRAGMA busy_timeout={_LOCK_SECONDS * 1000}")


def _refusal_to_write(driver: sqlite3.Connection) -> int:
    """Try to begin, and return SQLite's code of why that can't be; 0 if it was done."""
    try:
        driver.execute(_BEGIN)
    except sqlite3.OperationalError as refused:
        return refused.sqlite_errorcode & 0xFF
    return 0


def is_away(error: Exception) -> bool:
    """Tell whether an error says that PostgreSQL can't be reached, or has hung up."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    # Who was never answered has no code of an error to tell.
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") is None


def _count_error(context: sa.engine.ExceptionContext) -> None:
    name = type(context.sqlalchemy_exception).__name__
    known = {"IntegrityError": "integrity", "OperationalError": "operational"}
    kind = "disconnected" if context.is_disconnect else known.get(name, "other")
    metrics.count_database_error(kind)


def _pool(url: str) -> dict[str, Any]:
    if sa.make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _LOCK_SECONDS}}
    said = sa.make_url(url).query
    gives_up = {name: value for name, value in _GIVES_UP.items() if name not in said}
    return {"pool_size": 8, "max_overflow": 8, "connect_args": gives_up}


def _be_given_up(connection: Any, _record: object) -> None:
    connection.execute(_IS_GIVEN_UP)
    connection.commit()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool open another connection where the server, or its restart, closed this one.

    An idle connection has nothing to be read but its end, so that takes no question to the server.
    """
    ready = select.poll()
    if not connection.closed:
        ready.register(connection.fileno(), select.POLLIN)
    if connection.closed or ready.poll(0):
        raise sa.exc.DisconnectionError


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not open transactions by itself
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: Any) -> None:
    """Switch a new database to a write-ahead log; one that has it is left alone.

    Of several connections that switch at once SQLite refuses all but one immediately, without
    its usual waiting, so the waiting is done here.
    """
    for _ in range(_LOCK_SECONDS * 50):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as refused:
            if refused.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.02)
        else:
            return
    raise sqlite3.OperationalError("database is locked")


def _refuse_to_only_read(_dialect: object, _record: object, address: Any, _more: object) -> None:
    """Open no file that can't be written, such as one that was put back by another user.

    SQLite would, and a process goes on taking it for that as long as it has it open at all.
    """
    file = Path(address[0])
    for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        if part.exists() and not os.access(part, os.W_OK):
            raise sqlite3.OperationalError("attempt to write a readonly database")


def _give_up_connections(context: sa.engine.ExceptionContext) -> None:
    """Let go of a file that can't be written any more, so that it is looked at anew."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR) and context.engine is not None:
        context.is_disconnect = True
        context.engine.dispose()


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("begins", True):
        if options.get("writing"):
            begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")
