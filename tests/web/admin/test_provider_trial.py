"""Testing a provider in the admin area: a real message, and the provider's own answer."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Event, Organization, Role, SendScope
from app.services.audit import OPERATOR
from app.services.provider_tests import PER_ADMINISTRATOR_HOUR, PER_ORGANIZATION_DAY
from app.services.send_counts import Slot, Window, add
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, PATIENCE, FixedClock, Harbor
from tests.providers.servers import Post, misbehaving, post
from tests.web.admin.production import PASSWORD, mail_account, production, reaching, runs


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


@pytest.fixture
def harbors(reached: Harbor) -> Organization:
    return production(reached)


@pytest.fixture
def mail() -> Iterator[Post]:
    keep_secret(PASSWORD)
    with post("none") as made:
        yield made


def trial_of(nadia: Administrator, mail: Post, **changed: str) -> str:
    """Add an account, and return the address where it is tested."""
    nadia.at("/messages/providers/new/smtp")
    nadia.browser.submits(1, **mail_account(mail, **changed))
    assert "as the last choice" in nadia.text, nadia.text
    return f"/messages/providers/{nadia.browser.path.rpartition('/')[2]}/test"


def events(harbor: Harbor) -> list[Event]:
    rows = harbor.rows(sa.select(Event).where(Event.kind == "provider:tested").order_by(Event.id))
    return [event for (event,) in rows]


def test_a_test_reaches_the_administrator_s_own_address(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    nadia.at(trial_of(nadia, mail))
    assert nadia.page.forms[1]["fields"]["recipient"] == nadia.email
    nadia.browser.submits(1)
    assert "Mail of Harbor took the message." in nadia.text
    assert "250 2.0.0 Ok: queued as 1A2B" in nadia.text  # the server's own words
    came = mail.only()
    assert came.recipients == [nadia.email]
    assert came.message["Subject"] == "Test: Your code for Harbor"
    assert "This is a test. The code works nowhere." in came.part("plain")
    assert "Your code is 123456. It works for 10 minutes." in came.part("plain")
    assert "123456" in came.part("html")


def test_a_test_is_on_record_and_its_recipient_only_in_part(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    nadia.at(trial_of(nadia, mail))
    nadia.browser.submits(1, recipient="somebody@elsewhere.example")
    [event] = events(reached)
    assert event.actor.startswith("administrator:")
    assert event.detail == {
        "provider": "smtp",
        "name": "Mail of Harbor",
        "channel": "email",
        "recipient": "s•••@elsewhere.example",
        "outcome": "taken",
    }
    assert "Provider tested: Mail of Harbor, by email, taken" in nadia.at("/audit").text


def test_what_the_provider_refuses_is_told_in_its_words(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    mail.replies["rcpt"] = "550 5.1.1 <ada@harbor.example>: no such <b>user</b> here"
    nadia = runs(reached, harbors)
    nadia.at(trial_of(nadia, mail))
    nadia.browser.submits(1, recipient="ada@harbor.example")
    assert nadia.status == 200
    assert "Mail of Harbor did not take the message." in nadia.text
    assert "550 5.1.1 <…>: no such <b>user</b> here" in nadia.text
    assert "<b>user</b>" not in nadia.browser.reply.text  # F67
    assert "smtp_550" in nadia.text
    assert "It refuses this recipient." in nadia.text
    assert events(reached)[0].detail["outcome"] == "smtp_550"


def test_a_wrong_password_is_told_and_a_right_one_works(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    place = trial_of(nadia, mail, setting_password=keep_secret("not the password at all"))
    nadia.at(place)
    nadia.browser.submits(1)
    assert "smtp_535" in nadia.text
    assert "before something is changed" in nadia.text
    nadia.at(place.replace("/test", "/edit"))
    nadia.browser.submits(1, setting_password=PASSWORD)
    nadia.at(place)
    nadia.browser.submits(1)
    assert "took the message" in nadia.text
    assert len(mail.mails) == 1


@ONE_DATABASE
@pytest.mark.parametrize("recipient", ["", "nobody", "a@b.example, c@d.example", "+33612345678"])
def test_a_test_needs_one_recipient(
    reached: Harbor, harbors: Organization, mail: Post, recipient: str
) -> None:
    nadia = runs(reached, harbors)
    nadia.at(trial_of(nadia, mail))
    nadia.browser.submits(1, recipient=recipient)
    assert nadia.status == 422
    assert "Write one e-mail address" in nadia.text
    assert nadia.page.forms[1]["fields"]["recipient"] == recipient
    assert mail.tried == []


@ONE_DATABASE
def test_a_channel_that_the_account_does_not_carry_is_refused(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    place = trial_of(nadia, mail)
    nadia.at(place)
    assert nadia.does(place, channel="sms", recipient="+33612345678").status == 422
    assert mail.tried == []


def test_tests_are_limited_for_each_administrator(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    place = trial_of(nadia, mail)
    nadia.at(place)
    for _ in range(PER_ADMINISTRATOR_HOUR):
        assert nadia.browser.submits(1).status == 200
    assert nadia.browser.submits(1).status == 429
    assert "Nothing was sent." in nadia.text
    assert "1 March 2026, 13:00 UTC" in nadia.text
    assert len(mail.mails) == PER_ADMINISTRATOR_HOUR
    assert len(events(reached)) == PER_ADMINISTRATOR_HOUR
    other = runs(reached, harbors, Role.ADMINISTRATOR)
    other.at(place)
    assert other.browser.submits(1).status == 200
    reached.clock.advance(3600)
    nadia.signs_in()
    nadia.at(place)
    assert nadia.browser.submits(1).status == 200


def test_tests_are_limited_for_the_organization(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    nadia.at(trial_of(nadia, mail))
    slot = Slot(harbors.id, SendScope.TEST, Window.DAY)
    with reached.services.database.writing() as tx:
        add(tx, slot, PER_ORGANIZATION_DAY - 1, None, reached.clock.now())
    assert nadia.browser.submits(1).status == 200
    assert nadia.browser.submits(1).status == 429
    assert len(mail.mails) == 1


def test_a_provider_that_hangs_holds_up_nobody_else(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    """Others write meanwhile: the message is sent outside of any transaction."""
    connected, go_on = threading.Event(), threading.Event()

    def talk(line: socket.socket, _over: threading.Event) -> None:
        connected.set()
        go_on.wait(PATIENCE)

    nadia = runs(reached, harbors)
    with misbehaving(talk) as port:
        nadia.at(trial_of(nadia, mail, setting_port=str(port)))
        waiting = threading.Thread(target=nadia.browser.submits, args=(1,))
        waiting.start()
        try:
            assert connected.wait(PATIENCE)
            begun = time.monotonic()
            with reached.services.database.writing() as tx:
                reached.services.directory.create(tx, OPERATOR, harbors, email="bo@harbor.example")
            assert time.monotonic() - begun < 20
        finally:
            go_on.set()
            waiting.join()
    assert "unreachable" in nadia.text
    assert events(reached)[0].detail["outcome"] == "unreachable"


def test_the_deployment_s_own_mail_server_is_tested_too(
    database_url: str, tmp_path: Path, clock: FixedClock, mail: Post
) -> None:
    settings = {
        "smtp_url": f"smtp://127.0.0.1:{mail.port}?tls=none",
        "mail_from": "Gatehouse <mfa@example.com>",
    }
    with reaching(database_url, tmp_path, clock, **settings) as harbor:
        nadia = runs(harbor, production(harbor))
        nadia.at("/messages/providers/deployment/test")
        nadia.browser.submits(1)
        assert "This deployment’s mail server took the message." in nadia.text
        assert mail.only().sender == "mfa@example.com"


@ONE_DATABASE
def test_without_one_there_is_nothing_to_test(reached: Harbor, harbors: Organization) -> None:
    nadia = runs(reached, harbors)
    assert nadia.at("/messages/providers/deployment/test").status == 404
    assert nadia.at(f"/messages/providers/{uuid.uuid4()}/test").status == 404


def test_the_sandbox_tests_nothing(reached: Harbor, mail: Post) -> None:
    nadia = reached.administrator()
    place = trial_of(nadia, mail)
    assert "there is nothing to test" in nadia.text
    assert "Send a test" not in nadia.text
    nadia.at(place)
    assert "There is nothing to test here." in nadia.text
    nadia.does(place, channel="email", recipient=nadia.email)
    assert nadia.status == 422
    assert mail.tried == []
    assert events(reached) == []
