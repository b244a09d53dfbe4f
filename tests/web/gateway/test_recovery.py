"""A lost phone: recovery codes, what they permit, and who lifts the limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Event,
    Message,
    RecoveryCode,
    Result,
    User,
)
from app.services.audit import OPERATOR
from tests import actors
from tests.conftest import ONE_DATABASE, PATIENCE, Harbor
from tests.outbox import ADA, Outbox, switch

DAY = 24 * 3600
WRONG = "AAAA-BBBB-CCCC-DDDD"


def enrolls(harbor: Harbor) -> tuple[actors.Phone, list[str]]:
    """Enroll Ada through the pages, and return her phone and her codes."""
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    return phone, codes


def recovers(harbor: Harbor, code: str, **ask: str) -> actors.Browser:
    """Visit with a recovery code in place of the phone."""
    browser = harbor.visits(harbor.ada, **ask)
    browser.goes_to(browser.path.rsplit("/", 1)[0] + "/recover")
    browser.types(code)
    return browser


def reenrolls(harbor: Harbor, browser: actors.Browser) -> actors.Phone:
    """Go on from the page with the new QR code to the application."""
    assert browser.path.endswith("/enroll"), (browser.path, browser.page.text)
    phone = browser.scans()
    browser.types(harbor.code(phone))
    return phone


def statuses(harbor: Harbor) -> list[str]:
    rows = harbor.rows(sa.select(Authenticator.status).order_by(Authenticator.created_at))
    return [row[0].value for row in rows]


def user(harbor: Harbor) -> User:
    return harbor.rows(sa.select(User).where(User.email == "ada@harbor.example"))[0][0]


def approves(harbor: Harbor) -> bool:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        return harbor.services.enrollment.approve(tx, OPERATOR, harbor.organization, person)


def forces(harbor: Harbor) -> dict[str, Any]:
    """Open a session that enrolls anew, by the word of a backend with an API key."""
    answer = harbor.backend.calls(
        "POST",
        "/org/harbor/gateway-sessions",
        json={
            "user_id": harbor.ada,
            "client_id": harbor.notes.client_id,
            "redirect_uri": harbor.notes.redirect_uri,
            "force_enroll": True,
        },
    )
    assert answer.status == 201
    return dict(answer.json)


def test_a_lost_phone_is_replaced_in_one_visit(harbor: Harbor) -> None:
    old, codes = enrolls(harbor)
    browser = recovers(harbor, codes[0], state="s", nonce="n")
    assert "Your recovery code was accepted. You have 4 codes left." in browser.page.text
    new = reenrolls(harbor, browser)
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["status"] == "verified"
    assert claims["recovery_code_used"] is True
    assert claims["acr"] == "urn:gatehouse:acr:recovery"
    assert claims["amr"] == ["otp"]
    assert claims["mfa_method"] == "recovery_code"
    assert harbor.notes.looks_at(browser.back["session_id"]).json["status"] == "verified"
    assert statuses(harbor) == ["removed", "active"]
    harbor.clock.advance(30)
    later = harbor.visits(harbor.ada)
    later.types(harbor.code(old))
    assert "That code is not right" in later.page.text
    later.types(harbor.code(new))
    assert "recovery_code_used" not in harbor.notes.checks(later.back["result"])


@pytest.mark.parametrize("seconds", [1, 0, -300], ids=["later", "at once", "clock set back"])
def test_a_code_brings_no_second_phone_once_another_visit_set_one_up(
    harbor: Harbor, seconds: int
) -> None:
    """Whoever stole a code is out as soon as the help desk has approved the user's own new one."""
    _old, codes = enrolls(harbor)
    thief = recovers(harbor, codes[0])
    stolen = thief.scans()
    harbor.clock.advance(seconds)
    assert approves(harbor)
    own = harbor.visits(harbor.ada)
    phone = own.sets_up()
    own.types(harbor.code(phone))
    assert "result" in own.back
    thief.types(harbor.code(stolen))
    assert thief.path.endswith("/verify"), thief.path
    assert statuses(harbor).count("active") == 1


@contextmanager
def held_before(
    harbor: Harbor, statement: str
) -> Iterator[tuple[threading.Event, Callable[[], None]]]:
    """Hold up the first statement that begins so; yield whether it came, and what frees it."""
    came, freed = threading.Event(), threading.Event()

    def wait_once(_connection: object, _cursor: object, sent: str, *_: object) -> None:
        if sent.startswith(statement) and not came.is_set():
            came.set()
            assert freed.wait(PATIENCE)

    engine = harbor.services.database.engine
    sa.event.listen(engine, "before_cursor_execute", wait_once)
    try:
        yield came, freed.set
    finally:
        freed.set()
        sa.event.remove(engine, "before_cursor_execute", wait_once)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nor_if_the_other_visit_set_it_up_while_the_answer_was_looked_at(harbor: Harbor) -> None:
    """The other one's commit falls between the first look at the code and its use."""
    _old, codes = enrolls(harbor)
    thief = recovers(harbor, codes[0])
    stolen = thief.scans()
    with ThreadPoolExecutor(1) as pool, held_before(harbor, "UPDATE users") as (came, free):
        typed = pool.submit(thief.types, harbor.code(stolen))
        assert came.wait(PATIENCE)
        assert approves(harbor)
        own = harbor.visits(harbor.ada)
        phone = own.sets_up()
        own.types(harbor.code(phone))
        free()
        typed.result(timeout=PATIENCE)
    assert "result" in own.back
    assert thief.path.endswith("/verify"), thief.path
    assert statuses(harbor).count("active") == 1


def test_a_code_brings_no_phone_beside_the_one_that_an_import_brought(harbor: Harbor) -> None:
    _old, codes = enrolls(harbor)
    thief = recovers(harbor, codes[0])
    with harbor.services.database.writing() as tx:
        ada = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, ada, reopen=False)
    seed = actors.keep_secret("GEZDGNBVGY3TQOJQ")
    told = harbor.backend.calls(
        "POST",
        "/org/harbor/users/import",
        data=json.dumps({"email": "ada@harbor.example", "totp_secret": seed}).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert told.json["updated"] == 1, told.text
    thief.goes_to(thief.address("enroll"))
    assert thief.path.endswith("/verify"), thief.path
    assert statuses(harbor).count("active") == 1


def test_no_result_before_the_new_authenticator_is_confirmed(harbor: Harbor) -> None:
    old, codes = enrolls(harbor)
    browser = recovers(harbor, codes[0])
    session = browser.path.split("/")[2]
    assert statuses(harbor)[0] == "suspended"
    for page in ("return", "ended", "recovery-codes", "verify", "recover"):
        browser.goes_to(f"/gateway/{session}/{page}")
        assert browser.path.endswith("/enroll"), page
    for page in ("verify", "recover", "recovery-codes", "recovery-codes/new"):
        browser.submits_to(f"/gateway/{session}/{page}", code=harbor.code(old))
        assert browser.path.endswith("/enroll"), page
    assert harbor.notes.looks_at(f"gateway-session_{session}").json["status"] == "pending"


def test_the_old_phone_is_dead_the_moment_a_code_is_accepted(harbor: Harbor) -> None:
    old, codes = enrolls(harbor)
    waiting = harbor.visits(harbor.ada)
    recovers(harbor, codes[0])
    waiting.types(harbor.code(old))
    assert waiting.path.endswith("/due")
    assert "result" not in waiting.reply.location


def test_who_leaves_in_between_is_due_and_never_has_nothing(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    recovers(harbor, codes[0])
    for intent in ("verify", "enroll"):
        browser = harbor.visits(harbor.ada, intent=intent)
        assert browser.path.endswith("/due")
        text = browser.page.text
        assert "Ask an administrator of Harbor" in text
        assert "Ask Harbor Notes, which can start a new setup" in text
        assert "Use another recovery code in 24 hours" in text
        session = browser.path.rsplit("/", 1)[0]
        for page in ("set-up", "enroll"):
            browser.goes_to(f"{session}/{page}")
            assert browser.path.endswith("/due")
            browser.submits_to(f"{session}/{page}", kind="totp", code="123456")
            assert browser.path.endswith("/due")
    harbor.clock.advance(DAY)
    browser = harbor.visits(harbor.ada)
    assert "Use another recovery code now" in browser.page.text
    browser.goes_to(next(link for link in browser.page.links if link.endswith("/recover")))
    browser.types(codes[1])
    reenrolls(harbor, browser)
    assert "result" in browser.back


def test_a_code_works_once_and_only_one_in_a_day(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    reenrolls(harbor, recovers(harbor, codes[0]))
    browser = recovers(harbor, codes[1])
    assert "Only one recovery code can be used in 24 hours" in browser.page.text
    assert "The next one works in 24 hours" in browser.page.text
    harbor.clock.advance(DAY - 1)
    browser = recovers(harbor, codes[1])
    assert "works in 1 second" in browser.page.text
    assert user(harbor).recovery_failures == 0, "what time alone forbids is not charged"
    harbor.clock.advance(1)
    browser = recovers(harbor, codes[0])
    assert "That recovery code was already used" in browser.page.text
    browser.types(codes[1])
    reenrolls(harbor, browser)
    assert "result" in browser.back


def test_a_code_is_read_as_people_write_it(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    spelled = [
        codes[0].lower(),
        codes[1].replace("-", ""),
        f"  {codes[2].replace('-', ' ')}\u00a0",
        codes[3].replace("0", "o").replace("1", "l"),
    ]
    for code in spelled:
        browser = recovers(harbor, code)
        reenrolls(harbor, browser)
        assert "result" in browser.back
        harbor.clock.advance(DAY)


def test_five_rounds_and_what_lifts_the_limit(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    for round_, code in enumerate(codes, start=1):
        browser = recovers(harbor, code)
        left = 5 - round_
        text = browser.page.text
        assert f"You have {left} code" in text
        assert ("Ask an administrator of Harbor for new ones soon" in text) == (left <= 2)
        assert "Save your codes" not in text, "a plain re-enrollment brings no new codes"
        reenrolls(harbor, browser)
        assert "result" in browser.back
        assert user(harbor).reenrollments == round_
        harbor.clock.advance(DAY)
    assert harbor.rows(sa.select(RecoveryCode).where(RecoveryCode.used_at.is_(None))) == []
    assert "five times. Ask an administrator" in recovers(harbor, WRONG).page.text


def test_a_forced_enrollment_brings_new_codes_and_a_count_of_nothing(harbor: Harbor) -> None:
    phone, codes = enrolls(harbor)
    with harbor.services.database.writing() as tx:
        tx.execute(sa.update(User).values(reenrollments=5))
    browser = harbor.browser()
    browser.goes_to(forces(harbor)["url"])
    assert user(harbor).reenrollments == 0
    still = harbor.visits(harbor.ada)
    still.types(harbor.code(phone))
    assert "result" in still.back, "the old one works until the new one is confirmed"
    browser.types(harbor.code(browser.sets_up()))
    fresh = browser.saves_codes()
    assert len(fresh) == 5 and not set(fresh) & set(codes)
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"
    assert statuses(harbor) == ["removed", "active"]
    reenrolls(harbor, recovers(harbor, fresh[0]))
    assert user(harbor).reenrollments == 1


def test_the_day_belongs_to_the_user_and_survives_new_codes(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    reenrolls(harbor, recovers(harbor, codes[0]))
    opened = forces(harbor)
    assert harbor.rows(sa.select(RecoveryCode)) == [], "the old codes die at once"
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    browser.types(harbor.code(browser.sets_up()))
    fresh = browser.saves_codes()
    assert "Only one recovery code can be used in 24 hours" in recovers(harbor, fresh[0]).page.text


def test_an_application_by_itself_can_not_force(harbor: Harbor) -> None:
    answer = harbor.notes.asks(harbor.ada, force_enroll=True)
    assert (answer.status, answer.error) == (403, "forbidden")


def test_an_approval_lets_a_due_user_enroll_once(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    assert approves(harbor) is False, "nothing is due yet"
    assert harbor.visits(harbor.ada).path.endswith("/verify")
    recovers(harbor, codes[0])
    assert approves(harbor) is True
    first, second = harbor.visits(harbor.ada), harbor.visits(harbor.ada)
    phone = first.sets_up()
    rival = second.sets_up()
    first.types(harbor.code(phone))
    assert "result" in first.back
    second.types(harbor.code(rival))
    assert second.path.endswith("/verify"), "the approval is used up"
    assert statuses(harbor).count("active") == 1


def test_a_session_before_the_code_can_not_go_on_with_the_old_proof(harbor: Harbor) -> None:
    old, codes = enrolls(harbor)
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.types(harbor.code(old))
    assert adding.path.endswith("/set-up")
    recovers(harbor, codes[0])
    adding.goes_to(adding.path)
    assert adding.path.endswith("/due")


def test_proof_for_adding_another_gets_stale(harbor: Harbor) -> None:
    old, _ = enrolls(harbor)
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.types(harbor.code(old))
    assert adding.path.endswith("/set-up")
    harbor.clock.advance(20 * 60)
    adding.submits()
    assert adding.path.endswith("/verify")


def test_a_recovery_code_in_the_wrong_field_is_recognized(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    browser.types(codes[0])
    assert "That looks like a recovery code" in browser.page.text
    assert user(harbor).failures == 0


def test_wrong_recovery_codes_have_a_count_of_their_own(harbor: Harbor) -> None:
    phone, codes = enrolls(harbor)
    for failure in range(1, 6):
        browser = recovers(harbor, WRONG)
        assert ("not one of your recovery codes" in browser.page.text) == (failure < 5)
    assert "There were too many wrong codes. Wait 30 seconds" in browser.page.text
    browser = recovers(harbor, codes[0])
    assert "There were too many wrong codes. Wait 30 seconds" in browser.page.text
    assert user(harbor).recovery_failures == 5
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back, "the phone is not locked with them"


@ONE_DATABASE
def test_a_right_code_forgives_wrong_ones_of_its_own_kind_alone(harbor: Harbor) -> None:
    phone, codes = enrolls(harbor)
    for _ in range(2):
        recovers(harbor, WRONG)
    visit = harbor.visits(harbor.ada)
    visit.types(harbor.code(phone))
    assert "result" in visit.back
    assert (user(harbor).failures, user(harbor).recovery_failures) == (0, 2)
    assert recovers(harbor, codes[0]).path.endswith("/enroll")
    assert user(harbor).recovery_failures == 0


def test_a_code_used_by_many_at_once_counts_once(live_harbor: Harbor) -> None:
    harbor = live_harbor
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    visitors = [harbor.visits(harbor.ada) for _ in range(12)]
    for visitor in visitors:
        visitor.goes_to(visitor.path.rsplit("/", 1)[0] + "/recover")
    forms = [(one, codes[number % 2]) for number, one in enumerate(visitors)]
    with ThreadPoolExecutor(12) as crowd:
        list(crowd.map(lambda pair: pair[0].types(pair[1]), forms))
    assert sum(one.path.endswith("/enroll") for one in visitors) == 1
    used = harbor.rows(sa.select(RecoveryCode).where(RecoveryCode.used_at.is_not(None)))
    assert len(used) == 1
    assert statuses(harbor).count("suspended") == 1


def test_each_change_is_told_to_the_user_in_their_language(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        person.profile = {"locale": "fr-CA"}
    _, codes = enrolls(harbor)
    reenrolls(harbor, recovers(harbor, codes[0]))
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, person, reopen=True)
    told = [row[0] for row in harbor.rows(sa.select(Message).order_by(Message.created_at))]
    assert sorted(message.name for message in told) == [
        "authenticator_added",
        "authenticator_added",
        "authenticators_reset",
        "recovery_code_used",
    ]
    used = next(message for message in told if message.name == "recovery_code_used")
    assert used.recipient == "ada@harbor.example"
    assert used.subject == "Un code de récupération a été utilisé pour votre compte"
    text = harbor.text_of(used)
    assert text not in harbor.dump()
    assert "1 mars 2026" in text
    assert "Il reste 4 codes de récupération." in text
    assert "D’où\u00a0: 127.0.0.1" in text
    assert "Si ce n’était pas vous" in text
    for message in told:
        assert not any(code in harbor.text_of(message) for code in codes)


def test_recovery_leaves_its_marks_in_the_audit(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    reenrolls(harbor, recovers(harbor, codes[0]))
    kinds = {row[0] for row in harbor.rows(sa.select(Event.kind))}
    assert {"recovery_codes:used", "authenticator:suspended", "recovery_codes:issued"} <= kinds


# Who has nothing but messages


def has_email(harbor: Harbor) -> list[str]:
    """Have Ada set up codes by email, and return the recovery codes that came with it."""
    switch(harbor)
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    browser.types(Outbox(harbor).code(browser, to=ADA))
    return browser.saves_codes()


def test_without_an_app_codes_are_single_use_and_nothing_else(harbor: Harbor) -> None:
    codes = has_email(harbor)
    page = harbor.visits(harbor.ada)
    page.goes_to(page.address("recover"))
    assert "It works once, and what you have set up goes on." in page.page.text
    for code in codes[:3]:  # all on one day
        claims = harbor.notes.checks(recovers(harbor, code).back["result"])
        assert (claims["status"], claims["recovery_code_used"]) == ("verified", True)
        assert (claims["mfa_method"], claims["amr"]) == ("recovery_code", ["otp"])
        assert claims["acr"] == "urn:gatehouse:acr:recovery"
    again = recovers(harbor, codes[0])
    assert again.reply.status == 422
    assert "already used" in again.page.text
    [row] = harbor.rows(sa.select(User.recovery_used_at, User.reenrollments))
    assert tuple(row) == (None, 0)
    kept = sa.select(Authenticator.kind, Authenticator.status)
    assert [tuple(row) for row in harbor.rows(kept)] == [("email", AuthenticatorStatus.ACTIVE)]
    told = [row.Message for row in harbor.rows(sa.select(Message))]
    used = [one for one in told if one.name == "recovery_code_used"]
    assert len(used) == 3
    assert not any("has stopped working" in harbor.text_of(one) for one in used)
    harbor.clock.advance(60)
    visit = harbor.visits(harbor.ada)
    visit.presses("email")
    visit.types(Outbox(harbor).code(visit, to=ADA))
    assert "result" in visit.back


@ONE_DATABASE
def test_wrong_ones_wait_without_an_app_too(harbor: Harbor) -> None:
    codes = has_email(harbor)
    for _ in range(5):
        assert recovers(harbor, "AAAA-AAAA-AAAA-AAAA").reply.status == 422
    assert recovers(harbor, codes[0]).reply.status == 422


@ONE_DATABASE
def test_such_a_code_vouches_for_a_new_method_in_its_visit(harbor: Harbor) -> None:
    codes = has_email(harbor)
    browser = recovers(harbor, codes[0], intent="enroll")
    assert browser.path.endswith("/set-up")
    elsewhere = harbor.visits(harbor.ada, intent="enroll")
    assert not elsewhere.path.endswith("/set-up")


@ONE_DATABASE
def test_beside_an_app_a_code_still_stands_in_for_what_was_lost(harbor: Harbor) -> None:
    codes = has_email(harbor)
    browser = recovers(harbor, codes[0], intent="enroll")
    browser.submits()
    browser.types(harbor.code(browser.scans()))
    assert "result" in browser.back
    visit = harbor.visits(harbor.ada)
    visit.goes_to(visit.address("recover"))
    assert "stop working at once" in visit.page.text
    visit.types(codes[1])
    assert visit.path.endswith("/set-up")
    mine = Result.gateway_session_id == f"gateway-session_{visit.path.split('/')[2]}"
    assert harbor.rows(sa.select(Result.id).where(mine)) == []
