"""A magic link in a real browser, in each language: followed, waited for, and told as a code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.actors import keep_secret
from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser
EMAIL = "ada@harbor.example"


@dataclass(frozen=True)
class Words:
    """What the pages say in one language."""

    locale: str
    sign_in: str
    go_on: str
    wait: str
    confirm: str
    elsewhere: str
    empty: str
    short: str
    wrong: str
    tries: str
    failed: str
    used: str
    over: str


WORDS = [
    Words(
        locale="en",
        sign_in="Sign in to Harbor Notes",
        go_on="Continue to Harbor Notes",
        wait="Check your email",
        confirm="Confirm code",
        elsewhere="Type this code where you asked to sign in",
        empty="Type the code that the other browser shows.",
        short="The code has 6 letters and digits. Type all of them.",
        wrong="That code is not right. Check each letter and digit.",
        tries="4 tries left before this page closes.",
        failed="Too many wrong codes",
        used="This link was already used",
        over="This link no longer works",
    ),
    Words(
        locale="fr",
        sign_in="Se connecter à Harbor Notes",
        go_on="Continuer vers Harbor Notes",
        wait="Consultez vos e-mails",
        confirm="Confirmer le code",
        elsewhere="Saisissez ce code là où vous avez demandé à vous connecter",
        empty="Saisissez le code que l’autre navigateur affiche.",
        short="Le code a 6 lettres et chiffres. Saisissez-les tous.",
        wrong="Ce code n’est pas le bon. Vérifiez chaque lettre et chaque chiffre.",
        tries="Encore 4 essais avant la fermeture de cette page.",
        failed="Trop de codes erronés",
        used="Ce lien a déjà été utilisé",
        over="Ce lien ne fonctionne plus",
    ),
]


@dataclass
class Walk:
    """Ada, whose mailbox got a link, before the browser in which she asked for it."""

    stage: Stage
    page: Page
    say: Words

    def asks(self, **more: str) -> dict[str, str]:
        harbor = self.stage.harbor
        asked = harbor.backend.asks_link(
            EMAIL, harbor.notes.redirect_uri, org_domain="harbor", **more
        )
        return dict(asked.json)

    def waits(self) -> dict[str, str]:
        asked = self.asks()
        self.page.goto(asked["waiting_url"])
        expect(self.heading(self.say.wait)).to_be_visible()
        return asked

    def follows(self, asked: dict[str, str], page: Page | None = None) -> Page:
        page = page or self.page
        page.goto(asked["magic_link"])
        page.get_by_role("button", name=self.say.go_on).click()
        return page

    def elsewhere(self, asked: dict[str, str]) -> Page:
        return self.follows(asked, self.stage.opens_browser(locale=self.say.locale))

    def submits(self, code: str) -> None:
        self.page.locator("#code").fill(code)
        self.page.get_by_role("button", name=self.say.confirm).click()

    def is_told(self, sentence: str) -> None:
        expect(self.page.locator("#code-error")).to_contain_text(sentence)

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name)

    def is_back(self, page: Page | None = None) -> None:
        expect((page or self.page).get_by_role("heading", name="Back at the notes")).to_be_visible()


@pytest.fixture(params=WORDS, ids=lambda words: words.locale)
def walk(request: pytest.FixtureRequest, stage: Stage) -> Walk:
    say: Words = request.param
    return Walk(stage, stage.opens_browser(locale=say.locale), say)


def code_on(page: Page) -> str:
    return keep_secret(page.locator(".told strong").inner_text())


def test_a_link_is_followed(walk: Walk) -> None:
    asked = walk.asks(state="a b&c")
    walk.page.goto(asked["magic_link"])
    expect(walk.page.locator("html")).to_have_attribute("lang", walk.say.locale)
    expect(walk.heading(walk.say.sign_in)).to_be_visible()
    walk.page.get_by_role("button", name=walk.say.go_on).click()
    walk.is_back()
    received = walk.stage.received[-1]
    assert received["state"] == "a b&c"
    keep_secret(walk.stage.harbor.notes.exchanges(received["code"]).json["result"])
    walk.page.goto(asked["magic_link"])
    walk.page.context.clear_cookies()
    walk.page.goto(asked["magic_link"])
    expect(walk.heading(walk.say.used)).to_be_visible()
    late = walk.asks()
    walk.stage.clock.advance(600)
    walk.page.goto(late["magic_link"])
    expect(walk.heading(walk.say.over)).to_be_visible()


def test_a_link_opened_elsewhere_tells_a_code(walk: Walk) -> None:
    say, asked = walk.say, walk.waits()
    other = walk.elsewhere(asked)
    expect(other.get_by_role("heading", name=say.elsewhere)).to_be_visible()
    walk.submits(" ")
    walk.is_told(say.empty)
    walk.submits("A1")
    walk.is_told(say.short)
    walk.submits("AAA-AAA")
    walk.is_told(say.wrong)
    expect(walk.page.locator("#code-hint")).to_contain_text(say.tries)
    walk.submits(code_on(other).lower())
    walk.is_back()
    assert "code" in walk.stage.received[-1]


def test_five_wrong_codes(walk: Walk) -> None:
    walk.waits()
    for _ in range(5):
        walk.submits("AAA-AAA")
    expect(walk.heading(walk.say.failed)).to_be_visible()


def test_everything_works_without_script(stage: Stage) -> None:
    walk = Walk(stage, stage.opens_browser(java_script_enabled=False), WORDS[0])
    asked = walk.waits()
    other = walk.elsewhere(asked)
    walk.submits(code_on(other))
    walk.is_back()
    walk.follows(walk.waits())
    walk.is_back()
    assert "code" in stage.received[-1]


def test_the_page_that_waits_says_how_it_went_when_the_user_comes_back(stage: Stage) -> None:
    walk = Walk(stage, stage.opens_browser(), WORDS[0])
    asked = walk.waits()
    mailbox = walk.page.context.new_page()
    walk.follows(asked, mailbox)
    walk.is_back(mailbox)
    walk.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(walk.heading("You are confirmed")).to_be_visible()


def test_the_field_is_reached_and_answered_by_keyboard_alone(stage: Stage) -> None:
    walk = Walk(stage, stage.opens_browser(), WORDS[0])
    other = walk.elsewhere(walk.waits())
    for _ in range(6):
        walk.page.keyboard.press("Tab")
        if walk.page.evaluate("document.activeElement.id") == "code":
            break
    walk.page.keyboard.type("AAA-AAA")
    walk.page.keyboard.press("Enter")
    walk.is_told("That code is not right.")
    expect(walk.page.locator("#code")).to_be_focused()
    walk.page.keyboard.type(code_on(other))  # the refused one is selected, so this replaces it
    walk.page.keyboard.press("Enter")
    walk.is_back()


# Each page on its own


def _landing(walk: Walk) -> None:
    walk.page.goto(walk.asks()["magic_link"])


def _waiting(walk: Walk) -> None:
    walk.waits()


def _waiting_error(walk: Walk) -> None:
    walk.waits()
    walk.submits("AAA-AAA")


def _elsewhere(walk: Walk) -> None:
    asked = walk.waits()
    walk.page.context.clear_cookies(name=re.compile("visit"))
    walk.follows(asked)
    expect(walk.page.locator(".told")).to_be_visible()


def _used(walk: Walk) -> None:
    asked = walk.asks()
    walk.follows(asked)
    walk.is_back()
    walk.page.context.clear_cookies()
    walk.page.goto(asked["magic_link"])


def _over(walk: Walk) -> None:
    asked = walk.asks()
    walk.stage.clock.advance(600)
    walk.page.goto(asked["magic_link"])


def _failed(walk: Walk) -> None:
    walk.waits()
    for _ in range(5):
        walk.submits("AAA-AAA")


SCENES = [_landing, _waiting, _waiting_error, _elsewhere, _used, _over, _failed]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__.strip("_"))
def test_a_page_is_accessible_and_fits_small_screens(
    walk: Walk, scene: Callable[[Walk], None]
) -> None:
    scene(walk)
    for scheme in ("light", "dark"):
        walk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(walk.page)
        assert found.violations_count == 0, found.generate_report()
    for width in (320, 390, 1280):
        walk.page.set_viewport_size({"width": width, "height": 700})
        assert walk.page.evaluate("document.documentElement.scrollWidth") <= width
