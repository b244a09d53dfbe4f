"""What Duo's door refuses: forged and stale tokens, what was used, and what was tampered with."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from app.jose import generate_key, sign
from app.models import GatewaySession
from tests.actors import Reply
from tests.conftest import REDIRECT_URI, Harbor
from tests.web.duo.client import STATE, Client, confirms, duo_client
from tests.web.duo.sdks import encoded, signed

ADA = "ada@harbor.example"


def sessions(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(GatewaySession.id)))


def refused(reply: Reply, code: str, status: int) -> None:
    """It is JSON, it is no redirect, and it names what is wrong."""
    assert (reply.status, reply.location) == (status, "")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["error"] == code, reply.text


# Assertions

BAD_ASSERTIONS: dict[str, dict[str, Any]] = {
    "no iss": {"iss": None},
    "another iss": {"iss": "DIAAAAAAAAAAAAAAAAAA"},
    "no sub": {"sub": None},
    "another sub": {"sub": "DIAAAAAAAAAAAAAAAAAA"},
    "no aud": {"aud": None},
    "the aud of another call": {"aud": "http://localhost/oauth/v1/health_check"},
    "the host alone as aud": {"aud": "http://localhost"},
    "another host as aud": {"aud": "http://evil.example/oauth/v1/token"},
    "several aud": {"aud": ["http://localhost/oauth/v1/token", "http://evil.example"]},
    "no exp": {"exp": None},
    "exp of a truth": {"exp": True},
    "exp in words": {"exp": "tomorrow"},
    "exp of no number": {"exp": math.nan},
    "exp for ever": {"exp": math.inf},
    "exp long ago": {"exp": 1},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "a number as jti": {"jti": 7},
}


@pytest.mark.parametrize("changes", BAD_ASSERTIONS.values(), ids=BAD_ASSERTIONS.keys())
def test_an_assertion_that_is_not_right_in_every_claim_opens_nothing(
    harbor: Harbor, wiki: Client, changes: dict[str, Any]
) -> None:
    phone = harbor.enrolls()
    code = confirms(harbor, wiki, phone)["duo_code"]
    bad = wiki.exchanges_with(code, client_assertion=wiki.assertion("token", **changes))
    refused(bad, "invalid_client", 401)
    assert wiki.exchanges_with(code).status == 200


@pytest.mark.parametrize(
    ("seconds", "status"), [(3660, 200), (3662, 401), (-59, 200), (-60, 401), (-3600, 401)]
)
def test_an_assertion_is_good_for_an_hour_and_a_minute_at_most(
    harbor: Harbor, wiki: Client, seconds: int, status: int
) -> None:
    exp = harbor.clock.now().timestamp() + seconds
    assert wiki.checks_with(wiki.assertion("health_check", exp=exp)).status == status


def forged(wiki: Client, claims: dict[str, Any]) -> dict[str, str]:
    """Return tokens with the right claims that the client has not signed by HS512."""
    key = generate_key("RS256")
    right = signed(claims, wiki.secret)
    head, body, mac = right.split(".")
    none, odd = encoded(b'{"alg":"none"}'), encoded(b'{"alg":"nOnE"}')
    crit = {"alg": "HS512", "crit": ["exp"], "exp": 1}
    return {
        "alg none": f"{none}.{body}.",
        "alg nOnE": f"{odd}.{body}.{mac}",
        "no mac": f"{head}.{body}.",
        "another secret": signed(claims, "s" * 40),
        "RS256": sign(claims, typ="JWT", key=key),
        "HS256 in the header": signed(claims, wiki.secret, {"alg": "HS256", "typ": "JWT"}),
        "HS384 in the header": signed(claims, wiki.secret, {"alg": "HS384", "typ": "JWT"}),
        "its own key inside": signed(
            claims, "s" * 40, {"alg": "HS512", "jwk": {"kty": "oct", "k": encoded(b"s" * 40)}}
        ),
        "a critical extension": signed(claims, wiki.secret, crit),
        "no claims": signed(b"[]", wiki.secret),
        "no JSON": signed(b"{", wiki.secret),
        "four parts": f"{right}.x",
        "nothing": "",
        "letters": "\u00e9.\u00e9.\u00e9",
    }


def test_only_hs512_by_the_clients_secret_counts_whatever_the_header_says(
    harbor: Harbor, wiki: Client
) -> None:
    before = sessions(harbor)
    assertion = {**wiki.sdk.assertion(wiki.setting, "token")}
    for name, token in forged(wiki, assertion).items():
        reply = wiki.exchanges_with("x", client_assertion=token)
        assert reply.status == 401, name
        assert reply.json["error"] == "invalid_client", name
    for name, token in forged(wiki, wiki.sdk.request(wiki.setting, ADA, STATE)).items():
        reply = wiki.asks(token)
        assert reply.status == 401, name
        assert reply.json["error"] == "invalid_client", name
    assert sessions(harbor) == before


@pytest.mark.parametrize(
    "client_id", ["", "DI", "DI\0AAAAAAAAAAAAAAAAA", "x" * 9999, "DIAAAAAAAAAAAAAAAAAA"]
)
def test_an_unknown_client_is_told_no_more_than_that(wiki: Client, client_id: str) -> None:
    wrong = signed({"sub": client_id or 7}, wiki.secret)
    refused(
        wiki.exchanges_with("x", client_id=client_id, client_assertion=wrong), "invalid_client", 401
    )
    refused(wiki.asks(wrong, client_id=client_id), "invalid_client", 401)


def test_an_assertion_works_once_at_whichever_call(harbor: Harbor, wiki: Client) -> None:
    assertion = wiki.assertion("health_check")
    assert wiki.checks_with(assertion).status == 200
    again = wiki.checks_with(assertion)
    assert (again.status, again.json["stat"]) == (401, "FAIL")
    assert "used before" in again.json["message_detail"]
    jti = wiki.assertion("health_check", jti="one name")
    assert wiki.checks_with(jti).status == 200
    taken = wiki.assertion("token", jti="one name")
    refused(wiki.exchanges_with("x", client_assertion=taken), "invalid_client", 401)
    other = duo_client(harbor, name="Another")
    assert other.checks_with(other.assertion("health_check", jti="one name")).status == 200


def test_an_assertion_whose_code_was_wrong_is_used_up_as_well(wiki: Client) -> None:
    assertion = wiki.assertion("token")
    refused(wiki.exchanges_with("x", client_assertion=assertion), "invalid_grant", 400)
    refused(wiki.exchanges_with("x", client_assertion=assertion), "invalid_client", 401)


# Codes


def test_a_code_is_good_for_its_own_client_address_and_minute(harbor: Harbor, wiki: Client) -> None:
    phone, other = harbor.enrolls(), duo_client(harbor, name="Another")
    code = confirms(harbor, wiki, phone)["duo_code"]
    refused(other.exchanges(code), "invalid_grant", 400)
    for address in (None, "", f"{REDIRECT_URI}/", "https://evil.example/"):
        refused(wiki.exchanges_with(code, redirect_uri=address), "invalid_grant", 400)
    assert wiki.exchanges(code).status == 200
    late = confirms(harbor, wiki, phone)["duo_code"]
    harbor.clock.advance(60)
    refused(wiki.exchanges(late), "invalid_grant", 400)


def test_the_result_of_the_rest_door_and_its_codes_are_nothing_here(
    harbor: Harbor, wiki: Client
) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    refused(wiki.exchanges(browser.back["result"]), "invalid_grant", 400)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"client_assertion_type": None}, "invalid_request"),
        ({"client_assertion_type": "urn:x"}, "invalid_request"),
        ({"code": None}, "invalid_grant"),
        ({"code": "\0"}, "invalid_grant"),
        ({"code": ["a", "b"]}, "invalid_request"),
        ({"client_id": ["a", "a"]}, "invalid_request"),
    ],
    ids=str,
)
def test_an_exchange_that_is_none_is_told_in_the_words_of_oauth(
    wiki: Client, fields: dict[str, Any], error: str
) -> None:
    refused(wiki.exchanges_with(**{"code": "x", **fields}), error, 400)


# Requests

BAD_REQUESTS: dict[str, dict[str, Any]] = {
    "no client_id": {"client_id": None},
    "another client_id": {"client_id": "DIAAAAAAAAAAAAAAAAAA"},
    "another iss": {"iss": "DIAAAAAAAAAAAAAAAAAA"},
    "another aud": {"aud": "https://evil.example"},
    "the token address as aud": {"aud": "http://localhost/oauth/v1/token"},
    "several aud": {"aud": ["http://localhost"]},
    "no exp": {"exp": None},
    "exp long ago": {"exp": 1},
    "exp far ahead": {"exp": 9999999999},
    "no response_type": {"response_type": None},
    "another response_type": {"response_type": "token"},
    "another scope": {"scope": "profile"},
    "no state": {"state": None},
    "a short state": {"state": "x" * 15},
    "a long state": {"state": "x" * 1025},
    "half a letter as state": {"state": "\ud800" * 20},
    "a line in the state": {"state": "x" * 20 + "\r\nSet-Cookie: a=b"},
    "a number as state": {"state": 12345678901234567890},
    "no name": {"duo_uname": None},
    "an empty name": {"duo_uname": ""},
    "a long name": {"duo_uname": "x" * 256},
    "a NUL in the name": {"duo_uname": "ada\0"},
    "half a letter as name": {"duo_uname": "\ud800"},
    "a list as name": {"duo_uname": [ADA]},
    "an odd truth": {"use_duo_code_attribute": 1},
    "no redirect_uri": {"redirect_uri": None},
    "a list as redirect_uri": {"redirect_uri": [REDIRECT_URI]},
    "SAML": {"audience_for_saml_response": "https://saml.example"},
}


@pytest.mark.parametrize("changes", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_request_that_is_not_right_opens_nothing_and_leads_nowhere(
    harbor: Harbor, wiki: Client, changes: dict[str, Any]
) -> None:
    refused(wiki.asks(wiki.request(ADA, **changes)), "invalid_request", 400)
    assert sessions(harbor) == 0


def test_what_java_leaves_out_and_csharp_names_otherwise_may_be_so_but_no_more(
    harbor: Harbor, wiki: Client
) -> None:
    for changes in ({"iss": None}, {"aud": None}, {"aud": "http://localhost/oauth/v1/authorize"}):
        assert wiki.asks(wiki.request(ADA, **changes)).status == 303


@pytest.mark.parametrize(
    ("outside", "code", "status"),
    [
        ({"client_id": "DIAAAAAAAAAAAAAAAAAA"}, "invalid_client", 401),
        ({"client_id": ["a", "b"]}, "invalid_request", 400),
        ({"response_type": "token"}, "invalid_request", 400),
        ({"nonce": "n" * 1025}, "invalid_request", 400),
        ({"nonce": "a\nb"}, "invalid_request", 400),
    ],
    ids=str,
)
def test_what_stands_beside_the_request_has_to_fit_it(
    harbor: Harbor, wiki: Client, outside: dict[str, Any], code: str, status: int
) -> None:
    refused(wiki.asks(wiki.request(ADA), **outside), code, status)
    assert sessions(harbor) == 0


def test_another_client_beside_the_request_is_refused_though_it_is_known(
    harbor: Harbor, wiki: Client
) -> None:
    other = duo_client(harbor, name="Another")
    refused(wiki.asks(wiki.request(ADA), client_id=other.client_id), "invalid_client", 401)
    inside = other.signs({**wiki.sdk.request(wiki.setting, ADA, STATE)})
    refused(wiki.asks(inside, client_id=other.client_id), "invalid_request", 400)


def test_where_the_browser_goes_is_in_the_signed_request_alone(
    harbor: Harbor, wiki: Client
) -> None:
    browser = harbor.browser()
    reply = wiki.asks(
        wiki.request(ADA), browser, redirect_uri="https://evil.example/", state="y" * 22, scope="x"
    )
    browser.goes_to(reply.location)
    harbor.enrolls()
    browser.sends("cancel")
    assert browser.reply.location.startswith(f"{REDIRECT_URI}?")
    assert browser.back["state"] == STATE


TRICKS = (
    "//evil.example", "/\\evil.example", "\\\\\\evil.example", "https:evil.example",
    "https://notes.example@evil.example/callback", "https://a@b@notes.example/callback",
    "https://notes.example%40evil.example/callback", "https://notes.example/callback%2f%5c",
    f"{REDIRECT_URI}#x", f"{REDIRECT_URI}?", f"{REDIRECT_URI}?x=1", f"{REDIRECT_URI}/..",
    f"{REDIRECT_URI}/..;/x", f"{REDIRECT_URI};x", "https://notes.example./callback",
    "https://NOTES.example/callback", "https://notes.example/Callback", "HTTPS://notes.example/callback",
    "https://notes.example:443/callback", "https://notes.example:8443/callback",
    "https://xn--ntes-5qa.example/callback", "https://nötes.example/callback", f"{REDIRECT_URI}\t",
    f"{REDIRECT_URI}\r\n", f" {REDIRECT_URI}", f"{REDIRECT_URI}\0", "http://notes.example/callback",
    f"{REDIRECT_URI}/sub", "https://notes.example.evil/callback", "https://notes.example",
    "https://notes.example/", "https://notes.example//callback", "https://notes.example/./callback",
    "https://notes.example/%63allback", "javascript:alert(1)", "data:text/html,x", "app://callback",
    "https://evil.example/?https://notes.example/callback", "https://[::1]/callback", "", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("address", TRICKS, ids=ascii)
def test_no_trick_with_the_address_leads_away(harbor: Harbor, wiki: Client, address: str) -> None:
    refused(wiki.asks(wiki.request(ADA, redirect_uri=address)), "invalid_request", 400)
    assert sessions(harbor) == 0


def test_a_request_counts_once_and_a_reload_in_the_same_browser_goes_on(
    harbor: Harbor, wiki: Client
) -> None:
    phone, request, browser = harbor.enrolls(), wiki.request(ADA), harbor.browser()
    browser.goes_to(wiki.asks(request, browser).location)
    assert browser.path.endswith("/verify")
    refused(wiki.asks(request), "request_used", 400)
    refused(wiki.asks(request, harbor.browser()), "request_used", 400)
    harbor.clock.advance(400)  # it is over by now, too
    browser.goes_to(wiki.asks(request, browser).location)
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert "duo_code" in browser.back
    assert sessions(harbor) == 1


def test_another_spelling_of_the_same_signature_is_the_same_request(
    harbor: Harbor, wiki: Client
) -> None:
    request = wiki.request(ADA)
    assert wiki.asks(request).status == 303
    # 64 bytes leave four bits of the last character unused.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters[letters.index(request[-1]) ^ 1]
    for again in (request[:-1] + last, request + "=", request + "=="):
        assert wiki.asks(again).status in {400, 401}
    assert sessions(harbor) == 1


def test_a_cookie_of_a_forger_leads_to_a_visit_or_nowhere(harbor: Harbor, wiki: Client) -> None:
    request, browser = wiki.request(ADA), harbor.browser()
    wiki.asks(request, browser)
    [name] = browser.cookies
    for value in ("//evil.example", "https://evil.example", "/admin", "/gateway/x?token=y"):
        browser.cookies[name] = value
        refused(wiki.asks(request, browser), "request_used", 400)


def test_a_look_ahead_does_not_use_a_request_up(harbor: Harbor, wiki: Client) -> None:
    request = wiki.request(ADA)
    path = f"/oauth/v1/authorize?client_id={wiki.client_id}&request={request}"
    assert harbor.wire.request("HEAD", path).status == 405
    ahead = harbor.wire.request("GET", path, headers={"Sec-Purpose": "prefetch"})
    assert ahead.status == 503
    assert ahead.json["error"]
    assert wiki.asks(request).status == 303


# At once


@pytest.mark.both_databases
def test_of_many_at_once_one_assertion_request_and_code_counts(
    harbor: Harbor, wiki: Client
) -> None:
    phone = harbor.enrolls()
    code = confirms(harbor, wiki, phone)["duo_code"]
    request, assertion = wiki.request(ADA), wiki.assertion("health_check")

    def at_once(call: Any) -> list[int]:
        together = Barrier(6)

        def attempt(_: int) -> int:
            together.wait()
            return int(call().status)

        with ThreadPoolExecutor(6) as pool:
            return sorted(pool.map(attempt, range(6)))

    assert at_once(lambda: wiki.checks_with(assertion)) == [200] + [401] * 5
    assert at_once(lambda: wiki.exchanges(code)) == [200] + [400] * 5
    before = sessions(harbor)
    assert at_once(lambda: wiki.asks(request)) == [303] + [400] * 5
    assert sessions(harbor) == before + 1
