"""The delivery log in the admin area: what became of each message, and never what it says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.models import Message, MessageStatus, Role
from app.services import message_log
from app.services.audit import OPERATOR
from app.services.send_attempts import MOST_KEPT
from app.web.admin.messages.log_words import NAMES
from tests.actors import Administrator, holds, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.office import Office, Posted
from tests.providers.servers import Post, post
from tests.web.admin.production import (
    PASSWORD,
    has_accounts,
    has_mail,
    loses_accounts,
    reaching,
    runs,
)

ADA = "ada@harbor.example"
MASKED = "a•••@harbor.example"


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


@pytest.fixture
def office(reached: Harbor, clock: FixedClock) -> Office:
    return Office(reached.services, clock)


@pytest.fixture
def mail() -> Iterator[Post]:
    keep_secret(PASSWORD)
    with post("none") as made:
        yield made


def opens(nadia: Administrator, posted: Posted) -> None:
    """Come to the page of a message by the link of the log."""
    nadia.at("/messages/log")
    path = f"/messages/log/{posted.id}"
    assert f"{nadia.place}{path}" in nadia.page.links
    nadia.at(path)


def tells_nothing(nadia: Administrator, posted: Posted) -> None:
    page = nadia.browser.reply.text
    for secret in (posted.code, posted.text.strip(), PASSWORD):
        assert not secret or not holds(page, secret)
    assert "is your code" not in page.lower()
    assert "Your code for" not in page


# What became of it


def test_a_message_that_was_sent_is_told_with_the_provider_s_words(
    reached: Harbor, office: Office, mail: Post
) -> None:
    has_mail(office, mail)
    posted = office.code(office.user())
    nadia = runs(reached, office.organization)
    nadia.at("/messages/log")
    assert f"UTC Email {MASKED} See the user Waiting" in nadia.text
    assert office.sends()
    opens(nadia, posted)
    assert f"Email to {MASKED} Sent" in nadia.text
    assert "Number 1 took it" in nadia.text
    assert "250 2.0.0 Ok: queued as 1A2B" in nadia.text
    assert "Whether it arrived, nobody has said." in nadia.text
    assert office.challenge(posted).reference in nadia.text
    tells_nothing(nadia, posted)


def test_every_provider_that_was_tried_is_told_with_its_words(
    reached: Harbor, office: Office, mail: Post
) -> None:
    with post("none") as broken:
        broken.replies["rcpt"] = f"451 4.3.0 <{ADA}>: come back later"
        has_mail(office, broken)
        has_mail(office, mail)
        posted = office.code(office.user())
        assert office.sends()
    nadia = runs(reached, office.organization)
    opens(nadia, posted)
    for words in ("Number 1 did not take it", "451 4.3.0 <…>: come back later", "smtp_451"):
        assert words in nadia.text, words
    assert "Number 2 took it" in nadia.text
    assert nadia.text.index("Number 2 took it") < nadia.text.index("Number 1 did not take it")
    assert ADA not in nadia.text.replace(f"{ADA} Messages to this user", "")
    tells_nothing(nadia, posted)


def test_a_lost_answer_is_told_as_a_doubt(reached: Harbor, office: Office, mail: Post) -> None:
    mail.replies["data"] = "250"
    has_mail(office, mail)
    posted = office.code(office.user())
    attempt = {
        "at": office.clock.now().isoformat(),
        "provider": "Number 1",
        "code": "timeout",
        "detail": "No answer in time.",
        "doubtful": True,
        "reported": False,
    }

    def doubts(tx: Session) -> None:
        message = tx.get_one(Message, posted.id)
        message.attempts, message.doubts, message.tries = [attempt], 1, 3

    office.changes(doubts)
    nadia = runs(reached, office.organization)
    opens(nadia, posted)
    assert "Number 1 may have taken it: its answer was lost" in nadia.text
    assert "Once it may have arrived although no provider said so." in nadia.text
    assert "Tries 3" in nadia.text
    assert "only the newest is kept" not in nadia.text

    def lasts(tx: Session) -> None:
        tx.get_one(Message, posted.id).attempts = [attempt] * MOST_KEPT

    office.changes(lasts)
    opens(nadia, posted)
    assert "Of what providers said, only the newest is kept." in nadia.text


def test_what_no_provider_carries_leads_to_the_providers(reached: Harbor, office: Office) -> None:
    has_accounts(office)
    posted = office.code(office.user())
    loses_accounts(office)
    assert office.sends()
    assert office.status(posted) == "failed"
    nadia = runs(reached, office.organization)
    nadia.at("/messages/log")
    assert "Failed no provider carries this channel" in nadia.text
    opens(nadia, posted)
    assert "No provider carries emails." in nadia.text
    assert f"{nadia.place}/messages/providers" in nadia.page.links


def test_what_the_provider_says_of_the_cost_is_told(reached: Harbor, office: Office) -> None:
    has_accounts(office)
    posted = office.code(office.user())

    def costs(tx: Session) -> None:
        tx.get_one(Message, posted.id).cost = "0.0333"

    nadia = runs(reached, office.organization)
    opens(nadia, posted)
    assert "Cost" not in nadia.text
    office.changes(costs)
    opens(nadia, posted)
    assert "Cost 0.0333" in nadia.text


def test_a_report_of_failure_joins_what_happened(
    reached: Harbor, office: Office, mail: Post
) -> None:
    has_mail(office, mail)
    posted = office.code(office.user())
    assert office.sends()

    def fails(tx: Session) -> None:
        message = tx.get_one(Message, posted.id)
        message.status, message.error = MessageStatus.FAILED, "twilio_30003"
        reported = {**message.attempts[-1], "code": "twilio_30003", "detail": "", "reported": True}
        message.attempts = [*message.attempts, reported]

    office.changes(fails)
    nadia = runs(reached, office.organization)
    opens(nadia, posted)
    assert "Number 1 says that it did not arrive" in nadia.text
    assert "twilio_30003" in nadia.text
    assert "Tries 1" in nadia.text


# The sandbox


def test_the_sandbox_s_messages_are_captured_and_read_in_the_inbox(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    nadia.at("/messages/log")
    assert "The sandbox sends nothing." in nadia.text
    assert "Notice: method added" in nadia.text
    assert f"Email {MASKED} See the user Captured" in nadia.text
    [link] = [one for one in nadia.page.links if "/messages/log/" in one][:1]
    nadia.browser.goes_to(link)
    assert "Read it in the inbox" in nadia.text
    assert "What it said is not shown to anybody" in nadia.text
    auditor = harbor.administrator(Role.AUDITOR)
    auditor.browser.goes_to(link)
    assert auditor.status == 200
    assert "inbox" not in " ".join(auditor.page.links)


# Searching


def search(nadia: Administrator, query: str) -> set[uuid.UUID]:
    """Return the ids of the messages that a search finds."""
    nadia.at(f"/messages/log?{query}")
    assert nadia.status == 200, nadia.text
    ids = (one.rpartition("/messages/log/")[2] for one in nadia.page.links)
    return {uuid.UUID(one) for one in ids if len(one) == 36}


def test_each_field_of_the_form_narrows_the_list(reached: Harbor, office: Office) -> None:
    has_accounts(office)
    ada, bo = office.user(phone="+33612345678"), office.user("bo", phone="+32470123456")
    office.changes(
        lambda tx: office.services.sending_rules.change(
            tx, OPERATOR, office.organization, countries=["FR", "BE"]
        )
    )
    first = office.code(ada)
    office.clock.advance(86_400)
    second = office.code(bo, "sms")
    third = office.notice(ada)
    loses_accounts(office)
    office.sends_all()
    nadia = runs(reached, office.organization)
    found = partial(search, nadia)
    day = office.clock.now().date()
    assert found("") == {first.id, second.id, third.id}
    assert found(f"to={ADA}") == found(f"to={ada.id}") == {first.id, third.id}
    assert found("to=%2B32+470+12+34+56") == {second.id}
    assert found("to=nobody@harbor.example") == set()
    assert found("channel=sms") == {second.id}
    assert found("status=failed") == {first.id, second.id}
    assert found("status=queued") == {third.id}
    assert found("country=BE") == {second.id}
    assert found("country=FR") == set()
    assert found(f"since={day}") == {second.id, third.id}
    assert found(f"until={day - timedelta(days=1)}") == {first.id}
    assert found("channel=email&status=failed&to=ada@harbor.example") == {first.id}


def test_messages_of_one_provider_are_found(reached: Harbor, office: Office, mail: Post) -> None:
    has_mail(office, mail)
    sent = office.code(office.user())
    office.sends_all()
    has_mail(office, mail)
    nadia = runs(reached, office.organization)
    one, other = reached.services.provider_accounts, office.row(sent).provider_account_id
    with reached.services.database.reading() as tx:
        accounts = [row.id for row in one.all(tx, office.organization)]
    nadia.at(f"/messages/log?provider={other}")
    assert f"{nadia.place}/messages/log/{sent.id}" in nadia.page.links
    [unused] = {*accounts} - {other}
    nadia.at(f"/messages/log?provider={unused}")
    assert "No message matches" in nadia.text


@ONE_DATABASE
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("to=nonsense", "Write a whole email address"),
        ("to=%00", "Write a whole email address"),
        ("to=+33", "Write a whole email address"),
        ("channel=pigeon", "Not a valid choice"),
        ("status=lost", "Not a valid choice"),
        ("country=XX", "Not a valid choice"),
        ("provider=deployment", "Not a valid choice"),
        (f"provider={uuid.UUID(int=7)}", "Not a valid choice"),
        ("since=soon", "Write a day"),
        ("since=0001-01-01", "Choose a day from the year 2000 on."),
        ("since=2026-03-02&until=2026-03-01", "Choose the first day or a later one."),
    ],
)
def test_what_can_not_be_searched_for_is_said_at_its_field(
    harbor: Harbor, query: str, says: str
) -> None:
    nadia = harbor.administrator()
    nadia.at(f"/messages/log?{query}")
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.title.startswith("Error: ")


@ONE_DATABASE
def test_a_cursor_that_is_none_shows_the_newest(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    nadia.at("/messages/log?at=o9999-99-99~'")
    assert "Notice: method added" in nadia.text


def test_the_pager_keeps_the_search(
    reached: Harbor, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_log, "EXAMINED", 2)
    has_accounts(office)
    ada = office.user()
    posted = []
    for _ in range(3):
        posted.append(office.code(ada))
        office.clock.advance(3600)
    nadia = runs(reached, office.organization)
    nadia.at("/messages/log?channel=email")
    [older] = [one for one in nadia.page.links if "at=o" in one]
    assert "channel=email" in older
    nadia.browser.goes_to(older)
    assert f"{nadia.place}/messages/log/{posted[0].id}" in nadia.page.links
    [newer] = [one for one in nadia.page.links if "at=n" in one]
    nadia.browser.goes_to(newer)
    assert f"{nadia.place}/messages/log/{posted[2].id}" in nadia.page.links


@ONE_DATABASE
def test_without_messages_the_page_says_so(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/log")
    assert "No message was sent yet" in nadia.text
    nadia.at("/messages/log?channel=sms")
    assert "No message matches" in nadia.text


# From a user and back


def test_the_user_s_page_leads_to_their_messages_and_these_lead_back(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    nadia.at(f"/users/{harbor.ada}")
    assert "Messages to this user" in nadia.text
    [link] = [one for one in nadia.page.links if "/messages/log" in one]
    nadia.browser.goes_to(link)
    assert "What became of each message to this user" in nadia.text
    assert f"{nadia.place}/users/{harbor.ada}" in nadia.page.links
    assert "Notice: method added" in nadia.text


def test_a_deleted_user_s_last_notice_stays(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at(f"/users/{harbor.ada}/delete")
    nadia.browser.submits(1, reason="They left us.", email="ada@harbor.example")
    nadia.at("/messages/log")
    assert "Notice: account deleted" in nadia.text
    assert "Deleted user" in nadia.text


# Who may


@ONE_DATABASE
def test_the_help_desk_sees_the_log_and_no_way_to_what_it_may_not(harbor: Harbor) -> None:
    harbor.enrolls()
    helper = harbor.administrator(Role.HELPDESK)
    helper.at("/messages/log")
    assert "Notice: method added" in helper.text
    for closed in ("/messages/providers", "/messages/texts", "/messages/limits"):
        assert f"{helper.place}{closed}" not in helper.page.links
    [link] = [one for one in helper.page.links if "/messages/log/" in one][:1]
    assert helper.browser.goes_to(link).status == 200


def test_every_text_that_is_sent_has_a_name() -> None:
    texts = {one.name.split(".")[0] for one in Path("templates/messages").iterdir()}
    parts = {"_letter", "_when", "code_start", "code_warning", "notice", "test"}
    assert texts - parts == {*NAMES}
