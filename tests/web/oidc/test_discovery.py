"""What a client learns by itself: metadata that Authlib's own validators take, and the keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from authlib.oauth2 import rfc8414, rfc9101, rfc9207
from authlib.oidc import discovery as oidc
from authlib.oidc import rpinitiated

from tests.conftest import BASE_URL, ONE_DATABASE, Harbor, InProcess, application, make_config

PATHS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
pytestmark = ONE_DATABASE


@pytest.mark.parametrize("path", PATHS)
def test_the_issuer_is_the_deployments_address_to_the_letter(harbor: Harbor, path: str) -> None:
    reply = harbor.wire.request("GET", path, headers={"Origin": "https://any.example"})
    assert reply.status == 200
    assert reply.json["issuer"] == BASE_URL
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["cache-control"] == "public, max-age=60"
    assert all(
        value.startswith(f"{BASE_URL}/oidc/")
        for name, value in reply.json.items()
        if name.endswith("_endpoint")
    )


def test_the_metadata_is_valid_by_authlibs_validators(harbor: Harbor, tmp_path: Path) -> None:
    config = make_config(harbor.services.config.database, tmp_path, base_url="https://mfa.example")
    app = application(config, harbor.clock)
    wire = InProcess(app.test_client(use_cookies=False), "https://mfa.example")
    told = wire.request("GET", PATHS[0]).json
    oidc.OpenIDProviderMetadata(told).validate(
        metadata_classes=[
            rpinitiated.OpenIDProviderMetadata,
            rfc9101.AuthorizationServerMetadata,
            rfc9207.AuthorizationServerMetadata,
        ]
    )
    rfc8414.AuthorizationServerMetadata(told).validate()
    assert told["authorization_response_iss_parameter_supported"] is True
    assert told["code_challenge_methods_supported"] == ["S256"]


def test_every_endpoint_that_is_named_is_there(harbor: Harbor) -> None:
    told = harbor.wire.request("GET", PATHS[0]).json
    for name, value in told.items():
        if name.endswith("_endpoint"):
            path = value.removeprefix(BASE_URL)
            assert harbor.wire.request("POST", path).status not in {404, 405}, name


@pytest.mark.parametrize("path", ["/oidc/token", "/oidc/par", "/oidc/userinfo", "/oidc/introspect"])
def test_no_other_endpoint_answers_pages_of_other_origins(harbor: Harbor, path: str) -> None:
    headers = {"Origin": "https://any.example"}
    reply = harbor.wire.request("POST", path, headers=headers)
    assert "access-control-allow-origin" not in reply.headers
    asked = {**headers, "Access-Control-Request-Method": "POST"}
    assert (
        "access-control-allow-origin"
        not in harbor.wire.request("OPTIONS", path, headers=asked).headers
    )
