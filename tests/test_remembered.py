"""What a transaction remembers of its own reading, and when it asks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database, lock
from app.models import Authenticator, Environment, Event, Organization
from app.remembered import remember, remembered

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = sa.select(Organization.name)


@pytest.fixture
def tx(database_url: str) -> Iterator[Session]:
    database = Database(database_url)
    with database.writing() as opened:
        opened.add(
            Organization(
                environment=Environment.SANDBOX,
                domain="harbor",
                name="Harbor",
                email_domains=[],
                created_at=NOON,
                updated_at=NOON,
            )
        )
        opened.flush()
        yield opened
        opened.rollback()
    database.engine.dispose()


def asks(tx: Session) -> int:
    """Ask the same question, and return how often the database has been asked by now."""
    times: Iterator[int] = tx.info.setdefault("times", count(1))
    return remembered(tx, "times", lambda: next(times), of=[Organization])


def is_postgresql(tx: Session) -> bool:
    return tx.get_bind().dialect.name == "postgresql"


def by_object(tx: Session) -> None:
    tx.scalars(sa.select(Organization)).one().name = "Harbour"


def by_statement(tx: Session) -> None:
    tx.execute(sa.update(Organization).values(name="Harbour"))


def by_core(tx: Session) -> None:
    tx.execute(sa.update(sa.table("organizations", sa.column("name"))).values(name="Harbour"))


def by_text(tx: Session) -> None:
    tx.execute(sa.text("UPDATE organizations SET name = 'Harbour'"))


def by_delete(tx: Session) -> None:
    tx.execute(sa.delete(Organization))


def by_refresh(tx: Session) -> None:
    tx.refresh(tx.scalars(sa.select(Organization)).one(), ["name"], with_for_update=True)


def by_rollback(tx: Session) -> None:
    tx.begin_nested().rollback()


@pytest.mark.parametrize(
    "change",
    [
        by_object,
        by_statement,
        by_core,
        by_text,
        by_delete,
        by_refresh,
        by_rollback,
    ],
)
def test_the_database_is_asked_once_and_once_more_after_a_change(
    tx: Session, change: Callable[[Session], None]
) -> None:
    assert [asks(tx), asks(tx)] == [1, 1]
    change(tx)
    assert [asks(tx), asks(tx)] == [2, 2]


def test_a_change_of_another_table_leaves_an_answer_as_it_is(tx: Session) -> None:
    asks(tx)
    tx.add(Event(at=NOON, kind="one", actor="operator", detail={}))
    tx.execute(sa.update(Event).values(kind="two"))
    tx.execute(sa.delete(Event))
    assert asks(tx) == 1


@pytest.mark.parametrize("by", ["statement", "object"])
def test_an_answer_is_asked_for_anew_when_its_rows_may_have_gone_with_others(
    tx: Session, by: str
) -> None:
    times = count(1)

    def asked() -> int:  # authenticators are users', and users are organizations'
        return remembered(tx, "times", lambda: next(times), of=[Authenticator])

    assert [asked(), asked()] == [1, 1]
    if by == "statement":
        tx.execute(sa.delete(Organization))
    else:
        tx.delete(tx.scalars(sa.select(Organization)).one())
    assert [asked(), asked()] == [2, 2]


def test_what_others_did_while_a_row_was_waited_for_is_asked_for_once(tx: Session) -> None:
    first = asks(tx)
    for _ in range(2):
        lock(tx, Organization.domain, "harbor")
        # On SQLite nobody else writes.
        assert asks(tx) == (first + 1 if is_postgresql(tx) else first)


def test_a_row_that_was_held_in_what_was_undone_is_held_anew(tx: Session) -> None:
    if not is_postgresql(tx):
        pytest.skip("SQLite's writers hold all rows")
    tx.commit()
    nested = tx.begin_nested()
    lock(tx, Organization.domain, "harbor")
    nested.rollback()
    lock(tx, Organization.domain, "harbor")
    free = sa.select(Organization.id).with_for_update(skip_locked=True)
    with Session(tx.connection().engine) as other:
        assert other.scalars(free).all() == []


def test_an_answer_that_came_along_is_told_until_its_table_changes(tx: Session) -> None:
    remember(tx, "name", "Harbor", of=[Organization])
    named = remembered(tx, "name", lambda: tx.scalar(NAME), of=[Organization])
    assert named == "Harbor"
    by_statement(tx)
    assert remembered(tx, "name", lambda: tx.scalar(NAME), of=[Organization]) == "Harbour"


def test_no_answer_outlives_its_transaction(database_url: str) -> None:
    database = Database(database_url)
    for _ in range(2):
        with database.reading() as tx:
            assert asks(tx) == 1
    database.engine.dispose()
