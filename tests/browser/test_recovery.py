"""A lost phone, in each language: recovery code, new authenticator, result, and every refusal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from app.services.audit import OPERATOR
from tests.actors import Phone
from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser
WRONG = "AAAA-BBBB-CCCC-DDDD"


@dataclass(frozen=True)
class Words:
    """What the pages say in one language."""

    locale: str
    set_up: str
    confirm: str
    saved: str
    recover: str
    use: str
    label: str
    accepted: str
    left: str
    wrong: str
    used: str
    short: str
    limited: str
    due: str
    wrong_code: str
    used_code: str
    short_code: str
    slow: str
    locked: str
    tries: str
    misplaced: str
    failed: str
    expired: str
    human: str


WORDS = [
    Words(
        locale="en",
        set_up="Set up authenticator app",
        confirm="Confirm code",
        saved="I have saved them",
        recover="Use a recovery code",
        use="Use this code",
        label="Recovery code",
        accepted="Your recovery code was accepted.",
        left="You have 4 codes left.",
        wrong="That is not one of your recovery codes. Check each letter and digit.",
        used="That recovery code was already used. Type another one.",
        short="A recovery code has 16 letters and digits. Type all of them.",
        limited="Only one recovery code can be used in 24 hours. The next one works in 24 h",
        due="A new method is due",
        wrong_code="That code is not right. Type the code that the app shows now.",
        used_code="That code was already used. Type the next one when it appears.",
        short_code="A code has six digits. Type all six that the app shows.",
        slow="Your phone’s clock is about 90 seconds slow. Set it to automatic time",
        locked="There were too many wrong codes. Wait 30 seconds, or try another way now.",
        tries="4 tries left before this page closes.",
        misplaced="That looks like a recovery code.",
        failed="Too many wrong codes",
        expired="This page has expired",
        human="Ask an administrator to check that it’s you.",
    ),
    Words(
        locale="fr",
        set_up="Ajouter l’application d’authentification",
        confirm="Confirmer le code",
        saved="Je les ai enregistrés",
        recover="Utiliser un code de récupération",
        use="Utiliser ce code",
        label="Code de récupération",
        accepted="Votre code de récupération a été accepté.",
        left="Il vous reste 4 codes.",
        wrong="Ce n’est pas un de vos codes de récupération.",
        used="Ce code de récupération a déjà été utilisé. Saisissez-en un autre.",
        short="Un code de récupération a 16 lettres et chiffres. Saisissez-les tous.",
        limited="Un seul code de récupération peut être utilisé en 24 heures.",
        due="Il vous faut une nouvelle méthode",
        wrong_code="Ce code n’est pas le bon. Saisissez le code que l’application affiche",
        used_code="Ce code a déjà été utilisé. Saisissez le suivant dès qu’il apparaît.",
        short_code="Un code a six chiffres. Saisissez les six chiffres affichés par l’application.",
        slow="L’horloge de votre téléphone retarde d’environ 90 secondes.",
        locked="Il y a eu trop de codes erronés. Attendez 30 secondes, ou essayez une autre",
        tries="Encore 4 essais avant la fermeture de cette page.",
        misplaced="Cela ressemble à un code de récupération.",
        failed="Trop de codes erronés",
        expired="Cette page a expiré",
        human="Demandez à un administrateur de vérifier que c’est bien vous.",
    ),
]


@dataclass
class Walk:
    """One user with a phone and saved codes, in front of a browser."""

    stage: Stage
    page: Page
    say: Words
    phone: Phone
    codes: list[str]

    def arrives(self) -> None:
        self.stage.arrives(self.page, locale=self.say.locale)

    def submits(self, answer: str, button: str) -> None:
        self.page.locator("#code").fill(answer)
        self.page.get_by_role("button", name=button).click()

    def is_told(self, sentence: str) -> None:
        expect(self.page.locator("#code-error")).to_contain_text(sentence)

    def recovers(self) -> None:
        self.arrives()
        self.page.get_by_role("link", name=self.say.recover).click()


@pytest.fixture(params=WORDS, ids=lambda words: words.locale)
def walk(request: pytest.FixtureRequest, stage: Stage) -> Walk:
    say: Words = request.param
    page = stage.opens_browser()
    stage.arrives(page, locale=say.locale)
    expect(page.locator("html")).to_have_attribute("lang", say.locale)
    page.get_by_role("button", name=say.set_up).click()
    phone = Phone(page.locator("a[href^=otpauth]").get_attribute("href") or "")
    page.locator("#code").fill(stage.code(phone))
    page.get_by_role("button", name=say.confirm).click()
    codes = page.locator("#codes").input_value().split()
    page.get_by_role("button", name=say.saved).click()
    stage.clock.advance(30)
    return Walk(stage, page, say, phone, codes)


def test_a_lost_phone_is_replaced(walk: Walk) -> None:
    walk.recovers()
    walk.submits(walk.codes[0].lower(), walk.say.use)
    alert = walk.page.get_by_role("status")
    expect(alert).to_contain_text(walk.say.accepted)
    expect(alert).to_contain_text(walk.say.left)
    phone = Phone(walk.page.locator("a[href^=otpauth]").get_attribute("href") or "")
    walk.submits(walk.stage.code(phone), walk.say.confirm)
    expect(walk.page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    claims = walk.stage.harbor.notes.checks(walk.stage.received[-1]["result"])
    assert claims["recovery_code_used"] is True
    assert claims["status"] == "verified"


def test_every_refusal_of_a_recovery_code(walk: Walk) -> None:
    say = walk.say
    walk.recovers()
    walk.submits("AAAA", say.use)
    walk.is_told(say.short)
    walk.submits(WRONG, say.use)
    walk.is_told(say.wrong)
    expect(walk.page.locator("#code-hint")).to_contain_text(say.tries)
    walk.submits(walk.codes[0], say.use)
    walk.arrives()  # leaves before the new authenticator is confirmed
    expect(walk.page.get_by_role("heading", name=say.due)).to_be_visible()
    address = walk.page.url.replace("/due", "/recover")
    walk.page.goto(address)
    walk.is_told(say.limited)
    walk.stage.clock.advance(24 * 3600)
    walk.recovers()
    walk.submits(walk.codes[0], say.use)
    walk.is_told(say.used)
    _let_a_human_be_needed(walk)
    walk.arrives()
    expect(walk.page.get_by_role("link", name=say.recover)).to_have_count(0)
    walk.page.goto(walk.page.url.replace("/due", "/recover"))
    walk.is_told(say.human)


def test_every_refusal_of_a_code(walk: Walk) -> None:
    say, code = walk.say, walk.stage.code
    walk.arrives()
    walk.submits("12", say.confirm)
    walk.is_told(say.short_code)
    walk.submits(walk.codes[0], say.confirm)
    walk.is_told(say.misplaced)
    walk.submits("000000", say.confirm)
    walk.is_told(say.wrong_code)
    walk.submits(code(walk.phone, -1), say.confirm)
    walk.is_told(say.used_code)
    walk.submits(code(walk.phone, -3), say.confirm)
    walk.is_told(say.slow)
    walk.submits("000000", say.confirm)
    walk.submits("000000", say.confirm)
    expect(walk.page.get_by_role("heading", name=say.failed)).to_be_visible()
    walk.arrives()
    walk.is_told(say.locked)
    walk.stage.clock.advance(16 * 60)
    walk.page.reload()
    expect(walk.page.get_by_role("heading", name=say.expired)).to_be_visible()


def _let_a_human_be_needed(walk: Walk) -> None:
    """Make the count of re-enrollments what five rounds make it (they stand in another test)."""
    services, harbor = walk.stage.harbor.services, walk.stage.harbor
    with services.database.writing() as tx:
        person = services.directory.find(tx, harbor.organization, harbor.ada)
        services.enrollment.approve(tx, OPERATOR, harbor.organization, person)
        person.reenrollments, person.reenrollment_approved = 5, False
