"""Harbor Board: an SPA that speaks to us as Cryptr's SDK does (api-facts a.10)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import Environment, Message
from app.services.audit import OPERATOR
from tests.actors import Browser, Reply, keep_secret
from tests.conftest import Harbor

ORIGIN = "https://board.example"
CALLBACK = f"{ORIGIN}/callback"
ACCOUNT = "harbor-account"
VERIFIER = "a-verifier-that-is-as-long-as-the-43-of-rfc-7636"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
EMAIL = "ada@harbor.example"


@dataclass
class Board:
    """The application of the tests."""

    harbor: Harbor
    client_id: str
    query: dict[str, str] = field(default_factory=dict)

    def address(self, **changed: str | None) -> str:
        """Return where the SDK sends the browser; a field that is None is left out."""
        fields = {
            "client_state": "board-state",
            "scope": "openid email profile",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "code_challenge_method": "S256",
            "code_challenge": CHALLENGE,
            **changed,
        }
        told = {name: value for name, value in fields.items() if value is not None}
        return f"/a/{ACCOUNT}/?{urlencode(told)}"

    def arrives(self, **changed: str | None) -> Browser:
        browser = self.harbor.browser()
        browser.goes_to(self.address(**changed))
        return browser

    def says(self, browser: Browser, email: str = EMAIL) -> Browser:
        """Type an address on the page that asks for it."""
        form = browser.page.forms[0]["fields"]
        address = self.address()
        browser.goes_to(address, "POST", data={**form, "email": email})
        return browser

    def waits(self, email: str = EMAIL) -> Browser:
        return self.says(self.arrives(), email)

    def link(self) -> str:
        """Return the link of the newest mail."""
        newest = sa.select(Message).where(Message.name == "magic_link").order_by(Message.id.desc())
        messages = [row.Message for row in self.harbor.rows(newest)]
        text = self.harbor.text_of(max(messages, key=lambda one: one.created_at))
        return keep_secret(next(line for line in text.split() if "/link/" in line))

    def identified(self) -> Browser:
        """Return a browser whose user followed the link in it, at the page that comes next."""
        browser = self.waits()
        browser.goes_to(self.link())
        browser.submits()
        return browser

    def exchanges(
        self, back: dict[str, str], domain: str = "harbor", origin: str = ORIGIN, **changed: Any
    ) -> Reply:
        """Exchange what the browser brought back, as the SDK does."""
        body = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "authorization_id": back["authorization_id"],
            "code": back["code"],
            "code_verifier": VERIFIER,
            "nonce": "board-nonce",
            "request_id": back["request_id"],
            "client_state": back["state"],
            **changed,
        }
        headers = {"Origin": origin, "Content-Type": "application/json"}
        path = f"/org/{domain}/oauth2/token"
        reply = self.harbor.wire.request(
            "POST", path, headers=headers, data=json.dumps(body).encode()
        )
        if reply.status == 200:
            for name in ("access_token", "id_token", "refresh_token"):
                keep_secret(reply.json[name])
        return reply


@pytest.fixture
def board(harbor: Harbor) -> Board:
    return board_of(harbor)


def board_of(harbor: Harbor, name: str = "Harbor Board") -> Board:
    """Register the application."""
    with harbor.services.database.writing() as tx:
        made = harbor.services.cryptr_entries.create(
            tx,
            OPERATOR,
            environment=Environment.SANDBOX,
            name=name,
            redirect_uris=[CALLBACK],
            organizations=[harbor.organization],
        )
        return Board(harbor, made.client_id)
