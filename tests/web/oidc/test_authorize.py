"""GET and POST /oidc/authorize: the code flow, pushed, and what is asked of it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import AuthorizationCode, Result, Verification
from tests.conftest import BASE_URL, BOTH_DATABASES, ONE_DATABASE, Harbor
from tests.web.oidc.party import ADA, BACK, Party, back, comes, confirms, party


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return party(harbor)


@BOTH_DATABASES
def test_a_pushed_request_ends_in_a_code_that_is_good_for_an_id_token(
    harbor: Harbor, shop: Party
) -> None:
    told = confirms(harbor, shop)
    assert told.keys() == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == ("xyz", BASE_URL)
    reply = shop.exchanges(told["code"])
    assert reply.headers["cache-control"] == "no-store"
    claims = shop.checks(reply.json["id_token"])
    half = hashlib.sha256(reply.json["access_token"].encode()).digest()[:16]
    now = int(harbor.clock.now().timestamp())
    assert claims == {
        "iss": BASE_URL,
        "aud": shop.client_id,
        "sub": harbor.ada,
        "preferred_username": ADA,
        "nonce": "n-1",
        "iat": now,
        "exp": now + 3600,
        "auth_time": now,
        "acr": "urn:gatehouse:acr:otp",
        "amr": ["otp"],
        "mfa_method": "totp",
        "org": "harbor",
        "env": "sandbox",
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }
    assert reply.json["token_type"] == "Bearer"
    assert reply.json["scope"] == "openid"


def test_the_name_comes_back_as_it_was_written(harbor: Harbor, shop: Party) -> None:
    told = confirms(harbor, shop, login_hint="ADA@Harbor.example")
    assert shop.gets(told["code"])["preferred_username"] == "ADA@Harbor.example"


def test_somebody_named_for_sure_may_enroll(harbor: Harbor, shop: Party) -> None:
    browser = comes(harbor, shop.pushed())
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert shop.gets(back(browser)["code"])["sub"] == harbor.ada


def test_an_unknown_user_is_told_to_an_application_that_is_sure_of_the_name(
    harbor: Harbor, shop: Party
) -> None:
    told = back(comes(harbor, shop.pushed(login_hint="eve@harbor.example")))
    assert told["error"] == "access_denied"
    assert told["error_description"].startswith("user_not_found")
    assert told["iss"] == BASE_URL


def test_an_unknown_user_is_made_where_the_application_may(harbor: Harbor) -> None:
    shop = party(harbor, name="Maker", creates_users=True)
    browser = comes(harbor, shop.pushed(login_hint="eve@harbor.example"))
    assert browser.path.endswith("/set-up"), browser.page.text


def test_whoever_goes_back_brings_an_error_and_who_says_so(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    browser = comes(harbor, shop.pushed())
    browser.sends("cancel")
    told = back(browser)
    assert told["error"] == "access_denied"
    assert (told["state"], told["iss"]) == ("xyz", BASE_URL)
    assert harbor.rows(sa.select(AuthorizationCode.id)) == []
    assert harbor.rows(sa.select(Result.id)) == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "!" * 43}, "invalid_request"),
        ({"code_challenge": "a" * 43 + "\n"}, "invalid_request"),
        ({"prompt": "bogus"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[" * 5000}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"id_token": 1}'}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": 1}}'}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": {"values": [1]}}}'}, "invalid_request"),
        ({"claims": '{"id_token": {"sub": {"values": ["a", "b"]}}}'}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"nonce": "n" * 256}, "invalid_request"),
        ({"state": "s" * 4097}, "invalid_request"),
        ({"state": "a\nb"}, "invalid_request"),
        ({"login_hint": "x" * 321}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
    ],
)
def test_what_cannot_be_granted_is_refused_as_it_is_pushed_and_as_it_comes(
    harbor: Harbor, shop: Party, changes: dict[str, Any], code: str
) -> None:
    reply = shop.pushes(**changes)
    assert (reply.status, reply.json["error"]) == (400, code), reply.text
    if {"redirect_uri", "request_uri"} & changes.keys():
        return
    shop.registers(requires_pushed=False, takes_unauthenticated=True)
    told = back(comes(harbor, shop.plain(**changes)))
    assert told["error"] == code
    assert told["iss"] == BASE_URL
    assert told.get("state") == (None if "state" in changes else "xyz")


def test_pkce_can_be_left_out_where_a_client_need_not_send_it(harbor: Harbor) -> None:
    shop = party(harbor, requires_pkce=False)
    told = confirms(harbor, shop, code_challenge=None, code_challenge_method=None)
    refused = shop.exchanges(told["code"])  # a verifier without a challenge (RFC 9700, 4.8.2)
    assert refused.json["error"] == "invalid_grant"
    assert shop.gets(told["code"], code_verifier=None)["sub"] == harbor.ada


def test_a_client_that_need_not_send_a_challenge_may_not_send_a_plain_one(harbor: Harbor) -> None:
    shop = party(harbor, requires_pkce=False)
    assert shop.pushes(code_challenge_method="plain").json["error"] == "invalid_request"
    assert shop.pushes(code_challenge_method=None).json["error"] == "invalid_request"


def test_what_has_to_be_pushed_is_taken_in_no_other_way(harbor: Harbor, shop: Party) -> None:
    told = back(comes(harbor, shop.plain()))
    assert told["error"] == "invalid_request"
    assert "Push" in told["error_description"]


def test_the_state_comes_back_byte_for_byte(harbor: Harbor, shop: Party) -> None:
    state = "a b%2B\"+&=é<script>'#/\\" + "x" * 3900
    assert confirms(harbor, shop, state=state)["state"] == state


def test_a_form_brings_the_answer_back_byte_for_byte(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    state = "a b%2B\"+&=é<script>'"
    browser = comes(harbor, shop.pushed(response_mode="form_post", state=state))
    browser.types(harbor.code(phone))
    form = browser.page.forms[0]
    assert form["action"] == BACK
    assert form["fields"].keys() == {"code", "state", "iss"}
    assert form["fields"]["state"] == state
    policy = browser.reply.headers["content-security-policy"]
    assert "form-action 'self' https://shop.example" in policy
    assert "'unsafe-inline'" not in policy
    assert shop.gets(form["fields"]["code"])["sub"] == harbor.ada


def test_an_error_comes_back_in_a_form_as_well(harbor: Harbor, shop: Party) -> None:
    shop.registers(requires_pushed=False)
    state = "a b%2B\"+&=é'"
    browser = comes(harbor, shop.plain(response_mode="form_post", prompt="bogus", state=state))
    form = browser.page.forms[0]
    assert browser.reply.status == 200
    assert form["action"] == BACK
    assert form["fields"]["error"] == "invalid_request"
    assert form["fields"]["state"] == state
    assert form["fields"]["iss"] == BASE_URL
    assert (
        "form-action 'self' https://shop.example"
        in browser.reply.headers["content-security-policy"]
    )


def test_a_request_may_be_posted(harbor: Harbor, shop: Party) -> None:
    shop.registers(requires_pushed=False, takes_unauthenticated=True)
    harbor.enrolls()
    browser = harbor.browser()
    browser.goes_to("/oidc/authorize", "POST", data=shop.wishes())
    assert browser.path.endswith("/verify"), browser.page.text


# prompt, max_age, acr_values, claims


def test_max_age_is_kept_and_prompt_login_asks_again(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed())
    browser.types(harbor.code(phone))
    first = shop.gets(back(browser)["code"])
    harbor.clock.advance(60)
    browser.goes_to(shop.pushed(max_age="300"))
    again = shop.gets(back(browser)["code"])
    assert again["auth_time"] == first["auth_time"]
    for wish in ({"max_age": "0"}, {"prompt": "login", "max_age": "300"}, {"max_age": "30"}):
        browser.goes_to(shop.pushed(**wish))
        assert browser.path.endswith("/verify"), (wish, browser.page.text)


def test_no_page_is_shown_where_none_may_be(harbor: Harbor, shop: Party) -> None:
    browser = comes(harbor, shop.pushed(prompt="none"))
    assert back(browser)["error"] == "interaction_required"  # there is nothing set up yet
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed(prompt="none"))
    told = back(browser)
    assert told["error"] == "login_required"
    assert (told["state"], told["iss"]) == ("xyz", BASE_URL)
    browser.goes_to(shop.pushed())
    browser.types(harbor.code(phone))
    back(browser)
    browser.goes_to(shop.pushed(prompt="none", max_age="300"))
    assert shop.gets(back(browser)["code"])["sub"] == harbor.ada


def test_a_class_that_is_wished_for_is_reached_if_anything_leads_there(
    harbor: Harbor, shop: Party
) -> None:
    told = confirms(harbor, shop, acr_values="phr urn:other")
    assert shop.gets(told["code"])["acr"] == "urn:gatehouse:acr:otp"


def test_a_class_that_is_essential_is_reached_or_not_met(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    claims = {"id_token": {"acr": {"essential": True, "values": ["phr"]}}}
    browser = comes(harbor, shop.pushed(claims=json.dumps(claims)))
    assert browser.path.endswith("/unmet")
    browser.sends("cancel")
    assert back(browser)["error"] == "unmet_authentication_requirements"
    claims = {"id_token": {"acr": {"essential": True, "value": "urn:other"}}}
    told = back(comes(harbor, shop.pushed(claims=json.dumps(claims))))
    assert told["error"] == "unmet_authentication_requirements"


def test_a_method_that_is_essential_is_used_or_not_met(harbor: Harbor, shop: Party) -> None:
    claims = {"id_token": {"amr": {"essential": True, "values": ["hwk"]}}}
    told = confirms(harbor, shop, claims=json.dumps(claims))
    assert told["error"] == "unmet_authentication_requirements"
    assert "code" not in told
    claims = {"id_token": {"amr": {"essential": True, "values": ["iris", "face"]}}}
    told = back(comes(harbor, shop.pushed(claims=json.dumps(claims))))  # nobody is asked in vain
    assert told["error"] == "unmet_authentication_requirements"


def test_the_only_subject_that_is_allowed_is_the_one_that_is_confirmed(
    harbor: Harbor, shop: Party
) -> None:
    bob = harbor.person("bob@harbor.example")
    claims = {"id_token": {"sub": {"value": bob}}}
    told = back(comes(harbor, shop.pushed(claims=json.dumps(claims))))
    assert (told["error"], "different" in told["error_description"]) == ("invalid_request", True)
    claims = {"id_token": {"sub": {"value": harbor.ada}}}
    told = confirms(harbor, shop, claims=json.dumps(claims), login_hint=None)
    assert shop.gets(told["code"])["sub"] == harbor.ada


def test_the_page_speaks_the_language_that_is_asked(harbor: Harbor, shop: Party) -> None:
    harbor.enrolls()
    browser = comes(harbor, shop.pushed(ui_locales="fr en"))
    assert browser.page.attribute("html", "lang") == "fr"


def test_no_code_comes_from_a_visit_that_confirmed_nothing(harbor: Harbor, shop: Party) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed())
    for code in harbor.wrong_codes(phone, 5):
        browser.types(code)
    browser.goes_to(browser.address("return"))
    assert back(browser)["error"] == "access_denied"
    assert harbor.rows(sa.select(AuthorizationCode.id)) == []
    refused = sa.select(Verification.id).where(Verification.accepted.is_(False))
    assert len(harbor.rows(refused)) == 5
