"""Pages before the admin area, and answers to forms that lack something: what axe says of each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.models import Environment
from tests.actors import keep_secret
from tests.browser.conftest import Stage
from tests.browser.test_admin import enters
from tests.conftest import PASSWORD
from tests.web.admin.furniture import furnish
from tests.web.admin.test_walk import pier

pytestmark = pytest.mark.browser

SCREENS: list[tuple[int, Literal["light", "dark"]]] = [(390, "light"), (1280, "dark")]


@dataclass
class Judge:
    """Looks at pages with axe, small and light, wide and dark; and that none is too wide."""

    page: Page
    again: dict[str, list[str]] = field(default_factory=dict)
    """What axe is asked on the second screen, where only colours and places differ."""
    told: list[tuple[str, int, str, list[str]]] = field(default_factory=list)

    def looks(self, name: str) -> None:
        for (width, scheme), options in zip(SCREENS, ({}, self.again), strict=True):
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for one in Axe().run(self.page, options=options).response["violations"]:
                where = [str(node["target"]) for node in one["nodes"]][:3]
                self.told.append((name, width, one["id"], where))
            if self.page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
                self.told.append((name, width, "too wide", []))


def invitation(stage: Stage) -> str:
    """Have somebody invited, and return the link."""
    owner = stage.harbor.administrator(email=f"{uuid.uuid4()}@harbor.example")
    owner.at("/administrators/invite")
    owner.browser.submits(1, email="bo@harbor.example", role="auditor")
    link = next(word for word in owner.text.split() if "/admin/invitation" in word)
    keep_secret(link.partition("=")[2])
    return link


def test_axe_finds_nothing_on_the_way_in(stage: Stage) -> None:
    nadia = stage.harbor.administrator(signed_in=False)
    stage.harbor.administrator(
        email=nadia.email, signed_in=False, organization=pier(stage.harbor, Environment.PRODUCTION)
    )
    stage.clock.advance(30)
    eye = Judge(stage.opens_browser())
    page, base = eye.page, stage.harbor.base_url
    page.goto(f"{base}/admin/")
    eye.looks("sign-in")
    for password in ("not this one", PASSWORD):
        page.get_by_label("Email address").fill(nadia.email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Continue to the second step").click()
        eye.looks("wrong password" if password != PASSWORD else "second factor")
    for code in ("000000", stage.code(nadia.phone)):
        page.get_by_label("Six-digit code").fill(code)
        page.get_by_role("button", name="Confirm code").click()
        eye.looks("wrong code" if code == "000000" else "chooser of organizations")
    expect(page.get_by_role("heading", name="Organizations")).to_be_visible()
    stage.clock.advance(11 * 60)
    page.goto(f"{base}{nadia.place}/methods/switch-off")
    expect(page.get_by_role("heading", name="Confirm it’s you")).to_be_visible()
    eye.looks("fresh verification")
    page.get_by_role("link", name="Leave it as it is").click()
    page.goto(f"{base}/admin/sign-in/back?error=cancelled")
    eye.looks("went back")
    page.goto(f"{base}/admin/sign-in/back?session_id=none&result=none")
    eye.looks("sign-in over")
    assert eye.told == []


def test_axe_finds_nothing_on_an_invitation(stage: Stage) -> None:
    eye = Judge(stage.opens_browser())
    page, link = eye.page, invitation(stage)
    page.goto(link)
    eye.looks("invitation")
    for password in ("password1234", keep_secret("seven grey herons on a pontoon")):
        page.get_by_label("Your name").fill("Bo Ek")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Continue to the second factor").click()
        eye.looks("common password" if password == "password1234" else "first method")
    expect(page.get_by_role("button", name="Set up a passkey")).to_be_visible()
    page.goto(link)
    eye.looks("invitation over")
    assert eye.told == []


ANSWERS = {
    "/users/new": {"#email": "nobody", "#phone_number": "0612"},
    "/users/{user_id}/edit": {"#email": ""},
    "/users/{user_id}/bypass-code": {},
    "/users/{user_id}/reset": {},
    "/users/{user_id}/delete": {"#email": "somebody@else.example"},
    "/users/imports/new": {},
    "/administrators/invite": {"#email": "nobody"},
    "/applications/new": {"#redirect_uris": "http://elsewhere.example\nhttps://ok.example/"},
    "/applications/{client_id}/try": {"#email": "nobody"},
    "/api-keys/new": {},
    "/webhooks/new": {"#target_url": "http://elsewhere.example"},
    "/audit/retention": {"#days": "1"},
    "/branding": {"#colour": "teal", "#en_link": "javascript:alert(1)"},
    "/methods": {"#period": "often"},
    "/policy/applications/new": {"#required_from": ""},
    "/messages/limits": {"#monthly_budget": "many"},
    "/messages/texts/sms/en": {"#text": "No code at all"},
    "/messages/providers/new/smtp": {},
    "/messages/risk/accept": {},
    "/admin/profile/password": {"#current": "not this one"},
}
"""Forms, and what is typed that can't be."""


CHOSEN = {
    "/policy/applications/new": "Required from a date",
    "/audit/retention": "For a number of days",
}
"""What has to be chosen before there is something to type."""


def spoiled(stage: Stage, page: Page, place: str) -> Iterator[str]:
    """Send each form with what can't be, past what the browser would say, and yield its address."""
    ids = furnish(stage.harbor)
    for path, fields in ANSWERS.items():
        path = path.format(**ids)
        page.goto(stage.harbor.base_url + (path if path.startswith("/admin/") else place + path))
        assert page.locator("main form[method]").count(), (path, page.title())
        if path in CHOSEN:
            page.get_by_label(CHOSEN[path]).check()
        for selector, typed in fields.items():
            page.locator(selector).fill(typed)
        page.locator("main form[method]").first.evaluate("form => { form.noValidate = true }")
        with page.expect_response(lambda answer: answer.request.is_navigation_request()) as answer:
            page.locator("main form:not([role=search]) button[type=submit]").last.click()
        assert answer.value.status == 422, (path, answer.value.status)
        yield path


def test_axe_finds_nothing_on_answers_to_forms(stage: Stage) -> None:
    nadia = stage.harbor.administrator()
    eye = Judge(stage.opens_browser(), again={"runOnly": ["color-contrast", "target-size"]})
    enters(stage, eye.page, nadia)
    for path in spoiled(stage, eye.page, nadia.place):
        assert eye.page.title().startswith("Error: "), path
        assert eye.page.locator(".error").first.is_visible(), path
        eye.looks(path)
    assert eye.told == []
