"""How long messages are kept: the old ones go, whatever became of them, unless they still wait."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from app.db import Database
from app.models import Environment, Message, MessageStatus, Organization
from app.services import retention
from app.services.audit import OPERATOR
from app.wiring import Services
from tests.conftest import FixedClock, make_config, stage

DAY = timedelta(days=1)


def organization(services: Services, name: str = "Harbor") -> Organization:
    with services.database.writing() as tx:
        return services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name=name
        )


def writes(
    services: Services, of: Organization, *ages: timedelta, status: str = "sent"
) -> list[uuid.UUID]:
    """Write messages of these ages, and return their ids."""
    made = [
        Message(
            id=uuid.uuid4(),
            organization_id=of.id,
            channel="email",
            recipient="ada@harbor.example",
            name="code",
            subject="",
            status=MessageStatus(status),
            created_at=services.clock.now() - age,
        )
        for age in ages
    ]
    with services.database.writing() as tx:
        tx.add_all(made)
    return [one.id for one in made]


def left(database: Database) -> set[uuid.UUID]:
    with database.reading() as tx:
        return {*tx.scalars(sa.select(Message.id))}


def test_what_is_older_than_its_days_goes_and_the_rest_stays(services: Services) -> None:
    harbor, pier = organization(services), organization(services, "Pier")
    kept = [
        *writes(services, harbor, 0 * DAY, 89 * DAY, 90 * DAY),
        *writes(services, pier, 3 * DAY),
    ]
    writes(services, harbor, 90 * DAY + timedelta(seconds=1), 400 * DAY)
    writes(services, pier, 91 * DAY)
    assert not services.retention.purge()
    assert left(services.database) == {*kept}


@pytest.mark.parametrize("status", list(MessageStatus))
def test_only_what_still_waits_is_left_to_the_senders(
    services: Services, status: MessageStatus
) -> None:
    made = writes(services, organization(services), 400 * DAY, status=status.value)
    services.retention.purge()
    waits = status in {MessageStatus.QUEUED, MessageStatus.SENDING}
    assert left(services.database) == ({*made} if waits else set())


def test_much_is_deleted_in_parts(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_MESSAGES_AT_ONCE", 3)
    writes(services, organization(services), *[100 * DAY] * 7)
    assert services.retention.purge()
    assert len(left(services.database)) == 4
    assert services.retention.purge()
    assert not services.retention.purge()
    assert left(services.database) == set()


@pytest.fixture
def short(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Services]:
    with stage(database_url, tmp_path, clock, message_days=7) as harbor:
        yield harbor.services


def test_the_deployment_says_how_many_days(short: Services) -> None:
    harbor = organization(short)
    writes(short, harbor, 8 * DAY)
    [kept] = writes(short, harbor, 6 * DAY)
    short.retention.purge()
    assert left(short.database) == {kept}


@pytest.mark.parametrize("days", [6, 0, -1, 3651])
def test_too_few_days_and_too_many_are_refused(tmp_path: Path, days: int) -> None:
    with pytest.raises(ValidationError):
        make_config("sqlite://", tmp_path, message_days=days)


def test_the_oldest_are_found_by_an_index(services: Services) -> None:
    harbor = organization(services)
    writes(services, harbor, *[100 * DAY] * 5, *[0 * DAY] * 2000)
    engine = services.database.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE messages")
    heard: list[tuple[str, object]] = []

    def hear(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("DELETE FROM messages"):
            heard.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", hear)
    services.retention.purge()
    [(statement, parameters)] = heard
    words = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(words + statement, parameters).all()  # type: ignore[arg-type]
    plan = "\n".join(str(row[-1]) for row in rows)
    assert "ix_messages_created_at" in plan
    assert "Seq Scan" not in plan
    assert "SCAN messages" not in plan
