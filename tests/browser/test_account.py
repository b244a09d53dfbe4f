"""The user's own page in a real browser: by keyboard, without script, and what axe says of it."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services.audit import OPERATOR
from tests.actors import Phone
from tests.browser.conftest import Stage
from tests.browser.test_pages import scan

pytestmark = pytest.mark.browser


def arrives(stage: Stage, page: Page, phone: Phone) -> None:
    """Have Ada come to manage, and confirm."""
    stage.arrives(page, intent="manage")
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="How you confirm it’s you")).to_be_visible()
    stage.clock.advance(30)


def is_fine(page: Page) -> None:
    """Ask axe in light and dark, and see that nothing is cut off."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_gets_a_name_and_is_replaced_without_script(stage: Stage) -> None:
    page = stage.opens_browser(java_script_enabled=False)
    arrives(stage, page, stage.harbor.enrolls())
    page.get_by_role("link", name="Rename Authenticator app").press("Enter")
    page.get_by_label("Name", exact=True).fill("Old phone")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Replace Old phone").press("Enter")
    page.get_by_role("button", name="Set up the new one").press("Enter")
    page.get_by_role("button", name="Set up authenticator app").click()
    new = scan(page)
    page.get_by_label("Type the code the app shows").fill(stage.code(new))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How you confirm it’s you")).to_be_visible()
    expect(page.get_by_text("Old phone", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Back to Harbor Notes").press("Enter")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert "result" in stage.received[-1]


def test_axe_finds_nothing_on_the_page_nor_on_what_it_asks(stage: Stage) -> None:
    page = stage.opens_browser()
    arrives(stage, page, stage.harbor.enrolls())
    is_fine(page)
    asked = {
        "Rename Authenticator app": "What do you call it?",
        "Replace Authenticator app": "Replace Authenticator app?",
        "Remove Authenticator app": "Authenticator app is your last method",
        "Make new codes": "Make new recovery codes?",
    }
    for link, heading in asked.items():
        page.get_by_role("link", name=link).click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        is_fine(page)
        page.get_by_role("link", name="Back to your methods").last.click()


def test_a_trusted_browser_is_spared_until_it_is_forgotten(stage: Stage) -> None:
    services, phone = stage.harbor.services, stage.harbor.enrolls()
    with services.database.writing() as tx:
        services.trust_rules.change(tx, OPERATOR, tx.merge(stage.harbor.organization), 30)
    page = stage.opens_browser()
    stage.arrives(page)
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.get_by_label("Trust this browser for 30 days").check()
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    stage.clock.advance(30)
    stage.arrives(page)
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    spared = stage.harbor.notes.checks(stage.received[-1]["result"])
    assert (spared["status"], spared["acr"]) == ("trusted", "urn:gatehouse:acr:trusted_browser")
    arrives(stage, page, phone)
    is_fine(page)
    page.get_by_role("link", name="Forget all").click()
    is_fine(page)
    page.get_by_role("button", name="Forget all").click()
    expect(page.get_by_role("heading", name="Trusted browsers")).to_have_count(0)
    stage.arrives(page)
    expect(page.get_by_label("Six-digit code")).to_be_visible()
