"""The hosted pages as a person meets them: keyboard, no script, small screens, screen readers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.actors import Phone
from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser


def scan(page: Page) -> Phone:
    """Read the QR code from the picture, as a phone's camera does."""
    import io

    import zxingcpp
    from PIL import Image

    picture = Image.open(io.BytesIO(page.locator(".qr").screenshot()))
    found = zxingcpp.read_barcodes(picture)
    assert len(found) == 1
    return Phone(found[0].text)


def enroll(stage: Stage, page: Page) -> Phone:
    """Walk a first visit to its end with script, by mouse."""
    stage.arrives(page)
    page.get_by_role("button", name="Set up authenticator app").click()
    phone = scan(page)
    page.get_by_label("Type the code the app shows").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    stage.clock.advance(30)
    return phone


def test_enroll_and_verify_with_the_qr_code_read_from_the_screen(stage: Stage) -> None:
    page = stage.opens_browser()
    phone = enroll(stage, page)
    assert stage.harbor.notes.checks(stage.received[-1]["result"])["status"] == "enrolled"
    stage.arrives(page, state="a b&c")
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert stage.harbor.notes.checks(stage.received[-1]["result"])["status"] == "verified"
    assert stage.received[-1]["state"] == "a b&c"


def test_everything_works_without_script(stage: Stage) -> None:
    page = stage.opens_browser(java_script_enabled=False)
    phone = enroll(stage, page)
    stage.arrives(page, response_mode="form_post")
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    page.get_by_role("button", name="Continue to Harbor Notes").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert stage.received[-1]["method"] == "POST"
    assert "result" in stage.received[-1]


def test_a_form_post_sends_itself(stage: Stage) -> None:
    page = stage.opens_browser()
    phone = enroll(stage, page)
    stage.arrives(page, response_mode="form_post")
    page.get_by_label("Six-digit code").fill(stage.code(phone))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert stage.received[-1]["method"] == "POST"
    assert "?" not in page.url


def test_a_visit_by_keyboard_alone(stage: Stage) -> None:
    page = stage.opens_browser()
    phone = enroll(stage, page)
    stage.arrives(page)
    expect(page.get_by_label("Six-digit code")).to_be_focused()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.locator("#code-error")).to_contain_text("That code is not right")
    expect(page.get_by_label("Six-digit code")).to_be_focused()
    page.keyboard.type(stage.code(phone))  # the refused one is selected, so this replaces it
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()


def test_the_way_back_by_keyboard(stage: Stage) -> None:
    page = stage.opens_browser()
    stage.arrives(page, state="s")
    for _ in range(12):
        page.keyboard.press("Tab")
        if "Cancel and return" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert stage.received[-1]["error"] == "access_denied"
    assert "result" not in stage.received[-1]


def test_recovery_codes_are_copied_and_downloaded(stage: Stage) -> None:
    page = stage.opens_browser()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    stage.arrives(page)
    page.get_by_role("button", name="Set up authenticator app").click()
    phone = scan(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == phone.key
    page.get_by_label("Type the code the app shows").fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    codes = page.get_by_label("Your recovery codes").input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == codes
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "recovery-codes.txt"
    assert codes.split() == download.value.path().read_text().split("\n\n")[1].split()
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()


def test_the_back_button_shows_neither_the_key_nor_the_codes_again(stage: Stage) -> None:
    page = stage.opens_browser()
    enroll(stage, page)
    for _ in range(4):
        page.go_back()
        shown = page.content()
        assert "otpauth:" not in shown
        assert 'id="codes"' not in shown


def _set_up(stage: Stage, page: Page) -> None:
    stage.arrives(page)


def _enroll(stage: Stage, page: Page) -> None:
    stage.arrives(page)
    page.get_by_role("button", name="Set up authenticator app").click()


def _enroll_error(stage: Stage, page: Page) -> None:
    _enroll(stage, page)
    page.locator("#code").fill("000000")
    page.get_by_role("button", name="Confirm code").click()
    expect(page.locator("#code-error")).to_be_visible()


def _codes(stage: Stage, page: Page) -> None:
    _enroll(stage, page)
    page.locator("#code").fill(stage.code(scan(page)))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.locator("#codes")).to_be_visible()


def _codes_again(stage: Stage, page: Page) -> None:
    _codes(stage, page)
    page.context.clear_cookies(name=re.compile("gatehouse-codes"))
    page.reload()


def _verify(stage: Stage, page: Page) -> None:
    stage.harbor.enrolls()
    stage.arrives(page)


def _verify_error(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    page.locator("#code").fill("000000")
    page.get_by_role("button", name="Confirm code").click()
    expect(page.locator("#code-error")).to_be_visible()


def _recover(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    page.get_by_role("link", name="Use a recovery code").click()


def _recover_error(stage: Stage, page: Page) -> None:
    _recover(stage, page)
    page.locator("#code").fill("AAAA-BBBB-CCCC-DDDD")
    page.get_by_role("button", name="Use this code").click()
    expect(page.locator("#code-error")).to_be_visible()


def _recovered(stage: Stage, page: Page) -> None:
    _codes(stage, page)
    code = page.get_by_label("Your recovery codes").input_value().split()[0]
    page.get_by_role("button", name="I have saved them").click()
    stage.arrives(page)
    page.get_by_role("link", name="Use a recovery code").click()
    page.locator("#code").fill(code)
    page.get_by_role("button", name="Use this code").click()
    expect(page.get_by_text("Your recovery code was accepted.")).to_be_visible()


def _due(stage: Stage, page: Page) -> None:
    _recovered(stage, page)
    stage.arrives(page)
    expect(page.get_by_role("heading", name="A new method is due")).to_be_visible()


def _choose(stage: Stage, page: Page) -> None:
    phone = stage.harbor.enrolls()
    stage.harbor.adds_another(phone)
    stage.arrives(page)
    page.get_by_role("link", name="Try another way").click()
    expect(page.get_by_text("Last used")).to_be_visible()


def _failed(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    for _ in range(5):
        page.locator("#code").fill("000000")
        page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Too many wrong codes")).to_be_visible()


def _expired(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    stage.clock.advance(16 * 60)
    page.reload()
    expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()


def _cancelled(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    address = page.url
    page.get_by_role("button", name="Cancel and return").click()
    page.goto(address)
    expect(page.get_by_role("heading", name="You went back")).to_be_visible()


def _other_browser(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    page.context.clear_cookies()
    page.reload()
    expect(page.get_by_role("heading", name="This page belongs to another browser")).to_be_visible()


def _blocked(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    services, harbor = stage.harbor.services, stage.harbor
    from app.services.audit import OPERATOR

    with services.database.writing() as tx:
        person = services.directory.find(tx, harbor.organization, harbor.ada)
        services.enrollment.reset(tx, OPERATOR, harbor.organization, person, reopen=False)
    page.reload()
    expect(page.get_by_role("heading", name="You can’t confirm here yet")).to_be_visible()


def _not_found(stage: Stage, page: Page) -> None:
    page.goto(stage.harbor.base_url + "/nowhere")


def _stale_form(stage: Stage, page: Page) -> None:
    _verify(stage, page)
    page.evaluate("document.querySelector('[name=csrf_token]').value = 'old'")
    page.locator("#code").fill("000000")
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="This form is out of date")).to_be_visible()


SCENES = [
    _set_up,
    _enroll,
    _enroll_error,
    _codes,
    _codes_again,
    _verify,
    _verify_error,
    _recover,
    _recover_error,
    _recovered,
    _due,
    _choose,
    _failed,
    _expired,
    _cancelled,
    _other_browser,
    _blocked,
    _not_found,
    _stale_form,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__.strip("_"))
def test_a_page_is_accessible_and_fits_small_screens(
    stage: Stage, scene: Callable[[Stage, Page], None]
) -> None:
    page = stage.opens_browser()
    scene(stage, page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
