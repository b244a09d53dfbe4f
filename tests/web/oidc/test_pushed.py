"""Pushed requests: one browser, one use, until it is completed; and no tricks with addresses."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.conftest import BOTH_DATABASES, ONE_DATABASE, Harbor
from tests.web.oidc.party import BACK, PREFIX, Party, back, comes, party
from tests.web.oidc.test_token import at_once


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return party(harbor)


def test_the_browser_that_came_first_may_load_the_address_again(
    harbor: Harbor, shop: Party
) -> None:
    phone, address = harbor.enrolls(), shop.pushed()
    browser = comes(harbor, address)
    first = browser.path
    harbor.clock.advance(100)  # no other could come any more
    browser.goes_to(address)
    assert browser.path == first
    browser.types(harbor.code(phone))
    assert shop.gets(back(browser)["code"])["sub"] == harbor.ada


@BOTH_DATABASES
def test_no_other_browser_comes_with_it(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    address = shop.pushed()
    comes(harbor, address)
    other = comes(harbor, address)
    assert other.reply.status == 403
    assert "another browser" in other.page.text


@BOTH_DATABASES
def test_of_many_browsers_that_come_at_once_one_goes_on(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    address = shop.pushed()
    replies = at_once(lambda: harbor.wire.request("GET", address, cookies={}))
    assert sorted(reply.status for reply in replies) == [303] + [403] * 4


def test_it_is_over_once_it_was_completed(harbor: Harbor, shop: Party) -> None:
    phone, address = harbor.enrolls(), shop.pushed()
    browser = comes(harbor, address)
    browser.types(harbor.code(phone))
    back(browser)
    browser.goes_to(address)
    assert browser.reply.status == 400
    assert "invalid_request_uri" in browser.page.text


def test_it_waits_for_ninety_seconds(harbor: Harbor, shop: Party) -> None:
    assert shop.pushes().json["expires_in"] == 90
    address = shop.pushed()
    harbor.clock.advance(91)
    assert comes(harbor, address).reply.status == 400


def test_a_refusal_is_told_to_one_browser_alone(harbor: Harbor, shop: Party) -> None:
    address = shop.pushed(login_hint="eve@harbor.example")
    browser = comes(harbor, address)
    assert back(browser)["error"] == "access_denied"
    assert comes(harbor, address).reply.status == 403
    browser.goes_to(address)
    assert back(browser)["error"] == "access_denied"


@ONE_DATABASE
def test_it_is_of_its_own_client_alone(harbor: Harbor, shop: Party) -> None:
    other = party(harbor, name="Other")
    uri = shop.pushes().json["request_uri"]
    assert comes(harbor, other.address(request_uri=uri)).reply.status == 400


@ONE_DATABASE
@pytest.mark.parametrize(
    "uri",
    [
        f"{PREFIX}made-up",
        PREFIX,
        "https://evil.example/request",
        "file:///etc/passwd",
        "urn:uuid:1",
        "é",
    ],
)
def test_a_reference_that_is_none_of_ours_leads_nowhere(
    harbor: Harbor, shop: Party, uri: str
) -> None:
    browser = comes(harbor, shop.address(request_uri=uri, redirect_uri=BACK))
    assert browser.reply.status == 400
    assert "location" not in browser.reply.headers


@ONE_DATABASE
def test_what_else_the_browser_brings_counts_for_nothing(harbor: Harbor, shop: Party) -> None:
    bob = harbor.person("bob@harbor.example")
    harbor.enrolls(bob)
    uri = shop.pushes().json["request_uri"]
    address = shop.address(
        request_uri=uri, login_hint="bob@harbor.example", state="evil", redirect_uri="https://evil"
    )
    browser = comes(harbor, address)
    assert "ada@harbor.example" in browser.page.text
    browser.sends("cancel")
    assert back(browser)["state"] == "xyz"


@ONE_DATABASE
def test_a_browser_that_looks_ahead_uses_nothing_up(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    address = shop.pushed()
    ahead = harbor.wire.request("GET", address, headers={"Sec-Purpose": "prefetch"})
    assert ahead.status == 503
    assert comes(harbor, address).path.endswith("/verify")


# Redirect addresses (F39, F40)

TRICKS = [
    "",
    "//evil.example",
    "/\\evil.example",
    "\\\\\\evil.example",
    "https:evil.example",
    "https://shop.example@evil.example/back",
    "https://a@b@evil.example/back",
    "https://shop.example%40evil.example/back",
    "https://shop.example%2f%5cevil.example/back",
    "https://shop.example/back#",
    "https://shop.example/back#x",
    "https://shop.example/back?",
    "https://shop.example/back?x=1",
    "https://shop.example/back/",
    "https://shop.example/back/..",
    "https://shop.example/x/../back",
    "https://shop.example/..;/back",
    "https://shop.example/%2e%2e/back",
    "https://shop.example/back;x",
    "https://shop.example./back",
    "https://SHOP.example/back",
    "HTTPS://shop.example/back",
    "https://shop.example/Back",
    "https://shop.example:443/back",
    "https://shop.example:8443/back",
    "http://shop.example/back",
    "https://xn--shp-fna.example/back",
    "https://shöp.example/back",
    "https://shop.example/ba\tck",
    "https://shop.example/back\r\nX: y",
    "https://shop.example/back\n",
    " https://shop.example/back",
    "https://shop.example/back ",
    "https://shop.example/back\x00",
    "https://shop.example/back/sub",
    "https://shop.example",
    "https://shop.example.evil.example/back",
    "https://evil.example/https://shop.example/back",
    "https://shop.example/bac%6b",
    "javascript:alert(1)",
    "data:text/html,x",
    "shop:back",
    "https://shop.example/back,https://evil.example",
    "https://shop.example/back https://evil.example",
]


@ONE_DATABASE
@pytest.mark.parametrize("uri", TRICKS)
def test_no_address_but_a_registered_one_is_sent_anywhere(
    harbor: Harbor, shop: Party, uri: str
) -> None:
    shop.registers(requires_pushed=False, takes_unauthenticated=True)
    for more in ({}, {"scope": "x"}, {"prompt": "none"}, {"response_mode": "form_post"}):
        browser = comes(harbor, shop.plain(redirect_uri=uri, **more))
        assert browser.reply.status == 400
        assert "location" not in browser.reply.headers
        assert "evil.example" not in browser.reply.text
        assert "<form" not in browser.reply.text
    assert shop.pushes(redirect_uri=uri).json["error"] == "invalid_request"


@ONE_DATABASE
def test_a_parameter_that_is_there_twice_is_told_to_nobody(harbor: Harbor, shop: Party) -> None:
    shop.registers(requires_pushed=False, takes_unauthenticated=True)
    for name, value in {"redirect_uri": "https://evil.example", "state": "b", BACK: "x"}.items():
        address = f"{shop.plain()}&{quote(name)}={quote(value)}"
        address += f"&{quote(name)}={quote(value)}"
        browser = comes(harbor, address)
        assert browser.reply.status == 400
        assert "evil.example" not in browser.reply.text


@ONE_DATABASE
def test_a_client_that_nobody_registered_is_told_nothing(harbor: Harbor, shop: Party) -> None:
    for client_id in ("", "x", harbor.notes.client_id, "3f1c0f9e-0000-4000-8000-000000000000"):
        browser = comes(harbor, shop.plain(client_id=client_id))
        assert browser.reply.status == 400
        assert "location" not in browser.reply.headers
        assert browser.reply.headers["content-security-policy"].count("frame-ancestors 'none'")
