"""The admin area by hand: without script, with the back button, and by keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Error, Page, expect

from app.models import Application, Event, ImportJob
from tests.actors import Administrator
from tests.browser.conftest import Stage
from tests.browser.test_admin import enters
from tests.web.admin.furniture import FILE, furnish

pytestmark = pytest.mark.browser

WHY = "Spoke with Ada on the number that we knew."


def arrives(stage: Stage, path: str, **options: Any) -> tuple[Page, Administrator]:
    """Open a page of the organization in a real browser, as its owner."""
    nadia = stage.harbor.administrator()
    page = stage.opens_browser(**options)
    page.set_viewport_size({"width": 1280, "height": 900})
    enters(stage, page, nadia)
    goes_to(stage, page, nadia, path)
    return page, nadia


def goes_to(stage: Stage, page: Page, nadia: Administrator, path: str) -> None:
    page.goto(f"{stage.harbor.base_url}{nadia.place}{path}")


def count(stage: Stage, *which: Any) -> int:
    return len(stage.harbor.rows(sa.select(*which)))


# Without script


def test_without_script_every_kind_of_page_does_its_work(stage: Stage) -> None:
    ids = furnish(stage.harbor)
    page, nadia = arrives(stage, "/users", java_script_enabled=False)
    page.get_by_label("Name, email, phone or id").fill("ada")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("cell", name="ada@harbor.example")).to_be_visible()
    expect(page.get_by_role("cell", name="bo@harbor.example")).to_have_count(0)

    page.get_by_role("link", name="Add user").click()
    page.get_by_label("Given name").fill("Dora")
    page.get_by_label("Email address").fill("ada@harbor.example")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_text("Another user here has this address.")).to_be_visible()
    expect(page.get_by_label("Given name")).to_have_value("Dora")
    page.get_by_label("Email address").fill("dora@harbor.example")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("status")).to_contain_text("Dora was added.")

    page.get_by_role("link", name="Suspend").click()
    page.get_by_label("Reason").fill(WHY)
    page.get_by_role("button", name="Suspend Dora").click()
    expect(page.get_by_role("status")).to_contain_text("Dora is suspended.")

    goes_to(stage, page, nadia, f"/users/{ids['user_id']}/bypass-code")
    page.get_by_label("Reason").fill(WHY)
    page.get_by_role("button", name="Make bypass code").click()
    expect(page.get_by_label("Bypass code", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)  # it needs script


def test_without_script_previews_and_imports_do_their_work(stage: Stage) -> None:
    page, nadia = arrives(stage, "/branding", java_script_enabled=False)
    page.get_by_label("Brand colour", exact=True).fill("#7a1f5c")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("Brand colour", exact=True)).to_have_value("#7a1f5c")
    assert page.locator("iframe").count() == 2

    goes_to(stage, page, nadia, "/messages/texts/sms/en")
    page.get_by_label("Text").fill("{code} is what you need for {minutes} minutes.")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("is what you need for 10 minutes.")).to_be_visible()

    goes_to(stage, page, nadia, "/applications/new")
    page.get_by_label("Name").fill("Harbor Wiki")
    page.get_by_label("Redirect addresses").fill("http://elsewhere.example/")
    page.get_by_role("button", name="Register application").click()
    expect(page.get_by_text("1 of 1 can’t be registered")).to_be_visible()

    goes_to(stage, page, nadia, "/methods")
    page.get_by_role("link", name=re.compile("Use it.*Strict")).click()
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")


def test_without_script_a_file_is_looked_at_and_imported(stage: Stage) -> None:
    page, _ = arrives(stage, "/users/imports/new", java_script_enabled=False)
    file = {"name": "users.csv", "mimeType": "text/csv", "buffer": FILE}
    page.get_by_label("File of users").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check file").click()
    page.get_by_role("button", name="Import 1 user").click()
    assert stage.harbor.services.import_jobs.run_next()
    page.get_by_role("link", name="Look again").click()
    page.get_by_role("link", name="Show users").click()
    expect(page.get_by_text("kit@harbor.example")).to_be_visible()


# The back button


def test_going_back_to_a_form_shows_no_secret_again_and_makes_nothing(stage: Stage) -> None:
    page, _ = arrives(stage, "/applications/new")
    page.get_by_label("Name").fill("Harbor Wiki")
    page.get_by_label("Redirect addresses").fill("https://wiki.example/back")
    page.get_by_role("button", name="Register application").click()
    expect(page.get_by_role("heading", name="Harbor Wiki is registered")).to_be_visible()
    before = count(stage, Application.id)
    page.go_back()
    expect(page.get_by_role("heading", name="Register an application")).to_be_visible()
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # it would have to send the form again
        page.go_forward()
    assert count(stage, Application.id) == before


def test_a_question_that_was_answered_and_gone_back_to_is_not_answered_twice(stage: Stage) -> None:
    page, _ = arrives(stage, f"/users/{stage.harbor.ada}/suspend")
    page.get_by_label("Reason").fill(WHY)
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("status")).to_contain_text("is suspended.")
    page.go_back()
    page.get_by_label("Reason").fill(WHY)
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("The user is suspended already.")).to_be_visible()
    suspended = sa.select(Event.id).where(Event.kind == "user:suspended")
    assert len(stage.harbor.rows(suspended)) == 1


def test_after_signing_out_the_back_button_shows_nothing(stage: Stage) -> None:
    page, nadia = arrives(stage, "/users")
    goes_to(stage, page, nadia, f"/users/{stage.harbor.ada}")
    goes_to(stage, page, nadia, "/audit")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    for _ in range(3):
        page.go_back()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert "ada@harbor.example" not in page.content()


# By keyboard

_STOPS = """() => [...document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]'
)].filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled
  && one.tabIndex >= 0 && !one.closest('fieldset[disabled]')
  && (one.type !== 'radio' || one.checked
    || !document.querySelector(`input[name="${one.name}"]:checked`))
)"""
"""What a keyboard should reach: of a group of radio buttons, the chosen one."""


_NAME = """one => !one || one === document.body ? ''
  : one.outerHTML.slice(0, 90) + ' #' + [...document.querySelectorAll('*')].indexOf(one)"""


def stops(page: Page) -> tuple[list[str], list[str]]:
    """Press Tab through the page; return what should be reached, and what was, in order."""
    wanted: list[str] = page.evaluate(f"() => ({_STOPS})().map({_NAME})")
    reached: list[str] = []
    for _ in range(len(wanted) + 40):
        page.keyboard.press("Tab")
        found = page.evaluate(f"() => ({_NAME})(document.activeElement)")
        if not found or found in reached[:1]:
            break
        if found not in reached[-1:]:
            reached.append(found)
            assert page.evaluate(_SEEN), f"nobody sees that this has the focus: {found}"
    return wanted, reached


_SEEN = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  if (one.tagName === 'IFRAME') return true;
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none';
}"""

KINDS = {
    "list with filters": "/users",
    "one thing": "/users/{user_id}",
    "form": "/users/{user_id}/edit",
    "question": "/users/{user_id}/reset",
    "choice of rules": "/policy",
    "settings": "/methods",
    "preview": "/branding",
    "messages": "/messages/texts/email/en",
    "record": "/audit",
    "import": "/users/imports/{job_id}",
    "values to take along": "/applications/{client_id}",
    "inbox": "/inbox",
    "chart": "/",
}


def test_tab_reaches_everything_in_its_order_on_each_kind_of_page(stage: Stage) -> None:
    ids = furnish(stage.harbor)
    page, nadia = arrives(stage, "/")
    for kind, path in KINDS.items():
        goes_to(stage, page, nadia, path.format(**ids))
        wanted, reached = stops(page)
        assert len(wanted) > 15, kind
        assert [one for one in reached if one in wanted] == wanted, kind


def test_each_kind_of_page_does_its_work_by_keyboard(stage: Stage) -> None:
    page, _ = arrives(stage, "/users")
    press, type_in = page.keyboard.press, page.keyboard.type

    page.get_by_label("Name, email, phone or id").focus()
    type_in("ada")
    press("Enter")
    expect(page).to_have_url(re.compile(r"\bq=ada\b"))
    page.get_by_role("link", name="ada@harbor.example").focus()
    press("Enter")
    expect(page.get_by_role("heading", name="ada@harbor.example")).to_be_visible()

    page.get_by_role("link", name="Edit").focus()
    press("Enter")
    page.get_by_label("Given name").focus()
    type_in("Ada")
    press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")

    page.get_by_role("link", name="Suspend").focus()
    press("Enter")
    page.get_by_label("Reason").focus()
    type_in(WHY)
    press("Tab")
    expect(page.get_by_role("link", name="Keep Ada active")).to_be_focused()  # the way out first
    press("Tab")
    press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Ada is suspended.")


def test_an_import_by_keyboard(stage: Stage) -> None:
    page, _ = arrives(stage, "/users/imports/new")
    page.on("filechooser", lambda _: None)  # or Chromium may open it before it hears who asks
    page.reload()
    page.get_by_label("File of users").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "users.csv", "mimeType": "text/csv", "buffer": FILE})
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Import 1 user")).to_be_visible()
    page.get_by_role("button", name="Discard file").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Nothing was imported.")
    assert count(stage, ImportJob.id) == 1


def test_a_preview_and_the_menu_by_keyboard(stage: Stage) -> None:
    page, _ = arrives(stage, "/branding")
    screen = page.frame_locator("#screen-light").locator("html")
    page.get_by_role("tab", name="English").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Français")).to_be_focused()
    page.get_by_label("Name").first.focus()
    page.keyboard.press("End")
    page.keyboard.type(" Ferry")
    expect(screen).to_contain_text("Harbor Ferry")  # the preview follows

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Your profile")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Your profile")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
