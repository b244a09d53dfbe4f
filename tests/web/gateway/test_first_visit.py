"""The main job: an application sends a user, who enrolls and is sent back with a signed result."""

from __future__ import annotations

from tests.conftest import Harbor


def test_a_new_user_enrolls_saves_codes_and_returns_with_a_signed_result(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada, state="séance 1", nonce="n-1")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    assert len(codes) == 5
    back = browser.back
    assert browser.reply.location.startswith(harbor.notes.redirect_uri + "?")
    assert back["state"] == "séance 1"
    assert back["session_id"] == opened["id"]
    claims = harbor.notes.checks(back["result"])
    now = int(harbor.clock.now().timestamp())
    assert claims == {
        "iss": harbor.base_url,
        "aud": harbor.notes.client_id,
        "sub": harbor.ada,
        "iat": now,
        "exp": now + 120,
        "jti": claims["jti"],
        "sid": opened["id"],
        "nonce": "n-1",
        "org": "harbor",
        "env": "sandbox",
        "auth_time": now,
        "amr": ["otp"],
        "acr": "urn:gatehouse:acr:otp",
        "status": "enrolled",
        "mfa_method": "totp",
    }
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "enrolled"


def test_an_enrolled_user_types_one_code_and_is_back(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, state="x")
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["status"] == "verified"
    assert browser.back["state"] == "x"
