"""An application that speaks Duo Universal, before the gateway."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from app.services.audit import OPERATOR
from tests import actors
from tests.actors import Browser, Reply
from tests.conftest import REDIRECT_URI, Harbor
from tests.web.duo import sdks
from tests.web.duo.sdks import BEARER, PYTHON, Claims, Sdk, Setting

STATE = "kR2mZq8WvXy0aB4cD6eF1gH3iJ5kL7mN9oP2"


@dataclass
class Client:
    """It asks as one of the SDKs does; a test may change what that says."""

    wire: actors.Wire
    base_url: str
    client_id: str
    secret: str = field(repr=False)
    now: Callable[[], datetime]
    redirect_uri: str = REDIRECT_URI
    sdk: Sdk = PYTHON
    duo_code: bool = True

    @property
    def setting(self) -> Setting:
        return Setting(
            self.client_id,
            self.secret,
            self.base_url,
            self.redirect_uri,
            self.duo_code,
            self.now().timestamp(),
        )

    def by(self, sdk: Sdk, **more: Any) -> Client:
        return replace(self, sdk=sdk, **more)

    # As the SDK has it

    def checks_health(self) -> Reply:
        return self._posts("health_check", self.sdk.checks_health(self.setting))

    def sends(self, browser: Browser, name: str, state: str = STATE) -> Reply:
        """Send a user's browser here."""
        return browser.goes_to(self.sdk.sends(self.setting, name, state))

    def exchanges(self, code: str) -> Reply:
        return self._posts("token", self.sdk.exchanges(self.setting, code))

    def _posts(self, call: str, sent: sdks.Sent) -> Reply:
        query, headers, body = sent
        return self.wire.request("POST", f"/oauth/v1/{call}{query}", headers=headers, data=body)

    # With something changed

    def signs(self, claims: Claims, **more: Any) -> str:
        return sdks.signed(_without_none(claims), more.pop("secret", self.secret), **more)

    def assertion(self, call: str, **changes: Any) -> str:
        return self.signs({**self.sdk.assertion(self.setting, call), **changes})

    def request(self, name: str, state: str = STATE, **changes: Any) -> str:
        return self.signs({**self.sdk.request(self.setting, name, state), **changes})

    def asks(self, request: str, browser: Browser | None = None, **outside: Any) -> Reply:
        """Bring a request; the reply is that of this one address."""
        query = {"response_type": "code", "client_id": self.client_id, "request": request}
        cookies = browser.cookies if browser else None
        address = f"/oauth/v1/authorize?{urlencode(_without_none({**query, **outside}), True)}"
        return self.wire.request("GET", address, cookies=cookies)

    def checks_with(self, assertion: str, **fields: Any) -> Reply:
        whole = {"client_id": self.client_id, "client_assertion": assertion, **fields}
        return self.wire.request("POST", "/oauth/v1/health_check", data=_without_none(whole))

    def exchanges_with(self, code: str, **fields: Any) -> Reply:
        whole = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "client_assertion_type": BEARER,
            **fields,
        }
        if "client_assertion" not in whole:
            whole["client_assertion"] = self.assertion("token")
        return self.wire.request("POST", "/oauth/v1/token", data=_without_none(whole))

    def reads(self, reply: Reply) -> Claims:
        """Judge an answer as the strictest of the SDKs does, and return what the ID token says."""
        assert reply.status == 200, reply.text
        told = reply.json
        assert told["token_type"] == "Bearer"
        assert told["access_token"]
        assert type(told["expires_in"]) is int
        assert told["expires_in"] > 0
        text, _, mac = told["id_token"].rpartition(".")
        right = hmac.digest(self.secret.encode(), text.encode(), hashlib.sha512)
        assert hmac.compare_digest(_decoded(mac), right)
        head, body = (json.loads(_decoded(part)) for part in text.split("."))
        assert head["alg"] == "HS512"
        assert body["iss"] == f"{self.base_url}/oauth/v1/token"
        assert body["aud"] == self.client_id
        now = self.now().timestamp()
        assert now - 60 < body["exp"] <= now + 3600
        assert body["iat"] <= now + 60
        return dict(body)


def duo_client(harbor: Harbor, **more: Any) -> Client:
    """Register an application that speaks Duo Universal."""
    with harbor.services.database.writing() as tx:
        made = harbor.services.duo_clients.create(
            tx,
            OPERATOR,
            harbor.organization,
            **{"name": "Harbor Wiki", "redirect_uris": [REDIRECT_URI], **more},
        )
    secret = actors.keep_secret(made.secret)
    return Client(harbor.wire, harbor.base_url, made.client.client_id, secret, harbor.clock.now)


def confirms(harbor: Harbor, client: Client, phone: actors.Phone, **more: Any) -> dict[str, str]:
    """Have Ada confirm for the client; return with what her browser goes back."""
    browser = harbor.browser()
    client.sends(browser, more.pop("name", "ada@harbor.example"), **more)
    browser.types(harbor.code(phone))
    harbor.clock.advance(30)
    return browser.back


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
