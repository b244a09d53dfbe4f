"""A code from the help desk: a one-time way in that proves nothing and opens nothing else."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.factors import bypass_code, magic_link, recovery_code, totp
from app.models import BypassCode, Event, Message, User, Verification
from app.services.audit import Actor
from tests.actors import Browser, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.gateway.test_parallel import at_once, twin

ADMIN = Actor(name="administrator:1", label="nadia@harbor.example", address="192.0.2.1")
WRONG = "AAAAA-BBBBB"


def gives(harbor: Harbor, user: str = "", minutes: int = 30) -> str:
    """Have an administrator make a code for a user."""
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, user or harbor.ada)
        given = harbor.services.bypass_codes.give(
            tx, ADMIN, person, minutes=minutes, why="Phone at home; called back."
        )
    return keep_secret(given.code)


def at_bypass(harbor: Harbor, user: str = "", **ask: str) -> Browser:
    """Visit, and go to the page that takes such a code."""
    browser = harbor.visits(user or harbor.ada, **ask)
    browser.goes_to(browser.address("bypass"))
    return browser


def of_ada(harbor: Harbor) -> User:
    return harbor.rows(sa.select(User).where(User.email == "ada@harbor.example"))[0].User


def subjects(harbor: Harbor) -> list[str]:
    return [row[0] for row in harbor.rows(sa.select(Message.subject).order_by(Message.created_at))]


# The way in


def test_a_user_without_the_phone_is_let_in_once(harbor: Harbor) -> None:
    harbor.enrolls()
    code = gives(harbor)
    browser = harbor.visits(harbor.ada, state="s", nonce="n")
    assert "Use a code from your help desk" not in browser.page.text
    browser.goes_to(next(link for link in browser.page.links if link.endswith("/choose")))
    browser.goes_to(next(link for link in browser.page.links if link.endswith("/bypass")))
    assert browser.page.heading == "Use a code from your help desk"
    browser.types(code.lower().replace("-", " "))
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["acr"] == "urn:gatehouse:acr:bypass"
    assert claims["amr"] == []
    assert claims["mfa_method"] == "bypass_code"
    assert claims["status"] == "verified"
    assert claims["nonce"] == "n"
    [verdict] = harbor.rows(sa.select(Verification).where(Verification.kind == "bypass_code"))
    assert verdict.Verification.accepted
    again = at_bypass(harbor)
    again.types(code)
    assert "That code is not right, was used, or is too old." in again.page.text


def test_it_suspends_nothing_and_enrolls_nothing(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    at_bypass(harbor).types(gives(harbor))
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert harbor.notes.checks(browser.back["result"])["acr"] == "urn:gatehouse:acr:otp"


def test_the_user_is_told_when_it_is_given_and_when_it_is_used(harbor: Harbor) -> None:
    harbor.enrolls()
    code = gives(harbor, minutes=10)
    harbor.clock.advance(1)
    at_bypass(harbor).types(code)
    assert subjects(harbor)[-2:] == [
        "You were given a one-time code",
        "A one-time code from your help desk was used",
    ]
    [given] = harbor.rows(sa.select(Event).where(Event.kind == "bypass_code:given"))
    assert given.Event.reason == "Phone at home; called back."
    assert given.Event.actor == "administrator:1"
    assert given.Event.address == "192.0.2.1"
    assert given.Event.detail == {"minutes": 10}


def test_neither_record_nor_message_nor_database_holds_the_code(harbor: Harbor) -> None:
    code = gives(harbor)
    dump = harbor.dump()
    assert code not in dump
    assert code.replace("-", "") not in dump


@ONE_DATABASE
def test_a_code_looks_like_no_other_kind_of_code(harbor: Harbor) -> None:
    codes = {bypass_code.new_code() for _ in range(500)}
    assert len(codes) == 500
    for code in codes:
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}", code)
        assert bypass_code.well_formed(code)
        assert not totp.Totp().well_formed(code)
        assert not recovery_code.well_formed(code)
        assert not magic_link.well_formed(code)
    for other in ("123456", "12345678", "1234567890", "ABC-123", recovery_code.new_code()):
        assert not bypass_code.well_formed(other)


# Its life


@pytest.mark.parametrize("minutes", [10, 30, 60])
@ONE_DATABASE
def test_it_works_as_long_as_was_chosen(harbor: Harbor, minutes: int) -> None:
    """F17."""
    code = gives(harbor, minutes=minutes)
    harbor.clock.advance(minutes * 60)
    late = at_bypass(harbor)
    late.types(code)
    assert late.reply.status == 422
    code = gives(harbor, minutes=minutes)
    harbor.clock.advance(minutes * 60 - 1)
    in_time = at_bypass(harbor)
    in_time.types(code)
    assert "result" in in_time.back


def test_a_newer_code_puts_the_older_out_of_use(harbor: Harbor) -> None:
    older, newer = gives(harbor), gives(harbor)
    browser = at_bypass(harbor)
    browser.types(older)
    assert browser.reply.status == 422
    browser.types(newer)
    assert "result" in browser.back


def test_a_withdrawn_code_is_dead(harbor: Harbor) -> None:
    code = gives(harbor)
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        assert harbor.services.bypass_codes.withdraw(tx, ADMIN, person)
    browser = at_bypass(harbor)
    browser.types(code)
    assert browser.reply.status == 422


def test_it_is_one_user_s_alone(harbor: Harbor) -> None:
    """F16 and F80."""
    bo = harbor.person("bo@harbor.example")
    code = gives(harbor)
    gives(harbor, bo)
    browser = at_bypass(harbor, bo)
    browser.types(code)
    assert browser.reply.status == 422
    own = at_bypass(harbor)
    own.types(code)
    assert "result" in own.back


# Guessing


def test_wrong_codes_end_the_visit_and_lock_nothing_else(harbor: Harbor) -> None:
    """F07 and F13: the session's limit holds, and the user's phone still works."""
    phone = harbor.enrolls()
    code = gives(harbor)
    browser = at_bypass(harbor)
    for left in (4, 3, 2, 1):
        browser.types(WRONG)
        assert f"{left} tr" in browser.page.text
    browser.types(WRONG)
    assert browser.page.heading == "Too many wrong codes"
    browser.sends("bypass", code=code)
    assert browser.path.endswith("/ended")
    user = of_ada(harbor)
    assert (user.failures, user.recovery_failures) == (0, 0)
    other = harbor.visits(harbor.ada)
    other.types(harbor.code(phone))
    assert "result" in other.back


def test_guesses_add_up_over_visits_until_the_code_is_dead(harbor: Harbor) -> None:
    """F08: a new session brings no new guesses."""
    code = gives(harbor)
    for _ in range(2):
        browser = at_bypass(harbor)
        for _ in range(5):
            browser.types(WRONG)
    browser = at_bypass(harbor)
    browser.types(code)
    assert browser.reply.status == 422
    fresh = gives(harbor)
    browser.types(code)
    assert browser.reply.status == 422
    browser.types(fresh)
    assert "result" in browser.back


def test_whether_there_is_a_code_shows_in_no_answer(harbor: Harbor) -> None:
    without = at_bypass(harbor)
    without.types(WRONG)
    gives(harbor)
    with_one = at_bypass(harbor)
    with_one.types(WRONG)
    assert without.reply.status == with_one.reply.status == 422
    assert without.page.text == with_one.page.text


def test_what_can_t_be_such_a_code_costs_no_try(harbor: Harbor) -> None:
    browser = at_bypass(harbor)
    for typed in ("", "123456", "12345-67890", "AAAA", "A" * 5000, "AAAAA-BBBBB-CCCCC"):
        browser.types(typed)
        assert browser.reply.status == 422
        assert "Type" in browser.page.text
    assert harbor.rows(sa.select(Verification.id)) == []


def test_tries_add_up_with_those_of_the_phone(harbor: Harbor) -> None:
    """F09: switching the method brings no new tries."""
    phone = harbor.enrolls()
    gives(harbor)
    browser = harbor.visits(harbor.ada)
    for wrong in harbor.wrong_codes(phone, 3):
        browser.types(wrong)
    browser.goes_to(browser.address("bypass"))
    browser.types(WRONG)
    assert "1 try left" in browser.page.text
    browser.types(WRONG)
    assert browser.page.heading == "Too many wrong codes"


def test_of_many_uses_at_once_one_counts(live_harbor: Harbor) -> None:
    """Single use and F10, in two processes."""
    harbor = live_harbor
    harbor.clock.moment = SystemClock().now()
    code = gives(harbor)
    browsers = [at_bypass(harbor) for _ in range(12)]
    at_once([lambda it=it: it.types(code) for it in browsers])  # type: ignore[misc]
    assert Counter("result" in it.back for it in browsers if it.reply.status == 303) == {True: 1}
    assert {it.reply.status for it in browsers} == {303, 422}
    [row] = harbor.rows(sa.select(BypassCode))
    assert row.BypassCode.used_at
    guessed = gives(harbor)
    visits = [at_bypass(harbor) for _ in range(4)]
    windows = [twin(it) for it in visits for _ in range(5)]
    at_once([lambda it=it: it.types(WRONG) for it in windows])  # type: ignore[misc]
    failures = sa.select(BypassCode.failures).where(BypassCode.used_at.is_(None))
    assert harbor.rows(failures)[0][0] == 10
    late = at_bypass(harbor)
    late.types(guessed)
    assert late.reply.status == 422


# Where it is offered, and what it never does


def test_it_never_vouches_for_a_new_authenticator(harbor: Harbor) -> None:
    """F27 and F31."""
    harbor.enrolls()
    code = gives(harbor)
    browser = at_bypass(harbor, intent="enroll")
    assert browser.path.endswith("/verify")
    browser.sends("bypass", code=code)
    for page in ("set-up", "enroll", "bypass"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/verify"), page
    assert "help desk" not in browser.goes_to(browser.address("choose")).text
    [row] = harbor.rows(sa.select(BypassCode))
    assert row.BypassCode.used_at is None


def test_a_visit_that_must_enroll_anew_takes_none(harbor: Harbor) -> None:
    harbor.enrolls()
    code = gives(harbor)
    opened = harbor.backend.calls(
        "POST",
        "/org/harbor/gateway-sessions",
        json={
            "user_id": harbor.ada,
            "client_id": harbor.notes.client_id,
            "redirect_uri": harbor.notes.redirect_uri,
            "force_enroll": True,
        },
    ).json
    keep_secret(opened["url"].partition("token=")[2])
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    browser.sends("bypass", code=code)
    assert browser.path.endswith("/set-up")


def test_a_magic_link_takes_none(harbor: Harbor) -> None:
    code = gives(harbor)
    asked = harbor.backend.asks_link(
        "ada@harbor.example", harbor.notes.redirect_uri, org_domain="harbor"
    ).json
    browser = harbor.browser()
    browser.goes_to(asked["waiting_url"])
    browser.goes_to(browser.address("bypass"))
    assert browser.path.endswith("/link")
    browser.sends("bypass", code=code)
    assert browser.path.endswith("/link")


def test_it_is_offered_where_nothing_else_works(harbor: Harbor) -> None:
    harbor.enrolls()
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.enrollment.reset(tx, ADMIN, harbor.organization, person, reopen=False)
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/blocked")
    browser.goes_to(next(link for link in browser.page.links if link.endswith("/bypass")))
    browser.types(gives(harbor))
    assert "result" in browser.back


def test_a_locked_user_comes_in_and_stays_locked(harbor: Harbor) -> None:
    harbor.enrolls()
    harbor.executes(sa.update(User).values(failures=100))
    browser = at_bypass(harbor)
    browser.types(gives(harbor))
    assert "result" in browser.back
    assert of_ada(harbor).failures == 100


def test_after_a_recovery_code_it_is_one_more_way(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    left = harbor.visits(harbor.ada)
    left.goes_to(left.address("recover"))
    left.types(codes[0])
    due = harbor.visits(harbor.ada)
    assert due.path.endswith("/due")
    due.goes_to(next(link for link in due.page.links if link.endswith("/bypass")))
    due.types(gives(harbor))
    assert harbor.notes.checks(due.back["result"])["acr"] == "urn:gatehouse:acr:bypass"


def test_on_a_first_visit_it_is_offered_only_to_who_was_given_one(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/set-up")
    assert "help desk" not in browser.page.text
    code = gives(harbor)
    browser.goes_to(browser.path)
    assert "Use a code from your help desk" in browser.page.text
    browser.sends("bypass", code=code)
    assert "result" in browser.back
