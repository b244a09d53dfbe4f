"""An administrator's own page."""

from __future__ import annotations

import sqlalchemy as sa

from app.models import Message, Role
from tests.conftest import PASSWORD, Harbor

WORDS = "seven grey herons on a pontoon"


def test_sessions_are_listed_and_each_can_be_ended(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    phone = harbor.administrator(Role.AUDITOR, "eve@harbor.example", signed_in=False)
    phone.email, phone.phone = nadia.email, nadia.phone
    phone.signs_in()
    nadia.browser.goes_to("/admin/profile")
    assert nadia.text.count("last seen") == 2
    form = next(
        number for number, form in enumerate(nadia.page.forms) if form["action"].endswith("/end")
    )
    nadia.browser.submits(form)
    assert nadia.text.count("last seen") == 1
    phone.browser.goes_to("/admin/profile")
    assert phone.browser.path == "/admin/sign-in"
    nadia.browser.goes_to("/admin/profile")
    assert nadia.browser.path == "/admin/profile"


def test_nobody_ends_the_session_of_somebody_else(harbor: Harbor) -> None:
    """F79."""
    from app.models import AdministratorSession

    nadia, eve = harbor.administrator(), harbor.administrator(Role.AUDITOR)
    [(theirs,)] = harbor.rows(
        sa.select(AdministratorSession.id).order_by(AdministratorSession.created_at).limit(1)
    )
    eve.browser.goes_to("/admin/profile")
    data = {"csrf_token": eve.browser.form_token}
    eve.browser.goes_to(f"/admin/profile/sessions/{theirs}/end", "POST", data=data)
    nadia.browser.goes_to("/admin/profile")
    assert nadia.browser.path == "/admin/profile"


def test_a_new_password_ends_every_session_and_is_told(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    other = harbor.administrator(Role.AUDITOR, "eve@harbor.example", signed_in=False)
    other.email, other.phone = nadia.email, nadia.phone
    other.signs_in()
    harbor.clock.advance(30)
    nadia.browser.goes_to("/admin/profile/password")
    nadia.browser.submits(1, current=PASSWORD, password=WORDS)
    nadia.proves()
    assert nadia.browser.path == "/admin/profile/password"
    other.browser.goes_to("/admin/profile")
    assert other.browser.path == "/admin/sign-in"
    assert ("password_changed", nadia.email) in harbor.rows(
        sa.select(Message.name, Message.recipient)
    )
    fresh = harbor.browser()
    fresh.goes_to("/admin/sign-in")
    assert fresh.submits(email=nadia.email, password=PASSWORD).status == 422
    assert fresh.submits(email=nadia.email, password=WORDS).status == 200


def test_the_old_password_is_asked_for_and_counted(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.browser.goes_to("/admin/profile/password")
    reply = nadia.browser.submits(1, current="not it at all", password=WORDS)
    assert reply.status == 422
    assert "That is not your password" in nadia.text
    for _ in range(5):
        nadia.browser.submits(1, current="not it at all", password=WORDS)
    assert nadia.browser.submits(1, current=PASSWORD, password=WORDS).status == 422


def test_a_common_new_password_is_refused_at_its_field(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.browser.goes_to("/admin/profile/password")
    reply = nadia.browser.submits(1, current=PASSWORD, password="password123456")
    assert reply.status == 422
    assert "soon guessed" in nadia.text


def test_another_method_is_added_on_the_hosted_pages(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.browser.goes_to("/admin/profile")
    number = next(
        n for n, form in enumerate(nadia.page.forms) if form["action"].endswith("/add-method")
    )
    nadia.browser.submits(number)
    nadia.proves()
    second = nadia.browser.sets_up()
    nadia.browser.types(second.code(harbor.clock.now()))
    assert nadia.browser.path == "/admin/sandbox/harbor/"
    nadia.browser.goes_to("/admin/profile")
    assert nadia.text.count("Authenticator app") == 2
