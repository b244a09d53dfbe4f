"""Events on their way to webhooks: each at least once, in order for each user, and nowhere else."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from app.crypto import Sealed
from app.models import DeliveryStatus, Environment, Event, Message, Role, Webhook, WebhookDelivery
from app.services import webhook_sendings
from app.services.audit import OPERATOR, EventKind
from app.services.letters import opened
from app.services.webhook_claims import HELD_FOR
from app.services.webhook_log import MOST_KEPT, tries_of
from app.services.webhook_schedule import DELAYS, LASTS
from app.wiring import Services, wire
from tests.conftest import ONE_DATABASE, PATIENCE, FixedClock
from tests.hooks import Hooks, hooked, is_signed
from tests.office import VAULT
from tests.providers.servers import Came, Web, drips, floods, hangs, misbehaving, web

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock() -> FixedClock:
    """The library that checks a signature has no clock but the machine's."""
    return FixedClock(datetime.now(UTC))  # noqa: TID251


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def hooks(database_url: str, tmp_path: Path, clock: FixedClock, server: Web) -> Iterator[Hooks]:
    with hooked(database_url, tmp_path, clock, server) as made:
        yield made


# What comes


def test_an_event_comes_signed_and_says_what_the_record_says(hooks: Hooks) -> None:
    made = hooks.registers("user:created")
    user = hooks.happens("bo")
    assert hooks.works() == 1
    came = hooks.web.only
    [event] = hooks.harbor.rows(
        sa.select(Event.id, Event.at).where(
            Event.kind == "user:created", Event.user_id == uuid.UUID(user)
        )
    )
    assert (came.method, came.path) == ("POST", "/hook")
    assert came.headers["content-type"] == "application/json"
    assert came.json == {
        "__type__": "Event",
        "__domain__": "harbor",
        "__environment__": "sandbox",
        "id": event.id,
        "code": "user:created",
        "at": event.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            "__type__": "User",
            "actor": "operator",
            "address": None,
            "user_id": user,
            "application": None,
            "gateway_session_id": None,
            "detail": came.json["data"]["detail"],
        },
    }
    Verifier(hooks.secrets[made]).verify(came.body, came.headers, json_parse=False)
    row = hooks.row()
    assert (row.status, row.answer_status, row.error) == (DeliveryStatus.DELIVERED, 200, None)
    assert row.message_id == came.headers["webhook-id"]
    assert row.ended_at == hooks.harbor.clock.now()
    assert hooks.works() == 0


def test_what_was_changed_on_the_way_is_not_signed(hooks: Hooks) -> None:
    verifier = Verifier(hooks.secrets[hooks.registers("user:created")])
    hooks.happens()
    hooks.works()
    came = hooks.web.only
    stamp = int(came.headers["webhook-timestamp"])
    for headers, body in (
        (came.headers, came.body.replace(b"user:created", b"user:deleted")),
        ({**came.headers, "webhook-id": "msg_another"}, came.body),
        ({**came.headers, "webhook-timestamp": str(stamp - 10)}, came.body),
    ):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, headers, json_parse=False)


def test_only_what_was_asked_for_comes(hooks: Hooks) -> None:
    hooks.registers("user:*", "method_setting:changed")
    user = hooks.happens()
    hooks.changes(user, "Bo")
    with hooks.harbor.services.database.writing() as tx:
        hooks.harbor.services.method_settings.change(
            tx, OPERATOR, hooks.harbor.organization, active=False
        )
    hooks.harbor.key(only=True)
    hooks.works()
    assert sorted(hooks.told) == ["method_setting:changed", "user:created", "user:updated"]


@pytest.mark.parametrize("kind", EventKind)
@ONE_DATABASE
def test_every_kind_of_event_can_be_heard_of(kind: EventKind, hooks: Hooks) -> None:
    hooks.registers(kind.value)
    services = hooks.harbor.services
    with services.database.writing() as tx:
        services.audit.record(
            tx, kind, OPERATOR, organization_id=hooks.harbor.organization.id, count=7
        )
    hooks.works()
    assert kind.value in hooks.told
    [came] = [one for one in hooks.web.came if one.json["data"]["detail"].get("count") == 7]
    assert came.json["data"]["__type__"].lower() == kind.value.partition(":")[0].replace("_", "")


def test_a_change_that_is_undone_is_told_to_nobody(hooks: Hooks) -> None:
    hooks.registers("user:created")
    services = hooks.harbor.services
    with pytest.raises(ZeroDivisionError), services.database.writing() as tx:
        services.directory.create(
            tx, OPERATOR, hooks.harbor.organization, email="no@harbor.example"
        )
        tx.flush()
        raise ZeroDivisionError
    assert hooks.works() == 0


def test_what_is_committed_late_is_told_all_the_same(hooks: Hooks) -> None:
    """A transaction that began first ends last: an order of ids would have passed it by."""
    hooks.registers("user:created")
    services = hooks.harbor.services
    if services.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with services.database.writing() as late:
        services.directory.create(
            late, OPERATOR, hooks.harbor.organization, email="late@harbor.example"
        )
        late.flush()
        hooks.happens("early")
        assert hooks.works() == 1
    assert hooks.works() == 1
    ids = [came.json["id"] for came in hooks.web.came]
    assert ids == sorted(ids, reverse=True)


def test_it_hears_of_nothing_from_before_it_was_there(hooks: Hooks) -> None:
    hooks.happens()
    hooks.harbor.clock.advance(1)
    hooks.registers("user:created")
    assert hooks.works() == 0


def test_it_hears_of_no_other_organization(hooks: Hooks) -> None:
    services = hooks.harbor.services
    hooks.registers()
    with services.database.writing() as tx:
        for environment in (Environment.SANDBOX, Environment.PRODUCTION):
            quay = services.organizations.create(tx, OPERATOR, environment=environment, name="Quay")
            services.directory.create(tx, OPERATOR, quay, email="eve@quay.example")
    hooks.works()
    assert {came.json["__domain__"] for came in hooks.web.came} == {"harbor"}


def test_that_of_an_environment_hears_of_all_of_it_and_of_no_other(hooks: Hooks) -> None:
    services = hooks.harbor.services
    assert hooks.asks("user:created", "application:created", "api_key:created").status == 201
    with services.database.writing() as tx:
        for name, environment in (("Quay", "sandbox"), ("Pier", "production")):
            made = services.organizations.create(
                tx, OPERATOR, environment=Environment(environment), name=name
            )
            services.directory.create(tx, OPERATOR, made, email="eve@quay.example")
    hooks.harbor.key()
    hooks.harbor.key(Environment.PRODUCTION)
    hooks.harbor.registers("Notes two")
    hooks.harbor.registers("Notes three", environment=Environment.PRODUCTION)
    hooks.harbor.administrator()
    hooks.works()
    told = sorted((one.json["code"], one.json["__domain__"]) for one in hooks.web.came)
    assert told == [
        ("api_key:created", None),
        ("application:created", None),
        ("user:created", "quay"),
    ]
    assert {came.json["__environment__"] for came in hooks.web.came} == {"sandbox"}


def test_no_secret_and_no_code_goes_to_a_webhook(hooks: Hooks) -> None:
    hooks.registers()
    harbor = hooks.harbor
    phone = harbor.enrolls_on_the_pages()
    browser = harbor.visits(harbor.ada)
    code = harbor.code(phone)
    browser.types(code)
    hooks.works()
    assert {"verification:accepted", "recovery_codes:issued"} <= set(hooks.told)
    sent = b"\n".join(came.body for came in hooks.web.came).decode()
    assert f'"{code}"' not in sent
    assert base64.b32encode(phone.secret).decode().rstrip("=") not in sent
    # The suite's own net looks for every secret that an actor saw: tests/actors.py.


# Order, and at least once


def test_a_user_s_events_come_in_order_and_wait_for_the_first(hooks: Hooks) -> None:
    hooks.registers("user:*")
    user = hooks.happens()
    hooks.changes(user, "Bo")
    hooks.changes(user, "Cleo")
    hooks.web.answers(500)
    assert hooks.works() == 1
    hooks.web.answers(200)
    assert hooks.waits(minutes=4.9) == 0
    assert hooks.waits(minutes=0.2) == 3
    assert hooks.told == ["user:created", "user:created", "user:updated", "user:updated"]
    ids = [came.json["id"] for came in hooks.web.came]
    assert ids == sorted(ids)


def test_what_comes_while_an_earlier_one_waits_does_not_overtake_it(hooks: Hooks) -> None:
    hooks.registers("user:*")
    user = hooks.happens()
    hooks.web.answers(500)
    hooks.works()
    hooks.web.answers(200)
    hooks.changes(user, "Bo")
    assert hooks.works() == 0
    assert hooks.waits(minutes=5) == 2
    assert hooks.told == ["user:created", "user:created", "user:updated"]


def test_one_user_s_trouble_holds_up_no_other(hooks: Hooks) -> None:
    hooks.registers("user:*")
    bo = hooks.happens("bo")
    hooks.web.decides = lambda came: 500 if came.json["data"]["user_id"] == bo else 200
    cleo = hooks.happens("cleo")
    hooks.changes(bo, "Bo")
    hooks.changes(cleo, "Cleo")
    assert hooks.works() == 3
    of_cleo = [one.json["code"] for one in hooks.web.came if one.json["data"]["user_id"] == cleo]
    assert of_cleo == ["user:created", "user:updated"]


def test_one_webhook_s_trouble_holds_up_no_other(hooks: Hooks) -> None:
    hooks.registers("user:*", target_url=f"{hooks.web.url}/bad")
    hooks.registers("user:*")
    hooks.web.decides = lambda came: 500 if came.path == "/bad" else 200
    user = hooks.happens()
    hooks.changes(user, "Bo")
    hooks.works()
    good = [came.json["code"] for came in hooks.web.came if came.path == "/hook"]
    assert good == ["user:created", "user:updated"]


def test_what_is_given_up_lets_the_next_go(hooks: Hooks) -> None:
    hooks.registers("user:*")
    user = hooks.happens()
    hooks.changes(user, "Bo")
    hooks.web.decides = lambda came: 500 if came.json["code"] == "user:created" else 200
    hooks.works()
    hooks.harbor.executes(sa.update(Webhook).values(event_codes=["*"]))
    for _ in range(30):
        hooks.harbor.key(only=True)  # something of nobody, which arrives
        hooks.waits(hours=2)
    assert hooks.told.count("user:updated") == 1
    statuses = {row.kind: row.status for row in hooks.rows()}
    assert statuses["user:created"] is DeliveryStatus.FAILED
    assert statuses["user:updated"] is DeliveryStatus.DELIVERED


def test_many_workers_deliver_each_event_once_and_in_order(hooks: Hooks) -> None:
    hooks.registers("user:*")
    users = [hooks.happens() for _ in range(8)]
    for number in range(4):
        for user in users:
            hooks.changes(user, f"Name {number}")
    hooks.seals()
    workers(hooks, works_until_nothing_is_pending)
    assert len(hooks.web.came) == 40
    of_user: dict[str, list[int]] = defaultdict(list)
    for came in hooks.web.came:
        of_user[came.json["data"]["user_id"]].append(came.json["id"])
    assert set(of_user) == set(users)
    for ids in of_user.values():
        assert ids == sorted(ids)
        assert len(ids) == 5


def workers(hooks: Hooks, act: Callable[[Services, Hooks], None], number: int = 3) -> None:
    """Have several processes' worth of services do something at the same time."""
    wired = [wire(hooks.harbor.services.config, hooks.harbor.clock) for _ in range(number)]
    threads = [threading.Thread(target=act, args=(one, hooks)) for one in wired]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for services in wired:
        services.database.engine.dispose()


def works_until_nothing_is_pending(services: Services, hooks: Hooks) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and pending(hooks):
        if not services.webhook_sender.send_some():
            time.sleep(0.01)
    services.webhook_sender.finish(seconds=PATIENCE)


def seals_a_few_at_a_time(services: Services, _: Hooks) -> None:
    for _number in range(10):
        services.seals.seal(7)


def pending(hooks: Hooks) -> int:
    waiting = sa.select(sa.func.count()).where(
        WebhookDelivery.status.in_([DeliveryStatus.WAITING, DeliveryStatus.SENDING])
    )
    with hooks.harbor.services.database.reading() as tx:
        return tx.scalar(waiting) or 0


def test_many_workers_seal_and_tell_each_event_once(hooks: Hooks) -> None:
    hooks.registers("user:created")
    for _ in range(20):
        hooks.happens()
    workers(hooks, seals_a_few_at_a_time)
    hooks.works()
    ids = [came.json["id"] for came in hooks.web.came]
    assert len(ids) == len(set(ids)) == 20


class Killed(BaseException):
    """What no code catches, as nothing catches the end of a process."""


def test_a_worker_that_dies_after_it_sent_has_it_sent_again_under_the_same_id(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks.registers("user:*")
    hooks.changes(hooks.happens(), "Bo")
    hooks.seals()

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(webhook_sendings.WebhookSendings, "_settle", dies)
        hooks.harbor.services.webhook_sender.send_next()
    assert hooks.told == ["user:created"]
    held = HELD_FOR.total_seconds()
    assert hooks.waits(seconds=held - 1) == 0
    assert hooks.waits(seconds=2) == 2
    assert hooks.told == ["user:created", "user:created", "user:updated"]
    first, again, _ = (came.headers["webhook-id"] for came in hooks.web.came)
    assert first == again
    assert hooks.web.came[0].body == hooks.web.came[1].body


def test_a_worker_that_comes_back_late_changes_nothing(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.seals()
    sender = hooks.harbor.services.webhook_sender
    [due] = sender._claims.due(limit=1)
    late = sender._claims.take([due])[due.id]
    hooks.waits(seconds=HELD_FOR.total_seconds() + 1)
    assert hooks.row().status is DeliveryStatus.DELIVERED
    sender._sendings.send(late)
    assert len(hooks.web.came) == 1
    assert hooks.row().status is DeliveryStatus.DELIVERED


def test_an_answer_that_is_heard_too_late_is_not_written_over_another_worker_s(
    hooks: Hooks, clock: FixedClock
) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.seals()

    def another_worker_has_it_by_then(_: Came) -> int:
        hooks.web.decides = None
        clock.advance(HELD_FOR.total_seconds() + 1)
        assert hooks.harbor.services.webhook_sender.send_next()
        return 500

    hooks.web.decides = another_worker_has_it_by_then
    hooks.works()
    row = hooks.row()
    assert (row.status, row.tries, row.error) == (DeliveryStatus.DELIVERED, 2, None)
    assert len(tries_of(row)) == 1


# Trying again


def test_it_is_tried_after_5_10_20_minutes_1_and_2_hours_and_then_for_24_hours(
    hooks: Hooks, clock: FixedClock
) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(503)
    hooks.works()
    began, moments = clock.now(), []
    while hooks.row().status is DeliveryStatus.WAITING:
        due = hooks.row().due_at
        assert due is not None
        clock.moment = due - timedelta(seconds=1)
        assert hooks.works() == 0
        clock.moment = due
        assert hooks.works() == 1
        moments.append(clock.now() - began)
    gaps = [b - a for a, b in zip([timedelta(), *moments], moments, strict=False)]
    assert gaps[:5] == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, HOUR, 2 * HOUR]
    assert gaps[5:] == [2 * HOUR] * 12
    assert moments[-1] - moments[4] == timedelta(hours=24)
    assert sum(DELAYS, timedelta()) + timedelta(hours=24) == LASTS == moments[-1]
    row = hooks.row()
    assert (row.status, row.error, row.due_at) == (DeliveryStatus.FAILED, "http_503", None)
    assert row.tries == len(hooks.web.came) == 18
    assert hooks.waits(hours=50) == 0


def test_each_try_says_the_same_under_a_signature_of_its_own_moment(hooks: Hooks) -> None:
    made = hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(503)
    tries = hooks.works() + hooks.waits(minutes=5) + hooks.waits(minutes=10)
    assert tries == 3
    assert len({came.headers["webhook-id"] for came in hooks.web.came}) == 1
    assert len({came.body for came in hooks.web.came}) == 1
    stamps = {came.headers["webhook-timestamp"] for came in hooks.web.came}
    assert len(stamps) == 3
    assert all(is_signed(came, hooks.secrets[made]) for came in hooks.web.came)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 301, 302, 304, 307])
@ONE_DATABASE
def test_every_other_answer_is_tried_again(status: int, hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(status, b"", Location=f"{hooks.web.url}/elsewhere")
    assert hooks.works() == 1
    row = hooks.row()
    assert (row.status, row.error) == (DeliveryStatus.WAITING, f"http_{status}")
    assert {came.path for came in hooks.web.came} == {"/hook"}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@ONE_DATABASE
def test_every_2xx_is_good(status: int, hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(status, b"")
    hooks.works()
    assert hooks.row().status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("7200", 7200),
        ("0", 60),
        ("1", 60),
        ("999999999", 24 * 3600),
        ("9" * 40, 24 * 3600),
        ("date", 1800),
        ("soon", 300),
        ("-5", 300),
        ("1.5", 300),
        ("", 300),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 60),
    ],
)
@ONE_DATABASE
def test_retry_after_is_honoured_within_bounds(
    asked: str, seconds: int, hooks: Hooks, clock: FixedClock
) -> None:
    clock.moment = clock.moment.replace(microsecond=0)
    hooks.registers("user:created")
    hooks.happens()
    if asked == "date":
        asked = format_datetime(clock.now() + timedelta(minutes=30), usegmt=True)
    hooks.web.answers(503, b"", **{"Retry-After": asked})
    hooks.works()
    assert hooks.row().due_at == clock.now() + timedelta(seconds=seconds)


@ONE_DATABASE
def test_whoever_always_asks_for_a_moment_is_given_up_in_time_too(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(429, b"", **{"Retry-After": "3600"})
    hooks.works()
    tries = 1
    for _ in range(40):
        tries += hooks.waits(hours=1)
    assert tries == 1 + 28
    assert hooks.row().status is DeliveryStatus.FAILED
    assert len(tries_of(hooks.row())) == min(MOST_KEPT, tries)


def test_410_stops_it_at_once_and_administrators_are_told(hooks: Hooks) -> None:
    made = hooks.registers("user:*", name="Sign-in log")
    hooks.harbor.administrator()
    hooks.harbor.key(only=True)
    user = hooks.happens()
    hooks.changes(user, "Bo")
    hooks.web.answers(410)
    assert hooks.works() == 1
    shown = hooks.shows(made)
    assert (shown["active"], shown["off_reason"]) == (False, "gone")
    assert [row.status for row in hooks.rows()] == [DeliveryStatus.FAILED, DeliveryStatus.WAITING]
    hooks.happens()
    hooks.web.answers(200)
    assert hooks.waits(hours=30) == 0
    [event] = hooks.harbor.rows(sa.select(Event).where(Event.kind == "webhook:switched_off"))
    assert event[0].detail == {"webhook": made, "name": "Sign-in log", "cause": "gone"}
    assert notices(hooks) == ["owner@gatehouse.example"]
    [(message,)] = hooks.harbor.rows(sa.select(Message).where(Message.name == "webhook_off"))
    assert message.subject == "The webhook Sign-in log of Harbor is switched off"
    letter = opened(VAULT, message)
    assert letter is not None
    assert "Its address answered that it is gone (410)" in letter.text


def notices(hooks: Hooks) -> list[str]:
    told = sa.select(Message.recipient).where(Message.name == "webhook_off")
    return sorted(row.recipient for row in hooks.harbor.rows(told))


def test_it_is_switched_off_when_nothing_arrived_for_a_day(hooks: Hooks) -> None:
    made = hooks.registers("user:*")
    for role in Role:
        hooks.harbor.administrator(role)
    hooks.happens()
    hooks.happens()
    hooks.web.answers(500)
    hooks.works()
    for _ in range(30):
        assert hooks.shows(made)["active"] is (hooks.rows()[0].status is DeliveryStatus.WAITING)
        hooks.waits(hours=1)
    shown = hooks.shows(made)
    assert (shown["active"], shown["off_reason"]) == (False, "failing")
    assert notices(hooks) == ["administrator@gatehouse.example", "owner@gatehouse.example"]


def test_one_event_that_is_never_taken_switches_nothing_off(hooks: Hooks) -> None:
    made = hooks.registers("user:*")
    bad = hooks.happens()
    hooks.web.decides = lambda came: 500 if came.json["data"]["user_id"] == bad else 200
    hooks.works()
    for _ in range(30):
        hooks.happens()
        hooks.waits(hours=1)
    assert hooks.shows(made)["active"] is True
    assert hooks.rows()[0].status is DeliveryStatus.FAILED
    assert notices(hooks) == []


def test_switched_on_again_what_waited_goes_on_and_what_happened_meanwhile_stays_untold(
    hooks: Hooks,
) -> None:
    made = hooks.registers("user:*")
    user = hooks.happens()
    hooks.changes(user, "Bo")
    hooks.web.answers(410)
    hooks.works()
    hooks.web.answers(200)
    hooks.harbor.clock.advance(60)
    hooks.changes(user, "Untold")
    hooks.harbor.clock.advance(60)
    services = hooks.harbor.services
    with services.database.writing() as tx:
        services.webhooks.switch_on(tx, OPERATOR, tx.get_one(Webhook, made))
    hooks.changes(user, "Cleo")
    assert hooks.works() == 2
    assert hooks.told[1:] == ["user:updated", "user:updated"]
    assert hooks.shows(made)["off_reason"] is None


# Rotation


def test_for_the_overlap_requests_are_signed_with_both_secrets(hooks: Hooks) -> None:
    made = hooks.registers("user:created")
    old = hooks.secrets[made]
    reply = hooks.harbor.backend.calls(
        "POST", f"/webhooks/{made}/replacement", json={"overlap_seconds": 3600}
    )
    new = reply.json["signature_key"]
    hooks.happens()
    hooks.works()
    came = hooks.web.came[-1]
    assert len(came.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Verifier(secret).verify(came.body, came.headers, json_parse=False)
    hooks.harbor.clock.advance(3600)
    hooks.happens()
    hooks.works()
    assert is_signed(hooks.web.came[-1], new)
    assert not is_signed(hooks.web.came[-1], old)


def test_without_an_overlap_the_old_secret_signs_nothing_more(hooks: Hooks) -> None:
    made = hooks.registers("user:created")
    reply = hooks.harbor.backend.calls("POST", f"/webhooks/{made}/replacement", json={})
    hooks.happens()
    hooks.works()
    assert is_signed(hooks.web.only, reply.json["signature_key"])
    assert not is_signed(hooks.web.only, hooks.secrets[made])


def test_no_secret_stands_in_the_database_and_none_can_be_swapped(hooks: Hooks) -> None:
    first, second = hooks.registers("user:created"), hooks.registers("user:created")
    hooks.harbor.backend.calls(
        "POST", f"/webhooks/{first}/replacement", json={"overlap_seconds": 60}
    )
    dump = hooks.harbor.dump()
    for secret in hooks.secrets.values():
        assert secret not in dump
        assert secret.removeprefix("whsec_") not in dump
    theirs = sa.select(Webhook.secret).where(Webhook.id == second).scalar_subquery()
    hooks.harbor.executes(sa.update(Webhook).where(Webhook.id == first).values(secret=theirs))
    hooks.happens()
    hooks.seals()
    with pytest.raises(Sealed):
        while hooks.harbor.services.webhook_sender.send_next():
            pass


# Where it may go


def points(hooks: Hooks, made: str, address: str) -> None:
    hooks.harbor.executes(sa.update(Webhook).where(Webhook.id == made).values(target_url=address))


@pytest.mark.parametrize(
    "address",
    [
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[fd00::1]/hook",
        "https://0.0.0.0/hook",
        "https://0x7f000001/hook",
        "http://93.184.216.34/hook",
        "https://user:pass@93.184.216.34/hook",
        "https://93.184.216.34:25/hook",
        "gopher://93.184.216.34/",
        "file:///etc/passwd",
    ],
)
@ONE_DATABASE
def test_what_may_not_be_called_is_not_called_whatever_stands_in_the_row(
    address: str, hooks: Hooks
) -> None:
    points(hooks, hooks.registers("user:created"), address)
    hooks.happens()
    hooks.works()
    row = hooks.row()
    assert (row.status, row.error) == (DeliveryStatus.WAITING, "address_not_allowed")
    assert hooks.web.came == []


@ONE_DATABASE
def test_a_name_that_leads_inside_by_then_is_not_called(hooks: Hooks) -> None:
    """The name was public when it was written down: it is judged again, and what was judged is
    what is called."""
    hooks.registers("user:created")
    hooks.happens()
    outbound = hooks.harbor.services.webhook_sender._sendings._outbound
    before, networks = outbound._resolve, outbound._networks
    outbound._resolve, outbound._networks = (lambda host, port: ["10.0.0.7"]), ()
    try:
        hooks.works()
    finally:
        outbound._resolve, outbound._networks = before, networks
    assert hooks.row().error == "address_not_allowed"


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (hangs, "timeout"),
        (drips(b"HTTP/1.1", b" "), "timeout"),
        (floods(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"), "unreachable"),
        (lambda line, over: None, "unreachable"),
        (lambda line, over: line.sendall(b"SSH-2.0-OpenSSH_9.9\r\n"), "unreachable"),
    ],
    ids=["hangs", "drips", "floods", "hangs up", "no http"],
)
@ONE_DATABASE
def test_whoever_answers_nothing_good_has_an_end_and_another_try(
    talk: Any, error: str, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sendings, "SECONDS", 0.7 if error == "timeout" else 10)
    with misbehaving(talk) as port:
        hooks.registers("user:created", target_url=f"http://127.0.0.1:{port}/hook")
        hooks.happens()
        began = time.monotonic()
        assert hooks.works() == 1
        assert time.monotonic() - began < 20
    row = hooks.row()
    assert (row.status, row.error, row.answer_status) == (DeliveryStatus.WAITING, error, None)


@ONE_DATABASE
def test_a_body_that_never_ends_is_not_read(hooks: Hooks) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    with misbehaving(floods(start, b"secret " * 1000)) as port:
        hooks.registers("user:created", target_url=f"http://127.0.0.1:{port}/hook")
        hooks.happens()
        hooks.works()
    assert hooks.row().status is DeliveryStatus.DELIVERED
    assert "secret secret" not in hooks.harbor.dump()


@ONE_DATABASE
def test_what_the_other_side_says_is_kept_nowhere(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(500, b"<b>the inside of somebody</b>", **{"X-Inside": "of somebody"})
    hooks.works()
    assert "of somebody" not in hooks.harbor.dump()


# How long it is kept


def test_deliveries_are_deleted_after_as_many_days_as_messages(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.works()
    days = hooks.harbor.services.config.message_days
    hooks.waits(hours=24 * days - 1)
    hooks.happens()
    hooks.works()
    hooks.harbor.services.retention.purge()
    assert len(hooks.rows()) == 2
    hooks.harbor.clock.advance(2 * 3600)
    hooks.harbor.services.retention.purge()
    assert len(hooks.rows()) == 1


# What it costs those who have none


def test_nothing_is_asked_of_the_database_while_an_event_is_recorded(hooks: Hooks) -> None:
    harbor = hooks.harbor
    phone = harbor.enrolls()

    def statements() -> list[str]:
        heard: list[str] = []

        def hear(_c: Any, _cu: Any, statement: str, *_: Any) -> None:
            heard.append(statement)

        engine = harbor.services.database.engine
        browser = harbor.visits(harbor.ada)
        sa.event.listen(engine, "before_cursor_execute", hear)
        browser.types(harbor.code(phone))
        sa.event.remove(engine, "before_cursor_execute", hear)
        assert "result" in browser.back
        harbor.clock.advance(30)
        return heard

    without = statements()
    hooks.registers()
    having = statements()
    assert len(without) == len(having) > 5
    assert not [one for one in without + having if "webhook" in one]
