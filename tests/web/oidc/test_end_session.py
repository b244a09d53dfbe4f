"""GET and POST /oidc/end-session: this browser is forgotten, and goes where that is registered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import Organization, TrustedBrowser
from app.services.audit import OPERATOR
from tests.actors import Browser
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.oidc.party import Party, back, party
from tests.web.oidc.test_pushed import TRICKS

pytestmark = ONE_DATABASE
BYE = "https://shop.example/bye?a=1"


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    shop = party(harbor)
    shop.registers(post_logout_redirect_uris=[BYE])
    return shop


def trusting(harbor: Harbor, shop: Party) -> tuple[Browser, str]:
    """Have Ada trust her browser; return it with her ID token."""
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.trust_rules.change(tx, OPERATOR, organization, 30)
    phone = harbor.enrolls()
    browser = harbor.browser()
    browser.goes_to(shop.pushed())
    browser.submits(code=harbor.code(phone), trust="on")
    token = shop.exchanges(back(browser)["code"]).json["id_token"]
    browser.goes_to(shop.pushed())
    assert "code" in back(browser)
    return browser, token


def ends(browser: Browser, method: str = "GET", **asked: Any) -> None:
    if method == "GET":
        browser.goes_to(f"/oidc/end-session?{urlencode(asked)}")
    else:
        browser.goes_to("/oidc/end-session", method, data=asked)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_id_token_has_its_users_browser_forgotten(
    harbor: Harbor, shop: Party, method: str
) -> None:
    browser, token = trusting(harbor, shop)
    kept = dict(browser.cookies)
    harbor.clock.advance(4000)  # a hint may be too old: that is when users log out
    ends(browser, method, id_token_hint=token, post_logout_redirect_uri=BYE, state="a b&+")
    assert browser.reply.location == f"{BYE}&state=a%20b%26%2B"
    assert harbor.rows(sa.select(TrustedBrowser.id)) == []
    for cookies in (browser.cookies, kept):  # neither does a copy of the cookies spare anything
        browser.cookies = dict(cookies)
        for wish in ({}, {"max_age": "20000"}):
            browser.goes_to(shop.pushed(**wish))
            assert browser.path.endswith("/verify")


def test_without_one_the_user_is_asked_first(harbor: Harbor, shop: Party) -> None:
    browser, _ = trusting(harbor, shop)
    ends(browser, client_id=shop.client_id, post_logout_redirect_uri=BYE, state="s")
    assert browser.page.heading == "Forget this browser?"
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == 1
    asked = browser.reply
    ends(browser, "POST", client_id=shop.client_id, csrf_token="forged")
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == 1
    browser.reply = asked
    browser.submits()
    assert browser.reply.location == f"{BYE}&state=s"
    assert harbor.rows(sa.select(TrustedBrowser.id)) == []
    assert not [name for name in browser.cookies if "trust" in name or "mark" in name]


def test_it_ends_on_a_page_of_ours_without_an_address(harbor: Harbor, shop: Party) -> None:
    browser, token = trusting(harbor, shop)
    ends(browser, id_token_hint=token)
    assert browser.page.heading == "This browser is forgotten"


@pytest.mark.parametrize("uri", [one for one in TRICKS if one])
def test_no_address_but_a_registered_one_is_gone_to(harbor: Harbor, shop: Party, uri: str) -> None:
    uri = uri.replace("back", "bye")
    browser = harbor.browser()
    ends(browser, client_id=shop.client_id, post_logout_redirect_uri=uri)
    assert browser.reply.status == 400
    assert "location" not in browser.reply.headers
    assert "evil.example" not in browser.reply.text


def test_a_hint_that_is_not_ours_ends_nothing(harbor: Harbor, shop: Party) -> None:
    browser, token = trusting(harbor, shop)
    other = party(harbor, name="Other")
    head, body, _ = token.split(".")
    for asked in (
        {"id_token_hint": "x"},
        {"id_token_hint": f"{head}.{body}."},
        {"id_token_hint": token, "client_id": other.client_id},
        {"client_id": "unknown"},
        {"post_logout_redirect_uri": BYE},
        {"id_token_hint": token, "post_logout_redirect_uri": BYE, "state": "x" * 4097},
    ):
        ends(browser, **asked)
        assert browser.reply.status == 400, asked
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == 1
