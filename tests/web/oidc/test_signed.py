"""Signed requests (RFC 9101): everything in them is checked, and nothing beside them counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import BASE_URL, BOTH_DATABASES, ONE_DATABASE, Harbor
from tests.web.oidc.party import KEY, Party, back, by_key, comes, party
from tests.web.oidc.test_token import at_once, confused


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return by_key(harbor, requires_pushed=False, requires_signed=True)


def test_a_signed_request_names_the_user_for_sure(harbor: Harbor, shop: Party) -> None:
    browser = comes(harbor, shop.address(request=shop.object()))
    assert browser.path.endswith("/set-up"), browser.page.text


@ONE_DATABASE
def test_nothing_beside_a_signed_request_counts(harbor: Harbor, shop: Party) -> None:
    bob = harbor.person("bob@harbor.example")
    harbor.enrolls(bob)
    outer = {"login_hint": "bob@harbor.example", "state": "evil", "redirect_uri": "https://evil"}
    browser = comes(harbor, shop.address(request=shop.object(), **outer))
    assert "ada@harbor.example" in browser.page.text
    browser.sends("cancel")
    assert back(browser)["state"] == "xyz"


@ONE_DATABASE
def test_what_is_not_inside_is_not_asked(harbor: Harbor, shop: Party) -> None:
    signed = shop.object(nonce=None, scope=None)
    told = back(comes(harbor, shop.address(request=signed, scope="openid")))
    assert told["error"] == "invalid_scope"


@ONE_DATABASE
def test_a_request_may_hold_claims_and_numbers_as_json(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    claims = {"id_token": {"acr": {"essential": True, "values": ["phr"]}}}
    browser = comes(harbor, shop.address(request=shop.object(claims=claims, max_age=60)))
    assert browser.path.endswith("/unmet")


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"aud": "https://evil.example"}, {}),
        ({"aud": None}, {}),
        ({"aud": f"{BASE_URL}/oidc/token"}, {}),
        ({"iss": "somebody"}, {}),
        ({"iss": None}, {}),
        ({"client_id": "3f1c0f9e-0000-4000-8000-000000000000"}, {}),
        ({"client_id": None}, {}),
        ({"exp": None}, {}),
        ({"exp": 1}, {}),
        ({"exp": 99999999999}, {}),
        ({"nbf": 99999999999}, {}),
        ({"jti": None}, {}),
        ({"request": "x"}, {}),
        ({"request_uri": "urn:x"}, {}),
        ({}, {"typ": "client-authentication+jwt"}),
        ({}, {"typ": "gatehouse-result+jwt"}),
    ],
)
def test_a_request_that_is_wrong_in_one_thing_is_refused_and_told_nobody(
    harbor: Harbor, shop: Party, changes: dict[str, Any], header: dict[str, Any]
) -> None:
    browser = comes(harbor, shop.address(request=shop.object(header, **changes)))
    assert browser.reply.status == 400
    assert "invalid_request_object" in browser.page.text
    assert "location" not in browser.reply.headers


@ONE_DATABASE
def test_a_request_is_at_most_ten_minutes_ahead(harbor: Harbor, shop: Party) -> None:
    now = int(harbor.clock.now().timestamp())
    assert comes(harbor, shop.address(request=shop.object(exp=now + 600))).reply.status == 200
    assert comes(harbor, shop.address(request=shop.object(exp=now + 700))).reply.status == 400


@ONE_DATABASE
def test_an_assertion_of_the_client_is_no_request(harbor: Harbor, shop: Party) -> None:
    for token in (shop.assertion(), shop.object(sub=shop.client_id)):
        browser = comes(harbor, shop.address(request=token))
        assert browser.reply.status == 400
    proof = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": shop.object(),
    }
    assert shop.posts("/oidc/par", headers={}, **shop.wishes(), **proof).status == 401


@ONE_DATABASE
@pytest.mark.filterwarnings("ignore")
def test_no_algorithm_but_the_registered_one_is_taken(harbor: Harbor, shop: Party) -> None:
    for token in filter(None, confused(shop)):
        browser = comes(harbor, shop.address(request=token))
        assert browser.reply.status == 400, token[:80]


@ONE_DATABASE
def test_a_client_without_keys_signs_nothing(harbor: Harbor) -> None:
    shop = party(harbor, requires_pushed=False)
    assert comes(harbor, shop.address(request=shop.object())).reply.status == 400


@BOTH_DATABASES
def test_a_request_is_good_once_of_many_at_once_too(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    address = shop.address(request=shop.object())
    replies = at_once(lambda: harbor.wire.request("GET", address, cookies={}))
    assert sorted(reply.status for reply in replies) == [303] + [400] * 4


@ONE_DATABASE
def test_what_has_to_be_signed_is_taken_in_no_other_way(harbor: Harbor, shop: Party) -> None:
    told = back(comes(harbor, shop.plain()))
    assert (told["error"], "Sign" in told["error_description"]) == ("invalid_request", True)
    shop.registers(auth="client_secret_basic", requires_pushed=True)
    assert shop.pushes().json["error"] == "invalid_request"
    told = back(comes(harbor, shop.address(request=shop.object(), **shop.wishes(client_id=None))))
    assert "Push" in told["error_description"]


@ONE_DATABASE
def test_a_signed_request_may_be_pushed(harbor: Harbor) -> None:
    shop = party(
        harbor,
        keys=json.dumps(KEY.as_dict(private=False)),
        requires_signed=True,
    )
    reply = shop.posts("/oidc/par", request=shop.object())
    assert reply.status == 201
    harbor.enrolls()
    browser = comes(harbor, shop.address(request_uri=reply.json["request_uri"]))
    assert browser.path.endswith("/verify")
    assert shop.posts("/oidc/par", request=shop.object(aud="x")).json["error"] == (
        "invalid_request_object"
    )
