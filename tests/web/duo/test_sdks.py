"""Each SDK completes, as it stands: health, the browser's way, and the exchange."""

from __future__ import annotations

import pytest

from tests.conftest import Harbor
from tests.web.duo.client import STATE, Client, confirms
from tests.web.duo.sdks import PYTHON, SDKS, Sdk

ALL = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)


@ALL
def test_it_is_told_that_all_is_well(harbor: Harbor, wiki: Client, sdk: Sdk) -> None:
    reply = wiki.by(sdk).checks_health()
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    now = int(harbor.clock.now().timestamp())
    assert reply.json == {"stat": "OK", "response": {"timestamp": now}}


@ALL
@pytest.mark.parametrize("duo_code", [True, False])
def test_its_user_confirms_and_its_code_is_exchanged(
    harbor: Harbor, wiki: Client, sdk: Sdk, duo_code: bool
) -> None:
    phone = harbor.enrolls()
    client = wiki.by(sdk, duo_code=duo_code)
    back = confirms(harbor, client, phone)
    name = "duo_code" if duo_code else "code"
    assert back.keys() == {name, "state"}
    assert back["state"] == STATE
    claims = client.reads(client.exchanges(back[name]))
    assert claims["preferred_username"] == "ada@harbor.example"
    assert claims["auth_result"]["result"] == "allow"


@ALL
def test_a_wrong_secret_is_told_in_the_way_that_it_reads(wiki: Client, sdk: Sdk) -> None:
    wrong = wiki.by(sdk, secret="s" * 40)
    health, token = wrong.checks_health(), wrong.exchanges("a code")
    assert health.status == token.status == 401
    assert health.json["stat"] == "FAIL"
    assert health.json["message"] == "Invalid client"
    assert health.json["message_detail"]
    assert type(health.json["code"]) is int
    assert token.json["error"] == "invalid_client"
    assert token.json["error_description"]


@ALL
def test_a_code_works_once(harbor: Harbor, wiki: Client, sdk: Sdk) -> None:
    client, phone = wiki.by(sdk), harbor.enrolls()
    code = confirms(harbor, client, phone)["duo_code"]
    assert client.exchanges(code).status == 200
    again = client.exchanges(code)
    assert again.status == 400
    assert again.json["error"] == "invalid_grant"


def test_the_longest_state_and_any_letters_come_back_as_they_were(
    harbor: Harbor, wiki: Client
) -> None:
    phone = harbor.enrolls()
    for state in ("x" * 1024, "a b+%2B&=#?/\\'\"<é€𝄞>" + "~" * 16, "é" * 1024):
        back = confirms(harbor, wiki, phone, state=state)
        assert back["state"] == state


def test_a_nonce_beside_the_request_comes_back_in_the_token(harbor: Harbor, wiki: Client) -> None:
    phone = harbor.enrolls()
    for nonce in ("n" * 17, "n" * 1023):
        browser = harbor.browser()
        browser.goes_to(f"{PYTHON.sends(wiki.setting, 'ada@harbor.example', STATE)}&nonce={nonce}")
        browser.types(harbor.code(phone))
        harbor.clock.advance(30)
        assert wiki.reads(wiki.exchanges(browser.back["duo_code"]))["nonce"] == nonce
    assert "nonce" not in wiki.reads(wiki.exchanges(confirms(harbor, wiki, phone)["duo_code"]))


def test_the_name_comes_back_as_the_application_spells_it(harbor: Harbor, wiki: Client) -> None:
    phone = harbor.enrolls()
    back = confirms(harbor, wiki, phone, name="Ada@HARBOR.example")
    claims = wiki.reads(wiki.exchanges(back["duo_code"]))
    assert claims["preferred_username"] == "Ada@HARBOR.example"
    assert claims["sub"] == harbor.ada


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "duo_code"), ("true", "duo_code"), (False, "code"), ("false", "code"), (None, "code")],
)
def test_the_code_comes_by_the_name_that_was_asked(
    harbor: Harbor, wiki: Client, value: object, name: str
) -> None:
    phone, browser = harbor.enrolls(), harbor.browser()
    request = wiki.request("ada@harbor.example", use_duo_code_attribute=value)
    browser.goes_to(wiki.asks(request, browser).location)
    browser.types(harbor.code(phone))
    assert browser.back.keys() == {name, "state"}
