"""Which language a page speaks: the request's, the user's, the organization's, the browser's."""

from __future__ import annotations

import pytest

from tests.conftest import Harbor

ENGLISH, FRENCH = "Set up a second step", "Ajoutez une deuxième étape"


@pytest.mark.parametrize(
    ("request_", "user", "organization", "browser", "heading"),
    [
        (None, None, None, None, ENGLISH),
        (None, None, None, "fr-CH, en;q=0.5", FRENCH),
        (None, None, "en", "fr", ENGLISH),
        (None, "fr", "en", "en", FRENCH),
        ("en-GB", "fr", "fr", "fr", ENGLISH),
        ("fr_CA", "en", "en", "en", FRENCH),
        ("ja", "fr", "en", "en", FRENCH),
    ],
)
def test_the_first_wish_that_we_speak_is_heard(
    harbor: Harbor,
    request_: str | None,
    user: str | None,
    organization: str | None,
    browser: str | None,
    heading: str,
) -> None:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        person.profile = {"locale": user} if user else {}
        tx.merge(harbor.organization).locale = organization
    visitor = harbor.visits(harbor.ada, locale=request_)
    visitor.goes_to(visitor.path, headers={"Accept-Language": browser} if browser else {})
    assert visitor.page.heading == heading
