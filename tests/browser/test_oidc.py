"""Authlib's client, unmodified, over TLS and through a real browser: it begins, Ada confirms, and
it gets what it checks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from playwright.sync_api import Page, expect

from app.models import ClientAuth
from tests.actors import keep_secret
from tests.browser.conftest import Stage
from tests.web.oidc.party import ADA, KEY, Party, keys, party

pytestmark = pytest.mark.browser
GUIDE = Path(__file__).parents[2] / "docs/oidc.md"


@pytest.fixture(autouse=True)
def trust(tls_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client trust the authority of the tests, as its operator would."""
    ca_file = tls_stage.harbor.services.config.ca_file
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")


def registers(stage: Stage, **settings: Any) -> Party:
    harbor = stage.harbor
    return party(
        harbor,
        base_url=harbor.base_url,
        redirect_uri=harbor.notes.redirect_uri,
        **settings,
    )


def confirms(stage: Stage, address: str) -> dict[str, str]:
    """Have Ada go there in her browser, type her code, and come back."""
    phone = stage.harbor.enrolls()
    page: Page = stage.opens_browser()
    page.goto(address)
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    told = dict(stage.received[-1])
    keep_secret(told["code"])
    return told


def test_the_shortest_example_of_the_guide_completes(tls_stage: Stage) -> None:
    shop = registers(tls_stage)
    [example] = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    copied: dict[str, Any] = {"__name__": "copied"}
    exec(compile(example, str(GUIDE), "exec"), copied)  # noqa: S102
    factor = copied["SecondFactor"](shop.issuer, shop.client_id, shop.secret, shop.redirect_uri)
    address, kept = factor.begin(ADA)
    told = confirms(tls_stage, address)
    came = f"{shop.redirect_uri}?{urlencode(told)}"
    with pytest.raises(ValueError, match="not from our Gatehouse"):
        factor.finish(came.replace("iss=", "iss=x"), kept)
    claims = factor.finish(came, kept)
    assert claims["sub"] == tls_stage.harbor.ada
    assert claims["amr"] == ["otp"]


@pytest.mark.parametrize(
    ("auth", "signed", "mode"),
    [
        (ClientAuth.BASIC, True, "query"),
        (ClientAuth.POST, False, "form_post"),
        (ClientAuth.KEY, True, "form_post"),
    ],
)
def test_authlibs_client_completes(
    tls_stage: Stage, auth: ClientAuth, signed: bool, mode: str
) -> None:
    by_key = auth is ClientAuth.KEY
    shop = registers(
        tls_stage,
        auth=auth,
        keys=keys(),
        requires_signed=signed,
        requires_pushed=not by_key,
    )
    session = client_of(shop, auth)
    at = requests.get(f"{shop.issuer}/.well-known/openid-configuration", timeout=10).json()
    verifier, nonce, state = generate_token(48), generate_token(24), "a b%2B\"+&é'" + "x" * 200
    shop.verifier = verifier
    wishes = shop.wishes(nonce=nonce, state=state, response_mode=mode)
    if signed:
        wishes = {
            "client_id": shop.client_id,
            "request": shop.object(nonce=nonce, state=state, response_mode=mode),
        }
    if not by_key:
        if auth is ClientAuth.POST:
            del wishes["client_id"]  # Authlib writes it beside the secret
        pushed = session.request(
            "POST",
            at["pushed_authorization_request_endpoint"],
            data=wishes,
            auth=session.client_auth(auth.value),
            withhold_token=True,
        )
        assert pushed.status_code == 201, pushed.text
        wishes = {"client_id": shop.client_id, "request_uri": pushed.json()["request_uri"]}
    told = confirms(tls_stage, f"{at['authorization_endpoint']}?{urlencode(wishes)}")
    assert told["state"] == state
    assert told["iss"] == shop.issuer
    token = session.fetch_token(
        at["token_endpoint"],
        authorization_response=f"{shop.redirect_uri}?{urlencode(told)}",
        state=state,
        code_verifier=verifier,
    )
    assert shop.checks(token["id_token"])["nonce"] == nonce
    asks_more(session, at, token)


def asks_more(session: Any, at: dict[str, str], token: dict[str, Any]) -> None:
    """Use the access token at every endpoint that takes one."""
    assert session.get(at["userinfo_endpoint"]).json()["preferred_username"] == ADA
    assert session.introspect_token(at["introspection_endpoint"], token["access_token"]).json()[
        "active"
    ]
    assert session.revoke_token(at["revocation_endpoint"], token["access_token"]).ok
    assert session.get(at["userinfo_endpoint"]).status_code == 401


def client_of(shop: Party, auth: ClientAuth) -> Any:
    secret: Any = KEY if auth is ClientAuth.KEY else shop.secret
    session = OAuth2Session(
        shop.client_id,
        secret,
        redirect_uri=shop.redirect_uri,
        scope="openid",
        token_endpoint_auth_method=auth.value,
        revocation_endpoint_auth_method=auth.value,
    )
    session.trust_env = True
    if auth is ClientAuth.KEY:
        token_endpoint = f"{shop.issuer}/oidc/token"
        session.register_client_auth_method(PrivateKeyJWT(token_endpoint, alg="ES256"))
    return session
