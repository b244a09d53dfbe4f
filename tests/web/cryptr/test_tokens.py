"""POST /org/{org}/oauth2/token and what else an SPA's script asks for itself."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from joserfc.registry import HeaderParameter

from app.models import AuthorizationCode, Event
from tests.actors import Reply
from tests.web.cryptr.conftest import CALLBACK, ORIGIN, Board

_WITH_ISSUER = jws.JWSRegistry({"iss": HeaderParameter("Issuer", "str")}, algorithms=["RS256"])
"""What a client does that knows of the header (RFC 7519 section 5.3), as the guides' SDK does."""


def comes_back(board: Board) -> dict[str, str]:
    """Walk Ada through, and return what her browser brings back."""
    phone = board.harbor.enrolls()
    browser = board.identified()
    browser.types(board.harbor.code(phone))
    return browser.back


def verified(board: Board, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a token as a backend does, by the keys of its organization (api-facts a.3)."""
    keys = board.harbor.wire.request("GET", "/t/harbor/.well-known").json
    found = jwt.decode(token, KeySet.import_key_set(keys), registry=_WITH_ISSUER)
    return dict(found.header), dict(found.claims)


def half(value: str) -> str:
    digest = hashlib.sha256(value.encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_code_becomes_the_two_tokens_that_the_sdk_reads(board: Board) -> None:
    back = comes_back(board)
    reply = board.exchanges(back)
    assert reply.status == 200, reply.text
    told = reply.json
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 3600)
    assert told["scope"] == ["openid", "email", "profile"]
    assert told["refresh_token"].startswith("harbor.")
    header, access = verified(board, told["access_token"])
    assert (header["typ"], header["alg"]) == ("JWT", "RS256")
    assert header["iss"] == "http://localhost/t/harbor"
    wanted = {"iss", "sub", "aud", "exp", "iat", "cid", "jti", "jtt", "scp", "tnt"}
    assert wanted <= set(access)  # what the SDK looks for
    assert (access["iss"], access["aud"]) == (header["iss"], ORIGIN)
    assert (access["jtt"], access["cid"]) == ("access", board.client_id)
    _, identity = verified(board, told["id_token"])
    assert wanted | {"at_hash", "c_hash", "identities"} <= set(identity)
    assert (identity["aud"], identity["jtt"]) == (ORIGIN, "openid")
    assert identity["nonce"] == told["nonce"] == "board-nonce"
    assert identity["at_hash"] == half(told["access_token"])
    assert identity["c_hash"] == half(back["code"])
    assert identity["sub"] == access["sub"] == board.harbor.ada
    assert identity["email"] == "ada@harbor.example"
    assert identity["amr"] == ["otp"]
    assert (identity["acr"], identity["jti"]) == ("urn:gatehouse:acr:otp", back["authorization_id"])


def test_the_tokens_open_no_door_of_ours(board: Board) -> None:
    told = board.exchanges(comes_back(board)).json
    for name in ("access_token", "id_token"):
        reply = board.harbor.wire.request(
            "GET",
            "/api/v2/org/harbor/users",
            headers={"Authorization": f"Bearer {told[name]}"},
        )
        assert reply.status == 401


def test_a_code_works_once_also_for_many_at_the_same_moment(board: Board) -> None:
    back = comes_back(board)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: board.exchanges(back), range(4)))
    assert Counter(reply.status for reply in replies) == {200: 1, 400: 3}
    assert {reply.json["error"] for reply in replies if reply.status == 400} == {"invalid_grant"}
    replayed = sa.select(Event.id).where(Event.kind == "authorization_code:replayed")
    assert len(board.harbor.rows(replayed)) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "another-verifier-that-is-as-long-as-rfc-7636-wants"},
        {"authorization_id": "6c4f1b0e-0000-4000-8000-000000000000"},
        {"request_id": "gateway-session_other"},
        {"client_state": "other"},
        {"domain": "elsewhere"},
    ],
    ids=["verifier", "authorization", "request", "state", "organization"],
)
def test_a_code_that_comes_with_something_else_is_refused_and_used_up(
    board: Board, changed: dict[str, str]
) -> None:
    """F41: whoever stole a code has no verifier, and the code is gone then."""
    back = comes_back(board)
    refused = board.exchanges(back, **changed)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert board.exchanges(back).status == 400
    [used] = board.harbor.rows(sa.select(AuthorizationCode.used_at))
    assert used[0] is not None


def test_a_code_is_over_after_a_minute(board: Board) -> None:
    back = comes_back(board)
    board.harbor.clock.advance(60)
    assert board.exchanges(back).json["error"] == "invalid_grant"


def test_a_code_of_another_door_is_not_taken(board: Board) -> None:
    asked = board.harbor.backend.asks_link(
        "ada@harbor.example", board.harbor.notes.redirect_uri, org_domain="harbor"
    )
    browser = board.harbor.browser()
    browser.goes_to(asked.json["magic_link"])
    browser.submits()
    back = {"authorization_id": "x", "request_id": "y", "state": "z", **browser.back}
    assert board.exchanges(back).json["error"] == "invalid_grant"
    refused = board.exchanges(back, client_id=board.harbor.notes.client_id)
    assert refused.json["error"] == "invalid_client"
    assert board.harbor.notes.exchanges(back["code"]).status != 500


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "none"}, "invalid_client"),
        ({"code": None}, "invalid_request"),
        ({"code": 5}, "invalid_request"),
        ({"code_verifier": ["a"]}, "invalid_request"),
    ],
    ids=["grant", "client", "null", "number", "list"],
)
def test_mistakes_get_oauths_errors_as_json(
    board: Board, changed: dict[str, Any], error: str
) -> None:
    back = {"authorization_id": "x", "code": "x", "request_id": "x", "state": "x"}
    reply = board.exchanges(back, **changed)
    assert (reply.status, reply.json["error"]) == (400, error)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}'])
def test_a_body_that_is_no_object_gets_an_error(board: Board, body: bytes) -> None:
    reply = board.harbor.wire.request(
        "POST",
        "/org/harbor/oauth2/token",
        headers={"Content-Type": "application/json"},
        data=body,
    )
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


# Who may read the answers


def preflight(board: Board, origin: str, path: str = "/org/harbor/oauth2/token") -> Reply:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    return board.harbor.wire.request("OPTIONS", path, headers=headers)


def test_only_pages_on_registered_origins_may_ask_and_read(board: Board) -> None:
    allowed = preflight(board, ORIGIN)
    assert allowed.status == 204
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert allowed.headers["access-control-allow-headers"] == "Content-Type"
    for origin in ("https://evil.example", "null", "https://board.example.evil.example", ""):
        refused = preflight(board, origin)
        assert "access-control-allow-origin" not in refused.headers
    back = comes_back(board)
    reply = board.exchanges(back)
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-credentials" not in reply.headers
    foreign = board.exchanges(back, origin="https://evil.example")
    assert foreign.json["error"] == "invalid_grant"
    assert "access-control-allow-origin" not in foreign.headers


def test_errors_can_be_read_by_the_applications_own_pages(board: Board) -> None:
    back = comes_back(board)
    board.exchanges(back)
    refused = board.exchanges(back)
    assert refused.status == 400
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_nothing_is_refreshed_and_signing_out_succeeds(board: Board) -> None:
    base = f"/api/v1/tenants/harbor/{board.client_id}"
    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    refresh = board.harbor.wire.request(
        "POST", f"{base}/some-state/oauth/client/token", headers=headers, data=b"{}"
    )
    assert (refresh.status, refresh.json["error"]) == (400, "invalid_grant")
    assert refresh.headers["access-control-allow-origin"] == ORIGIN
    revoke = board.harbor.wire.request(
        "POST", f"{base}/oauth/token/revoke", headers=headers, data=b"{}"
    )
    assert revoke.status == 200
    assert revoke.json["slo_code"] is None
    assert preflight(board, ORIGIN, f"{base}/oauth/token/revoke").status == 204


def test_the_keys_are_those_of_id_tokens_and_open_to_everybody(board: Board) -> None:
    reply = board.harbor.wire.request("GET", "/t/harbor/.well-known")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert {key["alg"] for key in reply.json["keys"]} == {"RS256"}
    everything = board.harbor.wire.request("GET", "/.well-known/jwks.json").json["keys"]
    assert [key for key in reply.json["keys"] if key not in everything] == []
    assert CALLBACK.startswith(ORIGIN)
