"""Looking through the delivery log: what is found, in what order, and by which index."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.errors import NotFound
from app.models import Environment, Message, MessageStatus, Organization, User
from app.services import message_log
from app.services.audit import OPERATOR
from app.services.message_log import MessageFilter, MessagePage
from app.services.message_ranges import Cursor, Place
from app.wiring import Services
from tests.conftest import START, FixedClock

CHANNELS = ("email", "sms", "whatsapp", "voice")
ACCOUNT = uuid.UUID(int=7)


class Shelf:
    """An organization with messages."""

    def __init__(self, services: Services, clock: FixedClock) -> None:
        self.services, self.clock = services, clock
        with services.database.writing() as tx:
            self.mine, self.other = (
                services.organizations.create(
                    tx, OPERATOR, environment=Environment.PRODUCTION, name=name
                )
                for name in ("Harbor", "Pier")
            )
            self.ada, self.bo = (
                services.directory.create(tx, OPERATOR, self.mine, email=f"{name}@harbor.example")
                for name in ("ada", "bo")
            )
            self.eve = services.directory.create(tx, OPERATOR, self.other, email="eve@pier.example")

    def writes(
        self, user: User | None = None, channel: str = "email", status: str = "sent", **what: Any
    ) -> Message:
        made = Message(
            **{
                "id": uuid.uuid4(),
                "organization_id": self.mine.id,
                "user_id": (user or self.ada).id,
                "channel": channel,
                "recipient": (user or self.ada).email,
                "name": "code",
                "subject": "Your code",
                "body": "sealed",
                "status": MessageStatus(status),
                "created_at": self.clock.now(),
                **what,
            }
        )
        with self.services.database.writing() as tx:
            tx.add(made)
        return made

    def filter(self, **asked: Any) -> MessageFilter:
        return MessageFilter(**{"organization_id": self.mine.id, **asked})

    def page(self, cursor: Cursor | None = None, *, size: int = 50, **asked: Any) -> MessagePage:
        with self.services.database.reading() as tx:
            return self.services.message_log.page(tx, self.filter(**asked), cursor, size=size)

    def finds(self, **asked: Any) -> list[uuid.UUID]:
        return [one.id for one in self.page(**asked).messages]


@pytest.fixture
def shelf(services: Services, clock: FixedClock) -> Shelf:
    return Shelf(services, clock)


def test_messages_come_newest_first_and_only_one_s_own(shelf: Shelf) -> None:
    older = shelf.writes()
    shelf.clock.advance(1)
    newer = shelf.writes(shelf.bo)
    shelf.writes(shelf.eve, organization_id=shelf.other.id)
    page = shelf.page()
    assert [one.id for one in page.messages] == [newer.id, older.id]
    assert {one.email for one in page.users.values()} == {"ada@harbor.example", "bo@harbor.example"}


def test_each_filter_finds_its_own_and_all_together_what_meets_all(shelf: Shelf) -> None:
    number = "+33612345678"
    first = shelf.writes()
    shelf.clock.advance(86_400)
    second = shelf.writes(channel="sms", recipient=number, country="FR", status="failed")
    shelf.clock.advance(86_400)
    third = shelf.writes(shelf.bo, "voice", recipient="+32470123456", country="BE", provider="Two")
    day = timedelta(days=1)
    assert shelf.finds(channel="sms") == [second.id]
    assert shelf.finds(status=MessageStatus.FAILED) == [second.id]
    assert shelf.finds(status=MessageStatus.SENT) == [third.id, first.id]
    assert shelf.finds(user_id=shelf.ada.id) == [second.id, first.id]
    assert shelf.finds(user_id=shelf.ada.id, channel="email") == [first.id]
    assert shelf.finds(recipient=number) == [second.id]
    assert shelf.finds(country="BE") == [third.id]
    assert shelf.finds(provider="Two") == [third.id]
    assert shelf.finds(since=START + day) == [third.id, second.id]
    assert shelf.finds(until=START + day) == [first.id]
    assert shelf.finds(since=START + day, until=START + 2 * day) == [second.id]
    both = {"channel": "sms", "status": MessageStatus.FAILED, "user_id": shelf.ada.id}
    assert shelf.finds(**both, recipient=number, country="FR", since=START) == [second.id]
    assert shelf.finds(**both, country="BE") == []


def test_no_filter_shows_another_organization_s(shelf: Shelf) -> None:
    """F26: also not by an index that does not start with the organization."""
    theirs = shelf.writes(
        shelf.eve, "sms", "failed", organization_id=shelf.other.id, country="FR", provider="Two"
    )
    for asked in (
        {"user_id": shelf.eve.id},
        {"channel": "sms"},
        {"status": MessageStatus.FAILED},
        {"recipient": "eve@pier.example"},
        {"country": "FR"},
        {"provider": "Two"},
    ):
        assert shelf.finds(**asked) == []
    with shelf.services.database.reading() as tx, pytest.raises(NotFound):
        shelf.services.message_log.find(tx, shelf.mine, theirs.id)
    with shelf.services.database.reading() as tx:
        assert shelf.services.message_log.find(tx, shelf.other, theirs.id).id == theirs.id


def test_what_a_message_says_is_not_even_read(shelf: Shelf) -> None:
    made = shelf.writes()
    with shelf.services.database.reading() as tx:
        [listed] = shelf.services.message_log.page(tx, shelf.filter()).messages
        found = shelf.services.message_log.find(tx, shelf.mine, made.id)
        for message in (listed, found):
            for name in ("body", "subject"):
                with pytest.raises(sa.exc.InvalidRequestError):
                    getattr(message, name)


# Pages


def walk(shelf: Shelf, *, size: int, **asked: Any) -> list[MessagePage]:
    pages = [shelf.page(size=size, **asked)]
    while pages[-1].older is not None:
        pages.append(shelf.page(Cursor.read(str(pages[-1].older)), size=size, **asked))
        assert len(pages) < 80
    return pages


@pytest.mark.parametrize("examined", [20_000, 7, 3])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"channel": "sms"},
        {"status": MessageStatus.FAILED},
        {"status": MessageStatus.FAILED, "channel": "sms"},
        {"user": "ada"},
        {"user": "bo", "channel": "sms"},
        {"user": "bo", "status": MessageStatus.SENT},
        {"country": "FR"},
        {"recipient": "bo@harbor.example"},
    ],
)
def test_pages_forth_and_back_show_each_message_once(
    shelf: Shelf, examined: int, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little a page may look at, and however many messages are of one moment."""
    asked = dict(asked)
    if name := asked.pop("user", None):
        asked["user_id"] = getattr(shelf, name).id
    with shelf.services.database.writing() as tx:
        for number in range(60):
            user = (shelf.ada, shelf.bo)[number // 2 % 2]
            tx.add(
                Message(
                    id=uuid.uuid4(),
                    organization_id=shelf.mine.id,
                    user_id=user.id,
                    channel=CHANNELS[number * 7 % 4],
                    recipient=user.email or "",
                    country="FR" if number % 3 else "",
                    name="code",
                    subject="",
                    status=MessageStatus.FAILED if number % 5 == 0 else MessageStatus.SENT,
                    created_at=shelf.clock.now() + timedelta(seconds=number // 4),
                )
            )
    wanted = shelf.finds(size=1000, **asked)
    assert wanted
    monkeypatch.setattr(message_log, "EXAMINED", examined)
    pages = walk(shelf, size=5, **asked)
    assert [one.id for page in pages for one in page.messages] == wanted
    back = [pages[-1]]
    while back[-1].newer is not None:
        assert len(back) < 90
        back.append(shelf.page(Cursor.read(str(back[-1].newer)), size=5, **asked))
    seen = {one.id for page in back for one in page.messages}
    assert seen == {*wanted}
    newest = [one.id for one in pages[0].messages]
    assert [one.id for one in back[-1].messages][: len(newest)] == newest


def test_a_page_that_is_not_full_says_how_far_it_looked(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "EXAMINED", 2)
    made = shelf.writes(country="FR")
    for _ in range(3):
        shelf.clock.advance(60)
        shelf.writes()
    first = shelf.page(country="FR")
    assert not first.messages
    assert first.looked_until == START + timedelta(seconds=120)
    second = shelf.page(first.older, country="FR")
    assert [one.id for one in second.messages] == [made.id]
    assert second.looked_until is None


@pytest.mark.parametrize(
    "text",
    [
        *("", None, "o", "x2026-03-01T12:00:00~" + "0" * 32, "o~", "o2026-03-01T12:00:00"),
        *("o2026-03-01T12:00:00+01:00~" + "0" * 32, "o2026-03-01T12:00:00~zz", "n1;--"),
        "o99999-03-01T12:00:00~" + "0" * 32,
    ],
)
def test_a_cursor_that_is_none_starts_at_the_newest(text: str | None) -> None:
    assert Cursor.read(text) is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
@pytest.mark.parametrize("head", ["o", "n"])
def test_a_cursor_of_no_message_is_no_error(shelf: Shelf, at: str, head: str) -> None:
    shelf.writes()
    shelf.page(Cursor.read(f"{head}{at}~{'f' * 32}"))


# Plans

MANY = 60_000


def fill(database: Database, organization: Organization, ada: User, bo: User) -> None:
    """Write many messages in one statement, and let the planner look at them."""
    sqlite = database.engine.dialect.name == "sqlite"
    numbers = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < :many)"
    of = "s" if sqlite else "generate_series(1, :many) AS s(n)"

    def hexed(of: uuid.UUID) -> str:
        return f"'{of.hex}'" if sqlite else f"'{of}'::uuid"

    made = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')::uuid"
    day = START.strftime("%Y-%m-%d")
    at = (
        f"'{day} 12:' || printf('%02d:%02d.000000', n / 60 % 60, n % 60)"
        if sqlite
        else f"timestamptz '{day} 12:00:00+00' + make_interval(secs => n % 3600)"
    )
    statement = f"""
        INSERT INTO messages (id, organization_id, user_id, channel, recipient, country, name,
                              language, subject, status, urgent, tries, doubts, attempts,
                              provider_account_id, provider, created_at)
        {numbers if sqlite else ""}
        SELECT {made}, {hexed(organization.id)},
               CASE WHEN n % 500 = 0 THEN {hexed(ada.id)} ELSE {hexed(bo.id)} END,
               CASE WHEN n % 3 = 0 THEN 'email' ELSE 'sms' END,
               CASE WHEN n % 900 = 0 THEN '+33612345678' ELSE 'bo@harbor.example' END,
               CASE WHEN n % 700 = 0 THEN 'BE' ELSE 'FR' END, 'code', 'en', '',
               CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'sent' END,
               {"1" if sqlite else "true"}, 1, 0, '[]', NULL, 'Two', {at}
        FROM {of}"""  # noqa: S608 (all of it stands above)
    with database.writing() as tx:
        tx.execute(sa.text(statement), {"many": MANY})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE messages")


class Plans:
    """Listens to the statements that read messages, and asks the database how it does them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.heard: list[tuple[str, Any]] = []
        sa.event.listen(database.engine, "before_cursor_execute", self._hear)

    def _hear(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM messages" in statement and "EXPLAIN" not in statement:
            self.heard.append((statement, parameters))

    def told(self) -> Iterator[str]:
        sqlite = self.database.engine.dialect.name == "sqlite"
        words = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        with self.database.engine.connect() as connection:
            for statement, parameters in list(self.heard):
                rows = connection.exec_driver_sql(words + statement, parameters).all()
                yield "\n".join(str(row[-1]) for row in rows)


def test_no_search_scans_the_table(shelf: Shelf) -> None:
    """Every filter, at any depth, reads along an index and looks at a bounded number."""
    fill(shelf.services.database, shelf.mine, shelf.ada, shelf.bo)
    ada, failed = {"user_id": shelf.ada.id}, {"status": MessageStatus.FAILED}
    searches: list[tuple[dict[str, Any], str]] = [
        ({}, "organization_id_messages_created_at"),
        (ada, "user_id_messages_channel"),
        ({**ada, "channel": "sms"}, "user_id_messages_channel"),
        ({**ada, **failed, "country": "FR"}, "user_id_messages_channel"),
        ({"user_id": uuid.uuid4()}, "user_id_messages_channel"),
        (failed, "organization_id_messages_status"),
        ({"status": MessageStatus.DELIVERED}, "organization_id_messages_status"),
        ({**failed, "channel": "sms"}, "organization_id_messages_status"),
        ({"channel": "sms"}, "organization_id_messages_channel"),
        ({"channel": "voice"}, "organization_id_messages_channel"),
        ({"recipient": "+33612345678"}, "organization_id_messages_created_at"),
        ({"country": "BE"}, "organization_id_messages_created_at"),
        ({"provider": "One"}, "organization_id_messages_created_at"),
        ({"account_id": ACCOUNT}, "organization_id_messages_created_at"),
        (
            {"since": START, "until": START + timedelta(hours=1)},
            "organization_id_messages_created_at",
        ),
    ]
    middle = Place(START + timedelta(minutes=30), uuid.UUID(int=MANY // 2))
    for cursor in (None, Cursor(middle), Cursor(middle, newer=True)):
        for asked, index in searches:
            plans = Plans(shelf.services.database)
            shelf.page(cursor, **asked)
            told = list(plans.told())
            assert told, asked
            for plan in told:
                assert not re.search(r"Seq Scan|SCAN messages", plan), (asked, plan)
            assert any(index in plan for plan in told), (asked, told)


def test_neither_does_the_overview(shelf: Shelf) -> None:
    """What failed of late, and whether anything went out, is looked up along an index."""
    fill(shelf.services.database, shelf.mine, shelf.ada, shelf.bo)
    plans = Plans(shelf.services.database)
    with shelf.services.database.reading() as tx:
        troubles = shelf.services.attention._send_troubles.of(tx, shelf.mine)
    assert troubles.failed == MANY // 1000
    told = list(plans.told())
    assert len(told) > 1
    for plan in told:
        assert not re.search(r"Seq Scan|SCAN messages", plan), plan
    assert "organization_id_messages_status" in told[0]
