"""POST /oidc/token: a code is good once, for who asked for it; and how a client proves itself."""

from __future__ import annotations

import base64
import hmac
import json
from threading import Barrier, Thread
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from app.models import ClientAuth, Event, Result
from app.services.audit import EventKind
from tests.actors import Reply
from tests.conftest import BASE_URL, BOTH_DATABASES, ONE_DATABASE, Harbor
from tests.web.oidc.party import KEY, Party, back, by_key, comes, confirms, party

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return party(harbor)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": None}, "invalid_request"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://shop.example/back/"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
    ],
)
def test_a_code_is_refused_to_whoever_doesnt_bring_what_was_asked(
    harbor: Harbor, shop: Party, changes: dict[str, Any], error: str
) -> None:
    code = confirms(harbor, shop)["code"]
    reply = shop.exchanges(**{"code": code, **changes})
    assert (reply.status, reply.json["error"]) == (400, error)
    assert "id_token" not in reply.text
    assert shop.gets(code)["sub"] == harbor.ada  # nothing was used up


def test_a_code_is_refused_to_another_client(harbor: Harbor, shop: Party) -> None:
    code = confirms(harbor, shop)["code"]
    other = party(harbor, name="Other")
    other.verifier = shop.verifier
    assert other.exchanges(code).json["error"] == "invalid_grant"
    assert shop.gets(code)["sub"] == harbor.ada


@BOTH_DATABASES
@pytest.mark.parametrize(("seconds", "works"), [(59, True), (60, False)])
def test_a_code_works_for_a_minute_and_is_handed_out_no_longer(
    harbor: Harbor, shop: Party, seconds: int, works: bool
) -> None:
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed())
    browser.types(harbor.code(phone))
    code = back(browser)["code"]
    harbor.clock.advance(seconds)
    browser.goes_to(browser.address("return"))
    assert (back(browser).get("code") == code) is works
    reply = shop.exchanges(code)
    assert reply.json.get("error") == (None if works else "invalid_grant")
    assert ("id_token" in reply.json) is works


@BOTH_DATABASES
def test_a_code_that_is_used_again_takes_back_what_it_gave(harbor: Harbor, shop: Party) -> None:
    code = confirms(harbor, shop)["code"]
    token = shop.exchanges(code).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert harbor.wire.request("GET", "/oidc/userinfo", headers=bearer).status == 200
    assert shop.exchanges(code).json["error"] == "invalid_grant"
    assert harbor.wire.request("GET", "/oidc/userinfo", headers=bearer).status == 401
    replayed = sa.select(Event.id).where(Event.kind == EventKind.AUTHORIZATION_CODE_REPLAYED)
    assert len(harbor.rows(replayed)) == 1


@ONE_DATABASE
def test_with_a_code_its_result_is_used_up_and_the_record_says_so(
    harbor: Harbor, shop: Party
) -> None:
    assert shop.gets(confirms(harbor, shop)["code"])["sub"] == harbor.ada
    redeemed = sa.select(Event.id).where(Event.kind == EventKind.RESULT_REDEEMED)
    assert len(harbor.rows(redeemed)) == 1
    assert None not in harbor.rows(sa.select(Result.redeemed_at))[0]


@BOTH_DATABASES
def test_of_many_who_bring_a_code_at_once_one_gets_tokens(harbor: Harbor, shop: Party) -> None:
    code = confirms(harbor, shop)["code"]
    replies = at_once(lambda: shop.exchanges(code))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 4


def at_once(act: Any, times: int = 5) -> list[Reply]:
    gate, replies = Barrier(times), []

    def run() -> None:
        gate.wait()
        replies.append(act())

    threads = [Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


@ONE_DATABASE
def test_a_field_that_is_there_twice_is_refused(harbor: Harbor, shop: Party) -> None:
    code = confirms(harbor, shop)["code"]
    body = f"grant_type=authorization_code&code={code}&code={code}&redirect_uri=x"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = harbor.wire.request("POST", "/oidc/token", headers={**shop.basic(), **kind}, data=body)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


@ONE_DATABASE
def test_whatever_goes_wrong_is_json(harbor: Harbor) -> None:
    for path in ("/oidc/token", "/oidc/par", "/oidc/introspect", "/oidc/revoke"):
        got = harbor.wire.request("GET", path)
        assert (got.status, got.json["error"]) == (405, "invalid_request")
        assert harbor.wire.request("POST", path).json["error"] == "invalid_client"


# How a client proves itself


def pushes(shop: Party, **more: Any) -> Reply:
    return shop.posts("/oidc/par", headers=more.pop("headers", {}), **shop.wishes(), **more)


@ONE_DATABASE
def test_each_client_is_known_by_the_way_that_it_registered_alone(harbor: Harbor) -> None:
    basic, post = party(harbor), party(harbor, name="Post", auth=ClientAuth.POST)
    signing = by_key(harbor, name="Key")
    assert pushes(basic, headers=basic.basic()).status == 201
    assert pushes(post, client_secret=post.secret).status == 201
    proof = {"client_assertion_type": JWT_BEARER, "client_assertion": signing.assertion()}
    assert pushes(signing, **proof).status == 201
    for refused in (
        pushes(basic, client_secret=basic.secret),
        pushes(post, headers=post.basic()),
        pushes(signing, headers=signing.basic()),
        pushes(signing, client_secret=signing.secret),
        pushes(basic, headers={"Authorization": "Basic !!!"}),
        pushes(basic, headers={"Authorization": "Basic /w=="}),
        pushes(basic, headers={"Authorization": f"Bearer {basic.secret}"}),
        pushes(post, client_secret=basic.secret),
        pushes(post, client_secret=""),
        pushes(post),
    ):
        assert (refused.status, refused.json["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic")
    both = pushes(basic, headers=basic.basic(), client_secret=basic.secret)
    assert (both.status, both.json["error"]) == (400, "invalid_request")


@ONE_DATABASE
def test_the_id_and_secret_in_the_header_may_be_percent_encoded(harbor: Harbor) -> None:
    shop = party(harbor)
    odd = "".join(f"%{ord(mark):02X}" for mark in shop.secret)
    pair = base64.b64encode(f"{quote(shop.client_id)}:{odd}".encode()).decode()
    assert pushes(shop, headers={"Authorization": f"Basic {pair}"}).status == 201


@ONE_DATABASE
@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", ECKey.generate_key("P-256")),
        ("RS256", RSAKey.generate_key(2048)),
        ("PS256", RSAKey.generate_key(2048)),
        ("EdDSA", OKPKey.generate_key("Ed25519")),
    ],
    ids=["ES256", "RS256", "PS256", "EdDSA"],
)
@pytest.mark.filterwarnings("ignore:EdDSA")
def test_a_client_may_sign_in_each_of_the_algorithms(
    harbor: Harbor, algorithm: str, key: Any
) -> None:
    registered = json.dumps(key.as_dict(private=False))
    shop = party(harbor, auth=ClientAuth.KEY, keys=registered, algorithm=algorithm)
    proof = shop.assertion({"alg": algorithm}, key=key)
    assert asserts(shop, proof).status == 201
    others = {"ES256", "RS256", "PS256", "EdDSA"} - {algorithm}
    for other in others & {"RS256", "PS256"} if key.key_type == "RSA" else ():
        assert asserts(shop, shop.assertion({"alg": other}, key=key)).status == 401


def asserts(shop: Party, assertion: str, **more: Any) -> Reply:
    return pushes(shop, client_assertion_type=JWT_BEARER, client_assertion=assertion, **more)


@ONE_DATABASE
@pytest.mark.parametrize(
    "audience",
    [BASE_URL, f"{BASE_URL}/oidc/token", f"{BASE_URL}/oidc/par", [BASE_URL, "https://other"]],
    ids=["issuer", "token", "called", "several"],
)
def test_an_assertion_may_name_us_in_any_of_these_ways(harbor: Harbor, audience: Any) -> None:
    shop = by_key(harbor)
    assert asserts(shop, shop.assertion(aud=audience)).status == 201


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"aud": "https://evil.example"}, {}),
        ({"aud": f"{BASE_URL}/"}, {}),
        ({"aud": f"{BASE_URL}/oidc/introspect"}, {}),
        ({"aud": None}, {}),
        ({"aud": [1]}, {}),
        ({"iss": "somebody"}, {}),
        ({"iss": None}, {}),
        ({"sub": None}, {}),
        ({"exp": None}, {}),
        ({"exp": 1}, {}),
        ({"exp": "soon"}, {}),
        ({"exp": True}, {}),
        ({"exp": 99999999999999}, {}),
        ({"nbf": 99999999999}, {}),
        ({"iat": 99999999999}, {}),
        ({"jti": None}, {}),
        ({"jti": 5}, {}),
        ({"jti": "x" * 256}, {}),
        ({}, {"typ": "oauth-authz-req+jwt"}),
        ({}, {"kid": "../../dev/null"}),
        ({}, {"kid": "x" * 10000}),
        ({}, {"crit": ["exp"]}),
    ],
)
def test_an_assertion_that_is_wrong_in_one_thing_proves_nothing(
    harbor: Harbor, changes: dict[str, Any], header: dict[str, Any]
) -> None:
    shop = by_key(harbor)
    try:
        made = shop.assertion(header, **changes)
    except Exception:  # joserfc signs no such header; one is put in by hand
        made = by_hand({"alg": "ES256", **header}, {"sub": shop.client_id})
    assert asserts(shop, made).status == 401


@ONE_DATABASE
def test_an_assertion_holds_no_longer_than_an_hour(harbor: Harbor) -> None:
    shop, now = by_key(harbor), int(harbor.clock.now().timestamp())
    assert asserts(shop, shop.assertion(exp=now + 3600)).status == 201
    assert asserts(shop, shop.assertion(exp=now + 3700)).status == 401
    assert asserts(shop, shop.assertion(exp=now - 30)).status == 201
    assert asserts(shop, shop.assertion(exp=now - 61)).status == 401


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """Make a token as no library would."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part(header)}.{part(claims)}"
    mac = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def confused(shop: Party) -> list[str]:
    """Return tokens in every algorithm that nobody registered (F43, F44)."""
    claims = {
        "iss": shop.client_id,
        "sub": shop.client_id,
        "aud": BASE_URL,
        "exp": int(shop.harbor.clock.now().timestamp()) + 60,
        "jti": "one",
    }
    public = KEY.as_dict(private=False)
    keys = [KEY.as_pem(private=False), KEY.as_der(private=False), json.dumps(public).encode()]
    other = ECKey.generate_key("P-256", {"kid": "shop"})
    embedded = {"jwk": other.as_dict(private=False), "jku": "https://evil.example/keys"}
    good = shop.assertion()
    head, body, signature = good.split(".")
    zeros = base64.urlsafe_b64encode(bytes(64)).rstrip(b"=").decode()
    return [
        *(by_hand({"alg": alg}, claims) for alg in ("none", "None", "nOnE", "", "HS256")),
        *(by_hand({"alg": "HS256", "kid": "shop"}, claims, key) for key in keys),
        shop.assertion({"kid": "shop"}, key=other),
        shop.assertion({"kid": "shop", **embedded}, key=other),
        shop.assertion({"alg": "HS256"}, key=OctKey.import_key(shop.secret)),
        f"{head}.{body}.",
        f"{head}.{body}.{zeros}",
        f"{head}.{body}.{signature}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}..{signature}",
        "é.é.é",
        "[" * 5000,
        "",
    ]


@ONE_DATABASE
@pytest.mark.filterwarnings("ignore")
def test_no_algorithm_but_the_registered_one_proves_anything(harbor: Harbor) -> None:
    shop = by_key(harbor)
    for token in confused(shop):
        reply = asserts(shop, token)
        assert (reply.status, reply.json["error"]) == (401, "invalid_client"), token[:80]


@BOTH_DATABASES
def test_an_assertion_is_good_once_of_many_at_once_too(harbor: Harbor) -> None:
    shop = by_key(harbor)
    proof = shop.assertion()
    replies = at_once(lambda: asserts(shop, proof))
    assert sorted(reply.status for reply in replies) == [201] + [401] * 4
    assert asserts(shop, proof).status == 401


@ONE_DATABASE
def test_an_assertion_is_used_up_even_if_what_it_asks_is_refused(harbor: Harbor) -> None:
    shop = by_key(harbor)
    proof = shop.assertion()
    form = {**shop.wishes(scope="profile"), "client_assertion": proof}
    form["client_assertion_type"] = JWT_BEARER
    assert shop.posts("/oidc/par", headers={}, **form).json["error"] == "invalid_scope"
    assert asserts(shop, proof).status == 401


@ONE_DATABASE
def test_an_assertion_of_one_client_proves_no_other(harbor: Harbor) -> None:
    shop, other = by_key(harbor), by_key(harbor, name="Other")
    assert asserts(other, shop.assertion()).status == 401
    assert asserts(other, shop.assertion(iss=other.client_id)).status == 401


@ONE_DATABASE
def test_a_client_that_signs_completes(harbor: Harbor) -> None:
    shop = by_key(harbor, requires_pushed=False, requires_signed=True)
    phone = harbor.enrolls()
    browser = harbor.browser()
    browser.goes_to(shop.address(request=shop.object()))
    browser.types(harbor.code(phone))
    code = browser.back["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": shop.redirect_uri,
        "code_verifier": shop.verifier,
        "client_assertion_type": JWT_BEARER,
        "client_assertion": shop.assertion(),
    }
    reply = shop.posts("/oidc/token", headers={}, **form)
    assert shop.checks(reply.json["id_token"])["sub"] == harbor.ada


@ONE_DATABASE
def test_an_application_gets_in_by_its_own_door_alone(harbor: Harbor, shop: Party) -> None:
    pair = base64.b64encode(f"{harbor.notes.client_id}:{harbor.notes.client_secret}".encode())
    notes = {"Authorization": f"Basic {pair.decode()}"}
    assert shop.posts("/oidc/par", headers=notes, scope="openid").status == 401
    asked = harbor.wire.request(
        "POST",
        "/api/v2/org/harbor/gateway-sessions",
        headers=shop.basic(),
        json={"user_id": harbor.ada, "redirect_uri": shop.redirect_uri},
    )
    assert asked.status == 401
    by_key = harbor.backend.calls(
        "POST",
        "/org/harbor/gateway-sessions",
        json={
            "client_id": shop.client_id,
            "user_id": harbor.ada,
            "redirect_uri": shop.redirect_uri,
        },
    )
    assert by_key.error == "application_not_found"
