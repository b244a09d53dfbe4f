"""The link that stops a change, in a real browser: what axe says, and that nothing is cut off."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Stage
from tests.browser.test_account import arrives, is_fine
from tests.web.gateway.test_freeze import link

pytestmark = pytest.mark.browser


def test_axe_finds_nothing_from_the_link_to_what_is_stopped(stage: Stage) -> None:
    page = stage.opens_browser()
    arrives(stage, page, stage.harbor.enrolls())
    page.get_by_role("link", name="Rename Authenticator app").click()
    page.get_by_label("Name", exact=True).fill("Old phone")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How you confirm it’s you")).to_be_visible()
    page.goto(stage.harbor.base_url + link(stage.harbor, "authenticator_renamed"))
    is_fine(page)
    page.get_by_role("button", name="Stop the change").press("Enter")
    expect(page.get_by_role("heading", name="The change is stopped")).to_be_visible()
    is_fine(page)
    stage.arrives(page, intent="manage")
    expect(page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    is_fine(page)
