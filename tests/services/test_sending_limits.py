"""The bill and the abuse: caps, cooldown, countries and the budget, in real transactions."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import lock
from app.errors import Invalid
from app.factors.base import Reason, Refused
from app.models import (
    Environment,
    Event,
    SendCooldown,
    SendCount,
    User,
)
from app.services.audit import OPERATOR, EventKind
from app.services.send_figures import Budget, Conversion
from app.services.send_targets import Target
from app.services.sending_rules import Rules
from app.wiring import Services
from tests.conftest import START, FixedClock

MOBILE = "+33612345678"
SMS = Target(channel="sms", recipient=MOBILE)
OFFICE = "192.0.2.7"
DAY = timedelta(days=1)
HIGH: dict[str, Any] = {
    "per_number_day": 1000,
    "per_user_day": 1000,
    "per_address_hour": 1000,
    "per_prefix_hour": 1000,
    "per_organization_day": 1000,
    "monthly_budget": 1000,
}
"""Nothing but the cap of the test is in the way."""


class Desk:
    """An organization that sends codes to its users."""

    def __init__(self, services: Services, clock: FixedClock, name: str = "Harbor") -> None:
        self.services, self.clock = services, clock
        with services.database.writing() as tx:
            self.organization = services.organizations.create(
                tx, OPERATOR, environment=Environment.SANDBOX, name=name
            )
        self.ada = self.user("ada")

    def user(self, name: str) -> User:
        with self.services.database.writing() as tx:
            email = f"{name}@{self.organization.domain}.example"
            return self.services.directory.create(tx, OPERATOR, self.organization, email=email)

    def rules(self, **changes: Any) -> Rules:
        with self.services.database.writing() as tx:
            return self.services.sending_rules.change(tx, OPERATOR, self.organization, **changes)

    def asks(
        self,
        recipient: str = MOBILE,
        channel: str = "sms",
        *,
        user: User | None = None,
        address: str | None = None,
    ) -> Refused | None:
        """Ask in a transaction whether one message may be sent."""
        with self.services.database.writing() as tx:
            return self.services.sending_limits.charge(
                tx,
                address,
                self.organization,
                user or self.ada,
                channel,
                recipient,
                now=self.clock.now(),
            )

    def sends(self, recipient: str = MOBILE, channel: str = "sms", **more: Any) -> bool:
        return self.asks(recipient, channel, **more) is None

    def sends_many(self, numbers: list[str], **more: Any) -> int:
        """Tell how many of these messages are sent, none of which has to wait."""
        return sum(self.sends(number, **more) for number in numbers)

    def rests(self) -> None:
        """Let the longest wait pass without leaving the day."""
        self.clock.advance(900)

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        with self.services.database.reading() as tx:
            return list(tx.scalars(statement))

    def events(self, kind: EventKind) -> list[Event]:
        mine = sa.select(Event).where(
            Event.kind == kind.value, Event.organization_id == self.organization.id
        )
        return self.rows(mine.order_by(Event.id))

    def counts(self) -> dict[tuple[str, str], int]:
        rows = self.rows(
            sa.select(SendCount).where(SendCount.organization_id == self.organization.id)
        )
        return {(row.scope.value, row.key): row.count for row in rows if row.count}

    def budget(self) -> Budget:
        with self.services.database.reading() as tx:
            return self.services.send_figures.budget(tx, self.organization)


@pytest.fixture
def desk(services: Services, clock: FixedClock) -> Desk:
    return Desk(services, clock)


def mobiles(number: int, block: str = "+3361234") -> list[str]:
    """Numbers of one block, each different."""
    return [f"{block}{index:04d}" for index in range(number)]


def scattered(number: int) -> list[str]:
    """Numbers that share no prefix."""
    return [f"+336{index:02d}345678" for index in range(20, 20 + number)]


def midnight(desk: Desk) -> datetime:
    """The next one."""
    return desk.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def next_hour(desk: Desk) -> datetime:
    return desk.clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def test_a_first_message_is_sent(desk: Desk) -> None:
    assert desk.asks(address=OFFICE) is None


# One recipient, and how long it waits


def test_the_wait_between_messages_grows_with_each_of_them(desk: Desk) -> None:
    waits = []
    for _ in range(7):
        assert desk.sends()
        refused = desk.asks()
        assert refused is not None
        assert refused.reason is Reason.COOLDOWN
        assert refused.retry_at is not None
        waits.append((refused.retry_at - desk.clock.now()).total_seconds())
        desk.clock.advance(waits[-1] - 1)
        assert not desk.sends()
        desk.clock.advance(1)
    assert waits == [30, 60, 120, 300, 900, 900, 900]


def test_a_page_can_count_down_to_the_next_message(desk: Desk) -> None:
    limits, database = desk.services.sending_limits, desk.services.database

    def at(recipient: str = MOBILE) -> datetime | None:
        with database.reading() as tx:
            return limits.retry_at(tx, desk.organization, "sms", recipient, now=desk.clock.now())

    assert at() is None
    desk.sends()
    assert at() == at("+33 (0)6 12 34 56 78") == START + timedelta(seconds=30)
    assert at("+33612345679") is None
    desk.clock.advance(30)
    assert at() is None


def test_a_right_code_ends_the_wait_and_leaves_the_caps(desk: Desk) -> None:
    desk.rules(per_number_day=4)
    for _ in range(4):
        assert desk.sends()
        with desk.services.database.writing() as tx:
            desk.services.sending_limits.forgive(tx, desk.organization, "sms", "+33 6 12 34 56 78")
    assert desk.rows(sa.select(SendCooldown)) == []
    assert desk.asks() == Refused(reason=Reason.SEND_LIMIT, retry_at=midnight(desk))


def test_a_right_code_ends_nobody_elses_wait(desk: Desk, services: Services) -> None:
    other = Desk(services, desk.clock, "Pier")
    other.sends()
    desk.sends("+33612345679")
    with services.database.writing() as tx:
        services.sending_limits.forgive(tx, desk.organization, "sms", MOBILE)
    assert not other.sends()
    assert not desk.sends("+33612345679")


def test_a_day_of_rest_ends_the_wait_as_well(desk: Desk) -> None:
    for seconds in (30, 60, 120):
        assert desk.sends()
        desk.clock.advance(seconds)
    desk.clock.advance(86400 + 900)
    assert desk.sends()
    refused = desk.asks()
    assert refused is not None
    assert refused.retry_at == desk.clock.now() + timedelta(seconds=30)


def test_another_channel_or_spelling_does_not_get_around_the_wait(desk: Desk) -> None:
    assert desk.sends()
    for spelling in ("+33 6 12 34 56 78", "+330612345678", "+33-(0)6.12.34.56.78"):
        for channel in ("sms", "whatsapp", "voice"):
            refused = desk.asks(spelling, channel)
            assert refused is not None
            assert refused.reason is Reason.COOLDOWN
    desk.clock.advance(30)
    assert desk.sends("+33 6 12 34 56 78", "voice")


def test_an_address_waits_in_all_its_spellings(desk: Desk) -> None:
    assert desk.sends("Ada@Harbor.example", "email")
    assert not desk.sends("ada@harbor.EXAMPLE", "email")
    assert desk.sends("ada+2@harbor.example", "email")


def test_a_wait_is_no_event(desk: Desk) -> None:
    desk.sends()
    desk.sends()
    assert desk.events(EventKind.SENDING_REFUSED) == []


# The caps: each has a test that fails without it


def test_one_number_gets_so_many_a_day_in_all_its_spellings(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_number_day": 4})
    spellings = ["+33612345678", "+33 6 12 34 56 78", "+330612345678", "+33(0)612345678"]
    for index, spelling in enumerate(spellings):
        assert desk.sends(spelling, user=desk.user(f"user{index}"))
        desk.rests()
    late = desk.user("late")
    for spelling in spellings:
        refused = desk.asks(spelling, user=late)
        assert refused == Refused(reason=Reason.SEND_LIMIT, retry_at=midnight(desk))
    assert desk.sends("+33612345679")
    desk.clock.moment = midnight(desk)
    assert desk.sends()


def test_one_user_gets_so_many_a_day_over_all_numbers_and_channels(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_user_day": 5})
    assert desk.sends_many(scattered(3)) == 3
    assert desk.sends("ada@harbor.example", "email")
    assert desk.sends("ada@work.example", "email")
    for recipient, channel in ((MOBILE, "sms"), (MOBILE, "voice"), ("a@b.example", "email")):
        refused = desk.asks(recipient, channel)
        assert refused == Refused(reason=Reason.SEND_LIMIT, retry_at=midnight(desk))
    assert desk.sends(user=desk.user("bo"))
    desk.clock.moment = midnight(desk)
    assert desk.sends()


def test_numbers_that_begin_alike_get_so_many_an_hour(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_prefix_hour": 30})
    users = [desk.user(f"user{index}") for index in range(10)]
    sent = [
        desk.sends(number, user=users[index % 10], address=f"192.0.2.{index}")
        for index, number in enumerate(mobiles(100))
    ]
    assert sum(sent) == 30
    refused = desk.asks("+33612349999")
    assert refused == Refused(reason=Reason.SEND_LIMIT, retry_at=next_hour(desk))
    assert desk.sends("+33612350000")
    assert desk.counts()[("budget", "")] == 31
    desk.clock.moment = next_hour(desk)
    assert desk.sends("+33612349999")


def test_how_much_numbers_share_is_for_the_organization_to_say(desk: Desk) -> None:
    numbers = ["+33611345678", "+33611445678", "+33611545678", "+33611645678"]
    desk.rules(**{**HIGH, "per_prefix_hour": 3})
    assert desk.sends_many(numbers) == 4
    desk.rests()
    desk.rules(prefix_digits=3)
    assert desk.sends_many(numbers) == 3


def test_one_address_causes_so_many_an_hour(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_address_hour": 4})
    users = [desk.user(f"user{index}") for index in range(6)]
    sent = [
        desk.sends(number, user=user, address=OFFICE)
        for number, user in zip(scattered(6), users, strict=True)
    ]
    assert sum(sent) == 4
    refused = desk.asks("a@b.example", "email", address=OFFICE)
    assert refused == Refused(reason=Reason.SEND_LIMIT, retry_at=next_hour(desk))
    assert desk.sends(address="192.0.2.8")
    desk.clock.moment = next_hour(desk)
    assert desk.sends("+33677345678", address=OFFICE)


@pytest.mark.parametrize(
    "addresses",
    [
        ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:DB8:1:2:ffff::3"],
        ["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"],
        ["unknown", "unknown", "unknown"],
        ["", "", ""],
    ],
)
def test_what_one_party_holds_counts_as_one_address(desk: Desk, addresses: list[str]) -> None:
    desk.rules(**{**HIGH, "per_address_hour": 2})
    numbers = scattered(3)
    pairs = zip(numbers, addresses, strict=True)
    sent = [desk.sends(number, address=address) for number, address in pairs]
    assert sent == [True, True, False]


def test_addresses_of_different_parties_count_apart(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_address_hour": 1})
    addresses = ["::ffff:192.0.2.7", "::ffff:192.0.2.8", "2001:db8:1:2::1", "2001:db8:1:3::1"]
    pairs = zip(scattered(4), addresses, strict=True)
    assert all(desk.sends(number, address=address) for number, address in pairs)


def test_where_a_backend_calls_no_address_is_counted(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_address_hour": 1})
    assert desk.sends_many(scattered(5)) == 5
    assert {scope for scope, _ in desk.counts()} == {
        "number",
        "user",
        "prefix",
        "organization",
        "budget",
    }


def test_an_organization_sends_so_many_a_day_by_phone(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_organization_day": 6})
    users = [desk.user(f"user{index}") for index in range(8)]
    sent = [
        desk.sends(number, ("sms", "whatsapp", "voice")[index % 3], user=users[index])
        for index, number in enumerate(scattered(8))
    ]
    assert sum(sent) == 6
    assert desk.asks() == Refused(reason=Reason.SEND_LIMIT, retry_at=midnight(desk))
    assert desk.sends("ada@harbor.example", "email")
    desk.clock.moment = midnight(desk)
    assert desk.sends()


def test_an_organization_sends_so_many_a_day_by_email(desk: Desk) -> None:
    desk.rules(**HIGH, emails_per_organization_day=3)
    sent = [desk.sends(f"user{index}@harbor.example", "email") for index in range(5)]
    assert sum(sent) == 3
    assert desk.sends()


def test_one_organization_never_spends_what_another_has(desk: Desk, services: Services) -> None:
    other = Desk(services, desk.clock, "Pier")
    for one in (desk, other):
        one.rules(**{**HIGH, "per_organization_day": 1, "per_number_day": 1})
    assert desk.sends()
    desk.rests()
    assert not desk.sends()
    assert other.sends()


def test_a_refused_message_charges_nothing_else(desk: Desk) -> None:
    desk.rules(**{**HIGH, "monthly_budget": 1})
    desk.sends("+33699345678", address=OFFICE)
    before = desk.counts()
    for _ in range(3):
        assert not desk.sends(address=OFFICE)
    assert not desk.sends("+33699345678", address=OFFICE)
    told = {("alarm", "alarm"): 1, ("alarm", "stop at 1"): 1}
    assert desk.counts() == before | told
    waiting = desk.rows(sa.select(SendCooldown.sends))
    assert waiting == [1]


def test_what_is_undone_was_not_sent(desk: Desk) -> None:
    with pytest.raises(RuntimeError), desk.services.database.writing() as tx:
        desk.services.sending_limits.charge(
            tx, None, desk.organization, desk.ada, "sms", MOBILE, now=desk.clock.now()
        )
        raise RuntimeError
    assert desk.counts() == {}
    assert desk.sends()


# Two messages at once


def test_messages_that_go_together_are_charged_together_or_not_at_all(desk: Desk) -> None:
    def asks_both() -> Refused | None:
        both = [Target(channel="email", recipient="ada@harbor.example"), SMS]
        with desk.services.database.writing() as tx:
            return desk.services.sending_limits.charge_all(
                tx, None, desk.organization, desk.ada, both, now=desk.clock.now()
            )

    desk.rules(**{**HIGH, "per_user_day": 3})
    assert asks_both() is None
    desk.rests()
    before = desk.counts()
    refused = asks_both()
    assert refused is not None
    assert refused.reason is Reason.SEND_LIMIT
    assert desk.counts() == before
    assert desk.sends("ada@harbor.example", "email"), "the e-mail has to wait for nothing"
    assert desk.counts()[("user", str(desk.ada.id))] == 3


def test_if_one_of_two_can_not_be_sent_none_is(desk: Desk) -> None:
    both = [
        Target(channel="email", recipient="ada@harbor.example"),
        Target(channel="sms", recipient="+33899123456"),
    ]
    with desk.services.database.writing() as tx:
        refused = desk.services.sending_limits.charge_all(
            tx, None, desk.organization, desk.ada, both, now=desk.clock.now()
        )
    assert refused == Refused(reason=Reason.NUMBER_REFUSED)
    assert desk.counts() == {}
    assert desk.sends("ada@harbor.example", "email")


# In parallel


def at_once(number: int, act: Callable[[int], bool]) -> int:
    """Do something so many times at the same time, and tell how often it went well."""
    start = threading.Barrier(number)

    def run(index: int) -> bool:
        start.wait()
        return act(index)

    with ThreadPoolExecutor(number) as pool:
        return sum(pool.map(run, range(number)))


@pytest.mark.parametrize(
    "cap",
    [
        "per_user_day",
        "per_address_hour",
        "per_prefix_hour",
        "per_organization_day",
        "monthly_budget",
    ],
)
def test_fifty_at_once_never_pass_a_cap(desk: Desk, cap: str) -> None:
    desk.rules(**{**HIGH, cap: 7})
    numbers = mobiles(50)
    assert at_once(50, lambda index: desk.sends(numbers[index], address=OFFICE)) == 7
    sent = desk.counts()
    assert set(sent.values()) - {1} == {7}


def test_fifty_at_once_to_one_number_are_one(desk: Desk) -> None:
    desk.rules(**HIGH)
    assert at_once(50, lambda _: desk.sends()) == 1


def test_fifty_at_once_never_pass_the_cap_of_a_number(desk: Desk) -> None:
    """Each waits for nothing, as after a right code."""
    desk.rules(**{**HIGH, "per_number_day": 7})

    def sends_and_confirms(_index: int) -> bool:
        sent = desk.sends()
        with desk.services.database.writing() as tx:
            desk.services.sending_limits.forgive(tx, desk.organization, "sms", MOBILE)
        return sent

    assert sum(at_once(50, sends_and_confirms) for _ in range(2)) == 7


@contextlib.contextmanager
def heard(desk: Desk) -> Iterator[list[tuple[str, Any]]]:
    """Listen to the statements of a block, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def listen(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    engine = desk.services.database.engine
    sa.event.listen(engine, "before_cursor_execute", listen)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", listen)


def test_rows_are_always_locked_in_the_same_order(desk: Desk) -> None:
    """Else two pairs at once, one the other way round, would wait for each other."""
    desk.rules(**HIGH)
    both = [Target(channel="sms", recipient=one) for one in ("+33620345678", "+33621345678")]
    orders = []
    for targets in (both, both[::-1]):
        with heard(desk) as statements, desk.services.database.writing() as tx:
            charged = desk.services.sending_limits.charge_all(
                tx, OFFICE, desk.organization, desk.ada, targets, now=desk.clock.now()
            )
        assert charged is None
        orders.append(
            [
                (statement.split()[2], *re.findall(r"test:[0-9a-f]{64}", repr(parameters)))
                for statement, parameters in statements
                if statement.startswith("INSERT INTO send_")
            ]
        )
        desk.rests()
    assert orders[0] == orders[1]
    assert len(orders[0]) == 10


def test_a_right_code_never_waits_for_a_message_that_is_being_sent(desk: Desk) -> None:
    if desk.services.database.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite writers queue before they begin")
    desk.sends()
    desk.clock.advance(30)
    limits, database = desk.services.sending_limits, desk.services.database
    with database.writing() as sending:
        assert (
            limits.charge(
                sending, None, desk.organization, desk.ada, "sms", MOBILE, now=desk.clock.now()
            )
            is None
        )
        with database.writing() as answering:
            answering.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
            limits.forgive(answering, desk.organization, "sms", MOBILE)
    assert not desk.sends()


def test_whoever_holds_the_user_may_send_while_another_does(desk: Desk) -> None:
    """Enrolling locks the user first; what is written for a message needs the user at last."""
    if desk.services.database.engine.dialect.name == "sqlite":
        pytest.skip("on SQLite writers queue before they begin")
    desk.rules(**HIGH)
    locked = threading.Event()

    def sends(number: str, *, first: bool) -> Refused | None:
        with desk.services.database.writing() as tx:
            if first:
                lock(tx, User.id, desk.ada.id)
                locked.set()
                time.sleep(0.5)
            else:
                locked.wait()
            charged = desk.services.sending_limits.charge(
                tx, None, desk.organization, desk.ada, "sms", number, now=desk.clock.now()
            )
            lock(tx, User.id, desk.ada.id)
            return charged

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(sends, "+33620345678", first=True)
        other = pool.submit(sends, "+33621345678", first=False)
        assert one.result() is other.result() is None


# Where messages go


@pytest.mark.parametrize(
    ("number", "channel"),
    [
        ("+33899123456", "sms"),
        ("+33899123456", "voice"),
        ("+33810123456", "voice"),
        ("+881612345678", "sms"),
        ("+870773123456", "voice"),
        ("+882161234567", "sms"),
        ("+883510012345", "sms"),
        ("+447012345678", "sms"),
        ("+33123456789", "sms"),
        ("+33123456789", "whatsapp"),
        ("+447700900123", "sms"),
        ("no number", "sms"),
        ("", "voice"),
    ],
)
def test_premium_satellite_and_false_numbers_are_refused_in_any_country(
    desk: Desk, number: str, channel: str
) -> None:
    desk.rules(countries=["FR", "GB", "US"])
    assert desk.asks(number, channel) == Refused(reason=Reason.NUMBER_REFUSED)
    assert desk.counts() == {}


def test_a_fixed_line_is_called(desk: Desk) -> None:
    assert desk.sends("+33123456789", "voice")


@pytest.mark.parametrize("number", ["+14155552671", "+447400123456", "+262692123456"])
def test_other_countries_are_refused_until_they_are_allowed(desk: Desk, number: str) -> None:
    assert desk.asks(number) == Refused(reason=Reason.COUNTRY_NOT_ALLOWED)
    assert desk.counts() == {}
    desk.rules(countries=["FR", "US", "GB", "RE"])
    assert desk.sends(number)


def test_the_number_that_vendors_reserve_for_trying_is_sent_to(desk: Desk) -> None:
    desk.rules(countries=["US"])
    assert desk.sends("+15005550006")
    assert not desk.sends("+15215550006")


@pytest.mark.parametrize(
    ("locale", "countries"),
    [("en-GB", ("GB",)), ("fr-CA", ("CA",)), ("fr", ("FR",)), ("es-419", ("FR",)), (None, ("FR",))],
)
def test_without_a_list_the_organizations_own_country_is_allowed(
    services: Services, locale: str | None, countries: tuple[str, ...]
) -> None:
    with services.database.writing() as tx:
        made = services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Quay", locale=locale
        )
        assert services.sending_rules.of(tx, made).countries == countries


def test_countries_do_not_matter_for_email(desk: Desk) -> None:
    assert desk.sends("ada@harbor.example", "email")


# The budget


def test_the_budget_rings_once_and_then_stops_all_that_costs(desk: Desk) -> None:
    desk.rules(**{**HIGH, "monthly_budget": 10})
    for index, number in enumerate(scattered(10), start=1):
        assert desk.sends(number, ("sms", "whatsapp", "voice")[index % 3])
        rung = desk.events(EventKind.SENDING_BUDGET_ALARMED)
        assert len(rung) == (index >= 8), index
    assert [(one.actor, one.detail) for one in rung] == [
        ("system", {"sent": 8, "budget": 10, "percent": 80})
    ]
    assert desk.events(EventKind.SENDING_BUDGET_SPENT) == []
    next_month = START.replace(month=4, day=1, hour=0, second=0)
    for number in scattered(15)[10:]:
        assert desk.asks(number) == Refused(reason=Reason.BUDGET_SPENT, retry_at=next_month)
    stopped = desk.events(EventKind.SENDING_BUDGET_SPENT)
    assert [(one.actor, one.detail) for one in stopped] == [("system", {"budget": 10})]
    assert desk.events(EventKind.SENDING_REFUSED) == []
    assert desk.sends("ada@harbor.example", "email")
    assert desk.budget() == Budget(sent=10, most=10, alarm_at=8, until=next_month, refused=5)
    desk.clock.moment = next_month - timedelta(seconds=1)
    assert not desk.sends()
    desk.clock.moment = next_month
    assert desk.sends()
    assert desk.budget().sent == 1


def test_a_larger_budget_goes_on_at_once_and_its_end_is_told_again(desk: Desk) -> None:
    desk.rules(**{**HIGH, "monthly_budget": 2})
    assert desk.sends_many(scattered(4)) == 2
    desk.rules(monthly_budget=3)
    assert desk.sends_many(scattered(4)[2:]) == 1
    stopped = desk.events(EventKind.SENDING_BUDGET_SPENT)
    assert [one.detail["budget"] for one in stopped] == [2, 3]
    assert len(desk.events(EventKind.SENDING_BUDGET_ALARMED)) == 1


def test_the_alarm_rings_where_the_organization_wants_it(desk: Desk) -> None:
    desk.rules(**{**HIGH, "monthly_budget": 7, "alarm_percent": 50})
    for index, number in enumerate(scattered(5), start=1):
        assert desk.sends(number)
        assert len(desk.events(EventKind.SENDING_BUDGET_ALARMED)) == (index >= 4)


def test_a_budget_that_was_lowered_rings_at_the_next_message(desk: Desk) -> None:
    desk.rules(**HIGH)
    desk.sends_many(scattered(9))
    desk.rules(monthly_budget=11)
    assert desk.sends()
    assert [one.detail["sent"] for one in desk.events(EventKind.SENDING_BUDGET_ALARMED)] == [10]


def test_email_costs_nothing_of_the_budget(desk: Desk) -> None:
    desk.rules(**{**HIGH, "monthly_budget": 1})
    assert all(desk.sends(f"user{index}@harbor.example", "email") for index in range(5))
    assert desk.budget().sent == 0


# What is on record


def test_the_first_refusal_of_a_cap_is_on_record_and_a_flood_is_a_number(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_prefix_hour": 2})
    bo = desk.user("bo")
    for number in mobiles(40):
        desk.sends(number, user=bo, address=OFFICE)
    (told,) = desk.events(EventKind.SENDING_REFUSED)
    assert (told.actor, told.address, told.user_id) == ("system", OFFICE, bo.id)
    assert told.detail == {
        "reason": "send_limit",
        "limit": "prefix",
        "channel": "sms",
        "country": "FR",
        "sort": "mobile",
        "prefix": "FR +3361234",
    }
    assert desk.rows(sa.select(SendCount.refused).where(SendCount.refused > 0)) == [38]
    desk.clock.moment = next_hour(desk)
    for number in mobiles(4):
        desk.sends(number)
    assert len(desk.events(EventKind.SENDING_REFUSED)) == 2


@pytest.mark.parametrize(
    ("cap", "limit"),
    [
        ("per_number_day", "number"),
        ("per_user_day", "user"),
        ("per_address_hour", "address"),
        ("per_organization_day", "organization"),
    ],
)
def test_each_cap_tells_its_name(desk: Desk, cap: str, limit: str) -> None:
    desk.rules(**{**HIGH, cap: 1})
    for _ in range(3):
        desk.sends(address=OFFICE)
        desk.rests()
    (told,) = desk.events(EventKind.SENDING_REFUSED)
    assert (told.detail["reason"], told.detail["limit"]) == ("send_limit", limit)
    assert told.detail["prefix"] is None


def test_a_refusal_is_on_record_also_where_the_door_answers_by_raising(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_user_day": 1})
    assert desk.sends()
    for number in scattered(3):
        with pytest.raises(RuntimeError), desk.services.database.writing() as tx:
            refused = desk.services.sending_limits.charge(
                tx, OFFICE, desk.organization, desk.ada, "sms", number, now=desk.clock.now()
            )
            raise RuntimeError(refused)
    (told,) = desk.events(EventKind.SENDING_REFUSED)
    assert (told.user_id, told.detail["limit"]) == (desk.ada.id, "user")
    assert desk.rows(sa.select(SendCount.refused).where(SendCount.refused > 0)) == [3]
    assert desk.counts()[("user", str(desk.ada.id))] == 1


def test_a_refused_country_and_a_refused_number_are_on_record_once_a_day(desk: Desk) -> None:
    for number in ("+14155552671", "+14155552672", "+447400123456", "+33899123456", "nonsense"):
        desk.sends(number)
        desk.sends(number)
    told = [one.detail for one in desk.events(EventKind.SENDING_REFUSED)]
    assert [(one["reason"], one["country"], one["sort"]) for one in told] == [
        ("country_not_allowed", "US", "fixed_line_or_mobile"),
        ("country_not_allowed", "GB", "mobile"),
        ("number_refused", "FR", "premium_rate"),
        ("number_refused", "", None),
    ]
    desk.clock.moment = midnight(desk)
    desk.sends("+14155552671")
    assert len(desk.events(EventKind.SENDING_REFUSED)) == 5


def test_no_number_and_no_address_stands_in_a_count(desk: Desk) -> None:
    desk.sends(address=OFFICE)
    desk.sends("ada@harbor.example", "email", address=OFFICE)
    keys = [
        *desk.rows(sa.select(SendCount.key)),
        *desk.rows(sa.select(SendCooldown.recipient_hash)),
    ]
    for secret in (MOBILE, MOBILE[1:], "612345678", "61234", OFFICE, "ada@harbor.example"):
        assert not [key for key in keys if secret in key]


# The rules


def test_every_rule_can_be_changed_and_put_back(desk: Desk) -> None:
    usual = desk.rules()
    changed: dict[str, Any] = {
        "countries": ["US", "FR", "US"],
        "risk_accepted": True,
        "per_number_day": 3,
        "per_user_day": 4,
        "per_address_hour": 5,
        "per_prefix_hour": 6,
        "prefix_digits": 4,
        "per_organization_day": 7,
        "emails_per_organization_day": 8,
        "monthly_budget": 9,
        "alarm_percent": 50,
        "cooldowns": [10, 10, 20],
    }
    wanted = Rules(**{**changed, "countries": ("FR", "US"), "cooldowns": (10, 10, 20)})
    assert desk.rules(**changed) == desk.rules() == wanted
    assert desk.rules(**dict.fromkeys(changed)) == usual


def test_a_change_of_the_rules_is_on_record_with_the_risk(desk: Desk) -> None:
    desk.rules(risk_accepted=True, per_user_day=9)
    desk.rules(risk_accepted=True)
    (told,) = desk.events(EventKind.SENDING_RULES_CHANGED)
    assert told.actor == "operator"
    assert told.detail == {
        "changed": "risk_accepted per_user_day",
        "before": "risk_accepted False; per_user_day 30",
        "after": "risk_accepted True; per_user_day 9",
        "risk_accepted": True,
        "countries": "FR",
        "monthly_budget": 10000,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("countries", []),
        ("countries", ["XX"]),
        ("countries", ["fr"]),
        ("countries", ["001"]),
        ("countries", [["FR"]]),
        ("countries", "FR"),
        ("per_number_day", 0),
        ("per_user_day", "5"),
        ("per_user_day", 5.0),
        ("per_address_hour", True),
        ("prefix_digits", 1),
        ("monthly_budget", 0),
        ("monthly_budget", -1),
        ("alarm_percent", 101),
        ("alarm_percent", 0),
        ("cooldowns", []),
        ("cooldowns", [0]),
        ("cooldowns", [60, 30]),
        ("cooldowns", ["30"]),
        ("cooldowns", [30] * 11),
        ("cooldowns", 30),
        ("risk_accepted", "no"),
    ],
)
def test_a_rule_that_can_not_hold_is_refused_and_changes_nothing(
    desk: Desk, name: str, value: object
) -> None:
    before = desk.rules()
    with pytest.raises(Invalid) as refused:
        desk.rules(**{name: value})
    assert refused.value.field == name
    assert desk.rules() == before


def test_proposed_rules_are_checked_and_not_kept(desk: Desk) -> None:
    book, database = desk.services.sending_rules, desk.services.database
    with database.reading() as tx:
        assert book.proposed(tx, desk.organization, per_user_day=3).per_user_day == 3
        with pytest.raises(Invalid):
            book.proposed(tx, desk.organization, per_user_day=0)
    assert desk.rules().per_user_day == 30


def test_two_changes_at_once_are_both_kept(desk: Desk) -> None:
    changes = [{"per_user_day": 9}, {"per_number_day": 8}]
    at_once(2, lambda index: bool(desk.rules(**changes[index])))
    kept = desk.rules()
    assert (kept.per_user_day, kept.per_number_day) == (9, 8)


def test_a_country_that_was_chosen_stays_when_the_locale_changes(
    desk: Desk, services: Services
) -> None:
    desk.rules(countries=["FR"])
    desk.organization.locale = "en-GB"
    with services.database.reading() as tx:
        assert services.sending_rules.of(tx, desk.organization).countries == ("FR",)
    assert desk.rules(countries=None).countries == ("GB",)


# What came of it


def tells(desk: Desk) -> list[Conversion]:
    with desk.services.database.reading() as tx:
        return desk.services.sending_limits.conversion(tx, desk.organization)


def counts(desk: Desk, what: str, recipient: str, channel: str, number: int) -> None:
    act = getattr(desk.services.sending_limits, what)
    for _ in range(number):
        with desk.services.database.writing() as tx:
            act(tx, desk.organization, channel, recipient, now=desk.clock.now())


def test_conversion_is_told_by_country_and_channel_over_thirty_days(desk: Desk) -> None:
    counts(desk, "sent", "+14155552671", "sms", 9)
    desk.clock.advance(86400)
    counts(desk, "sent", MOBILE, "sms", 4)
    counts(desk, "sent", "+33 6 99 34 56 78", "sms", 1)
    counts(desk, "confirmed", MOBILE, "sms", 3)
    counts(desk, "sent", MOBILE, "voice", 1)
    counts(desk, "sent", "ada@harbor.example", "email", 2)
    counts(desk, "confirmed", "ada@harbor.example", "email", 1)
    desk.clock.advance(28 * 86400)
    counts(desk, "sent", MOBILE, "sms", 1)
    counts(desk, "confirmed", MOBILE, "sms", 1)
    assert tells(desk) == [
        Conversion(country="US", channel="sms", sent=9, confirmed=0),
        Conversion(country="FR", channel="sms", sent=6, confirmed=4),
        Conversion(country="", channel="email", sent=2, confirmed=1),
        Conversion(country="FR", channel="voice", sent=1, confirmed=0),
    ]
    assert [round(one.rate, 2) for one in tells(desk)] == [0.0, 0.67, 0.5, 0.0]
    desk.clock.advance(86400)
    assert [(one.country, one.channel, one.sent) for one in tells(desk)] == [
        ("FR", "sms", 6),
        ("", "email", 2),
        ("FR", "voice", 1),
    ]


def test_conversion_is_each_organizations_own(desk: Desk, services: Services) -> None:
    counts(desk, "sent", MOBILE, "sms", 1)
    assert tells(Desk(services, desk.clock, "Pier")) == []


def test_conversion_is_read_by_an_index_alone(desk: Desk) -> None:
    if desk.services.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a table of a few rows without one")
    with heard(desk) as statements:
        tells(desk)
    ((statement, parameters),) = [one for one in statements if "sum(" in one[0]]
    engine = desk.services.database.engine
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    steps = [row[3] for row in plan]
    assert any("organization_id=? AND scope=? AND begins_at>?" in step for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN")], steps


# What is forgotten


def test_counts_are_purged_once_nobody_asks_for_them(desk: Desk) -> None:
    desk.sends(address=OFFICE)
    desk.sends("+14155552671")
    counts(desk, "sent", MOBILE, "sms", 1)
    counts(desk, "confirmed", MOBILE, "sms", 1)

    def left() -> set[str]:
        while desk.services.retention.purge():
            pass
        return {scope for scope, _ in desk.counts()}

    everything = {"number", "user", "address", "prefix", "organization", "budget"}
    assert left() == everything | {"sent", "confirmed"}
    desk.clock.moment = midnight(desk) + DAY
    assert left() == {"budget", "sent", "confirmed"}
    assert desk.rows(sa.select(SendCount.scope).where(SendCount.refused > 0)) == []
    desk.clock.advance(30 * 86400)
    assert left() == {"budget"}
    assert desk.rows(sa.select(SendCooldown)) == []
    desk.clock.advance(401 * 86400)
    assert left() == set()


def test_what_is_in_use_is_not_purged(desk: Desk) -> None:
    desk.rules(**{**HIGH, "per_number_day": 2})
    desk.sends()
    desk.rests()
    desk.services.retention.purge()
    desk.sends()
    desk.services.retention.purge()
    refused = desk.asks()
    assert refused is not None
    assert refused.reason is Reason.COOLDOWN
    desk.rests()
    assert not desk.sends()


def test_counts_go_with_their_organization(desk: Desk, services: Services) -> None:
    desk.sends()
    desk.rules(per_user_day=3)
    with services.database.writing() as tx:
        tx.execute(sa.text("DELETE FROM organizations"))
    for table in ("send_counts", "send_cooldowns", "sending_rules"):
        with services.database.reading() as tx:
            assert tx.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608
