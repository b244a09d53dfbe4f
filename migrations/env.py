"""Alembic's entry: runs migrations on the engine that it is handed, or on the settings' one."""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection, Engine

import app.models  # noqa: F401  (makes every table known)
from app.config import load
from app.db import Base, Database, UtcDateTime

_OUR_LOCK = 0x67617465  # "gate"
_PATIENCE = "2s"
"""For how long a migration may wait for one table."""


def _render(kind: str, item: object, _context: object) -> str | bool:
    """Write plain column types, so that an old migration never depends on today's code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String(length={item.length})"
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=_render,
    )
    with context.begin_transaction():
        context.run_migrations()


def _engine() -> Engine:
    handed = context.config.attributes.get("engine")
    return handed if isinstance(handed, Engine) else Database(load().database).engine


@contextlib.contextmanager
def _without_cascades(connection: Connection) -> Iterator[None]:
    """On SQLite a table is changed by making it anew; dropping the old one must delete nothing."""
    driver = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite" and driver is not None
    if is_sqlite:
        driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=ON")


@contextlib.contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    """Let one process migrate at a time; the next then finds nothing left to do.

    Servers work meanwhile. Whoever waits for a table makes all others queue behind it, so a
    migration of PostgreSQL gives up soon, and is tried again (app/schema.py). SQLite's waits for
    the writers before it, and they for it.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(sa.select(sa.func.pg_advisory_lock(_OUR_LOCK)))
    connection.execute(sa.text(f"SET lock_timeout = '{_PATIENCE}'"))
    connection.commit()  # a migration may want to be in no transaction
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.text("RESET lock_timeout"))
        connection.execute(sa.select(sa.func.pg_advisory_unlock(_OUR_LOCK)))
        connection.commit()


# On SQLite `writing` takes the write lock before anything is read.
with (
    _engine().execution_options(writing=True).connect() as connection,
    _without_cascades(connection),
    _one_at_a_time(connection),
):
    _run(connection)
    connection.commit()
