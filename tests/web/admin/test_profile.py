"""An administrator's own page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from app.models import Environment, Event, Message, Role
from app.services.audit import OPERATOR
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


def test_a_new_password_wants_a_fresh_second_factor(harbor: Harbor) -> None:
    """Whoever knows the password gets no further at a browser that was left open."""
    nadia = harbor.administrator()
    nadia.browser.goes_to("/admin/profile/password")
    form = nadia.page.forms[1]["fields"]
    harbor.clock.advance(30 * 60)
    data = {**form, "current": PASSWORD, "password": WORDS}
    nadia.browser.goes_to("/admin/profile/password", "POST", data=data)
    assert nadia.browser.path == "/admin/verify"
    nadia.browser.goes_to("/admin/profile/password")
    assert nadia.browser.path == "/admin/verify"
    assert harbor.rows(sa.select(Event.id).where(Event.kind.endswith("password_changed"))) == []


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


def on_record(harbor: Harbor, kind: str) -> list[tuple[str | None, str | None, dict[str, Any]]]:
    """Return what Harbor's own record says of a kind: who did it, from where, and the detail."""
    mine = sa.select(Event).where(
        Event.organization_id == harbor.organization.id, Event.kind == kind
    )
    return [
        (event.actor_label, event.address, event.detail)
        for (event,) in harbor.rows(mine.order_by(Event.id))
    ]


def test_signing_every_other_browser_out_is_recorded(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    others = [harbor.browser(), harbor.browser()]
    for browser in others:
        harbor.clock.advance(30)
        replace(nadia, browser=browser).signs_in()
    nadia.browser.goes_to("/admin/profile")
    form = next(n for n, form in enumerate(nadia.page.forms) if "end-others" in form["action"])
    nadia.browser.submits(form)
    assert "Every other browser was signed out." in nadia.text
    assert nadia.text.count("last seen") == 1
    for browser in others:
        browser.goes_to("/admin/profile")
        assert browser.path == "/admin/sign-in"
    kind = "administrator:signed_out_elsewhere"
    assert on_record(harbor, kind) == [(nadia.email, "127.0.0.1", {"sessions": 2, "role": "owner"})]
    nadia.at("/audit?kind=administrator%3Asigned_out_elsewhere")
    assert "Administrator signed out every other browser: 2 of them" in nadia.text
    nadia.browser.goes_to("/admin/profile")
    nadia.browser.goes_to(
        "/admin/profile/sessions/end-others",
        "POST",
        data={"csrf_token": nadia.browser.form_token},
    )
    assert "No other browser was signed in." in nadia.text
    assert len(on_record(harbor, kind)) == 1


def test_what_administrators_do_to_their_own_access_is_on_record_where_they_work(
    harbor: Harbor,
) -> None:
    """In each organization that they run, and in no other."""
    nadia = harbor.administrator()
    before = len(on_record(harbor, "administrator:signed_in"))
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    harbor.administrator(email="eve@pier.example", organization=pier, signed_in=False)
    nadia.browser.goes_to("/admin/profile")
    form = next(n for n, form in enumerate(nadia.page.forms) if form["action"].endswith("/name"))
    for _ in range(2):  # the same name again is no change
        nadia.browser.submits(form, name="Nadia Haddad")
    stranger = harbor.browser()
    stranger.goes_to("/admin/sign-in")
    for email in (nadia.email, "nobody@harbor.example"):
        stranger.submits(email=email, password="not the password")
    nadia.browser.goes_to("/admin/profile/password")
    nadia.browser.submits(1, current=PASSWORD, password=WORDS)
    harbor.clock.advance(30)
    nadia.proves()
    nadia.browser.goes_to("/admin/profile")
    nadia.browser.submits(0)  # signs out
    assert on_record(harbor, "administrator:renamed") == [
        (nadia.email, "127.0.0.1", {"name": "Nadia Haddad", "role": "owner"})
    ]
    assert on_record(harbor, "administrator:password_refused") == [
        (None, "127.0.0.1", {"email": nadia.email, "judged": True, "role": "owner"})
    ]
    for kind in ("password_changed", "signed_out"):
        [(by, _, _)] = on_record(harbor, f"administrator:{kind}")
        assert by == nadia.email, kind
    assert len(on_record(harbor, "administrator:signed_in")) == before + 1
    kinds = sa.select(Event.kind).where(Event.organization_id == pier.id)
    assert {kind for (kind,) in harbor.rows(kinds)} == {
        "organization:created",
        "administrator:appointed",
    }


def test_guesses_that_have_to_wait_do_not_fill_the_record_of_an_organization(
    harbor: Harbor,
) -> None:
    nadia = harbor.administrator(signed_in=False)
    stranger = harbor.browser()
    stranger.goes_to("/admin/sign-in")
    for _ in range(8):
        stranger.submits(email=nadia.email, password="not the password")
    assert len(on_record(harbor, "administrator:password_refused")) == 5
