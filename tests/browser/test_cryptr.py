"""Cryptr's SPA SDK in a real browser, unmodified: it signs in here and reads the tokens."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import Environment, Message
from app.services.audit import OPERATOR
from tests.actors import Phone, keep_secret
from tests.browser.conftest import Stage
from tests.browser.packages import SPA_SDK

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not SPA_SDK.is_here() and not os.environ.get("CI"),
        reason="the SDK is not here; a check that counts has it",
    ),
]

EMAIL = "ada@harbor.example"
GUIDE = Path(__file__).parents[2] / "docs/cryptr.md"


class Spa(BaseHTTPRequestHandler):
    """An origin of its own: the page of the guide, and the SDK as published."""

    page = b""

    def do_GET(self) -> None:
        kind, body = "text/html", self.page
        if urlsplit(self.path).path == "/cryptr-spa-js.umd.js":
            kind, body = "text/javascript", SPA_SDK.read("dist/cryptr-spa-js.umd.js")
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@dataclass
class Board:
    stage: Stage
    origin: str
    client_id: str

    def link(self) -> str:
        harbor = self.stage.harbor
        found = harbor.rows(sa.select(Message).where(Message.name == "magic_link"))
        newest = max((row.Message for row in found), key=lambda one: one.created_at)
        text = harbor.text_of(newest)
        return keep_secret(next(word for word in text.split() if "/link/" in word))


@pytest.fixture
def board(stage: Stage) -> Iterator[Board]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Spa)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://localhost:{server.server_port}"
    harbor = stage.harbor
    stage.clock.moment = datetime.now(UTC)  # noqa: TID251  (the SDK has the browser's clock)
    with harbor.services.database.writing() as tx:
        made = harbor.services.cryptr_entries.create(
            tx,
            OPERATOR,
            environment=Environment.SANDBOX,
            name="Harbor Board",
            redirect_uris=[f"{origin}/callback"],
            organizations=[harbor.organization],
        )
        client_id = made.client_id
    # The browser may go there; all other addresses are complained about.
    harbor.notes = replace(harbor.notes, redirect_uri=f"{origin}/callback")
    [shortest] = re.findall(r"^```html\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    for written, ours in (
        ("https://mfa.example.com", harbor.base_url),
        ('"gatehouse"', '"harbor-account"'),
        ("CLIENT_ID", client_id),
    ):
        assert written in shortest
        shortest = shortest.replace(written, ours)
    Spa.page = shortest.encode()
    yield Board(stage, origin, client_id)
    for context in stage.chrome.contexts:
        context.close()
    server.shutdown()
    server.server_close()


def user(page: Page) -> Any:
    """Return who the SDK says is signed in, or what it complains about."""
    expect(page.locator("#user")).not_to_be_empty()
    return json.loads(page.locator("#user").inner_text())


def checks(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def goes_in(board: Board, page: Page) -> None:
    page.goto(board.origin)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in to Harbor Board")).to_be_visible()
    expect(page.get_by_label("Email address")).to_have_value(EMAIL)
    checks(page)
    page.get_by_role("button", name="Send link").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    checks(page)


def confirms(board: Board, page: Page, phone: Phone) -> None:
    page.locator("#code").fill(board.stage.code(phone))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Harbor Board")).to_be_visible()


def test_the_unmodified_sdk_signs_in_and_out(board: Board) -> None:
    phone = board.stage.harbor.enrolls()
    page = board.stage.opens_browser()
    goes_in(board, page)
    page.goto(board.link())
    page.get_by_role("button", name="Continue to Harbor Board").click()
    confirms(board, page, phone)
    seen = user(page)
    assert isinstance(seen, dict), seen
    assert (seen["email"], seen["amr"], seen["aud"]) == (EMAIL, ["otp"], board.origin)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#user")).to_have_text("null")


def test_a_link_that_was_opened_on_another_device_tells_a_code(board: Board) -> None:
    phone = board.stage.harbor.enrolls()
    page, elsewhere = board.stage.opens_browser(), board.stage.opens_browser()
    goes_in(board, page)
    elsewhere.goto(board.link())
    elsewhere.get_by_role("button", name="Continue to Harbor Board").click()
    code = keep_secret(elsewhere.locator(".told strong").inner_text())
    checks(elsewhere)
    page.locator("#code").fill("000-00A")
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_text("That code is not right.")).to_be_visible()
    checks(page)
    page.locator("#code").fill(code)
    page.get_by_role("button", name="Confirm code").click()
    expect(page.locator("#code")).to_have_attribute("inputmode", "numeric")  # the app's
    confirms(board, page, phone)
    assert user(page)["email"] == EMAIL


def test_it_works_without_script_of_ours_and_in_french(board: Board) -> None:
    page = board.stage.opens_browser(java_script_enabled=False, locale="fr-FR")
    query = (
        f"client_state=s&client_id={board.client_id}&redirect_uri={board.origin}/callback"
        f"&code_challenge_method=S256&code_challenge={'a' * 43}&locale=fr"
    )
    page.goto(f"{board.stage.harbor.base_url}/a/harbor-account/?{query}")
    expect(page.get_by_role("heading", name="Se connecter à Harbor Board")).to_be_visible()
    page.get_by_label("Adresse e-mail").fill(EMAIL)
    page.get_by_role("button", name="Envoyer le lien").click()
    expect(page.get_by_role("heading", name="Consultez vos e-mails")).to_be_visible()
    page.get_by_role("button", name="Annuler et revenir à Harbor Board").click()
    page.wait_for_url(f"{board.origin}/callback?state=s&error=access_denied**")
