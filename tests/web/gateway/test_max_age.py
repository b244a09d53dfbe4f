"""`max_age`: what counts once more is what this browser confirmed, for this application, lately."""

from __future__ import annotations

import uuid
from http.cookies import SimpleCookie
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Application, Authenticator, Event, Result, User, Verification
from app.services.audit import OPERATOR
from tests.actors import Application as Caller
from tests.actors import Browser, Phone
from tests.conftest import Harbor, InProcess
from tests.outbox import ADA, Outbox, answer, enroll, switch
from tests.web.api_v2.headless import verifies
from tests.web.gateway.test_bypass import gives
from tests.web.gateway.test_recovery import enrolls as enrolls_with_codes

OTP = "urn:gatehouse:acr:otp"


def visits(
    harbor: Harbor, browser: Browser, by: Caller | None = None, user: str = "", **ask: Any
) -> Browser:
    browser.goes_to((by or harbor.notes).opens(user or harbor.ada, **ask)["url"])
    return browser


def confirmed(harbor: Harbor, phone: Phone, **ask: Any) -> Browser:
    """Confirm in a browser."""
    browser = harbor.visits(harbor.ada, **ask)
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["status"] == "verified"
    return browser


def claims_of(harbor: Harbor, browser: Browser) -> dict[str, Any]:
    return harbor.notes.checks(browser.back["result"])


def is_asked(harbor: Harbor, browser: Browser, **ask: Any) -> None:
    visits(harbor, browser, **ask)
    assert browser.path.endswith("/verify"), browser.path


def counts(harbor: Harbor, browser: Browser, **ask: Any) -> dict[str, Any]:
    return claims_of(harbor, visits(harbor, browser, **ask))


def marks(browser: Browser) -> list[str]:
    return [one for one in browser.cookies if "gatehouse-mark-" in one]


def test_what_this_browser_confirmed_lately_counts_once_more(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    then = int(harbor.clock.now().timestamp())
    browser = confirmed(harbor, phone)
    harbor.clock.advance(300)
    claims = counts(harbor, browser, max_age=300, nonce="n")
    assert (claims["status"], claims["acr"], claims["amr"]) == ("verified", OTP, ["otp"])
    assert (claims["mfa_method"], claims["auth_time"], claims["nonce"]) == ("totp", then, "n")
    harbor.clock.advance(1)
    is_asked(harbor, browser, max_age=300)
    passed = harbor.rows(sa.select(Verification).where(Verification.purpose == "recall"))
    assert [row.Verification.kind for row in passed] == ["totp"]
    [event] = harbor.rows(sa.select(Event).where(Event.kind == "verification:recalled"))
    assert event.Event.detail == {"kind": "totp"}
    [user] = harbor.rows(sa.select(User))
    assert int(user.User.last_verified_at.timestamp()) == then


def test_what_counted_once_more_is_not_renewed_by_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = confirmed(harbor, phone)
    for _ in range(3):
        harbor.clock.advance(90)
        counts(harbor, browser, max_age=300)
    harbor.clock.advance(90)
    is_asked(harbor, browser, max_age=300)


@pytest.mark.parametrize("ask", [{}, {"max_age": 0}])
def test_whoever_asks_for_no_age_or_for_none_at_all_is_asked_anew(
    harbor: Harbor, ask: dict[str, Any]
) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    is_asked(harbor, browser, **ask)


def test_another_browser_has_confirmed_nothing(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    is_asked(harbor, harbor.browser(), max_age=3600)
    counts(harbor, browser, max_age=3600)


def test_what_a_backend_verified_counts_in_no_browser(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    assert verifies(harbor, harbor.code(phone)).status == 200
    is_asked(harbor, harbor.browser(), max_age=3600)


def test_what_was_confirmed_for_one_application_counts_for_no_other(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    wiki = harbor.registers("Wiki", "https://wiki.example/callback")
    browser = confirmed(harbor, phone)
    is_asked(harbor, browser, by=wiki, max_age=3600)
    [name] = marks(browser)
    harbor.clock.advance(30)
    browser.types(harbor.code(phone))
    [other] = set(marks(browser)) - {name}
    browser.cookies[other] = browser.cookies[name]  # a secret under the other one's name
    is_asked(harbor, browser, by=wiki, max_age=3600)


def test_what_one_user_confirmed_counts_for_no_other(harbor: Harbor) -> None:
    phone, bob = harbor.enrolls(), harbor.person("bob@harbor.example")
    bobs = harbor.enrolls(bob)
    browser = confirmed(harbor, phone)
    [name] = marks(browser)
    is_asked(harbor, browser, user=bob, max_age=3600)
    browser.types(harbor.code(bobs))
    [other] = set(marks(browser)) - {name}
    browser.cookies[other] = browser.cookies[name]
    is_asked(harbor, browser, user=bob, max_age=3600)


def test_a_year_is_too_long_to_remember(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    harbor.clock.advance(12 * 3600)
    counts(harbor, browser, max_age=31_536_000)
    harbor.clock.advance(1)
    is_asked(harbor, browser, max_age=31_536_000)


def test_a_minimum_holds_for_what_counts_once_more(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    answer(browser, Outbox(harbor), ADA)
    assert counts(harbor, browser, max_age=3600)["acr"] == "urn:gatehouse:acr:email"
    assert counts(harbor, browser, max_age=3600, acr_values=["urn:gatehouse:acr:email"])
    visits(harbor, browser, max_age=3600, acr_values=[OTP])
    assert browser.path.endswith("/verify")
    assert "asks for a safer method" in browser.page.text


def test_what_the_user_does_not_have_any_more_counts_no_more(harbor: Harbor) -> None:
    first = harbor.enrolls()
    second = harbor.adds_another(first)
    browser = confirmed(harbor, second)
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        [used] = [one for one in harbor.services.authenticators.of(tx, user) if one.last_used_at][
            :1
        ]
        newest = max(
            harbor.services.authenticators.of(tx, user),
            key=lambda one: one.last_used_at or used.created_at,
        )
        harbor.services.authenticators.remove(
            tx, OPERATOR, user.organization, user, newest, reopen=False
        )
    is_asked(harbor, browser, max_age=3600)


def test_a_method_that_was_switched_off_counts_no_more(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.presses("email")
    answer(browser, Outbox(harbor), ADA)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    harbor.clock.advance(60)
    email = harbor.visits(harbor.ada)
    one = harbor.rows(sa.select(Authenticator.id).where(Authenticator.kind == "email"))[0][0]
    email.sends(f"verify/{one}/send", channel="email")
    answer(email, Outbox(harbor), ADA)
    counts(harbor, email, max_age=3600)
    switch(harbor, "email", active=False)
    is_asked(harbor, email, max_age=3600)


def test_neither_a_set_up_nor_a_recovery_nor_a_bypass_counts_once_more(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    assert marks(browser) == []
    is_asked(harbor, browser, max_age=3600)
    browser.sends("bypass", code=gives(harbor))
    assert "result" in browser.back
    is_asked(harbor, browser, max_age=3600)
    browser.sends("recover", code=codes[0])
    phone = browser.scans()
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["acr"] == "urn:gatehouse:acr:recovery"
    assert marks(browser) == []


def test_a_recovered_visit_is_not_remembered_as_verified(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.sends("recover", code=codes[0])
    new = browser.scans()
    browser.types(harbor.code(new))
    assert "result" in browser.back
    assert marks(browser) == []
    assert phone.key != new.key


def test_to_add_a_method_one_confirms_anew(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    is_asked(harbor, browser, max_age=3600, intent="enroll")


def test_what_counted_once_more_vouches_for_nothing_new(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = confirmed(harbor, phone)
    counts(harbor, browser, max_age=3600)
    for page in ("set-up", "enroll", "recovery-codes"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/ended")


def test_a_locked_user_is_asked(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    harbor.executes(sa.update(User).values(failures=1000))
    is_asked(harbor, browser, max_age=3600)


def test_a_suspended_user_stays_out(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    opened = harbor.notes.opens(harbor.ada, max_age=3600)
    harbor.executes(sa.update(User).values(suspended_at=harbor.clock.now()))
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/blocked")


def test_a_trial_by_an_administrator_marks_no_browser(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    nadia.does(f"/applications/{harbor.notes.client_id}/try", email=ADA)
    nadia.browser.types(harbor.code(phone))
    assert "Verified, checked and redeemed." in nadia.text
    assert marks(nadia.browser) == []


def test_signing_in_as_an_administrator_marks_no_browser(harbor: Harbor) -> None:
    nadia = harbor.administrator(signed_in=False)
    harbor.clock.advance(30)
    nadia.signs_in()
    assert marks(nadia.browser) == []


def test_the_mark_is_a_secret_that_only_its_hash_is_kept_of(https_harbor: Harbor) -> None:
    harbor, wire = https_harbor, https_harbor.wire
    assert isinstance(wire, InProcess)
    browser = confirmed(harbor, harbor.enrolls())
    [name] = marks(browser)
    assert name.startswith("__Host-gatehouse-mark-")
    [header] = [one for one in wire.cookies_set if one.startswith(name)]
    morsel = SimpleCookie(header)[name]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert int(morsel["max-age"]) == 12 * 3600
    assert morsel.value not in harbor.dump()
    counts(harbor, browser, max_age=60)


def test_a_first_factor_is_vouched_for_as_it_is_now(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    of = sa.update(Application).where(Application.id == uuid.UUID(harbor.notes.client_id))
    harbor.executes(of.values(vouches_for_first_factor=True))
    assert counts(harbor, browser, max_age=60)["amr"] == ["otp", "mfa"]


def test_each_result_is_one_of_its_own_and_works_once(harbor: Harbor) -> None:
    browser = confirmed(harbor, harbor.enrolls())
    first = browser.back["result"]
    visits(harbor, browser, max_age=60)
    asked, again = browser.back["session_id"], browser.back["result"]
    assert harbor.notes.redeems(asked, first).error == "result_invalid"
    assert harbor.notes.redeems(asked, again).status == 200
    assert harbor.notes.redeems(asked, again).status == 409
    assert len(harbor.rows(sa.select(Result.id))) == 2
