"""What is no request of Entra's: refused, and told to Microsoft alone."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import Application, EntraAccount, EntraCloud, GatewaySession
from app.services.entra_clouds import addresses
from tests.actors import Reply
from tests.conftest import ONE_DATABASE, Harbor
from tests.entra import (
    APP_ID,
    OTHER_TENANT,
    REDIRECT_URI,
    TENANT,
    Entra,
    connected,
    public_key,
)
from tests.web.api_v2.forgery import forgeries, listening, public_jwk, strangers

pytestmark = ONE_DATABASE
MICROSOFT = "https://login.microsoftonline.com"


def visits_of(harbor: Harbor) -> int:
    return int(harbor.rows(sa.select(sa.func.count()).select_from(GatewaySession))[0][0])


def posts(entra: Entra, data: Any, **headers: str) -> Reply:
    path = f"/entra/{entra.connection_id}/authorize"
    return entra.harbor.wire.request("POST", path, data=data, headers=headers)


def is_a_page(reply: Reply) -> None:
    """A page that leads nowhere: no form, no address of Microsoft's or of anybody's."""
    assert reply.status == 400, reply.status
    assert "location" not in reply.headers
    assert reply.page.forms == []
    assert "form-action 'self';" in reply.headers["content-security-policy"] + ";"


# The hint


def test_a_hint_that_expired_long_ago_is_taken_if_it_was_made_just_now(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    now = int(harbor.clock.now().timestamp())
    for expired in (now - 1, now - 86400, 0, None):
        assert entra.visits(id_token_hint=entra.hint(exp=expired)).path.endswith("/verify")


@pytest.mark.parametrize("seconds", [-600, -1, 0, 1, 600])
def test_a_hint_of_ten_minutes_around_now_is_taken(harbor: Harbor, seconds: int) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    at = int(harbor.clock.now().timestamp()) + seconds
    browser = entra.visits(id_token_hint=entra.hint(iat=at, nbf=at))
    assert browser.path.endswith("/verify")


NOW = 1772366405
WRONG: dict[str, dict[str, Any]] = {
    "another tenant": {"tid": OTHER_TENANT},
    "another tenant, wholly": {
        "tid": OTHER_TENANT,
        "iss": f"{MICROSOFT}/{OTHER_TENANT}/v2.0",
    },
    "an issuer of another tenant": {"iss": f"{MICROSOFT}/{OTHER_TENANT}/v2.0"},
    "an issuer of version 1": {"iss": f"https://sts.windows.net/{TENANT}/"},
    "an issuer of another cloud": {"iss": f"https://login.microsoftonline.us/{TENANT}/v2.0"},
    "an issuer with a slash more": {"iss": f"{MICROSOFT}/{TENANT}/v2.0/"},
    "no issuer": {"iss": None},
    "no tenant": {"tid": None},
    "a tenant in capitals": {"tid": TENANT.upper()},
    "tenants": {"tid": [TENANT]},
    "another audience": {"aud": str(uuid.UUID(int=7))},
    "several audiences": {"aud": [APP_ID, "another"]},
    "one audience in a list": {"aud": [APP_ID]},
    "no audience": {"aud": None},
    "version 1": {"ver": "1.0"},
    "no version": {"ver": None},
    "a number as version": {"ver": 2.0},
    "made too long ago": {"iat": NOW - 700},
    "made in the future": {"iat": NOW + 700},
    "not before too long ago": {"nbf": NOW - 700},
    "not before later": {"nbf": NOW + 700},
    "made at no time": {"iat": None},
    "not before at no time": {"nbf": None},
    "made at a text": {"iat": str(NOW)},
    "made at true": {"iat": True},
    "made at infinity": {"iat": 10**400},
    "no account": {"oid": None},
    "an empty account": {"oid": ""},
    "an account of another kind": {"oid": 7},
    "an account too long": {"oid": "x" * 256},
    "no subject": {"sub": None},
    "a subject of another kind": {"sub": ["x"]},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
def test_a_hint_that_says_the_wrong_thing_is_denied(harbor: Harbor, claims: dict[str, Any]) -> None:
    harbor.enrolls()
    entra, count = connected(harbor), visits_of(harbor)
    # administrators and phones have moved the clock by now
    moved = int(harbor.clock.now().timestamp()) - NOW
    moment: dict[str, Any] = {
        name: value + moved
        if type(value) is int and value < 10**12 and name in {"iat", "nbf"}
        else value
        for name, value in claims.items()
    }
    assert entra.refuses(entra.visits(id_token_hint=entra.hint(**moment))) == "access_denied"
    assert visits_of(harbor) == count
    assert harbor.rows(sa.select(EntraAccount.id)) == []


def test_the_client_id_that_we_gave_is_an_audience_as_the_reference_has_it(
    harbor: Harbor,
) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits(id_token_hint=entra.hint(aud=entra.client_id))
    assert browser.path.endswith("/verify")


def test_a_hint_for_another_connection_is_denied_here(harbor: Harbor) -> None:
    """F42: each connection has a directory and a registration of its own."""
    harbor.enrolls()
    entra = connected(harbor)
    other = connected(harbor, name="Another", app_id=str(uuid.UUID(int=9)))
    browser = entra.visits(id_token_hint=entra.hint(aud=str(uuid.UUID(int=9))))
    assert entra.refuses(browser) == "access_denied"
    browser = entra.visits(id_token_hint=entra.hint(aud=other.client_id))
    assert entra.refuses(browser) == "access_denied"


def test_a_key_for_one_directory_signs_for_no_other(harbor: Harbor) -> None:
    """Microsoft publishes keys for consumers' accounts among the rest, and says so at each."""
    harbor.enrolls()
    consumers = {**public_key(), "issuer": f"{MICROSOFT}/{OTHER_TENANT}/v2.0"}
    entra = connected(harbor, pinned_keys=json.dumps({"keys": [consumers]}))
    assert entra.refuses(entra.visits()) == "access_denied"
    mine = {**public_key(), "issuer": f"{MICROSOFT}/{TENANT}/v2.0"}
    entra = connected(harbor, name="Another", pinned_keys=json.dumps({"keys": [mine]}))
    assert entra.visits().path.endswith("/verify")


def test_no_forgery_is_taken_and_nobody_is_called(harbor: Harbor) -> None:
    """F43, F44: alg none, HS256 with the public key, ES256, jwk, jku, kid, crit and the like."""
    harbor.enrolls()
    entra, count = connected(harbor), visits_of(harbor)
    keys = {"keys": [public_jwk(strangers()["RS256"], "stranger")]}
    with listening(keys) as (listener, came):
        for name, token in forgeries(entra.hint(), public_key(), listener):
            reply = posts(entra, entra.request(id_token_hint=token))
            assert reply.status == 200, name
            assert reply.page.forms[0]["fields"]["error"] == "access_denied", name
    assert came == []
    assert visits_of(harbor) == count


@pytest.mark.parametrize(
    "header",
    [{"alg": "RS384"}, {"typ": "at+jwt"}, {"crit": ["exp"]}, {"kid": "unknown"}, {"kid": None}],
    ids=str,
)
def test_a_hint_with_another_header_is_denied(harbor: Harbor, header: dict[str, Any]) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits(id_token_hint=entra.hint(header=header))
    assert entra.refuses(browser) == "access_denied"


def test_a_key_that_somebody_made_small_or_private_can_t_be_pinned(harbor: Harbor) -> None:
    from app.errors import Invalid

    good = public_key()
    wrong: list[Any] = [
        "",
        [],
        {},
        {"keys": []},
        {"keys": [{**good, "kty": "EC"}]},
        {"keys": [{**good, "use": "enc"}]},
        {"keys": [{**good, "alg": "HS256"}]},
        {"keys": [{**good, "d": good["n"]}]},
        {"keys": [{**good, "n": good["n"][:100]}]},
        {"keys": [good, {"kty": "oct", "kid": "x", "k": "c2VjcmV0"}]},
        {"keys": [{name: good[name] for name in ("kty", "n", "e")}]},
    ]
    for keys in wrong:
        with pytest.raises(Invalid) as refused:
            connected(harbor, pinned_keys=json.dumps(keys))
        assert refused.value.field == "pinned_keys"


# The rest of the request


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        REDIRECT_URI + "/",
        REDIRECT_URI + "?x=1",
        REDIRECT_URI + "#x",
        REDIRECT_URI.replace("https", "http"),
        REDIRECT_URI.replace("login.", "login.evil.example/"),
        REDIRECT_URI.replace(".com/", ".com@evil.example/"),
        REDIRECT_URI.replace(".com/", ".com:443/"),
        REDIRECT_URI.replace(".com/", ".com./"),
        REDIRECT_URI.replace("/common", "/common/..;"),
        REDIRECT_URI.replace("login", "LOGIN"),
        REDIRECT_URI.replace("/federation", "%2ffederation"),
        "//login.microsoftonline.com/common/federation/externalauthprovider",
        "javascript:alert(1)",
        " " + REDIRECT_URI,
        REDIRECT_URI + "\t",
        "",
        None,
        addresses(EntraCloud.US).redirect_uri,
        addresses(EntraCloud.CN).redirect_uri,
    ],
)
def test_an_answer_goes_to_microsoft_s_one_address_or_nowhere(
    harbor: Harbor, uri: str | None
) -> None:
    """F39, F40."""
    harbor.enrolls()
    entra, count = connected(harbor), visits_of(harbor)
    is_a_page(posts(entra, entra.request(redirect_uri=uri)))
    is_a_page(posts(entra, entra.request(redirect_uri=uri, id_token_hint="none")))
    assert visits_of(harbor) == count


@pytest.mark.parametrize("cloud", EntraCloud)
def test_each_cloud_has_an_address_an_issuer_and_no_other(
    harbor: Harbor, cloud: EntraCloud
) -> None:
    harbor.enrolls()
    place = addresses(cloud)
    keys = json.dumps({"keys": [{**public_key(), "issuer": place.issuer("{tenantid}")}]})
    entra = connected(harbor, cloud=cloud, pinned_keys=keys)
    hint = entra.hint(iss=place.issuer(TENANT))
    sent = entra.request(redirect_uri=place.redirect_uri, id_token_hint=hint)
    assert posts(entra, sent).status == 303
    if cloud is not EntraCloud.GLOBAL:
        is_a_page(posts(entra, entra.request()))


def test_a_client_that_is_not_the_connection_s_gets_a_page(harbor: Harbor) -> None:
    entra, other = connected(harbor), connected(harbor, name="Another")
    for client_id in (other.client_id, "", None, entra.client_id.upper()):
        is_a_page(posts(entra, entra.request(client_id=client_id)))


BAD_CLAIMS = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"id_token": null}',
    '{"id_token": {"acr": null, "amr": null}}',
    '{"id_token": {"acr": {"values": "possession"}, "amr": {"values": ["otp"]}}}',
    '{"id_token": {"acr": {"values": [1]}, "amr": {"values": ["otp"]}}}',
    '{"id_token": {"acr": {"essential": true}, "amr": {"values": ["otp"]}}}',
    "[" * 5000,
]


@pytest.mark.parametrize(
    "change",
    [
        *({name: None} for name in ("scope", "response_type", "response_mode", "claims")),
        {"id_token_hint": None},
        {"scope": "openid profile"},
        {"response_type": "code"},
        {"response_mode": "query"},
        *({"claims": claims} for claims in BAD_CLAIMS),
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_request_with_a_field_missing_or_wrong_is_told_so(
    harbor: Harbor, change: dict[str, Any]
) -> None:
    harbor.enrolls()
    entra, count = connected(harbor), visits_of(harbor)
    sent = {**entra.request(), **change}
    reply = posts(entra, {name: value for name, value in sent.items() if value is not None})
    assert reply.status == 200
    fields = reply.page.forms[0]["fields"]
    assert fields == {"error": "invalid_request", "state": sent["state"]}
    assert visits_of(harbor) == count


def test_a_field_that_is_there_twice_makes_it_no_request(harbor: Harbor) -> None:
    """F49."""
    harbor.enrolls()
    entra = connected(harbor)
    for name, value in entra.request().items():
        for another in (value, "https://evil.example/"):
            body = urlencode([*entra.request().items(), (name, another)]).encode()
            is_a_page(posts(entra, body, **{"Content-Type": "application/x-www-form-urlencoded"}))


def test_what_is_no_form_is_no_request(harbor: Harbor) -> None:
    entra = connected(harbor)
    form = "application/x-www-form-urlencoded"
    body = urlencode(entra.request())
    is_a_page(posts(entra, json.dumps(entra.request()).encode(), **{"Content-Type": form}))
    is_a_page(posts(entra, body.encode(), **{"Content-Type": "text/plain"}))
    is_a_page(posts(entra, json.dumps(entra.request()), **{"Content-Type": "application/json"}))
    is_a_page(posts(entra, f"{body}&state2=%ff".encode(), **{"Content-Type": form}))
    is_a_page(posts(entra, "é".encode(), **{"Content-Type": form}))
    is_a_page(posts(entra, (body + "&x=1" * 60).encode(), **{"Content-Type": form}))
    path = f"/entra/{entra.connection_id}/authorize"
    assert harbor.wire.request("GET", f"{path}?{body}").status == 405
    assert posts(entra, {**entra.request(), "more": "x" * 70_000}).status == 413


@pytest.mark.parametrize(
    "state", ["x" * 4097, "é" * 2049, "a\nb", "a\r\nb", "\0", "\x7f"], ids=repr
)
def test_a_state_that_would_come_back_changed_or_is_too_long_makes_it_no_request(
    harbor: Harbor, state: str
) -> None:
    entra = connected(harbor)
    is_a_page(posts(entra, entra.request(state=state)))


@pytest.mark.parametrize("nonce", ["x" * 4097, "a\nb"], ids=["long", "line break"])
def test_a_nonce_that_would_come_back_changed_or_is_too_long_is_denied(
    harbor: Harbor, nonce: str
) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    assert entra.refuses(entra.visits(nonce=nonce)) == "access_denied"


def test_parameters_that_the_reference_doesn_t_name_are_ignored(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    more = {"login_hint": "x@y.example", "prompt": "none", "acr_values": "phrh", "request": "x"}
    assert entra.visits(**more).path.endswith("/verify")


def test_a_connection_that_is_unknown_or_deleted_takes_nobody(harbor: Harbor) -> None:
    entra = connected(harbor)
    sent = entra.request()
    path = f"/entra/{uuid.UUID(int=7)}/authorize"
    assert harbor.wire.request("POST", path, data=sent).status == 404
    gone = sa.update(Application).where(Application.id == uuid.UUID(entra.client_id))
    harbor.executes(gone.values(deleted_at=harbor.clock.now()))
    assert posts(entra, sent).status == 404


def test_an_application_of_entra_s_is_no_way_in_by_rest(harbor: Harbor) -> None:
    entra = connected(harbor)
    reply = harbor.backend.calls(
        "POST",
        "/org/harbor/gateway-sessions",
        json={
            "user_id": harbor.ada,
            "redirect_uri": REDIRECT_URI,
            "client_id": entra.client_id,
        },
    )
    assert reply.status in {403, 422}, reply.text


# Around it


def test_no_other_form_is_taken_from_another_page(harbor: Harbor) -> None:
    """F66: only Entra's own address goes without a token of ours."""
    phone = harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits()
    for page, fields in (("verify", {"code": harbor.code(phone)}), ("cancel", {})):
        reply = harbor.wire.request(
            "POST",
            browser.address(page),
            data=fields,
            cookies=dict(browser.cookies),
            headers={"Origin": MICROSOFT},
        )
        assert reply.status == 400, page
    browser.goes_to(browser.path)
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)


def test_it_sets_no_cookie_and_reads_none(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    before = len(harbor.wire.cookies_set)  # type: ignore[attr-defined]
    assert posts(entra, entra.request()).status == 303
    posts(entra, entra.request(id_token_hint="none"))
    assert harbor.wire.cookies_set[before:] == []  # type: ignore[attr-defined]


def test_pages_can_post_to_microsoft_and_be_framed_by_nobody(harbor: Harbor) -> None:
    """F47, F48."""
    phone = harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits()
    browser.types(harbor.code(phone))
    entra.accepts(browser)
    for reply in (browser.reply, posts(entra, entra.request(id_token_hint="none"))):
        csp = reply.headers["content-security-policy"]
        assert f"form-action 'self' {MICROSOFT}" in csp
        assert "script-src 'self';" in csp
        assert "frame-ancestors 'none'" in csp
        assert "unsafe" not in csp
        assert reply.headers["cache-control"] == "no-store"
        assert "onload" not in reply.text
        assert "<form" in reply.text
        assert "data-send" in reply.text
        assert any(tag == "button" for tag, _ in reply.page.tags)
        assert reply.headers["content-length"] == str(len(reply.text.encode()))
    assert "id_token" not in browser.path


def test_the_log_has_entra_s_id_of_the_request_and_nothing_else_of_it(
    harbor: Harbor, caplog: pytest.LogCaptureFixture
) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    with caplog.at_level(logging.INFO):
        entra.visits()
        entra.visits(**{"client-request-id": "x\nlevel=error forged", "id_token_hint": "none"})
    told = [str(record.msg) for record in caplog.records if "entra request" in str(record.msg)]
    assert len(told) == 2
    assert "72826bb4-abb7-4221-b253-100f530b4b0a" in told[0]
    assert "'outcome': 'taken'" in told[0]
    assert "'outcome': 'signature'" in told[1]
    assert "forged" not in "".join(told)
    assert "ada@" not in "".join(told)
