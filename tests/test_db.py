"""Transactions: what is kept, what is undone, and what outlives both."""

from __future__ import annotations

import socket
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError

from app import engines
from app.db import Database, keep_even_if_undone, lock, once_kept, touched_one
from app.engines import is_away
from app.models import Environment, Event, Organization, User
from tests.conftest import ONE_DATABASE, PATIENCE

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.engine.dispose()


def event(kind: str, at: datetime = NOON) -> Event:
    return Event(at=at, kind=kind, actor="operator", detail={})


def kinds(database: Database) -> list[str]:
    with database.reading() as tx:
        return list(tx.scalars(sa.select(Event.kind).order_by(Event.id)))


def test_writing_keeps_what_returns_and_undoes_what_raises(database: Database) -> None:
    with database.writing() as tx:
        tx.add(event("kept"))
    with pytest.raises(RuntimeError, match="broken"), database.writing() as tx:
        tx.add(event("undone"))
        tx.flush()
        raise RuntimeError("broken")
    assert kinds(database) == ["kept"]


def test_reading_keeps_nothing(database: Database) -> None:
    with database.reading() as tx:
        tx.add(event("lost"))
        tx.flush()
    assert kinds(database) == []


def test_whoever_only_looks_waits_for_no_writer(database: Database) -> None:
    """What a reader puts together for itself is never sent to the database."""
    with database.writing() as writer:
        writer.add(event("written"))
        writer.flush()
        with database.reading() as tx:
            tx.add(event("for the page alone"))
            assert list(tx.scalars(sa.select(Event.kind))) == []
    assert kinds(database) == ["written"]


def test_a_connection_that_the_server_closed_is_not_given_out_again(database: Database) -> None:
    """As all of them are after a restart of PostgreSQL."""
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite is no server")
    with database.reading() as one, database.reading() as other:
        mine = {tx.scalar(sa.select(sa.func.pg_backend_pid())) for tx in (one, other)}
    with database.reading() as tx:
        left = tx.scalar(sa.select(sa.func.pg_backend_pid()))
        for pid in mine - {left}:
            tx.execute(sa.select(sa.func.pg_terminate_backend(pid, 5000)))
    for _ in range(2):
        with database.reading() as one, database.writing() as other:
            assert one.scalar(sa.select(sa.literal(1))) == other.scalar(sa.select(sa.literal(1)))


def test_what_must_be_kept_is_kept_even_if_all_else_is_undone(database: Database) -> None:
    with pytest.raises(RuntimeError, match="broken"), database.writing() as tx:
        tx.add(event("undone"))
        keep_even_if_undone(tx, lambda fresh: fresh.add(event("charge 1")))
        keep_even_if_undone(tx, lambda fresh: fresh.add(event("charge 2")))
        raise RuntimeError("broken")
    assert kinds(database) == ["charge 1", "charge 2"]


def test_it_is_not_done_twice_if_nothing_breaks(database: Database) -> None:
    with database.writing() as tx:
        tx.add(event("charge"))
        keep_even_if_undone(tx, lambda fresh: fresh.add(event("charge again")))
    assert kinds(database) == ["charge"]


def test_it_is_kept_even_if_the_commit_itself_fails(database: Database) -> None:
    with database.writing() as tx:
        tx.add(organization("harbor"))
    with pytest.raises(IntegrityError), database.writing() as tx:
        keep_even_if_undone(tx, lambda fresh: fresh.add(event("charge")))
        tx.add(organization("harbor"))
    assert kinds(database) == ["charge"]


def test_what_follows_a_transaction_is_done_once_it_was_kept_and_only_then(
    database: Database,
) -> None:
    seen: list[list[str]] = []
    with database.writing() as tx:
        tx.add(event("kept"))
        once_kept(tx, lambda: seen.append(kinds(database)))
        assert seen == []
    assert seen == [["kept"]]
    with pytest.raises(RuntimeError, match="broken"), database.writing() as tx:
        once_kept(tx, lambda: seen.append([]))
        raise RuntimeError("broken")
    assert seen == [["kept"]]


def test_what_breaks_after_a_transaction_was_kept_leaves_it_kept(database: Database) -> None:
    seen: list[str] = []

    def breaks() -> None:
        raise RuntimeError("no disk for counts")

    with database.writing() as tx:
        tx.add(event("kept"))
        once_kept(tx, breaks)
        once_kept(tx, lambda: seen.append("the next"))
    assert (kinds(database), seen) == (["kept"], ["the next"])


def test_a_later_transaction_owes_nothing_to_an_earlier_one(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as tx:
        keep_even_if_undone(tx, lambda fresh: fresh.add(event("charge")))
        raise RuntimeError
    with pytest.raises(RuntimeError), database.writing() as tx:
        raise RuntimeError
    assert kinds(database) == ["charge"]


def organization(domain: str) -> Organization:
    return Organization(
        environment=Environment.SANDBOX,
        domain=domain,
        name=domain,
        email_domains=[],
        created_at=NOON,
        updated_at=NOON,
    )


def test_a_conditional_change_tells_whether_it_touched_its_row(database: Database) -> None:
    with database.writing() as tx:
        tx.add_all([organization("a"), organization("b")])

    def rename(domain: str) -> sa.Update:
        return (
            sa.update(Organization)
            .where(Organization.domain == domain, Organization.name == domain)
            .values(name="changed")
        )

    with database.writing() as tx:
        assert touched_one(tx, rename("a")) is True
        assert touched_one(tx, rename("a")) is False
        assert touched_one(tx, rename("nowhere")) is False
        assert touched_one(tx, sa.delete(Organization).where(Organization.domain == "b")) is True


def test_a_conditional_change_of_two_rows_is_a_fault(database: Database) -> None:
    with database.writing() as tx:
        tx.add_all([organization("a"), organization("b")])
    with pytest.raises(RuntimeError, match="more than one"), database.writing() as tx:
        touched_one(tx, sa.update(Organization).values(name="changed"))
    with database.reading() as tx:
        assert set(tx.scalars(sa.select(Organization.name))) == {"a", "b"}


def test_of_many_at_once_one_touches_the_row(database: Database) -> None:
    with database.writing() as tx:
        tx.add(organization("a"))
    start, won = threading.Barrier(8), []

    def consume() -> None:
        start.wait()
        with database.writing() as tx:
            statement = sa.update(Organization).where(Organization.name == "a")
            if touched_one(tx, statement.values(name="used")):
                won.append(True)

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [True]


def test_a_locked_row_makes_the_next_one_wait(database: Database) -> None:
    made = organization("a")
    with database.writing() as tx:
        tx.add(made)
    order: list[str] = []
    held = threading.Event()

    def second() -> None:
        held.wait()
        with database.writing() as tx:
            lock(tx, Organization.id, made.id)
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with database.writing() as tx:
        lock(tx, Organization.id, made.id)
        held.set()
        thread.join(timeout=0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="time zone"), database.writing() as tx:
        tx.add(event("naive", at=datetime(2026, 3, 1, 12, 0)))  # noqa: DTZ001
    with pytest.raises(StatementError, match="time zone"), database.reading() as tx:
        tx.scalars(sa.select(Event).where(Event.at < datetime(2026, 3, 1))).all()  # noqa: DTZ001


def test_a_moment_comes_back_in_utc_whatever_its_zone_was(database: Database) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    precise = NOON.replace(microsecond=123456)
    with database.writing() as tx:
        tx.add_all([event("a", at=tokyo), event("b", at=precise)])
    with database.reading() as tx:
        first, second = tx.scalars(sa.select(Event.at).order_by(Event.id))
        assert first == NOON
        assert first.tzinfo is UTC
        assert second == precise
        found = tx.scalars(sa.select(Event.kind).where(Event.at == tokyo)).all()
        assert found == ["a"]


def test_a_row_without_its_parent_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as tx:
        tx.add(
            User(
                organization_id=uuid.uuid4(),
                email="a@x.example",
                email_key="a@x.example",
                profile={},
                created_at=NOON,
                updated_at=NOON,
            )
        )


def test_no_error_shows_what_was_written(database: Database) -> None:
    with database.writing() as tx:
        tx.add(organization("harbor"))
    with pytest.raises(IntegrityError) as refused, database.writing() as tx:
        tx.add(Organization(**{**vars_of(organization("harbor")), "name": "a-secret"}))
    assert "a-secret" not in str(refused.value)
    assert "hide_parameters" in str(refused.value)


def vars_of(row: Organization) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


# PostgreSQL alone


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_over_the_network_gives_up_on_a_host_that_is_gone(database: Database) -> None:
    """What that does when packets are dropped, also at the server's end: `bench/hosts.py`."""
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        given = driver.info.get_parameters()
    assert {name: given.get(name) for name in GIVES_UP} == GIVES_UP


def test_whoever_connects_to_a_silent_host_waits_as_long_as_the_address_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        port = silent.getsockname()[1]
        url = f"postgresql+psycopg://nobody@127.0.0.1:{port}/nothing?connect_timeout=2"
        with pytest.raises(sa.exc.OperationalError, match="timeout") as refused:
            Database(url).engine.connect()
    assert is_away(refused.value)


GIVES_UP = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


# SQLite alone


@ONE_DATABASE
def test_every_connection_has_its_settings(database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
    first, second = database.engine.connect(), database.engine.connect()
    with first, second:
        for connection in (first, second):
            for name, value in wanted.items():
                assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value, name


def test_whoever_opens_a_new_file_waits_for_whoever_is_at_it(tmp_path: Path) -> None:
    """SQLite itself refuses the switch to a write-ahead log at once instead of waiting."""
    path = tmp_path / "new.sqlite3"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Database(f"sqlite:///{path}").engine.connect)
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.5)
        other.execute("ROLLBACK")
        with opening.result(timeout=PATIENCE) as opened:
            assert opened.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@ONE_DATABASE
def test_a_writer_takes_the_lock_before_it_reads(database: Database, database_url: str) -> None:
    path = sa.make_url(database_url).database
    assert path is not None
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as impatient:
        with database.writing() as tx:
            tx.execute(sa.select(1))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                impatient.execute("BEGIN IMMEDIATE")
        with database.reading() as tx:
            tx.scalars(sa.select(Event)).all()
            impatient.execute("BEGIN IMMEDIATE")
            impatient.execute("ROLLBACK")


@ONE_DATABASE
def test_a_writer_waits_for_another_and_gives_up_in_the_end(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sa.make_url(database_url).database
    assert path is not None

    def writes(name: str) -> None:
        with database.writing() as tx:
            tx.add(event(name))
            assert tx.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 30000

    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(writes, "waited")
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        other.execute("ROLLBACK")
        waiting.result(timeout=PATIENCE)
        assert kinds(database) == ["waited"]
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(engines, "_LOCK_SECONDS", 0)
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            writes("gave up")
    monkeypatch.undo()
    writes("wrote again")
    assert kinds(database) == ["waited", "wrote again"]


@ONE_DATABASE
def test_readers_see_the_last_commit_while_somebody_writes(database: Database) -> None:
    with database.writing() as tx:
        tx.add(event("before"))
    with database.writing() as tx:
        tx.add(event("during"))
        tx.flush()
        assert kinds(database) == ["before"]
    assert kinds(database) == ["before", "during"]
