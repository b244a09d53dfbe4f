"""The admin area in a real browser: each role through each page, by keyboard, small and wide."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import Role
from tests.actors import Administrator
from tests.browser.conftest import Stage
from tests.conftest import BOTH_DATABASES, PASSWORD
from tests.web.admin.production import has_account

pytestmark = pytest.mark.browser

IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\?.*|#.*")
FILES = re.compile(r"\.(csv|jsonl)\b|/preview")


def furnish(stage: Stage) -> None:
    """Give Harbor something of everything, so that no page is empty."""
    harbor = stage.harbor
    phone = harbor.enrolls()
    visit = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, 3):
        visit.types(code)
    harbor.person("bastien@harbor.example")
    harbor.registers("Harbor Logs", only=True)
    harbor.key(only=True)
    for name in ("Mail of Harbor", "Another mail"):
        has_account(harbor, harbor.organization, name)


def enters(stage: Stage, page: Page, person: Administrator) -> None:
    """Bring somebody's session into a real browser."""
    page.context.add_cookies(
        [
            {"name": name, "value": value, "url": stage.harbor.base_url}
            for name, value in person.browser.cookies.items()
        ]
    )


def walk(stage: Stage, page: Page, person: Administrator) -> Iterator[str]:
    """Follow every link of the area once for each kind of page, and yield where it led."""
    base = stage.harbor.base_url
    waiting, known = [f"{base}{person.place}/"], set()
    while waiting:
        address = waiting.pop(0)
        kind = IDS.sub("", address)
        if kind in known or FILES.search(address):
            continue
        known.add(kind)
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, (address, answer.status)
        if page.url.endswith("/admin/verify"):
            proves(stage, page, person)
        yield address
        links = page.locator("a[href]").evaluate_all("all => all.map(one => one.href)")
        waiting += [link for link in links if link.startswith(f"{base}/admin/")]


def proves(stage: Stage, page: Page, person: Administrator) -> None:
    page.get_by_role("button", name="Use your second factor").click()
    page.get_by_label("Six-digit code").fill(stage.code(person.phone))
    page.get_by_role("button", name="Confirm code").click()
    stage.clock.advance(30)


def test_signing_in_by_keyboard_alone(stage: Stage) -> None:
    nadia = stage.harbor.administrator(signed_in=False)
    stage.clock.advance(30)
    page = stage.opens_browser()
    page.goto(f"{stage.harbor.base_url}{nadia.place}/administrators")
    page.get_by_label("Email address").focus()
    page.keyboard.type(nadia.email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Six-digit code")).to_be_focused()
    page.keyboard.type(stage.code(nadia.phone))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Administrators")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_the_menu_opens_on_a_phone_without_script(stage: Stage) -> None:
    nadia = stage.harbor.administrator()
    page = stage.opens_browser(java_script_enabled=False)
    enters(stage, page, nadia)
    page.goto(f"{stage.harbor.base_url}{nadia.place}/administrators")
    expect(page.get_by_role("link", name="Your profile")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Your profile").click()
    expect(page.get_by_role("heading", name="Your profile")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@BOTH_DATABASES
@pytest.mark.parametrize("role", list(Role))
def test_each_role_comes_through_each_page_that_is_offered(stage: Stage, role: Role) -> None:
    """No link that is shown leads to a refusal, an error, or a page wider than the screen."""
    furnish(stage)
    person = stage.harbor.administrator(role)
    page = stage.opens_browser()
    enters(stage, page, person)
    seen = 0
    for address in walk(stage, page, person):
        assert page.locator("h1").count() == 1, address
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (address, wide)
        seen += 1
    assert (
        seen >= {Role.OWNER: 30, Role.ADMINISTRATOR: 25, Role.HELPDESK: 6, Role.AUDITOR: 12}[role]
    )


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_axe_finds_nothing(stage: Stage, width: int, scheme: str) -> None:
    furnish(stage)
    nadia = stage.harbor.administrator()
    page = stage.opens_browser(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    enters(stage, page, nadia)
    told = []
    for address in walk(stage, page, nadia):
        for one in Axe().run(page).response["violations"]:
            told.append((address, one["id"], [node["target"] for node in one["nodes"]][:3]))
    assert told == []
