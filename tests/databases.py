"""The databases of the tests: each is made once for a worker, and put back for every test.

Putting back takes a few milliseconds, making takes a hundred. It leaves the address as it was and
connections open, so applications and servers can be kept from one test to the next.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa

_MUCH_ROOM = 256 * 1024**2
_LOCK_SECONDS = 10
"""How long something that a test left behind may hold putting back up."""


class Kept(Protocol):
    """A database that every test finds as if it were the first."""

    url: str

    def put_back(self) -> None: ...


def quick_folder() -> str:
    """Return a folder in memory if there is one with room: a commit then waits for no disk."""
    memory = "/dev/shm"  # noqa: S108 (what is made in it gets a name of its own)
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MUCH_ROOM:
        return memory
    return tempfile.gettempdir()


class SqliteFile:
    """A file that gets the pages of a template."""

    def __init__(self, template: Path, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._template = template
        self._path = path

    def put_back(self) -> None:
        """Write the template over it."""
        with (
            contextlib.closing(sqlite3.connect(self._template)) as template,
            contextlib.closing(sqlite3.connect(self._path, timeout=_LOCK_SECONDS)) as mine,
        ):
            mine.execute("BEGIN IMMEDIATE")  # raises if a test left a lock; the copy would hang
            mine.rollback()
            template.backup(mine)


class PostgresDatabase:
    """A database whose tables are emptied, and filled with what the template has in them.

    Args:
        server: where it is.
        template: the name of the database to begin as.
        name: its own.
    """

    def __init__(self, server: sa.URL, template: str, name: str) -> None:
        self.url = server.set(database=name).render_as_string(hide_password=False)
        self._server, self._template, self._name = server, template, name
        self._connection: psycopg.Connection[Any] | None = None
        self._shape: str | None = None
        self._rows: list[tuple[str, bytes]] = []
        self._numbers: list[tuple[str, int, bool]] = []

    def put_back(self) -> None:
        """Empty the tables, or make it anew if a test changed what tables there are."""
        with contextlib.suppress(psycopg.OperationalError):  # the connection was cut, say
            if self._connection is not None and self._emptied(self._connection):
                return
        self._make()

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()

    def _make(self) -> None:
        self.close()
        administer(self._server, f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
        create = f"CREATE DATABASE {self._name} TEMPLATE {self._template} STRATEGY FILE_COPY"
        administer(self._server, create)
        self._connection = connect(self._server.set(database=self._name))
        self._shape = _one(self._connection, _SHAPE)
        self._remember(self._connection)

    def _remember(self, connection: psycopg.Connection[Any]) -> None:
        """Note down what every test finds."""
        self._rows = []
        for (table,) in connection.execute(_TABLES).fetchall():
            with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                rows = b"".join(copy)
            if rows:
                self._rows.append((table, rows))
        self._numbers = connection.execute(_NUMBERS).fetchall()

    def _emptied(self, connection: psycopg.Connection[Any]) -> bool:
        if _one(connection, _SHAPE) != self._shape:
            return False
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'".encode())
            connection.execute(_EMPTY)
            for table, rows in self._rows:
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(rows)
            for number in self._numbers:
                connection.execute("SELECT setval(%s, %s, %s)", number)
        return True


def connect(url: sa.URL) -> psycopg.Connection[Any]:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True)


def administer(server: sa.URL, statement: str) -> None:
    """Have a server do something outside of any transaction."""
    with connect(server) as connection:
        connection.execute(statement.encode())


def _one(connection: psycopg.Connection[Any], statement: str) -> Any:
    [found] = connection.execute(statement.encode()).fetchall()
    return found[0]


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_NUMBERS = """
SELECT schemaname || '.' || sequencename, coalesce(last_value, start_value), last_value IS NOT NULL
FROM pg_sequences
"""
_SHAPE = """
SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
    SELECT relname || attname || atttypid || attnotnull AS part
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
) AS parts
"""
_EMPTY = """
DO $$
DECLARE
    this oid;
BEGIN
    SET LOCAL session_replication_role = replica; -- rows may go and come in any order
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle';
    FOR this IN
        SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        IF pg_relation_size(this) > 100000 THEN -- deleted rows would slow the tests that follow
            EXECUTE format('TRUNCATE %s CASCADE', this::regclass);
        ELSE
            EXECUTE format('DELETE FROM %s', this::regclass);
        END IF;
    END LOOP;
END $$
"""
