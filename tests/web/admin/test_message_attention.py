"""What the overview says of messages that don't arrive, and where it leads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Message, MessageStatus, Role
from app.services.audit import OPERATOR
from tests.actors import Administrator, keep_secret
from tests.conftest import FixedClock, Harbor
from tests.office import Office
from tests.providers.servers import Post, post
from tests.web.admin.production import (
    PASSWORD,
    has_accounts,
    has_mail,
    loses_accounts,
    reaching,
    runs,
)

DAY = 86_400


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


@pytest.fixture
def office(reached: Harbor, clock: FixedClock) -> Office:
    return Office(reached.services, clock)


@pytest.fixture
def nadia(reached: Harbor, office: Office) -> Administrator:
    return runs(reached, office.organization)


@pytest.fixture
def mail() -> Iterator[Post]:
    keep_secret(PASSWORD)
    with post("none") as made:
        yield made


def overview(administrator: Administrator) -> str:
    administrator.at("/")
    return administrator.text


def leads(administrator: Administrator, path: str) -> str:
    [link] = {one for one in administrator.page.links if one == f"{administrator.place}{path}"}
    administrator.browser.goes_to(link)
    return administrator.text


def fails(office: Office, mail: Post, number: int = 1) -> None:
    """Send codes to addresses that the mail server does not know."""
    before = dict(mail.replies)
    mail.replies["rcpt"] = "550 5.1.1 no such user here"
    office.codes(number)
    office.sends_all()
    mail.replies.clear()
    mail.replies.update(before)


# Channels that nobody carries


def test_a_channel_that_is_on_and_carried_by_nobody_is_told(
    office: Office, nadia: Administrator
) -> None:
    has_accounts(office)
    assert "Nobody carries" not in overview(nadia)
    loses_accounts(office)
    told = overview(nadia)
    for words in (
        "Nobody carries emails Email is used here, and no provider that is on carries it.",
        "Nobody carries text messages",
    ):
        assert words in told, words
    assert "Nobody carries WhatsApp" not in told
    assert "Switch" not in leads(nadia, "/messages/providers").partition("Tried in this order")[0]


def test_dual_needs_both_of_its_halves(office: Office, nadia: Administrator) -> None:
    has_accounts(office)
    with office.services.database.writing() as tx:
        change = office.services.channels.change
        change(tx, OPERATOR, office.organization, "dual", active=True)
        for kind in ("email", "sms"):
            change(tx, OPERATOR, office.organization, kind, active=False)
    loses_accounts(office)
    assert "Nobody carries emails" in overview(nadia)
    assert "Nobody carries text messages" in nadia.text


def test_what_is_off_needs_nobody(office: Office, nadia: Administrator) -> None:
    has_accounts(office)
    loses_accounts(office)
    with office.services.database.writing() as tx:
        for kind in ("email", "sms"):
            office.services.channels.change(tx, OPERATOR, office.organization, kind, active=False)
    assert "Nobody carries" not in overview(nadia)


def test_the_sandbox_needs_nobody(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    nadia.does("/messages/channels/sms/switch-on")
    assert "Nobody carries" not in overview(nadia)


# Messages that failed


def test_messages_that_failed_in_the_last_day_are_told_and_lead_to_the_log(
    office: Office, nadia: Administrator, mail: Post
) -> None:
    has_mail(office, mail)
    sent = office.code(office.user())
    assert office.sends()
    fails(office, mail, 2)
    told = overview(nadia)
    assert "2 messages failed in the last 24 hours The log tells to whom" in told
    log = leads(nadia, "/messages/log?status=failed")
    assert log.count("smtp_550") == 2
    assert str(sent.id) not in nadia.browser.reply.text
    office.clock.advance(DAY + 1)
    nadia.signs_in()
    assert "failed in the last 24 hours" not in overview(nadia)


def test_one_message_is_one(office: Office, nadia: Administrator, mail: Post) -> None:
    has_mail(office, mail)
    fails(office, mail)
    assert "1 message failed in the last 24 hours" in overview(nadia)


def test_a_channel_by_which_nothing_goes_out_is_told_as_broken(
    office: Office, nadia: Administrator, mail: Post
) -> None:
    has_mail(office, mail)
    fails(office, mail, 3)
    told = overview(nadia)
    assert "No emails go out 3 messages failed in the last 24 hours, and none was sent." in told
    assert "The log tells to whom" not in told
    leads(nadia, "/messages/providers")
    office.code(office.user())
    assert office.sends()
    told = overview(nadia)
    assert "No emails go out" not in told
    assert "3 messages failed in the last 24 hours The log tells to whom" in told


def test_what_nobody_wanted_any_more_is_no_failure(office: Office, nadia: Administrator) -> None:
    has_accounts(office)
    office.codes(4)
    office.changes(
        lambda tx: tx.execute(
            sa.update(Message).values(status=MessageStatus.FAILED, error="withdrawn")
        )
    )
    told = overview(nadia)
    assert "failed in the last" not in told
    assert "No emails go out" not in told


def test_failures_of_another_organization_are_not_told(
    reached: Harbor, office: Office, mail: Post, clock: FixedClock
) -> None:
    has_mail(office, mail)
    fails(office, mail, 3)
    pier = Office(reached.services, clock, name="Pier")
    eve = runs(reached, pier.organization)
    told = overview(eve)
    assert "failed in the last" not in told
    assert "No emails go out" not in told


# Who is told


def test_the_help_desk_is_told_what_it_can_look_into(
    reached: Harbor, office: Office, mail: Post
) -> None:
    has_mail(office, mail)
    assert office.sends_all() == 0
    office.code(office.user())
    office.sends_all()
    fails(office, mail)
    loses_accounts(office)
    helper = runs(reached, office.organization, Role.HELPDESK)
    told = overview(helper)
    assert "1 message failed in the last 24 hours" in told
    assert "Nobody carries" not in told
    assert leads(helper, "/messages/log?status=failed").count("smtp_550") == 1
