"""Codes that are sent, as a person meets them: each channel, by keyboard, without script, small."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import Message, MessageStatus
from tests.browser.conftest import Stage
from tests.outbox import ADA, MOBILE, Outbox, know_number, switch, wrong

pytestmark = pytest.mark.browser

BACK = "Back at the notes"
OPENS = {
    "sms": ("Phone number", "Text me a code"),
    "whatsapp": ("Phone number", "WhatsApp"),
    "voice": ("Phone number", "Call me"),
    "dual": ("Email and phone", "Send code to both"),
}


@pytest.fixture
def outbox(stage: Stage) -> Outbox:
    switch(stage.harbor)
    return Outbox(stage.harbor)


def code(outbox: Outbox, page: Page, to: str) -> str:
    """Return the code of the message whose reference stands on the page."""
    told = re.search(r"reference\s+([A-Z0-9]{4})", page.locator("main").inner_text())
    found = outbox.all(to=to)
    if told:
        found = [one for one in found if told[1] in one["text"]]
    return re.findall(r"(?<![\d#])\d{6}(?!\d)", found[0]["text"])[0]


def begin(stage: Stage, page: Page, channel: str) -> str:
    """Begin what codes go to from the first page, and return the address."""
    stage.arrives(page)
    if channel == "email":
        page.get_by_role("button", name=re.compile("^Email")).click()
        return ADA
    link, button = OPENS[channel]
    page.get_by_role("link", name=re.compile(f"^{link}")).click()
    page.get_by_label("Phone number").fill("06 12 34 56 78")
    page.get_by_role("button", name=button, exact=True).click()
    return MOBILE


def enroll(stage: Stage, page: Page, outbox: Outbox, channel: str) -> str:
    """Walk the set-up to its end."""
    to = begin(stage, page, channel)
    page.get_by_label("Six-digit code").fill(code(outbox, page, to))
    page.get_by_role("button", name="Confirm code").click()
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()
    stage.clock.advance(60)
    return to


def ask(page: Page) -> None:
    """Have the code sent that the first page offers."""
    page.get_by_role("button", name=re.compile("^(Send code to|Call \\+)")).click()
    expect(page.get_by_label("Six-digit code")).to_be_focused()


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "voice", "email", "dual"])
def test_each_channel_sets_up_and_confirms(stage: Stage, outbox: Outbox, channel: str) -> None:
    page = stage.opens_browser()
    to = enroll(stage, page, outbox, channel)
    stage.arrives(page)
    ask(page)
    page.get_by_label("Six-digit code").fill(wrong(code(outbox, page, to)))
    page.keyboard.press("Enter")
    expect(page.locator("#code-error")).to_contain_text("That code is not right.")
    page.keyboard.type(code(outbox, page, to))  # the refused one is selected
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()
    claims = stage.harbor.notes.checks(stage.received[-1]["result"])
    assert (claims["status"], claims["mfa_method"]) == ("verified", channel)


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_it_works_without_script(stage: Stage, outbox: Outbox, channel: str) -> None:
    page = stage.opens_browser(java_script_enabled=False)
    to = enroll(stage, page, outbox, channel)
    stage.arrives(page)
    ask(page)
    expect(page.get_by_text("New code from 12:01:35 UTC")).to_be_visible()
    again = page.get_by_role("button", name="Send again")
    expect(again).to_be_enabled()
    again.click()
    expect(page.get_by_role("alert")).to_contain_text("You can ask for the next one in 30 seconds.")
    stage.clock.advance(30)
    page.get_by_role("button", name="Send again").click()
    page.get_by_label("Six-digit code").fill(code(outbox, page, to))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()


def test_a_visit_by_keyboard_alone(stage: Stage, outbox: Outbox) -> None:
    page = stage.opens_browser()
    enroll(stage, page, outbox, "sms")
    stage.arrives(page)
    for _ in range(8):
        page.keyboard.press("Tab")
        if "Send code to" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Six-digit code")).to_be_focused()
    page.keyboard.type(code(outbox, page, MOBILE))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()


def test_the_countdown_is_seen_and_the_button_waits_for_it(stage: Stage, outbox: Outbox) -> None:
    page = stage.opens_browser()
    enroll(stage, page, outbox, "sms")
    page.clock.install()
    stage.arrives(page)
    ask(page)
    again = page.get_by_role("button", name="Send again")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"New code in 0:(30|29)"))
    expect(again).to_be_disabled()
    page.clock.run_for(20_000)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"New code in 0:(10|0\d)"))
    page.clock.run_for(12_000)
    expect(again).to_be_enabled()
    expect(page.get_by_role("timer")).to_be_hidden()


def stands(stage: Stage, status: MessageStatus) -> None:
    now = stage.clock.now()
    stage.harbor.executes(
        sa.update(Message)
        .where(Message.name == "code")
        .values(status=status, sent_at=now, delivered_at=now)
    )


def test_the_page_hears_of_the_message_and_loses_nothing_that_is_typed(
    stage: Stage, outbox: Outbox
) -> None:
    page = stage.opens_browser()
    enroll(stage, page, outbox, "sms")
    stage.arrives(page)
    ask(page)
    stands(stage, MessageStatus.QUEUED)
    page.reload()
    status = page.locator("[data-watch]")
    expect(status).to_contain_text("Sending")
    page.get_by_label("Six-digit code").fill("123")
    stands(stage, MessageStatus.SENT)
    expect(status).to_contain_text("Sent")
    stands(stage, MessageStatus.FAILED)
    expect(status).to_contain_text("The message did not get through.")
    expect(page.get_by_label("Six-digit code")).to_have_value("123")
    expect(page.get_by_role("button", name="Send again")).to_be_disabled()
    stage.clock.advance(5)
    page.get_by_role("button", name="WhatsApp").click()
    expect(page.get_by_role("heading", name="Enter the code we sent by WhatsApp")).to_be_visible()


def test_the_back_button_neither_sends_again_nor_loses_the_page(
    stage: Stage, outbox: Outbox
) -> None:
    page = stage.opens_browser()
    enroll(stage, page, outbox, "sms")
    stage.arrives(page)
    ask(page)
    before = len(outbox.all())
    page.get_by_role("link", name="Use a recovery code").click()
    page.go_back()
    expect(page.get_by_label("Six-digit code")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Six-digit code")).to_be_visible()
    assert len(outbox.all()) == before


def test_of_two_windows_either_ends_the_visit(stage: Stage, outbox: Outbox) -> None:
    page = stage.opens_browser()
    enroll(stage, page, outbox, "sms")
    stage.arrives(page)
    ask(page)
    first = code(outbox, page, MOBILE)
    other = page.context.new_page()
    other.goto(page.url)
    stage.clock.advance(30)
    other.reload()
    other.get_by_role("button", name="Send again").click()
    page.get_by_label("Six-digit code").fill(first)
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name=BACK)).to_be_visible()
    other.get_by_label("Six-digit code").fill(wrong(first))
    other.get_by_role("button", name="Confirm code").click()
    expect(other.get_by_role("heading", name="You are confirmed")).to_be_visible()


# What each page looks like to everybody


def _set_up(stage: Stage, page: Page, outbox: Outbox) -> None:
    stage.arrives(page)


def _number(stage: Stage, page: Page, outbox: Outbox) -> None:
    stage.arrives(page)
    page.get_by_role("link", name=re.compile("^Phone number")).click()


def _number_refused(stage: Stage, page: Page, outbox: Outbox) -> None:
    _number(stage, page, outbox)
    page.get_by_label("Phone number").fill("06 12")
    page.get_by_role("button", name="Text me a code").click()
    expect(page.locator("#number-error")).to_be_visible()


def _number_on_record(stage: Stage, page: Page, outbox: Outbox) -> None:
    know_number(stage.harbor)
    _number(stage, page, outbox)
    page.get_by_text("Use another number").click()


def _enroll(stage: Stage, page: Page, outbox: Outbox) -> None:
    begin(stage, page, "dual")


def _send(stage: Stage, page: Page, outbox: Outbox) -> None:
    enroll(stage, page, outbox, "sms")
    stage.arrives(page)


def _code(stage: Stage, page: Page, outbox: Outbox) -> None:
    _send(stage, page, outbox)
    ask(page)


def _code_refused(stage: Stage, page: Page, outbox: Outbox) -> None:
    _code(stage, page, outbox)
    page.get_by_label("Six-digit code").fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator("#code-error")).to_be_visible()


def _lost(stage: Stage, page: Page, outbox: Outbox) -> None:
    _code(stage, page, outbox)
    stands(stage, MessageStatus.FAILED)
    page.reload()
    expect(page.get_by_text("The message did not get through.")).to_be_visible()


def _two_codes(stage: Stage, page: Page, outbox: Outbox) -> None:
    enroll(stage, page, outbox, "dual")
    switch(stage.harbor, "dual", strict=True)
    stage.arrives(page)
    page.get_by_role("button", name=re.compile("^Send code to")).click()
    page.get_by_label("Code from the email").fill("000000")
    page.get_by_label("Code from the text message").fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator("#code-error")).to_be_visible()


def _choose(stage: Stage, page: Page, outbox: Outbox) -> None:
    _send(stage, page, outbox)
    page.goto(page.url.replace("/verify", "/choose"))
    expect(page.get_by_text("Last used")).to_be_visible()


SCENES = [
    _set_up,
    _number,
    _number_refused,
    _number_on_record,
    _enroll,
    _send,
    _code,
    _code_refused,
    _lost,
    _two_codes,
    _choose,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__.strip("_"))
def test_a_page_is_accessible_and_fits_small_screens(
    stage: Stage, outbox: Outbox, scene: Callable[[Stage, Page, Outbox], None]
) -> None:
    page = stage.opens_browser()
    scene(stage, page, outbox)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
