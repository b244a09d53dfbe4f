"""Userinfo, introspection and revocation: what an access token opens, and to whom."""

from __future__ import annotations

import pytest

from tests.actors import Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.oidc.party import ADA, Party, confirms, party

pytestmark = ONE_DATABASE


@pytest.fixture
def shop(harbor: Harbor) -> Party:
    return party(harbor)


@pytest.fixture
def token(harbor: Harbor, shop: Party) -> str:
    reply = shop.exchanges(confirms(harbor, shop)["code"])
    return keep_secret(reply.json["access_token"])


def userinfo(harbor: Harbor, token: str, method: str = "GET") -> Reply:
    bearer = {"Authorization": f"Bearer {token}"}
    return harbor.wire.request(method, "/oidc/userinfo", headers=bearer)


def test_userinfo_says_who_was_confirmed(harbor: Harbor, shop: Party, token: str) -> None:
    told = {
        "sub": harbor.ada,
        "preferred_username": ADA,
        "auth_time": int(harbor.clock.now().timestamp()),
        "acr": "urn:gatehouse:acr:otp",
        "amr": ["otp"],
        "org": "harbor",
        "env": "sandbox",
    }
    for method in ("GET", "POST"):
        assert userinfo(harbor, token, method).json == told
    posted = harbor.wire.request("POST", "/oidc/userinfo", data={"access_token": token})
    assert posted.json == told


def test_userinfo_is_closed_to_all_else(harbor: Harbor, shop: Party, token: str) -> None:
    for bad in ("", "x", token[:-1], shop.secret, harbor.backend.token):
        refused = userinfo(harbor, bad)
        assert (refused.status, refused.json["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    in_address = harbor.wire.request("GET", f"/oidc/userinfo?access_token={token}")
    assert in_address.status == 401
    harbor.clock.advance(601)
    assert userinfo(harbor, token).status == 401


def test_introspection_says_what_was_reached(harbor: Harbor, shop: Party, token: str) -> None:
    now = int(harbor.clock.now().timestamp())
    assert shop.posts("/oidc/introspect", token=token).json == {
        "active": True,
        "client_id": shop.client_id,
        "token_type": "Bearer",
        "scope": "openid",
        "iss": shop.issuer,
        "aud": shop.client_id,
        "sub": harbor.ada,
        "username": ADA,
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        "acr": "urn:gatehouse:acr:otp",
        "amr": ["otp"],
    }
    assert shop.posts("/oidc/introspect", token="x").json == {"active": False}
    assert shop.posts("/oidc/introspect").json["error"] == "invalid_request"
    assert shop.posts("/oidc/introspect", headers={}, token=token).status == 401


def test_another_client_learns_nothing_and_revokes_nothing(
    harbor: Harbor, shop: Party, token: str
) -> None:
    other = party(harbor, name="Other")
    assert other.posts("/oidc/introspect", token=token).json == {"active": False}
    assert other.posts("/oidc/revoke", token=token).status == 200
    assert userinfo(harbor, token).status == 200


def test_a_revoked_token_opens_nothing(harbor: Harbor, shop: Party, token: str) -> None:
    assert shop.posts("/oidc/revoke", headers={}, token=token).status == 401
    assert shop.posts("/oidc/revoke").json["error"] == "invalid_request"
    for _ in range(2):
        reply = shop.posts("/oidc/revoke", token=token, token_type_hint="refresh_token")
        assert (reply.status, reply.text) == (200, "")
    assert userinfo(harbor, token).status == 401
    assert shop.posts("/oidc/introspect", token=token).json == {"active": False}


def test_a_token_dies_with_its_user_and_its_application(
    harbor: Harbor, shop: Party, token: str
) -> None:
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        user.suspended_at = harbor.clock.now()
    assert userinfo(harbor, token).status == 401
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        user.suspended_at = None
    assert userinfo(harbor, token).status == 200
    with harbor.services.database.writing() as tx:
        application = harbor.services.applications.find(tx, shop.client_id)
        assert application is not None
        application.deleted_at = harbor.clock.now()
    assert userinfo(harbor, token).status == 401
