"""The numbers that pages tell: those of the authenticator and the codes at hand."""

from __future__ import annotations

from typing import Any

import pytest

from app.services.audit import OPERATOR
from tests.conftest import Harbor

UNUSUAL = {"digits": 8, "period": 60, "recovery_codes": 7, "recovery_code_length": 20}


def sets(harbor: Harbor, **settings: Any) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, **settings)


@pytest.mark.parametrize(
    ("locale", "every", "digits", "label", "short", "empty"),
    [
        (
            "en",
            "a new code every 60 seconds.",
            "Eight digits.",
            "Eight-digit code",
            "A code has eight digits. Type all eight that the app shows.",
            "Type the eight digits that the app shows.",
        ),
        (
            "fr",
            "un nouveau code toutes les 60 secondes.",
            "Huit chiffres.",
            "Code à huit chiffres",
            "Un code a huit chiffres. Saisissez les huit chiffres affichés par l’application.",
            "Saisissez les huit chiffres affichés par l’application.",
        ),
    ],
)
def test_a_page_tells_how_many_digits_a_code_has_and_how_often_it_changes(
    harbor: Harbor, locale: str, every: str, digits: str, label: str, short: str, empty: str
) -> None:
    sets(harbor, **UNUSUAL)
    browser = harbor.visits(harbor.ada, locale=locale)
    phone = browser.sets_up()
    assert every in browser.page.text
    assert digits in browser.page.text
    browser.types("12")
    assert short in browser.page.text
    browser.types(harbor.code(phone))
    browser.saves_codes()
    harbor.clock.advance(60)
    sets(harbor, digits=6, period=30)  # what is there stays as it is
    browser = harbor.visits(harbor.ada, locale=locale)
    assert label in browser.page.text
    browser.types("12")
    assert short in browser.page.text
    browser.types(" ")
    assert empty in browser.page.text
    browser.types(harbor.code(phone))
    assert "result" in browser.back


@pytest.mark.parametrize(
    ("locale", "short"),
    [
        ("en", "A recovery code has 20 letters and digits. Type all of them."),
        ("fr", "Un code de récupération a 20 lettres et chiffres. Saisissez-les tous."),
    ],
)
def test_a_page_tells_how_long_the_recovery_codes_are_that_the_user_has(
    harbor: Harbor, locale: str, short: str
) -> None:
    sets(harbor, **UNUSUAL)
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    assert browser.page.attribute("textarea", "rows") == "7"
    assert browser.page.attribute("textarea", "cols") == "24"
    assert {len(code) for code in browser.saves_codes()} == {24}  # with its hyphens
    sets(harbor, recovery_code_length=32)  # for the next set of codes
    browser = harbor.visits(harbor.ada, locale=locale)
    browser.goes_to(browser.address("recover"))
    browser.types("AAAA-BBBB")
    assert short in browser.page.text


def test_seven_digits_are_told_as_seven(harbor: Harbor) -> None:
    sets(harbor, digits=7)
    browser = harbor.visits(harbor.ada)
    browser.sets_up()
    assert "Seven digits." in browser.page.text
