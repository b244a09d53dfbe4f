"""The API's reference page in a real browser: readable on any screen, by keyboard and by ear."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_is_readable(stage: Stage, width: int, scheme: str) -> None:
    page = stage.opens_browser(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{stage.harbor.base_url}/api/v2/reference")
    page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["target"]) for one in found] == []


def test_a_developer_finds_a_call_and_the_meaning_of_an_error(stage: Stage) -> None:
    page = stage.opens_browser(java_script_enabled=False)
    page.goto(f"{stage.harbor.base_url}/api/v2/reference")
    page.get_by_role("link", name="TOTP challenge").click()
    expect(page.get_by_role("heading", name="TOTP challenge")).to_be_in_viewport()
    article = page.locator("#totp_challenges-validate-post")
    article.locator("summary").click()
    expect(article.get_by_role("rowheader", name="attempts_remaining")).to_be_visible()
    article.get_by_role("link", name="not_enrolled").click()
    expect(page.get_by_text("The user has no authenticator.", exact=True)).to_be_in_viewport()
