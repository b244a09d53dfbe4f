"""The SDKs of Duo for Python and Node, as published: a server process over TLS, and a browser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from duo_universal import Client, DuoException
from playwright.sync_api import Page, expect

from app.services.audit import OPERATOR
from tests.actors import keep_secret
from tests.browser.conftest import Stage
from tests.browser.packages import DUO_NODE

pytestmark = [
    pytest.mark.browser,
    # PyJWT finds the secret that Duo's SDKs demand short for its algorithm.
    pytest.mark.filterwarnings("ignore:The HMAC key is:Warning"),
]
ADA = "ada@harbor.example"


GUIDE = Path(__file__).parents[2] / "docs/duo.md"


@pytest.fixture
def sdk(tls_stage: Stage) -> Client:
    """The SDK, told the three values of the admin page and whose certificates count."""
    harbor, redirect_uri = tls_stage.harbor, tls_stage.harbor.notes.redirect_uri
    with harbor.services.database.writing() as tx:
        made = harbor.services.duo_clients.create(
            tx, OPERATOR, harbor.organization, name="Harbor Wiki", redirect_uris=[redirect_uri]
        )
    config = harbor.services.config
    return Client(
        client_id=made.client.client_id,
        client_secret=keep_secret(made.secret),
        host=config.host,
        redirect_uri=redirect_uri,
        duo_certs=str(config.ca_file),
    )


def confirms(stage: Stage, page: Page, address: str, code: str) -> dict[str, str]:
    page.goto(address)
    page.get_by_label("Six-digit code").fill(code)
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    return dict(parse_qsl(urlsplit(page.url).query))


def test_the_guide_s_shortest_example_works_as_it_stands(tls_stage: Stage, sdk: Client) -> None:
    """But for its values, and for whose certificates count here."""
    [block] = re.findall(r"^```py\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    for written, ours in (
        ('"mfa.example.com"', repr(sdk._api_host)),
        ('"https://wiki.example.com/duo/back")', f"{sdk._redirect_uri!r}, duo_certs=CERTIFICATES)"),
        ("ada@example.com", ADA),
    ):
        assert written in block
        block = block.replace(written, ours)
    going, coming = block.split("\n# at the redirect address")
    told: dict[str, Any] = {
        "CLIENT_ID": sdk._client_id,
        "CLIENT_SECRET": sdk._client_secret,
        "CERTIFICATES": sdk._duo_certs,
    }
    phone, page = tls_stage.harbor.enrolls(), tls_stage.opens_browser()
    exec(compile(going, "docs/duo.md", "exec"), told)  # noqa: S102
    back = confirms(tls_stage, page, told["address"], tls_stage.code(phone))
    assert back["state"] == told["state"]
    exec(compile(f"#{coming}", "docs/duo.md", "exec"), told | {"duo_code": back["duo_code"]})  # noqa: S102


def test_the_unmodified_sdk_completes_and_refuses_what_it_should(
    tls_stage: Stage, sdk: Client
) -> None:
    phone, page = tls_stage.harbor.enrolls(), tls_stage.opens_browser()
    assert sdk.health_check()["stat"] == "OK"
    state, nonce = sdk.generate_state(), sdk.generate_state()
    address = sdk.create_auth_url(ADA, state, nonce)
    back = confirms(tls_stage, page, address, tls_stage.code(phone))
    assert back.keys() == {"duo_code", "state"}
    assert back["state"] == state
    token = sdk.exchange_authorization_code_for_2fa_result(back["duo_code"], ADA, nonce)
    assert token["preferred_username"] == ADA
    assert token["auth_context"]["factor"] == "totp"
    assert token["auth_context"]["access_device"]["browser"].endswith("Chrome")
    with pytest.raises(DuoException, match="invalid_grant"):
        sdk.exchange_authorization_code_for_2fa_result(back["duo_code"], ADA, nonce)


def test_the_unmodified_sdk_refuses_the_token_of_another_user(
    tls_stage: Stage, sdk: Client
) -> None:
    phone, page = tls_stage.harbor.enrolls(), tls_stage.opens_browser()
    address = sdk.create_auth_url(ADA, sdk.generate_state())
    code = confirms(tls_stage, page, address, tls_stage.code(phone))["duo_code"]
    with pytest.raises(DuoException, match=r"The username is invalid\."):
        sdk.exchange_authorization_code_for_2fa_result(code, "bo@harbor.example")


def test_the_unmodified_sdk_is_told_of_a_bad_secret_and_a_certificate_it_does_not_know(
    tls_stage: Stage, sdk: Client
) -> None:
    wrong = Client(sdk._client_id, "s" * 40, sdk._api_host, sdk._redirect_uri, sdk._duo_certs)
    with pytest.raises(DuoException, match="FAIL"):
        wrong.health_check()
    with pytest.raises(DuoException, match="invalid_client"):
        wrong.exchange_authorization_code_for_2fa_result("a code", ADA)
    pinned = Client(sdk._client_id, sdk._client_secret, sdk._api_host, sdk._redirect_uri)
    with pytest.raises(DuoException, match="CERTIFICATE_VERIFY_FAILED"):
        pinned.health_check()


# The SDK for Node


@pytest.mark.skipif(
    not DUO_NODE.is_here() and not os.environ.get("CI"),
    reason="the SDK for Node is not here; a check that counts has it",
)
def test_the_sdk_for_node_completes_and_refuses_what_it_should(
    tls_stage: Stage, sdk: Client
) -> None:
    """It is told its certificates by the one way that it leaves open, as the guide says."""

    def calls(call: str, *given: str, **changes: str) -> dict[str, Any]:
        options = {
            "clientId": sdk._client_id,
            "clientSecret": sdk._client_secret,
            "apiHost": sdk._api_host,
            "redirectUrl": sdk._redirect_uri,
            **changes,
        }
        whole = {"call": call, "ca": sdk._duo_certs, "client": options, "given": given}
        return dict(json.loads(DUO_NODE.run("duo.mjs", json.dumps(whole))))

    assert calls("healthCheck")["told"]["stat"] == "OK"
    assert "refused" in calls("healthCheck", clientSecret="s" * 40)
    phone, page, state = tls_stage.harbor.enrolls(), tls_stage.opens_browser(), "a-state-" * 5
    address = calls("createAuthUrl", ADA, state)["told"]
    back = confirms(tls_stage, page, address, tls_stage.code(phone))
    assert back["state"] == state
    code = keep_secret(back["duo_code"])
    told = calls("exchangeAuthorizationCodeFor2FAResult", code, ADA)["told"]
    assert told["preferred_username"] == ADA
    assert told["auth_result"]["status"] == "allow"
    again = calls("exchangeAuthorizationCodeFor2FAResult", code, ADA)
    assert "invalid_grant" in again["refused"]
