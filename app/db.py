"""The database: one engine, and two kinds of transaction, reading and writing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session, SessionTransaction
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.functions import FunctionElement

from app.engines import BY_ITSELF, opened

_log = structlog.get_logger("gatehouse")
_SURVIVORS = "survivors"
_FOLLOWERS = "followers"
_HELD = "held"
_MIGRATIONS = Path(__file__).parent.parent / "migrations"

_NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment: always timezone-aware UTC in Python, whatever the database keeps."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment, and hand the driver one in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC (SQLite forgets the zone, PostgreSQL may change it)."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The parent of every model."""

    metadata = sa.MetaData(naming_convention=_NAMING)
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime(),
        dict[str, Any]: sa.JSON(),
        list[str]: sa.JSON(),
        list[dict[str, Any]]: sa.JSON(),
    }


class Database:
    """One engine for one process.

    Args:
        url: SQLAlchemy address; SQLite and PostgreSQL (psycopg) are supported.
    """

    def __init__(self, url: str) -> None:
        self.engine = opened(url)
        self._writer = self.engine.execution_options(writing=True)
        self._direct = self.engine.execution_options(**BY_ITSELF[self.engine.dialect.name])

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that only looks: nothing it does is kept, or even sent.

        Were it sent, a page that fills in a row which isn't there yet would wait for a writer, and
        on SQLite be refused.
        """
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is kept when the block ends and undone when it raises.

        On SQLite it takes the write lock first (`BEGIN IMMEDIATE`), so that no reader has to be
        turned into a writer half-way, which SQLite refuses.
        """
        try:
            with Session(self._writer, expire_on_commit=False) as session:
                yield session
                session.commit()
        except Exception:
            self._keep_survivors(session)
            raise
        for follower in session.info.pop(_FOLLOWERS, ()):
            _follow(follower)

    @contextlib.contextmanager
    def direct(self) -> Iterator[sa.Connection]:
        """Open a connection without a transaction: each statement is kept as soon as it is run."""
        with self._direct.connect() as connection:
            yield connection

    def _keep_survivors(self, undone: Session) -> None:
        survivors: list[Callable[[Session], object]] = undone.info.pop(_SURVIVORS, [])
        if not survivors:
            return
        with Session(self._writer) as session:
            for survivor in survivors:
                survivor(session)
            session.commit()


def keep_even_if_undone(session: Session, act: Callable[[Session], object]) -> None:
    """Have `act` done again in a fresh transaction, should this one be rolled back.

    This is how the charge for an attempt outlives whatever breaks after it.
    """
    session.info.setdefault(_SURVIVORS, []).append(act)


def once_kept(session: Session, act: Callable[[], object]) -> None:
    """Have `act` done when the transaction has been kept, and never if it is undone.

    What it raises is logged and changes nothing: the transaction stays kept, and says so.
    """
    session.info.setdefault(_FOLLOWERS, []).append(act)


def _follow(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        _log.error("unexpected error", exc_info=error)


def touched_one(session: Session, statement: sa.Update | sa.Delete) -> bool:
    """Run a conditional change and tell whether it touched exactly its one row.

    Every single-use thing is consumed by this: of any number of transactions that try, in any
    number of processes, one gets True.
    """
    result = session.execute(statement, execution_options={"synchronize_session": False})
    touched = result.rowcount  # type: ignore[attr-defined]
    if touched > 1:
        raise RuntimeError("a conditional change touched more than one row")
    return bool(touched == 1)


def touched(
    session: Session, statement: ReturningUpdate[Any], values: Mapping[str, Any] | None = None
) -> sa.Row[Any] | None:
    """Run a conditional change, and return what it wrote to its one row; None if to no row.

    Args:
        values: of its parameters.
    """
    rows = session.execute(statement, values).all()
    if len(rows) > 1:
        raise RuntimeError("a conditional change touched more than one row")
    return rows[0] if rows else None


def lock(session: Session, key: InstrumentedAttribute[Any], value: object) -> None:
    """Hold a row until the transaction ends: what is read after this stays so.

    PostgreSQL waits until nobody else holds it, once; SQLite's writers queue before they begin.
    """
    held = session.info.setdefault(_HELD, set())
    if session.connection().dialect.name == "sqlite" or (str(key), value) in held:
        return
    session.execute(_holding(key), {"value": value})
    held.add((str(key), value))


@cache
def _holding(key: InstrumentedAttribute[Any]) -> sa.Select[Any]:
    return sa.select(key).where(key == sa.bindparam("value")).with_for_update()


def _let_go(session: Session, _before: SessionTransaction) -> None:
    """Forget what is held, since even what is undone in part may let go of some."""
    session.info.pop(_HELD, None)


event.listen(Session, "after_soft_rollback", _let_go)


def hold_still(session: Session) -> None:
    """Have a reading transaction that begins now see one moment of the database to its end.

    SQLite's do so by themselves.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


class unindexed(FunctionElement[Any]):  # noqa: N801  (it is written like a function of SQL)
    """A column by which SQLite is not to begin: others lead to far fewer rows.

    It takes any organization for a small one, while PostgreSQL counts.
    """

    inherit_cache = True

    def __init__(self, column: InstrumentedAttribute[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(unindexed)
def _as_it_is(element: unindexed, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(element.clauses, **kwargs)


@compiles(unindexed, "sqlite")
def _without_index(element: unindexed, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"+{compiler.process(element.clauses, **kwargs)}"


class on_sqlite(FunctionElement[Any]):  # noqa: N801  (the same)
    """A condition that follows from the others, said for SQLite alone, whose planner needs it."""

    inherit_cache = True
    type = sa.types.NullType()  # a truth value would be compared with 1, and no index be seen

    def __init__(self, condition: sa.ColumnElement[bool]) -> None:
        super().__init__(condition)


@compiles(on_sqlite)
def _no_condition(_element: on_sqlite, _compiler: SQLCompiler, **_kwargs: Any) -> str:
    return "true"


@compiles(on_sqlite, "sqlite")
def _the_condition(element: on_sqlite, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"({compiler.process(element.clauses, **kwargs)})"


def _alembic(engine: sa.Engine) -> AlembicConfig:
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(_MIGRATIONS))
    settings.attributes["engine"] = engine
    return settings


def upgrade(engine: sa.Engine) -> None:
    """Bring the schema to its newest form; safe to run again."""
    command.upgrade(_alembic(engine), "head")


def head(engine: sa.Engine) -> str:
    """Return the revision that this release was written for."""
    return str(ScriptDirectory.from_config(_alembic(engine)).get_current_head())


def at_head(engine: sa.Engine) -> bool:
    """Tell whether the schema is the one that this release was written for."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head(engine)
