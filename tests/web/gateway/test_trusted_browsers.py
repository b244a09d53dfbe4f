"""Trusted browsers: who may have one, what it spares, how the result says so, and what ends it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Application,
    Authenticator,
    Environment,
    Event,
    Message,
    Organization,
    Policy,
    PolicyMode,
    Result,
    TrustedBrowser,
    User,
    Verification,
)
from app.services.audit import OPERATOR, SYSTEM, Actor
from app.services.policies import Rule
from app.services.trusted_browsers import MOST_PER_USER
from tests.actors import Application as Caller
from tests.actors import Browser, Phone, keep_secret
from tests.conftest import ONE_DATABASE, Harbor, InProcess
from tests.outbox import ADA, Outbox, answer, enroll, switch
from tests.web.api_v2.headless import confirms, verifies
from tests.web.api_v2.headless import enrolls as begins
from tests.web.gateway.test_bypass import gives
from tests.web.gateway.test_passkey import enrolls as enrolls_a_passkey
from tests.web.gateway.test_passkey import options
from tests.web.gateway.test_recovery import enrolls as enrolls_with_codes

DAY = 24 * 3600
BOX = "Trust this browser for 30 days"
SAYS = {
    "status": "trusted",
    "amr": [],
    "acr": "urn:gatehouse:acr:trusted_browser",
    "mfa_method": "trusted_browser",
}


def rule(harbor: Harbor, days: int, application: Caller | None = None) -> None:
    """Let browsers be trusted for so many days."""
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        of = tx.get_one(Application, uuid.UUID(application.client_id)) if application else None
        harbor.services.trust_rules.change(tx, OPERATOR, organization, days, of)


def visits(
    harbor: Harbor, browser: Browser, by: Caller | None = None, user: str = "", **ask: Any
) -> Browser:
    """Send a user here in a browser that has been here before."""
    browser.goes_to((by or harbor.notes).opens(user or harbor.ada, **ask)["url"])
    return browser


def trusts(harbor: Harbor, phone: Phone, browser: Browser | None = None) -> Browser:
    """Confirm with the box ticked, and let the next code become due."""
    browser = visits(harbor, browser or harbor.browser())
    browser.submits(code=harbor.code(phone), trust="yes")
    assert claims_of(harbor, browser)["status"] == "verified"
    harbor.clock.advance(30)
    return browser


def claims_of(harbor: Harbor, browser: Browser) -> dict[str, Any]:
    return harbor.notes.checks(browser.back["result"])


def goes_on(harbor: Harbor, browser: Browser, **ask: Any) -> None:
    """See that a browser is spared the challenge."""
    assert claims_of(harbor, visits(harbor, browser, **ask))["status"] == "trusted"


def is_asked(harbor: Harbor, browser: Browser, **ask: Any) -> None:
    """See that a browser has to confirm."""
    visits(harbor, browser, **ask)
    assert browser.path.endswith("/verify"), browser.path


def cookie(browser: Browser, kind: str = "trust") -> str:
    [name] = [one for one in browser.cookies if f"gatehouse-{kind}-" in one]
    return name


def trusted(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(TrustedBrowser.id)))


def events(harbor: Harbor) -> list[str]:
    found = sa.select(Event.kind).where(Event.kind.like("trust%")).order_by(Event.id)
    return [row[0] for row in harbor.rows(found)]


def with_user(harbor: Harbor, does: Callable[[Any, Any, User], object]) -> None:
    with harbor.services.database.writing() as tx:
        does(tx, harbor.services, harbor.services.directory.find(tx, harbor.organization, ADA))


# The box


def test_without_a_rule_nobody_is_asked_and_a_forged_box_does_nothing(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    assert "Trust this browser" not in browser.page.text
    browser.submits(code=harbor.code(phone), trust="yes")
    assert "result" in browser.back
    assert trusted(harbor) == 0
    assert not [one for one in browser.cookies if "trust" in one]
    harbor.clock.advance(30)
    is_asked(harbor, browser)


def test_the_box_is_there_and_not_ticked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    assert BOX in browser.page.text
    assert "trust" not in browser.page.forms[0]["fields"]
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["status"] == "verified"
    assert trusted(harbor) == 0
    harbor.clock.advance(30)
    is_asked(harbor, browser)


def test_the_box_says_one_day_in_either_language(harbor: Harbor) -> None:
    harbor.enrolls()
    rule(harbor, 1)
    assert "Trust this browser for 1 day " in harbor.visits(harbor.ada).page.text
    french = harbor.visits(harbor.ada, locale="fr").page.text
    assert "Faire confiance à ce navigateur pendant 1 jour " in french


def test_a_wrong_code_trusts_nothing_and_keeps_the_box_ticked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    browser.submits(code=harbor.wrong_codes(phone)[0], trust="yes")
    assert browser.page.forms[0]["fields"]["trust"] == "yes"
    assert trusted(harbor) == 0
    browser.submits(code=harbor.code(phone))
    assert trusted(harbor) == 1


def test_a_code_by_message_can_be_confirmed_with_the_box_ticked(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    assert BOX not in browser.page.text  # before a code is sent there is nothing to tick it for
    browser.presses("email")
    code = Outbox(harbor).code(browser, to=ADA)
    browser.submits(code=code, trust="yes")
    assert "result" in browser.back
    goes_on(harbor, browser)


def test_a_passkey_can_be_used_with_the_box_ticked(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.passkey_rules.change(
            tx, OPERATOR, tx.merge(harbor.organization), active=True
        )
    device = enrolls_a_passkey(harbor)
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    assert BOX in browser.page.text
    browser.submits(credential=device.get(options(browser)), trust="yes")
    assert claims_of(harbor, browser)["acr"] == "phr"
    goes_on(harbor, browser)
    is_asked(harbor, browser, acr_values=["phr"])


def test_setting_up_offers_no_box_and_takes_none(harbor: Harbor) -> None:
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    assert "Trust this browser" not in browser.page.text
    browser.submits(code=harbor.code(phone), trust="yes")
    browser.saves_codes()
    assert "result" in browser.back
    assert trusted(harbor) == 0


# What it spares, and what is said of it


def test_a_trusted_browser_goes_straight_back_and_the_result_says_exactly_so(
    harbor: Harbor,
) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    harbor.executes(sa.update(Application).values(vouches_for_first_factor=True))
    then = int(harbor.clock.now().timestamp())
    browser = trusts(harbor, phone)
    harbor.clock.advance(3 * DAY)
    visits(harbor, browser, nonce="n", state="s")
    claims = claims_of(harbor, browser)
    assert {name: claims[name] for name in SAYS} == SAYS
    assert claims["auth_time"] == then
    assert (claims["nonce"], browser.back["state"]) == ("n", "s")
    asked = browser.back["session_id"]
    assert harbor.notes.looks_at(asked).json["status"] == "trusted"
    assert harbor.notes.redeems(asked, browser.back["result"]).status == 200
    assert harbor.notes.redeems(asked, browser.back["result"]).status == 409
    passed = harbor.rows(sa.select(Verification).order_by(Verification.at))[-1].Verification
    assert (passed.purpose, passed.kind, passed.accepted) == ("trust", "trusted_browser", True)
    [user] = harbor.rows(sa.select(User))
    assert int(user.User.last_verified_at.timestamp()) == then


def test_it_comes_back_by_form_as_well_and_says_that_nothing_was_asked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    visits(harbor, browser, response_mode="form_post")
    assert browser.path.endswith("/return")
    assert "You are confirmed" not in browser.page.text
    browser.goes_to(browser.address("ended"))
    assert browser.page.heading == "You can go on"
    assert "You trust this browser, so nothing was asked." in browser.page.text


def test_what_happens_is_recorded_and_the_user_is_told(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    goes_on(harbor, trusts(harbor, phone))
    assert events(harbor) == [
        "trust_rule:changed",
        "trusted_browser:added",
        "trusted_browser:used",
    ]
    [told] = harbor.rows(sa.select(Message).where(Message.subject.like("A browser is trusted%")))
    text = harbor.text_of(told.Message)
    assert "chose to trust a browser for 30 days" in text
    assert "If this was not you, stop it here." in text


def test_the_cookie_is_a_secret_that_only_its_hash_is_kept_of(https_harbor: Harbor) -> None:
    harbor, wire = https_harbor, https_harbor.wire
    assert isinstance(wire, InProcess)
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    name = cookie(browser)
    assert name.startswith("__Host-gatehouse-trust-")
    assert harbor.ada not in name
    [header] = [one for one in wire.cookies_set if one.startswith(name)]
    morsel = SimpleCookie(header)[name]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Lax")
    assert (morsel["path"], morsel["domain"]) == ("/", "")
    assert int(morsel["max-age"]) == 30 * DAY
    assert len(morsel.value) >= 43  # 256 bits
    assert morsel.value not in harbor.dump()
    goes_on(harbor, browser)


def test_a_browser_that_is_trusted_anew_counts_once_with_a_fresh_secret(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    old = dict(browser.cookies)
    is_asked(harbor, browser, max_age=0)
    browser.submits(code=harbor.code(phone), trust="yes")
    assert trusted(harbor) == 1
    goes_on(harbor, browser)
    stale = harbor.browser()
    stale.cookies = {cookie(browser): old[cookie(browser)]}
    is_asked(harbor, stale)


def test_with_too_many_browsers_the_oldest_is_trusted_no_more(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    first = trusts(harbor, phone)
    for _ in range(MOST_PER_USER):
        last = trusts(harbor, phone)
    assert trusted(harbor) == MOST_PER_USER
    is_asked(harbor, first)
    goes_on(harbor, last)


@ONE_DATABASE
def test_a_browser_keeps_a_few_cookies_of_a_kind(harbor: Harbor) -> None:
    rule(harbor, 30)
    browser = harbor.browser()
    for number in range(10):
        someone = harbor.person(f"user{number}@harbor.example")
        phone = harbor.enrolls(someone)
        visits(harbor, browser, user=someone)
        browser.submits(code=harbor.code(phone), trust="yes")
    for kind in ("trust", "mark"):
        assert len([one for one in browser.cookies if f"-{kind}-" in one]) == 8
    goes_on(harbor, browser, user=someone)


# To whom it is bound, and until when


def test_the_cookie_of_one_user_is_nothing_to_another(harbor: Harbor) -> None:
    phone, bob = harbor.enrolls(), harbor.person("bob@harbor.example")
    bobs = harbor.enrolls(bob)
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    is_asked(harbor, browser, user=bob)
    browser.submits(code=harbor.code(bobs), trust="yes")
    mallory = harbor.browser()
    for one, secret in browser.cookies.items():  # each secret under each name
        for other in browser.cookies:
            if "-trust-" in one and "-trust-" in other and one != other:
                mallory.cookies = {other: secret}
                for user in (harbor.ada, bob):
                    is_asked(harbor, mallory, user=user)


def test_the_cookie_of_one_organization_is_nothing_in_another(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        harbor.services.method_settings.change(tx, OPERATOR, pier, active=True)
        harbor.services.trust_rules.change(tx, OPERATOR, pier, 30)
        elsewhere = pier.id
    goes_on(harbor, browser)
    harbor.executes(sa.update(TrustedBrowser).values(organization_id=elsewhere))
    is_asked(harbor, browser)


def test_it_ends_when_its_time_is_over_whatever_the_cookie_says(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 2)
    browser = trusts(harbor, phone)  # this jar forgets nothing, as an edited one would
    harbor.clock.advance(2 * DAY - 40)
    goes_on(harbor, browser)
    harbor.clock.advance(20)
    is_asked(harbor, browser)


def test_a_rule_that_allows_fewer_days_holds_for_browsers_that_are_trusted(
    harbor: Harbor,
) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    harbor.clock.advance(5 * DAY)
    rule(harbor, 5)
    is_asked(harbor, browser)
    rule(harbor, 6)
    goes_on(harbor, browser)
    rule(harbor, 0)
    is_asked(harbor, browser)


def test_a_rule_that_allows_more_days_gives_none_to_browsers_that_are_trusted(
    harbor: Harbor,
) -> None:
    phone = harbor.enrolls()
    rule(harbor, 2)
    browser = trusts(harbor, phone)
    rule(harbor, 30)
    harbor.clock.advance(3 * DAY)
    is_asked(harbor, browser)


def test_an_application_may_have_a_rule_of_its_own(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    wiki = harbor.registers("Wiki", "https://wiki.example/callback")
    bank = harbor.registers("Bank", "https://bank.example/callback")
    rule(harbor, 30)
    rule(harbor, 3, wiki)
    rule(harbor, 0, bank)
    browser = trusts(harbor, phone)
    goes_on(harbor, browser)
    visits(harbor, browser, wiki)
    assert wiki.checks(browser.back["result"])["status"] == "trusted"
    is_asked(harbor, browser, by=bank)
    assert "Trust this browser" not in browser.page.text
    harbor.clock.advance(4 * DAY)
    goes_on(harbor, browser)
    is_asked(harbor, browser, by=wiki)
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        application = tx.get_one(Application, uuid.UUID(bank.client_id))
        harbor.services.trust_rules.remove(tx, OPERATOR, organization, application)
    visits(harbor, browser, bank)
    assert bank.checks(browser.back["result"])["status"] == "trusted"


def test_an_application_that_takes_another_method_is_not_spared(harbor: Harbor) -> None:
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
    bank = harbor.registers("Bank", "https://bank.example/callback")
    takes = sa.update(Application).where(Application.id == uuid.UUID(bank.client_id))
    harbor.executes(takes.values(methods=["totp"]))
    rule(harbor, 30)
    [(email,)] = harbor.rows(sa.select(Authenticator.id).where(Authenticator.kind == "email"))
    visits(harbor, browser)
    browser.sends(f"verify/{email}/send", channel="email")
    browser.submits(code=Outbox(harbor).code(browser, to=ADA), trust="yes")
    goes_on(harbor, browser)
    is_asked(harbor, browser, by=bank)
    browser.submits(code=harbor.code(phone), trust="yes")
    visits(harbor, browser, bank)
    assert bank.checks(browser.back["result"])["status"] == "trusted"


# What it never spares


@pytest.mark.parametrize(
    "ask",
    [
        {"acr_values": ["urn:gatehouse:acr:email"]},
        {"acr_values": ["urn:gatehouse:acr:otp"]},
        {"max_age": 0},
        {"max_age": 10},
        {"max_age": 31_536_000, "acr_values": ["urn:gatehouse:acr:otp"]},
        {"intent": "enroll"},
    ],
)
def test_whoever_asks_for_more_gets_no_trusted_browser(harbor: Harbor, ask: dict[str, Any]) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    harbor.clock.advance(DAY)
    is_asked(harbor, browser, **ask)
    goes_on(harbor, browser)


def test_a_forced_enrollment_is_none(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    body = {
        "user_id": harbor.ada,
        "client_id": harbor.notes.client_id,
        "redirect_uri": harbor.notes.redirect_uri,
        "force_enroll": True,
    }
    opened = harbor.backend.calls("POST", "/org/harbor/gateway-sessions", json=body)
    browser.goes_to(opened.json["url"])
    assert browser.path.endswith("/set-up")


def test_a_trial_by_an_administrator_neither_trusts_nor_is_trusted(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    trusting = trusts(harbor, phone)
    nadia = harbor.administrator()
    nadia.browser.cookies[cookie(trusting)] = trusting.cookies[cookie(trusting)]
    nadia.does(f"/applications/{harbor.notes.client_id}/try", email=ADA)
    assert nadia.browser.path.endswith("/verify")
    assert "Trust this browser" not in nadia.text
    nadia.browser.submits(code=harbor.code(phone), trust="yes")
    assert trusted(harbor) == 1


def test_a_locked_user_is_asked_although_the_browser_is_trusted(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    harbor.executes(sa.update(User).values(failures=1000))
    is_asked(harbor, browser)


def test_no_result_answers_a_step_up_by_a_trusted_browser_whoever_asks(harbor: Harbor) -> None:
    asked = harbor.notes.opens(harbor.ada, max_age=60)
    with harbor.services.database.writing() as tx:
        session = harbor.services.gateway_sessions.find(tx, harbor.organization, asked["id"])
        made = Verification(
            user_id=session.user_id,
            organization_id=session.user.organization_id,
            gateway_session_id=session.id,
            kind="trusted_browser",
            purpose="trust",
            accepted=True,
            at=harbor.clock.now(),
        )
        tx.add(made)
        tx.flush()
        tx.refresh(made)
        with pytest.raises(ValueError, match="a trusted browser answers no application"):
            harbor.services.tokens.issue_result(tx, SYSTEM, session, made)


# What ends it


def _removes(tx: Any, services: Any, user: User) -> None:
    [one, *_] = services.authenticators.of(tx, user)
    services.authenticators.remove(tx, OPERATOR, user.organization, user, one, reopen=False)


def _resets(tx: Any, services: Any, user: User) -> None:
    services.enrollment.reset(tx, OPERATOR, user.organization, user, reopen=True)


def _suspends(tx: Any, services: Any, user: User) -> None:
    services.user_care.suspend(tx, OPERATOR, user.organization, user, why="Left the house")


def _revokes(tx: Any, services: Any, user: User) -> None:
    [one] = services.trusted_browsers.of(tx, user)
    services.trusted_browsers.revoke(tx, OPERATOR, user, one.id)


def _revokes_all(tx: Any, services: Any, user: User) -> None:
    assert services.trusted_browsers.revoke_all(tx, OPERATOR, user) == 1


@pytest.mark.parametrize("ends", [_removes, _resets, _suspends, _revokes, _revokes_all])
def test_what_is_done_to_the_account_ends_it(
    harbor: Harbor, ends: Callable[[Any, Any, User], None]
) -> None:
    phone = harbor.adds_another(harbor.enrolls())
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    goes_on(harbor, browser)
    with_user(harbor, ends)
    assert trusted(harbor) == 0
    harbor.executes(sa.update(User).values(suspended_at=None))
    visits(harbor, browser)
    assert browser.path.endswith(("/verify", "/set-up"))


def test_another_authenticator_ends_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    harbor.adds_another(phone)
    is_asked(harbor, browser)


def test_another_authenticator_by_a_backend_ends_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    begun = begins(harbor, force_enroll=True)
    goes_on(harbor, browser)  # begun alone, it changes nothing
    new = Phone(begun.json["uri"]) if "uri" in begun.json else Phone(uri_of(begun.json))
    assert confirms(harbor, harbor.code(new)).status == 200
    is_asked(harbor, browser)


def uri_of(told: dict[str, Any]) -> str:
    return next(str(one) for one in told.values() if str(one).startswith("otpauth:"))


def test_a_recovery_code_ends_it(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    other = harbor.visits(harbor.ada)
    other.sends("recover", code=codes[0])
    assert trusted(harbor) == 0
    new = other.scans()
    other.types(harbor.code(new))
    assert "result" in other.back
    is_asked(harbor, browser)


def test_a_recovery_code_that_replaces_nothing_ends_it_as_well(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    browser.submits(code=Outbox(harbor).code(browser, to=ADA), trust="yes")
    goes_on(harbor, browser)
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, ADA)
        code = keep_secret(harbor.services.recovery.issue(tx, OPERATOR, person)[0])
    other = harbor.visits(harbor.ada)
    other.sends("recover", code=code)
    assert claims_of(harbor, other)["acr"] == "urn:gatehouse:acr:recovery"
    is_asked(harbor, browser)


def test_a_recovery_code_by_a_backend_ends_it(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    rule(harbor, 30)
    trusts(harbor, phone)
    assert verifies(harbor, codes[0]).status == 200
    assert trusted(harbor) == 0


def test_a_code_from_the_help_desk_ends_it_when_it_is_used(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    code = gives(harbor)
    goes_on(harbor, browser)
    other = harbor.visits(harbor.ada)
    other.sends("bypass", code="AAAAA-BBBBB")
    goes_on(harbor, browser)
    other.sends("bypass", code=code)
    assert "result" in other.back
    is_asked(harbor, browser)


def test_nobody_revokes_a_browser_of_somebody_else(harbor: Harbor) -> None:
    phone, bob = harbor.enrolls(), harbor.person("bob@harbor.example")
    rule(harbor, 30)
    trusts(harbor, phone)
    [(one,)] = harbor.rows(sa.select(TrustedBrowser.id))
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, bob)
        with pytest.raises(Exception, match="trusted browser"):
            harbor.services.trusted_browsers.revoke(tx, Actor(name="user"), person, one)
        with pytest.raises(Exception, match="trusted browser"):
            harbor.services.trusted_browsers.find(tx, person, one)
    assert trusted(harbor) == 1


def test_where_the_policy_is_off_it_is_the_policy_that_lets_pass(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        off = Rule(mode=PolicyMode.OFF)
        harbor.services.policies.change(tx, OPERATOR, organization, off)
    assert claims_of(harbor, visits(harbor, browser))["status"] == "skipped"
    assert harbor.rows(sa.select(Policy.mode)) == [(PolicyMode.OFF,)]


def test_who_has_nothing_that_works_is_not_let_through(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    browser = trusts(harbor, phone)
    harbor.executes(sa.update(Authenticator).values(status="removed"))  # as no door does it
    visits(harbor, browser)
    assert browser.path.endswith("/blocked")
    assert len(harbor.rows(sa.select(Result.id))) == 1


def test_two_codes_at_once_answered_by_email_trust_nothing_by_themselves(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    rule(harbor, 30)
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    answer(browser, Outbox(harbor), ADA)
    assert trusted(harbor) == 0
