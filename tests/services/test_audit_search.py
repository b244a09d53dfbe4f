"""Looking through the audit record: what is found, in what order, and by which index."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.models import Environment, Organization
from app.services import audit_search
from app.services.audit import OPERATOR, Actor, EventKind
from app.services.audit_search import Cursor, EventFilter, EventPage
from app.wiring import Services
from tests.conftest import START, FixedClock

ADA, BO = uuid.UUID(int=1), uuid.UUID(int=2)
NOTES = uuid.UUID(int=3)
NADIA = Actor(name="administrator:7", label="nadia@harbor.example", address="192.0.2.7")
USER = Actor(name="user", address="203.0.113.9")


class Ledger:
    """An organization with events."""

    def __init__(self, services: Services, clock: FixedClock) -> None:
        self.services, self.clock = services, clock
        with services.database.writing() as tx:
            self.mine, self.other = (
                services.organizations.create(
                    tx, OPERATOR, environment=Environment.SANDBOX, name=name
                )
                for name in ("Harbor", "Pier")
            )

    def writes(self, kind: EventKind, actor: Actor = USER, **what: Any) -> None:
        values = {"organization_id": self.mine.id, **what}
        with self.services.database.writing() as tx:
            self.services.audit.record(tx, kind, actor, **values)

    def page(self, cursor: Cursor | None = None, *, size: int = 50, **asked: Any) -> EventPage:
        with self.services.database.reading() as tx:
            return self.services.audit_search.page(tx, self.filter(**asked), cursor, size=size)

    def filter(self, **asked: Any) -> EventFilter:
        return EventFilter(**{"organization_id": self.mine.id, **asked})

    def finds(self, **asked: Any) -> list[str]:
        return [event.kind for event in self.page(**asked).events]


@pytest.fixture
def ledger(services: Services, clock: FixedClock) -> Ledger:
    made = Ledger(services, clock)
    clock.advance(86400)
    made.writes(EventKind.VERIFICATION_ACCEPTED, user_id=ADA, application_id=NOTES)
    clock.advance(86400)
    made.writes(EventKind.VERIFICATION_REFUSED, user_id=ADA)
    made.writes(EventKind.VERIFICATION_REFUSED, user_id=BO, application_id=NOTES)
    clock.advance(86400)
    made.writes(EventKind.USER_UNLOCKED, NADIA, user_id=BO, why="Called me")
    made.writes(EventKind.USER_DELETED, NADIA, user_id=ADA, organization_id=made.other.id)
    return made


def test_events_come_newest_first_and_only_one_s_own(ledger: Ledger) -> None:
    assert ledger.finds() == [
        "user:unlocked",
        "verification:refused",
        "verification:refused",
        "verification:accepted",
        "organization:created",
    ]


def test_each_filter_finds_its_own_and_all_together_what_meets_all(ledger: Ledger) -> None:
    day = timedelta(days=1)
    assert ledger.finds(kind="verification:refused") == ["verification:refused"] * 2
    assert ledger.finds(kind="verification") == [
        *["verification:refused"] * 2,
        "verification:accepted",
    ]
    assert ledger.finds(kind="organization") == ["organization:created"]
    assert ledger.finds(actor="user") == ["verification:refused"] * 2 + ["verification:accepted"]
    assert ledger.finds(actor=NADIA.name) == ["user:unlocked"]
    assert ledger.finds(user_id=BO) == ["user:unlocked", "verification:refused"]
    assert ledger.finds(application_id=NOTES) == ["verification:refused", "verification:accepted"]
    assert ledger.finds(address="192.0.2.7") == ["user:unlocked"]
    assert ledger.finds(since=START + 3 * day) == ["user:unlocked"]
    assert ledger.finds(until=START + day) == ["organization:created"]
    assert ledger.finds(since=START + day, until=START + 2 * day) == ["verification:accepted"]
    together = {"kind": "verification", "actor": "user", "user_id": BO, "application_id": NOTES}
    assert ledger.finds(**together, address=USER.address, since=START) == ["verification:refused"]
    assert ledger.finds(**together, until=START + 2 * day) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"user_id": ADA},
        {"address": "192.0.2.7"},
        {"actor": "administrator:7"},
        {"kind": "user"},
        {"kind": "user:deleted"},
    ],
)
def test_no_filter_shows_another_organization_s(ledger: Ledger, wanted: dict[str, Any]) -> None:
    """F26, F82: also not by an index that does not start with the organization."""
    assert "user:deleted" not in ledger.finds(**wanted)


@pytest.mark.parametrize(
    "literal", ["%", "_", "*", "' OR 1=1 --", "user%", "verification:%", "\\", "\0", "192.0.2.%"]
)
def test_wildcards_and_sql_are_only_letters(ledger: Ledger, literal: str) -> None:
    """F78."""
    if "\0" in literal and ledger.services.database.engine.dialect.name == "postgresql":
        pytest.skip("the door takes no NUL")
    for name in ("kind", "actor", "address"):
        assert ledger.finds(**{name: literal}) == []


# Pages


def walk(ledger: Ledger, *, size: int, **asked: Any) -> list[EventPage]:
    pages = [ledger.page(size=size, **asked)]
    while pages[-1].older is not None:
        pages.append(ledger.page(Cursor.read(str(pages[-1].older)), size=size, **asked))
    return pages


def ids(pages: list[EventPage]) -> list[int]:
    return [event.id for page in pages for event in page.events]


@pytest.mark.parametrize("examined", [20_000, 7, 3])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"kind": "verification"},
        {"user_id": ADA},
        {"user_id": BO, "application_id": NOTES},
        {"kind": "verification", "application_id": NOTES},
        {"actor": "user", "kind": "user:updated"},
        {"address": "203.0.113.9", "kind": "user"},
        {"application_id": NOTES, "user_id": ADA, "kind": "result"},
    ],
)
def test_pages_forth_and_back_show_each_event_once(
    ledger: Ledger, examined: int, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little a page may look at."""
    kinds = [
        EventKind.VERIFICATION_ACCEPTED,
        EventKind.USER_UPDATED,
        EventKind.RESULT_ISSUED,
        EventKind.VERIFICATION_REFUSED,
    ]
    for number in range(60):
        ledger.writes(
            kinds[number * 7 % 4],
            USER if number % 5 else NADIA,
            user_id=(ADA, BO)[number // 2 % 2],
            application_id=NOTES if number % 3 else None,
        )
    wanted = ids([ledger.page(size=1000, **asked)])
    monkeypatch.setattr(audit_search, "EXAMINED", examined)
    pages = walk(ledger, size=5, **asked)
    assert ids(pages) == wanted
    assert len(pages) < 80
    back = [pages[-1]]
    while back[-1].newer is not None and len(back) < 90:
        back.append(ledger.page(Cursor.read(str(back[-1].newer)), size=5, **asked))
    seen = [event.id for page in reversed(back) for event in page.events]
    assert sorted(set(seen), reverse=True) == wanted
    assert back[-1].newer is None


def test_a_page_that_is_not_full_says_how_far_it_looked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_search, "EXAMINED", 2)
    first = ledger.page(user_id=ADA, kind="verification:accepted")
    assert (first.events, first.looked_until) == ([], START + timedelta(days=2))
    second = ledger.page(first.older, user_id=ADA, kind="verification:accepted")
    assert [event.kind for event in second.events] == ["verification:accepted"]
    assert second.looked_until is None


@pytest.mark.parametrize(
    "text", ["", None, "o", "x5", "5", "o-1", "o5x", "o" + "9" * 30, "o\u0665", "n1;--", "o5 "]
)
def test_a_cursor_that_is_none_starts_at_the_newest(text: str | None) -> None:
    assert Cursor.read(text) is None


def test_the_stream_brings_all_that_is_found(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_search, "_CHUNK", 2)
    for wanted in (ledger.filter(), ledger.filter(kind="verification"), ledger.filter(user_id=BO)):
        chunks = [found for found, _ in ledger.services.audit_search.stream(ledger.mine, wanted)]
        assert all(len(chunk) <= 2 for chunk in chunks)
        whole = ledger.page(kind=wanted.kind, user_id=wanted.user_id).events
        assert [one.id for chunk in chunks for one in chunk] == [one.id for one in whole]


def test_events_whose_moments_are_a_little_out_of_order_are_found(ledger: Ledger) -> None:
    """A transaction that was long at it commits with an earlier moment."""
    ledger.clock.advance(-1800)
    ledger.writes(EventKind.USER_UPDATED)
    since = ledger.clock.now()
    assert "user:updated" in ledger.finds(since=since, until=since + timedelta(seconds=1))


# Plans

MANY = 120_000


def fill(database: Database, organization: Organization) -> None:
    """Write many events in one statement, and let the planner look at them."""
    sqlite = database.engine.dialect.name == "sqlite"
    series = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < :many)"
    numbers = series if sqlite else ""
    of = "s" if sqlite else "generate_series(1, :many) AS s(n)"

    def hexed(uuid_of: uuid.UUID) -> str:
        return f"'{uuid_of.hex}'" if sqlite else f"'{uuid_of}'::uuid"

    moment = START.strftime("%Y-%m-%d %H:%M:%S.000000")
    statement = f"""
        INSERT INTO events (at, kind, actor, organization_id, user_id, application_id, address,
                            detail, seal_id)
        {numbers}
        SELECT '{moment}',
               CASE WHEN n % 1000 = 0 THEN 'user:unlocked'
                    WHEN n % 3 = 0 THEN 'verification:refused' ELSE 'verification:accepted' END,
               CASE WHEN n % 1000 = 0 THEN 'administrator:7' ELSE 'user' END,
               {hexed(organization.id)},
               CASE WHEN n % 500 = 0 THEN {hexed(ADA)} ELSE {hexed(BO)} END,
               CASE WHEN n % 2 = 0 THEN {hexed(NOTES)} END,
               CASE WHEN n % 700 = 0 THEN '192.0.2.7' ELSE '203.0.113.9' END,
               '{{}}', {hexed(uuid.UUID(int=9))}
        FROM {of}"""  # noqa: S608 (all of it stands above)
    with database.writing() as tx:
        tx.execute(sa.text(statement), {"many": MANY})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE events")


class Plans:
    """Listens to the statements that read events, and asks the database how it does them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.heard: list[tuple[str, Any]] = []
        sa.event.listen(database.engine, "before_cursor_execute", self._hear)

    def _hear(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM events" in statement and "EXPLAIN" not in statement:
            self.heard.append((statement, parameters))

    def told(self) -> Iterator[str]:
        sqlite = self.database.engine.dialect.name == "sqlite"
        words = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        with self.database.engine.connect() as connection:
            for statement, parameters in list(self.heard):
                rows = connection.exec_driver_sql(words + statement, parameters).all()
                yield "\n".join(str(row[-1]) for row in rows)


@pytest.fixture
def big(services: Services, clock: FixedClock) -> Ledger:
    made = Ledger(services, clock)
    fill(services.database, made.mine)
    return made


def test_no_search_scans_the_table(big: Ledger) -> None:
    """Every filter, at any depth, reads along an index and looks at a bounded number."""
    since = START - timedelta(days=1)
    searches: list[tuple[dict[str, Any], str]] = [
        ({}, "organization_id_events_id"),
        ({"user_id": ADA}, "user_id"),
        ({"user_id": ADA, "kind": "verification", "address": "192.0.2.7"}, "user_id"),
        ({"address": "192.0.2.7"}, "address"),
        ({"address": "198.51.100.1"}, "address"),
        ({"actor": "administrator:7"}, "actor"),
        ({"actor": "administrator:8"}, "actor"),
        ({"actor": "user"}, "organization_id_events_id"),
        ({"kind": "user:unlocked"}, "kind"),
        ({"kind": "user:deleted", "application_id": NOTES}, "kind"),
        ({"kind": "verification"}, "kind"),
        ({"application_id": NOTES}, "application"),
        ({"application_id": uuid.uuid4()}, "application"),
        ({"since": since, "until": START}, "organization_id_events_id"),
    ]
    for cursor in (None, Cursor(MANY // 2), Cursor(MANY // 2, newer=True)):
        for asked, index in searches:
            plans = Plans(big.services.database)
            big.page(cursor, **asked)
            told = list(plans.told())
            assert told, asked
            for plan in told:
                assert not re.search(r"Seq Scan|SCAN events|TEMP B-TREE.*events", plan), plan
                assert "ix_events_" in plan or re.search(r"\(id = |\(rowid=", plan), plan
            assert any(index in plan for plan in told), (asked, told)


def test_neither_does_the_sealing(big: Ledger) -> None:
    plans = Plans(big.services.database)
    big.services.seals.seal()
    told = list(plans.told())
    assert any("ix_events_unsealed" in plan for plan in told)
    assert not any("SCAN events" in plan.replace("SCAN events USING", "") for plan in told)
    assert not any("Seq Scan" in plan for plan in told)
