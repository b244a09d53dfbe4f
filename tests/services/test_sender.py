"""Sending: each message once, by whom takes it, and nothing of it left behind."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from app.config import Config
from app.db import Database
from app.errors import NotFound
from app.models import (
    Authenticator,
    Challenge,
    Environment,
    Message,
    MessageStatus,
    Organization,
    User,
)
from app.providers.base import Outgoing
from app.services import sendings
from app.services.audit import OPERATOR
from app.services.delivery import NOTICE_FOR
from app.services.send_attempts import MOST_KEPT, attempts_of
from app.services.send_claims import HELD_FOR, _in_turn
from app.services.sender import Sender
from tests.actors import holds
from tests.conftest import PATIENCE, FixedClock
from tests.office import Office, Posted, another
from tests.providers.servers import Mail, Post, Talk, drips, hangs, misbehaving, post

HELD = HELD_FOR.total_seconds()


def sends_for(sender: Sender, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Run a sender as a worker does, until something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it takes too long"
        if not sender.send_some():
            time.sleep(0.02)


def dump(database: Database) -> str:
    tables = sa.MetaData()
    tables.reflect(database.engine)
    with database.engine.connect() as connection:
        return repr([connection.execute(one.select()).all() for one in tables.sorted_tables])


# A message goes out


def test_a_code_goes_to_its_recipient_over_tls(office: Office, server: Post) -> None:
    account = office.mail_server(server)
    posted = office.code()
    assert office.sends()
    mail = server.only()
    assert mail.recipients == [posted.recipient]
    assert posted.code in mail.part("plain")
    assert posted.code in mail.part("html")
    assert server.encrypted == [True]
    row = office.row(posted)
    assert (row.status, row.sent_at) == (MessageStatus.SENT, office.clock.now())
    assert (row.provider_account_id, row.provider) == (account.id, "Number 1")
    assert row.provider_message_id == f"<{posted.id}@harbor.example>"
    assert (row.error, row.tries, row.due_at) == (None, 1, None)
    assert not office.sends()


def test_what_was_sent_is_nowhere_in_the_database(office: Office, server: Post) -> None:
    office.mail_server(server)
    sent = [office.code(), office.notice()]
    bodies = [office.row(one).body for one in sent]
    assert office.sends_all() == 2
    told = dump(office.services.database)
    assert sent[0].recipient in told
    for one, body in zip(sent, bodies, strict=True):
        assert office.row(one).body is None
        assert one.text not in told
        assert body is not None
        assert body not in told
    assert not holds(told, sent[0].code)


def test_what_failed_for_good_is_nowhere_in_the_database(office: Office, server: Post) -> None:
    office.mail_server(server)
    server.replies["rcpt"] = "550 5.1.1 No such user here"
    posted = office.code()
    body = office.row(posted).body
    assert office.sends()
    assert office.status(posted) == "failed"
    told = dump(office.services.database)
    assert body is not None
    assert body not in told
    assert not holds(told, posted.code)


def test_what_waits_is_sealed(office: Office, closed_port: int) -> None:
    office.mail_server(closed_port)
    posted = office.code()
    assert not holds(dump(office.services.database), posted.code)


def test_nothing_leaves_the_sandbox_and_it_stays_readable_there(
    office: Office, server: Post
) -> None:
    sandbox = Office(office.services, office.clock, "Quay")
    with office.services.database.writing() as tx:
        tx.execute(
            sa.update(Organization)
            .where(Organization.id == sandbox.organization.id)
            .values(environment=Environment.SANDBOX)
        )
        sandbox.organization = tx.get_one(
            Organization, sandbox.organization.id, populate_existing=True
        )
    sandbox.mail_server(server)
    posted = sandbox.code()
    assert not office.sends()
    assert server.mails == []
    row = sandbox.row(posted)
    assert row.status is MessageStatus.CAPTURED
    inbox = office.services.inbox
    assert posted.code in inbox.text_of(sandbox.organization, row)
    with pytest.raises(NotFound):
        inbox.text_of(office.organization, row)


# Claims


def test_many_senders_send_each_message_once(
    office: Office, server: Post, sending: Config, clock: FixedClock
) -> None:
    office.mail_server(server)
    posted = office.codes(30) + [office.notice() for _ in range(10)]
    server.seconds = 0.02
    with another(sending, clock) as second, another(sending, clock) as third:
        senders = [office.services.sender, second.sender, third.sender]
        done = lambda: office.statuses() == {"sent": 40}  # noqa: E731
        threads = [threading.Thread(target=sends_for, args=(one, done)) for one in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in senders:
            one.finish(seconds=20)
    came = Counter(mail.recipients[0] for mail in server.mails)
    assert came == Counter(one.recipient for one in posted)
    assert {office.row(one).tries for one in posted} == {1}


def test_a_claim_is_nobody_else_s_until_it_runs_out(
    office: Office, server: Post, sending: Config, clock: FixedClock
) -> None:
    office.mail_server(server)
    posted = office.code()
    tried: list[bool] = []

    def others_try(mail: Mail) -> None:
        server.meanwhile = lambda _: None
        tried.append(second.sender.send_next())
        clock.advance(HELD - 0.001)
        tried.append(second.sender.send_next())

    with another(sending, clock) as second:
        server.meanwhile = others_try
        assert office.sends()
    assert tried == [False, False]
    assert len(server.mails) == 1
    assert office.status(posted) == "sent"


@pytest.mark.parametrize("late", ["250 Ok", "554 5.6.0 Spam", "451 4.3.0 Later"])
def test_a_sender_that_comes_back_late_changes_nothing(
    late: str, office: Office, server: Post, sending: Config, clock: FixedClock
) -> None:
    account = office.mail_server(server)
    posted = office.code()

    def another_sends(mail: Mail) -> None:
        server.meanwhile = lambda _: None
        clock.advance(HELD)
        assert second.sender.send_next()
        clock.advance(1)
        server.replies["data"] = late

    with another(sending, clock) as second:
        server.meanwhile = another_sends
        assert office.sends()
    row = office.row(posted)
    assert (row.status, row.tries, row.error) == (MessageStatus.SENT, 2, None)
    assert row.sent_at == clock.now() - timedelta(seconds=1)
    assert row.provider_account_id == account.id
    assert {mail.recipients[0] for mail in server.mails} == {posted.recipient}


@pytest.mark.parametrize("late", ["250 Ok", "554 5.6.0 Spam"])
def test_a_late_answer_does_not_end_another_s_claim(
    late: str, office: Office, server: Post, sending: Config, clock: FixedClock
) -> None:
    office.mail_server(server)
    posted = office.code()

    def another_begins(mail: Mail) -> None:
        clock.advance(HELD)
        claims = second.sender._claims
        assert claims.take(claims.due(limit=1))
        server.replies["data"] = late

    with another(sending, clock) as second:
        server.meanwhile = another_begins
        assert office.sends()
    row = office.row(posted)
    assert (row.status, row.error, row.sent_at) == (MessageStatus.SENDING, None, None)
    assert row.body is not None
    assert row.due_at == clock.now() + HELD_FOR


def test_a_sender_that_lost_its_claim_asks_no_further_provider(
    office: Office, server: Post, sending: Config, clock: FixedClock, certificate: Any
) -> None:
    with post("starttls", certificate) as other:
        office.mail_server(server)
        office.mail_server(other)
        posted = office.code()

        def another_sends(mail: Mail) -> None:
            server.meanwhile = lambda _: None
            clock.advance(HELD)
            assert second.sender.send_next()
            server.replies["data"] = "554 5.6.0 Spam"

        with another(sending, clock) as second:
            server.meanwhile = another_sends
            assert office.sends()
        assert len(server.mails) == 1
        assert other.mails == []
    assert office.status(posted) == "sent"


def test_each_provider_has_its_own_time_within_one_claim(
    office: Office, server: Post, sending: Config, clock: FixedClock, certificate: Any
) -> None:
    """However many there are, the claim does not run out on the way."""
    with post("starttls", certificate) as other:
        office.mail_server(server)
        office.mail_server(other)
        posted = office.code()
        tried: list[bool] = []

        def takes_long(mail: Mail) -> None:
            clock.advance(HELD - 1)
            tried.append(second.sender.send_next())

        server.replies["data"] = "451 4.3.0 Later"
        with another(sending, clock) as second:
            server.meanwhile = other.meanwhile = takes_long
            assert office.sends()
        assert tried == [False, False]
        assert len(other.mails) == 1
    assert office.row(posted).tries == 1


def test_a_message_whose_sender_died_is_sent_by_another(
    office: Office, server: Post, clock: FixedClock
) -> None:
    office.mail_server(server)
    posted = office.code()
    claims = office.services.sender._claims
    assert claims.take(claims.due(limit=1))
    assert not office.sends()
    clock.advance(HELD)
    assert office.sends()
    assert (office.status(posted), office.row(posted).tries) == ("sent", 2)


# Fallback


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens at, nor can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_a_provider_that_is_not_there_falls_back_at_once(
    office: Office, server: Post, closed_port: int
) -> None:
    office.mail_server(closed_port)
    second = office.mail_server(server)
    posted = office.code()
    assert office.sends()
    assert server.only().recipients == [posted.recipient]
    row = office.row(posted)
    assert (row.status, row.provider_account_id) == (MessageStatus.SENT, second.id)
    assert (row.provider, row.error) == ("Number 2", None)
    told = [(one.provider, one.code, one.doubtful) for one in attempts_of(row)]
    assert told == [("Number 1", "unreachable", False), ("Number 2", "", False)]


def test_only_the_newest_attempts_are_kept(office: Office, closed_port: int) -> None:
    office.mail_server(closed_port)
    posted = office.notice()
    for _ in range(MOST_KEPT + 2):
        assert office.sends()
        due = office.row(posted).due_at
        assert due is not None
        office.clock.moment = due
    row = office.row(posted)
    assert row.tries == MOST_KEPT + 2
    assert len(attempts_of(row)) == MOST_KEPT


def test_the_first_in_order_is_asked_first(office: Office, server: Post) -> None:
    with post("none") as other:
        office.mail_server(server)
        last = office.mail_server(other, security="none")
        office.code()
        assert office.sends()
        assert (len(server.mails), len(other.mails)) == (1, 0)
        office.changes(
            lambda tx: office.services.provider_accounts.move_up(tx, OPERATOR, tx.merge(last))
        )
        office.code()
        assert office.sends()
        assert (len(server.mails), len(other.mails)) == (1, 1)


def hangs_after_the_mail(line: Any, over: threading.Event) -> None:
    line.settimeout(5)
    line.sendall(b"220 ready\r\n")
    for reply in (b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
        line.recv(1000)
        line.sendall(reply)
    while line.recv(65536):  # until the other side gives up
        pass


SLOW: dict[str, Talk] = {
    "hangs": hangs,
    "drips": drips(b"220-wait\r\n", b"220-wait\r\n", 0.05),
    "never says whether it took it": hangs_after_the_mail,
}


@pytest.mark.parametrize("way", SLOW)
def test_a_provider_that_never_answers_falls_back_in_time(
    way: str, office: Office, server: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendings, "DEADLINE", timedelta(seconds=3))
    with misbehaving(SLOW[way]) as port:
        office.mail_server(port, security="none")
        office.mail_server(server)
        posted = office.code()
        begun = time.monotonic()
        assert office.sends()
        assert time.monotonic() - begun < 40
    assert server.only().recipients == [posted.recipient]
    row = office.row(posted)
    assert (row.status, row.provider) == (MessageStatus.SENT, "Number 2")
    assert row.doubts == (way == "never says whether it took it")


def test_it_is_seen_to_be_on_its_way_while_it_falls_back(
    office: Office, server: Post, closed_port: int
) -> None:
    office.mail_server(closed_port)
    office.mail_server(server)
    posted = office.code()
    seen: list[tuple[str, str | None]] = []
    server.meanwhile = lambda _: seen.append((office.status(posted), office.row(posted).error))
    assert office.status(posted) == "queued"
    assert office.sends()
    assert seen == [("sending", "unreachable")]
    assert office.status(posted) == "sent"


def test_what_may_have_arrived_twice_is_sent_no_third_time(
    office: Office, server: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody pays for each; whoever waits may ask for another code."""
    monkeypatch.setattr(sendings, "DEADLINE", timedelta(seconds=3))
    with misbehaving(hangs_after_the_mail) as first, misbehaving(hangs_after_the_mail) as second:
        for port in (first, second):
            office.mail_server(port, security="none")
        office.mail_server(server)
        posted = office.code()
        assert office.sends()
    row = office.row(posted)
    assert (row.status, row.error, row.doubts) == (MessageStatus.FAILED, "timeout", 2)
    assert [one.doubtful for one in attempts_of(row)] == [True, True]
    assert row.body is None
    assert server.mails == []


@pytest.mark.parametrize("what", ["code", "notice"])
def test_a_lone_provider_that_does_not_answer_gets_a_message_twice_at_most(
    what: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendings, "DEADLINE", timedelta(seconds=1.5))
    with misbehaving(hangs_after_the_mail) as port:
        office.mail_server(port, security="none")
        posted = office.code() if what == "code" else office.notice()
        assert office.sends()
        assert office.status(posted) == "queued"
        office.clock.advance(5)
        assert office.sends()
    assert office.status(posted) == "failed"
    assert office.row(posted).body is None
    office.clock.advance(NOTICE_FOR.total_seconds())
    assert not office.sends()


# Refusals


def test_a_recipient_that_is_not_there_is_tried_at_nobody_else(
    office: Office, server: Post
) -> None:
    with post("none") as other:
        office.mail_server(server)
        office.mail_server(other, security="none")
        server.replies["rcpt"] = "550 5.1.1 No such user here"
        posted = office.code()
        assert office.sends()
        assert other.tried == []
    row = office.row(posted)
    assert (row.status, row.error) == (MessageStatus.FAILED, "smtp_550")
    assert row.detail == "550 5.1.1 No such user here"
    assert row.body is None


def test_who_refuses_for_good_is_asked_once_and_the_next_one_then(
    office: Office, server: Post
) -> None:
    with post("none") as other:
        office.mail_server(server)
        office.mail_server(other, security="none")
        server.replies["data"] = other.replies["data"] = "554 5.6.0 Looks like spam"
        posted = office.code()
        assert office.sends()
        assert len(server.tried) == len(other.tried) == 1
    row = office.row(posted)
    assert (row.status, row.error, row.provider) == (MessageStatus.FAILED, "smtp_554", "Number 2")


def test_a_code_is_tried_again_with_growing_waits_as_long_as_it_works(
    office: Office, server: Post
) -> None:
    office.mail_server(server)
    server.replies["rcpt"] = "451 4.3.0 Try later"
    posted = office.code()
    waits = []
    while office.sends():
        if (due := office.row(posted).due_at) is None:
            break
        waits.append((due - office.clock.now()).total_seconds())
        office.clock.advance(waits[-1] - 0.001)
        assert not office.sends()
        office.clock.advance(0.001)
    assert waits == [5, 10, 20, 40, 80, 160]
    row = office.row(posted)
    assert (row.status, row.error) == (MessageStatus.FAILED, "smtp_451")
    assert row.body is None
    assert len(server.tried) == 7


def test_a_code_that_is_taken_at_last_was_sent(office: Office, server: Post) -> None:
    office.mail_server(server)
    server.replies["rcpt"] = "451 4.3.0 Try later"
    posted = office.code()
    assert office.sends()
    del server.replies["rcpt"]
    office.clock.advance(5)
    assert office.sends()
    row = office.row(posted)
    assert (row.status, row.error, row.tries) == (MessageStatus.SENT, None, 2)
    assert server.only().recipients == [posted.recipient]


def test_an_expired_code_is_never_sent(office: Office, server: Post) -> None:
    office.mail_server(server)
    posted = office.code()
    office.clock.advance(600)
    assert office.sends()
    assert server.tried == []
    row = office.row(posted)
    assert (row.status, row.error, row.body) == (MessageStatus.FAILED, "expired", None)


def test_a_code_that_expires_on_the_way_goes_to_no_further_provider(
    office: Office, server: Post
) -> None:
    with post("none") as other:
        office.mail_server(other, security="none")
        office.mail_server(server)
        other.replies["data"] = "451 4.3.0 Later"
        other.meanwhile = lambda _: office.clock.advance(600)
        posted = office.code()
        assert office.sends()
    assert server.tried == []
    assert (office.status(posted), office.row(posted).error) == ("failed", "smtp_451")


# What happened in the meantime


def user_of(office: Office, tx: Any, posted: Posted) -> User:
    user: User = tx.get_one(
        User, office.row(posted).user_id, options=[sa.orm.joinedload(User.organization)]
    )
    return user


def suspends(office: Office, tx: Any, posted: Posted) -> None:
    user = user_of(office, tx, posted)
    office.services.user_care.suspend(tx, OPERATOR, user.organization, user, why="left")


def resets(office: Office, tx: Any, posted: Posted) -> None:
    user = user_of(office, tx, posted)
    office.services.enrollment.reset(tx, OPERATOR, user.organization, user, reopen=True)


def uses(office: Office, tx: Any, posted: Posted) -> None:
    used = sa.update(Challenge).where(Challenge.id == office.row(posted).challenge_id)
    tx.execute(used.values(used_at=office.clock.now()))


def deletes_organization(office: Office, tx: Any, posted: Posted) -> None:
    office.services.organizations.delete(tx, OPERATOR, tx.merge(office.organization))


SINCE = {
    "the user was suspended": suspends,
    "the authenticator was removed": resets,
    "the code was used or replaced": uses,
    "the organization was deleted": deletes_organization,
}


@pytest.mark.parametrize("since", SINCE)
def test_a_code_that_nobody_can_use_any_more_is_not_sent(
    since: str, office: Office, server: Post
) -> None:
    office.mail_server(server)
    posted = office.code()
    office.changes(lambda tx: SINCE[since](office, tx, posted))
    office.sends_all()
    row = office.row(posted)
    assert (row.status, row.error, row.body) == (MessageStatus.FAILED, "withdrawn", None)
    assert posted.code not in "".join(mail.part("plain") for mail in server.mails)


def test_of_three_codes_asked_for_in_a_row_the_two_that_work_are_sent(
    office: Office, server: Post
) -> None:
    office.mail_server(server)
    user = office.user()
    posted = [office.code(user)]
    with office.services.database.reading() as tx:
        mine = sa.select(Authenticator).where(Authenticator.user_id == user.id)
        one = tx.scalars(mine).one()
    for _ in range(2):
        office.clock.advance(100)
        posted.append(office.code(user, of=one))
    assert office.sends_all() == 3
    assert [office.status(each) for each in posted] == ["failed", "sent", "sent"]


def test_the_suspended_user_is_told(office: Office, server: Post) -> None:
    office.mail_server(server)
    user = office.user()
    office.changes(
        lambda tx: office.services.user_care.suspend(
            tx, OPERATOR, office.organization, tx.merge(user), why="left"
        )
    )
    assert office.sends()
    assert server.only().recipients == [user.email]


def test_the_deleted_user_is_told_and_gets_nothing_else(office: Office, server: Post) -> None:
    office.mail_server(server)
    user = office.user()
    code = office.code(user)
    office.changes(
        lambda tx: office.services.user_care.delete(
            tx, OPERATOR, office.organization, tx.merge(user), why="asked"
        )
    )
    assert office.sends_all() == 1
    assert code.code not in server.only().part("plain")


def test_a_user_who_is_deleted_while_the_code_leaves_stays_deleted(
    office: Office, server: Post
) -> None:
    office.mail_server(server)
    user = office.user()
    posted = office.code(user)
    server.meanwhile = lambda _: office.changes(
        lambda tx: office.services.directory.delete(
            tx, OPERATOR, office.organization, tx.merge(user)
        )
    )
    assert office.sends()
    with office.services.database.reading() as tx:
        assert tx.get(Message, posted.id) is None


@pytest.mark.parametrize("reply", ["250 Ok", "451 4.3.0 Later"])
def test_an_account_that_is_removed_while_it_carries_a_code_does_no_harm(
    reply: str, office: Office, server: Post
) -> None:
    account = office.mail_server(server)
    posted = office.code()
    server.replies["data"] = reply
    server.meanwhile = lambda _: office.changes(
        lambda tx: office.services.provider_accounts.remove(tx, OPERATOR, tx.merge(account))
    )
    assert office.sends()
    row = office.row(posted)
    assert row.provider_account_id is None
    assert row.status.value == ("sent" if reply == "250 Ok" else "queued")
    office.clock.advance(60)
    office.sends_all()
    assert len(server.tried) == 1


def test_an_account_that_is_switched_off_carries_nothing_from_then_on(
    office: Office, server: Post
) -> None:
    account = office.mail_server(server)
    posted = office.code()
    office.changes(
        lambda tx: office.services.provider_accounts.switch(
            tx, OPERATOR, tx.merge(account), active=False
        )
    )
    assert office.sends()
    assert server.tried == []
    row = office.row(posted)
    assert (row.status, row.error, row.body) == (MessageStatus.FAILED, "no_provider", None)


# Without a provider


def test_a_notice_waits_until_there_is_a_provider(office: Office, server: Post) -> None:
    posted = office.notice()
    assert office.sends()
    row = office.row(posted)
    assert (row.status, row.error) == (MessageStatus.QUEUED, "no_provider")
    office.mail_server(server)
    office.clock.advance(3600)
    assert office.sends()
    assert server.only().part("plain").strip() == posted.text.strip()
    assert (office.status(posted), office.row(posted).error) == ("sent", None)


def test_a_notice_waits_three_days_at_most_and_is_not_looked_at_all_the_time(
    office: Office,
) -> None:
    posted = office.notice()
    begun, looked = office.clock.now(), 0
    while office.sends():
        looked += 1
        if (due := office.row(posted).due_at) is None:
            break
        office.clock.moment = due
    row = office.row(posted)
    assert (row.status, row.error, row.body) == (MessageStatus.FAILED, "no_provider", None)
    waited = office.clock.now() - begun
    assert NOTICE_FOR - timedelta(hours=1) <= waited <= NOTICE_FOR
    assert looked < 90


# What breaks


def test_a_message_that_can_t_be_opened_holds_up_no_other(office: Office, server: Post) -> None:
    office.mail_server(server)
    broken = office.codes(6)
    with office.services.database.writing() as tx:
        tx.execute(sa.update(Message).values(body=office.row(broken[0]).body))
    office.clock.advance(1)
    whole = office.code()
    sends_for(office.services.sender, lambda: office.status(whole) == "sent")
    sends_for(office.services.sender, lambda: office.statuses().get("sending", 0) == 0)
    assert {office.row(one).error for one in broken[1:]} == {"internal_error"}
    assert {office.status(one) for one in broken[1:]} == {"queued"}
    office.clock.advance(600)
    office.sends_all()
    assert {office.row(one).body for one in broken} == {None}


def test_a_provider_that_breaks_our_own_rules_falls_back(office: Office, server: Post) -> None:
    office.mail_server(server)
    office.mail_server(server)
    posted = office.code()
    smtp = office.services.provider_accounts.providers["smtp"]
    asked: list[str] = []

    def breaks_once(account: Any, outgoing: Outgoing, *, seconds: float) -> Any:
        asked.append(outgoing.id)
        if len(asked) == 1:
            raise KeyError(f"{outgoing.text} to {outgoing.recipient}")
        return smtp.send(account, outgoing, seconds=seconds)

    fake: Any = SimpleNamespace(kind="smtp", send=breaks_once)
    accounts: Any = office.services.provider_accounts
    accounts.providers = {**accounts.providers, "smtp": fake}
    assert office.sends()
    assert (office.status(posted), office.row(posted).doubts) == ("sent", 1)
    assert len(server.mails) == 1


def test_what_a_sender_logs_tells_where_it_broke_and_nothing_secret(
    office: Office, server: Post, no_secret_in_logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """F70; the fixture itself looks for codes, texts and recipients."""
    test_a_provider_that_breaks_our_own_rules_falls_back(office, server)
    heard = no_secret_in_logs.getvalue() + capsys.readouterr().out
    assert "KeyError at test_sender.py" in heard


def test_a_message_shows_nothing_of_itself_where_it_is_passed_around(
    office: Office, closed_port: int
) -> None:
    office.mail_server(closed_port)
    posted = office.code()
    claims = office.services.sender._claims
    [claim] = claims.take(claims.due(limit=1)).values()
    job = office.services.sender._sendings.loaded([claim])[claim.message_id]
    assert not isinstance(job, str)
    shown = repr(job) + repr(claim)
    for secret in (posted.code, posted.text, posted.recipient):
        assert secret not in shown


# Fair turns


def test_codes_go_before_notices(office: Office, server: Post) -> None:
    office.mail_server(server)
    notices = [office.notice() for _ in range(3)]
    office.clock.advance(1)
    code = office.code()
    assert office.sends()
    assert office.status(code) == "sent"
    assert {office.status(one) for one in notices} == {"queued"}


def test_a_flood_of_one_organization_holds_up_no_code_of_another(
    office: Office, server: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its provider hangs, too; whoever comes after it is served at once all the same."""
    monkeypatch.setattr(sendings, "DEADLINE", timedelta(seconds=50))
    quay = Office(office.services, office.clock, "Quay")
    quay.mail_server(server)
    with misbehaving(hangs) as port:
        office.mail_server(port, security="none")
        flood = office.codes(30)
        sender = office.services.sender
        sends_for(sender, lambda: office.statuses().get("sending", 0) == 4)
        office.clock.advance(1)
        codes = quay.codes(5)
        sends_for(sender, lambda: {quay.status(one) for one in codes} == {"sent"})
        assert Counter(office.status(one) for one in flood) == {"sending": 4, "queued": 26}


def test_turns_go_round_the_organizations(office: Office, server: Post) -> None:
    offices = [office, *(Office(office.services, office.clock, name) for name in ("Quay", "Pier"))]
    for each in offices:
        each.mail_server(server)
    office.codes(6)
    office.clock.advance(1)
    for each in offices[1:]:
        each.code()
    waiting = office.services.sender._claims.due(limit=10)
    order = [one.organization_id for one in waiting]
    assert len(order) == 8
    assert set(order[:3]) == {each.organization.id for each in offices}
    assert order[0] == office.organization.id


def test_notices_never_take_all_hands(office: Office, server: Post) -> None:
    office.mail_server(server)
    server.seconds = 9
    for _ in range(6):
        office.notice()
    sender = office.services.sender
    sends_for(sender, lambda: office.statuses().get("sending", 0) == 2)
    for _ in range(3):
        sender.send_some()
    assert office.statuses() == {"sending": 2, "queued": 4}
    code = office.code()
    sends_for(sender, lambda: office.status(code) != "queued", 8)
    server.seconds = 0


def test_no_more_are_on_their_way_than_there_are_hands(office: Office, server: Post) -> None:
    office.mail_server(server)
    server.seconds = 0.4
    office.codes(12)
    most: list[int] = []
    server.meanwhile = lambda _: most.append(office.statuses().get("sending", 0))
    sends_for(office.services.sender, lambda: office.statuses() == {"sent": 12})
    assert max(most) <= 4


# An end


def test_what_is_on_its_way_ends_and_the_rest_is_another_s_at_once(
    office: Office, server: Post, sending: Config, clock: FixedClock
) -> None:
    office.mail_server(server)
    with post("none") as other:
        office.mail_server(other, security="none")
        server.seconds = 1
        server.replies["data"] = "451 4.3.0 Later"
        posted = office.codes(8)
        sender = office.services.sender
        sends_for(sender, lambda: len(server.tried) == 4)
        began = time.monotonic()
        sender.finish(seconds=20)
        assert time.monotonic() - began < 19
        assert {office.status(one) for one in posted} == {"queued"}
        assert other.tried == []
        server.seconds = 0
        del server.replies["data"]
        with another(sending, clock) as second:
            while second.sender.send_next():
                pass
    assert {office.status(one) for one in posted} == {"sent"}


def test_an_end_is_not_waited_for_longer_than_told(office: Office) -> None:
    with misbehaving(hangs) as port:
        office.mail_server(port, security="none")
        office.code()
        sends_for(office.services.sender, lambda: office.statuses() == {"sending": 1})
        began = time.monotonic()
        office.services.sender.finish(seconds=0.3)
        assert time.monotonic() - began < 20


# What it costs


def plan(database: Database, statement: Any) -> str:
    compiled = statement.compile(database.engine, compile_kwargs={"literal_binds": True})
    sqlite = database.engine.dialect.name == "sqlite"
    with database.engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        return "\n".join(str(row) for row in connection.exec_driver_sql(explain + str(compiled)))


def test_looking_for_messages_reads_those_that_are_due_alone(office: Office) -> None:
    """By the index of what waits, however many were sent or wait for another time."""
    posted = office.notice()
    row = office.row(posted)
    values = {column.name: getattr(row, column.name) for column in Message.__table__.columns}
    later = office.clock.now() + timedelta(days=1)
    many = [
        {**values, "id": uuid.uuid4(), "status": MessageStatus.SENT, "due_at": None}
        for _ in range(3000)
    ]
    many += [{**values, "id": uuid.uuid4(), "due_at": later} for _ in range(1500)]
    database = office.services.database
    with database.writing() as tx:
        tx.execute(sa.insert(Message), many)
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.exec_driver_sql("ANALYZE messages")
    for urgent in (True, False):
        told = plan(database, _in_turn(urgent, office.clock.now(), 50))
        assert "ix_messages_waiting" in told
        assert "Seq Scan" not in told
        assert "due_at<" in told.replace(" ", "") or "due_at <" in told, told
    assert len(office.services.sender._claims.due(limit=50)) == 1
