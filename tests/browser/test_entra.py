"""Microsoft Entra's way through a real browser: a server over TLS, and pages of Microsoft's host.

Its host is played by the browser itself, which answers for it; the posts across sites are real.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Page, Route, expect

from tests.actors import keep_secret
from tests.browser.conftest import Stage
from tests.entra import REDIRECT_URI, Entra, connected

pytestmark = pytest.mark.browser

MICROSOFT = "https://login.microsoftonline.com"
STATE = 'a state, "quoted" & <odd> %2B + ä\u00a0é'
DONE = "<!doctype html><html lang=en><title>Entra</title><h1>Signed in at Entra</h1>"


class Host:
    """Microsoft's host: a page that posts the request, and the address that takes the answer."""

    def __init__(self, page: Page, entra: Entra) -> None:
        self.page = page
        self.entra = entra
        self.received: list[dict[str, str]] = []
        page.route(f"{MICROSOFT}/**", self._answers)

    def sends(self, **changes: Any) -> None:
        """Have the user press the button that leads here."""
        self.entra.sent = self.entra.request(**changes)
        self.page.goto(f"{MICROSOFT}/start")
        self.page.get_by_role("button", name="Go on").click()

    def _answers(self, route: Route) -> None:
        if route.request.method == "POST":
            body = route.request.post_data or ""
            self.received.append(dict(parse_qsl(body, keep_blank_values=True)))
            route.fulfill(content_type="text/html", body=DONE)
            return
        fields = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in self.entra.sent.items()
        )
        where = f"{self.entra.issuer}/authorize"
        form = f'<form method="post" action="{where}">{fields}<button>Go on</button></form>'
        page = f"<!doctype html><meta charset=utf-8><title>Entra</title>{form}"
        route.fulfill(content_type="text/html; charset=utf-8", body=page)


@pytest.fixture
def entra(tls_stage: Stage) -> Entra:
    harbor = tls_stage.harbor
    # The browser may go there; all other addresses are complained about.
    harbor.notes = replace(harbor.notes, redirect_uri=f"{MICROSOFT}/callback")
    return connected(harbor)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_user_of_entra_confirms_here_and_is_back_there(
    tls_stage: Stage, entra: Entra, script: bool
) -> None:
    phone = tls_stage.harbor.enrolls()
    page = tls_stage.opens_browser(java_script_enabled=script)
    host = Host(page, entra)
    host.sends(state=STATE)
    page.locator("#code").fill(tls_stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    if not script:
        page.get_by_role("button", name="Continue to Microsoft Entra").click()
    expect(page.get_by_role("heading", name="Signed in at Entra")).to_be_visible()
    [answer] = host.received
    assert page.url == REDIRECT_URI
    assert set(answer) == {"id_token", "state"}
    assert answer["state"] == STATE
    _, claims = entra.verified(keep_secret(answer["id_token"]))
    assert (claims["iss"], claims["aud"]) == (entra.issuer, entra.client_id)
    assert (claims["amr"], claims["acr"]) == (["otp"], "possessionorinherence")


def test_a_user_who_goes_back_is_an_error_there(tls_stage: Stage, entra: Entra) -> None:
    tls_stage.harbor.enrolls()
    page = tls_stage.opens_browser()
    host = Host(page, entra)
    host.sends(state=STATE)
    page.get_by_role("button", name="Cancel and return to Microsoft Entra").click()
    expect(page.get_by_role("heading", name="Signed in at Entra")).to_be_visible()
    [answer] = host.received
    assert answer == {"error": "access_denied", "state": STATE}


def test_a_foreign_way_back_is_never_gone(tls_stage: Stage, entra: Entra) -> None:
    tls_stage.harbor.enrolls()
    page = tls_stage.opens_browser()
    host = Host(page, entra)
    host.sends(redirect_uri="https://evil.example/common/federation/externalauthprovider")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.url.startswith(tls_stage.harbor.base_url)
    assert page.locator("form").count() == 0
    assert host.received == []
