"""A visit to a server process that speaks TLS itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser


def test_a_visit_over_tls_comes_back_and_its_cookies_are_of_this_host_alone(
    tls_stage: Stage,
) -> None:
    phone = tls_stage.harbor.enrolls()
    page = tls_stage.opens_browser()
    tls_stage.arrives(page, state="a state")
    assert page.url.startswith("https://localhost:")
    page.get_by_label("Six-digit code").fill(tls_stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    [told] = tls_stage.received
    assert told["state"] == "a state"
    assert "result" in told
    kept = page.context.cookies(tls_stage.harbor.base_url)
    assert kept
    assert all(one["name"].startswith("__Host-") and one["secure"] for one in kept)
