"""Users whom anybody may have named: they enroll nothing, are sent nothing and trust no browser,
and nobody learns whom we know."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    Message,
    Organization,
    PolicyMode,
    Result,
    TrustedBrowser,
    User,
)
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Browser
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import enroll, switch
from tests.web.gateway.test_bypass import gives
from tests.web.gateway.test_recovery import enrolls as enrolls_with_codes
from tests.web.oidc.party import ADA, Party, back, by_key, comes, party


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return party(harbor, requires_pushed=False, takes_unauthenticated=True)


def rows(harbor: Harbor, model: Any) -> int:
    return len(harbor.rows(sa.select(model.id)))


def test_a_name_in_an_address_is_off_by_default(harbor: Harbor) -> None:
    harbor.enrolls()
    shop = party(harbor, requires_pushed=False)
    for hint in (ADA, "eve@harbor.example", None):
        told = back(comes(harbor, shop.plain(login_hint=hint)))
        assert told["error"] == "invalid_request"
        assert "names no user for sure" in told["error_description"]
    shop.registers(requires_pushed=True)
    told = back(comes(harbor, shop.pushed(login_hint=None)))
    assert "names no user for sure" in told["error_description"]


def test_who_is_named_in_an_address_may_confirm(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.plain())
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    claims = shop.gets(back(browser)["code"])
    assert (claims["sub"], claims["preferred_username"]) == (harbor.ada, ADA)


def test_the_page_tells_no_more_of_the_user_than_the_address(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    browser = comes(harbor, shop.plain(login_hint=harbor.ada))
    assert browser.path.endswith("/verify")
    assert ADA not in browser.page.text


# What it may not do: each holds in the services, for all doors


def test_nobody_enrolls(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.plain())
    before = rows(harbor, Authenticator)
    for page, fields in {"set-up": {"kind": "totp"}, "enroll": {"code": "123456"}}.items():
        browser.sends(page, **fields)
        assert browser.path.endswith("/verify"), page
    assert rows(harbor, Authenticator) == before
    claims = {"id_token": {"acr": {"essential": True, "values": ["phr"]}}}
    switch_passkeys_on(harbor)
    browser = comes(harbor, shop.plain(claims=json.dumps(claims)))
    assert "can’t be confirmed here now" in browser.page.text
    assert "set_up" not in browser.reply.text
    assert phone


def switch_passkeys_on(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, active=True)


def test_nothing_is_sent(harbor: Harbor, shop: Party) -> None:
    switch(harbor, "sms", "email")
    enroll(harbor, "email")
    before = rows(harbor, Message)
    browser = comes(harbor, shop.plain())
    assert "can’t be confirmed here now" in browser.page.text
    phone = harbor.enrolls()
    before = rows(harbor, Message)
    browser = comes(harbor, shop.plain())
    assert browser.path.endswith("/verify")
    email = sa.select(Authenticator.id).where(Authenticator.kind == "email")
    one = harbor.rows(email)[0][0]
    for page in (f"verify/{one}/send", f"verify/{one}"):
        browser.sends(page, channel="email", code="123456")
    harbor.executes(sa.update(User).values(failures=8))  # of the tenth in a row users are told
    for code in harbor.wrong_codes(phone, 3):
        browser.goes_to(browser.address("verify"))
        browser.types(code)
    assert rows(harbor, Message) == before


def test_a_session_that_is_not_sure_sends_nothing_whatever_asks_for_it(
    harbor: Harbor, shop: Party
) -> None:
    """Below the pages, where every door would have it sent."""
    switch(harbor, "email")
    enroll(harbor, "email")
    harbor.enrolls()
    browser = comes(harbor, shop.plain())
    services, visit = harbor.services, browser.path.split("/")[2]
    with services.database.writing() as tx:
        session = services.gateway_sessions.peek(tx, visit)
        assert session is not None
        one = tx.scalar(sa.select(Authenticator).where(Authenticator.kind == "email"))
        assert one is not None
        refused = services.visit_codes.send_again(tx, OPERATOR, session, one, channel="email")
        assert getattr(refused, "reason", None) == "not_vouched"


def test_no_browser_is_trusted_or_spared(harbor: Harbor, shop: Party) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.trust_rules.change(tx, OPERATOR, organization, days=30)
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed())
    assert "trust" in browser.reply.text
    browser.submits(code=harbor.code(phone), trust="on")
    back(browser)
    harbor.clock.advance(30)
    assert rows(harbor, TrustedBrowser) == 1
    browser.goes_to(shop.pushed())
    assert "code" in back(browser)  # trusted, where the name is sure
    browser.goes_to(shop.plain())
    assert browser.path.endswith("/verify")
    assert 'name="trust"' not in browser.reply.text
    browser.submits(code=harbor.code(phone), trust="on")
    back(browser)
    assert rows(harbor, TrustedBrowser) == 1
    browser.goes_to(shop.plain(max_age="300"))
    assert browser.path.endswith("/verify")  # what was confirmed a moment ago counts no more
    told = back(comes(harbor, shop.plain(prompt="none")))
    assert told["error"] == "login_required"


def test_no_policy_lets_anybody_pass(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.policies.change(tx, OPERATOR, organization, Rule(mode=PolicyMode.OFF))
    told = back(comes(harbor, shop.pushed()))
    assert "code" in told
    browser = comes(harbor, shop.plain())
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert shop.gets(back(browser)["code"])["amr"] == ["otp"]


def test_no_recovery_code_and_no_bypass_code_is_taken(harbor: Harbor, shop: Party) -> None:
    _, codes = enrolls_with_codes(harbor)
    bypass = gives(harbor)
    browser = comes(harbor, shop.plain())
    before = rows(harbor, Message)
    for page, code in {"recover": codes[0], "bypass": bypass}.items():
        assert page not in browser.reply.text
        browser.sends(page, code=code)
        assert browser.path.endswith("/verify")
    assert rows(harbor, Message) == before
    assert rows(harbor, Result) <= 1


# Nobody learns whom we know


def suspend(harbor: Harbor) -> None:
    harbor.enrolls()
    harbor.backend.calls("POST", f"/org/harbor/users/{harbor.ada}/suspend")
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        user.suspended_at = harbor.clock.now()


def lock(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, 5):
        browser.types(code)


def nothing(harbor: Harbor) -> None:
    """Ada has no factor."""


def by_email_alone(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")


@ONE_DATABASE
@pytest.mark.parametrize("befall", [suspend, lock, nothing, by_email_alone])
def test_unknown_and_unconfirmable_users_look_the_same(
    harbor: Harbor, shop: Party, befall: Callable[[Harbor], None]
) -> None:
    befall(harbor)
    unknown = comes(harbor, shop.plain(login_hint="eve@harbor.example")).reply
    known = comes(harbor, shop.plain()).reply
    assert known.status == unknown.status == 200
    assert known.text == unknown.text
    different = {"x-request-id", "set-cookie"}
    assert {k: v for k, v in known.headers.items() if k not in different} == {
        k: v for k, v in unknown.headers.items() if k not in different
    }
    assert "set-cookie" not in known.headers
    assert "set-cookie" not in unknown.headers
    for hint in (ADA, "eve@harbor.example"):
        told = back(comes(harbor, shop.plain(login_hint=hint, prompt="none")))
        assert told["error"] == "login_required"


def test_the_way_back_says_no_more(harbor: Harbor, shop: Party) -> None:
    browser = comes(harbor, shop.plain(login_hint="eve@harbor.example"))
    link = next(one for one in browser.page.links if one.startswith("https://shop"))
    assert "error=access_denied" in link
    assert "state=xyz" in link
    assert "iss=http%3A%2F%2Flocalhost" in link
    browser = comes(harbor, shop.plain(login_hint="eve", response_mode="form_post"))
    assert browser.page.forms[0]["fields"]["error"] == "access_denied"


# The page that asks for a name


def test_who_is_named_by_nobody_types_a_name(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.plain(login_hint=None))
    assert browser.path.endswith("/name")
    browser.submits(name=f" {ADA} ")
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert shop.gets(back(browser)["code"])["preferred_username"] == ADA


def test_a_typed_name_is_as_unsure_where_the_request_was_pushed(
    harbor: Harbor, shop: Party
) -> None:
    browser = comes(harbor, shop.pushed(login_hint=None))
    assert browser.path.endswith("/name")
    browser.submits(name=ADA)  # who has nothing set up, and would set something up otherwise
    assert "can’t be confirmed here now" in browser.page.text
    phone = harbor.enrolls()
    browser.goes_to(browser.path)
    browser.submits(name=ADA)
    browser.types(harbor.code(phone))
    assert shop.gets(back(browser)["code"])["sub"] == harbor.ada


@pytest.mark.parametrize("typed", ["", " ", "a\x00b", "x" * 321])
def test_what_is_no_name_is_asked_again(harbor: Harbor, shop: Party, typed: str) -> None:
    browser = comes(harbor, shop.plain(login_hint=None))
    browser.submits(name=typed)
    assert browser.reply.status == 422
    assert browser.page.title.startswith("Error:")


def test_the_name_page_is_one_browsers_alone(harbor: Harbor, shop: Party) -> None:
    browser = comes(harbor, shop.plain(login_hint=None))
    assert comes(harbor, browser.path).reply.status == 400
    path = browser.path
    harbor.clock.advance(901)
    assert browser.goes_to(path).status == 400


def test_no_page_asks_for_a_name_where_none_may(harbor: Harbor, shop: Party) -> None:
    told = back(comes(harbor, shop.plain(login_hint=None, prompt="none")))
    assert told["error"] == "login_required"


def test_a_forged_form_names_nobody(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    browser: Browser = comes(harbor, shop.plain(login_hint=None))
    browser.goes_to(browser.path, "POST", data={"name": ADA})
    assert browser.reply.status == 400


# Hints


def test_an_id_token_of_ours_names_its_user_for_sure_while_it_holds(
    harbor: Harbor, shop: Party
) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.plain())
    browser.types(harbor.code(phone))
    token = shop.exchanges(back(browser)["code"]).json["id_token"]
    shop.registers(takes_unauthenticated=False)
    hint = {"login_hint": None, "id_token_hint": token}
    assert comes(harbor, shop.plain(**hint)).path.endswith("/verify")
    other = party(harbor, name="Other", requires_pushed=False)
    assert back(comes(harbor, other.plain(**hint)))["error"] == "invalid_request"
    head, body, signature = token.split(".")
    for bad in ("x", f"{head}.{body}.", f"{head}.{body[:-2]}.{signature}"):
        told = back(comes(harbor, shop.plain(login_hint=None, id_token_hint=bad)))
        assert told["error"] == "invalid_request"
    harbor.clock.advance(3601)
    told = back(comes(harbor, shop.plain(**hint)))
    assert "names no user for sure" in told["error_description"]


def test_names_that_disagree_are_refused(harbor: Harbor) -> None:
    harbor.person("bob@harbor.example")
    shop = by_key(harbor, requires_pushed=False)
    claims = {"id_token": {"sub": {"value": harbor.ada}}}
    signed = shop.object(login_hint="bob@harbor.example", claims=claims)
    told = back(comes(harbor, shop.address(request=signed)))
    assert told["error"] == "invalid_request"
