"""Forms whose answer shows a secret once: sent again, they make nothing and undo nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.db import Base
from app.models import (
    AdministratorRole,
    ApiKey,
    Application,
    BypassCode,
    EnrollmentInvitation,
    Invitation,
    Message,
    Role,
    SentForm,
    Webhook,
)
from tests.actors import Administrator, Browser, keep_secret
from tests.conftest import Harbor

FORMS: dict[str, tuple[str, type[Base], dict[str, str]]] = {
    "bypass code": (
        "/users/{ada}/bypass-code",
        BypassCode,
        {"reason": "Called from the known number", "minutes": "30"},
    ),
    "invitation to enroll": ("/users/{ada}/invite", EnrollmentInvitation, {}),
    "invitation": (
        "/administrators/invite",
        Invitation,
        {"email": "bo@harbor.example", "role": "auditor"},
    ),
    "new password": ("/administrators/{other}/start-over", Invitation, {}),
    "application": (
        "/applications/new",
        Application,
        {"name": "Harbor Logs", "redirect_uris": "https://logs.example/back"},
    ),
    "webhook": (
        "/webhooks/new",
        Webhook,
        {"name": "Log", "target_url": "https://93.184.216.34/hook", "reach": "*"},
    ),
    "API key": ("/api-keys/new", ApiKey, {"name": "Nightly", "reach": "everything"}),
}


def opened(harbor: Harbor, nadia: Administrator, path: str) -> dict[str, str]:
    """Open the page with the form, and return what it would send as it stands."""
    others = sa.select(AdministratorRole.administrator_id).where(
        AdministratorRole.role == Role.AUDITOR
    )
    if not harbor.rows(others):
        harbor.administrator(Role.AUDITOR, signed_in=False)
    nadia.at(path.format(ada=harbor.ada, other=harbor.rows(others)[0][0]))
    fields = {**nadia.page.forms[-1]["fields"]}
    if "/invite" in path and "users" in path:
        fields["client_id"] = harbor.notes.client_id
    return fields


def rows(harbor: Harbor, model: type[Base]) -> list[str]:
    return sorted(map(repr, harbor.rows(sa.select(*model.__table__.columns))))


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_sent_again_makes_nothing_more(harbor: Harbor, form: str) -> None:
    """A reload of the page with a secret must not put that secret out of use."""
    path, model, typed = FORMS[form]
    nadia = harbor.administrator()
    fields = {**opened(harbor, nadia, path), **typed}
    nadia.browser.goes_to(nadia.browser.path, "POST", data=fields)
    assert nadia.status == 200, nadia.text
    assert "shown only now" in nadia.text
    made, told = rows(harbor, model), rows(harbor, Message)
    nadia.browser.goes_to(nadia.browser.path, "POST", data=fields)
    assert nadia.status == 409, nadia.text
    assert "This form was sent before, and did what it says." in nadia.text
    assert rows(harbor, model) == made
    assert rows(harbor, Message) == told
    again = {**opened(harbor, nadia, path), **typed}
    nadia.browser.goes_to(nadia.browser.path, "POST", data=again)
    assert nadia.status == 200, nadia.text  # from a fresh page it counts
    assert rows(harbor, model) != made


def test_what_was_wrong_in_a_form_can_be_mended_in_it(harbor: Harbor) -> None:
    path, model, typed = FORMS["application"]
    nadia = harbor.administrator()
    fields = {**opened(harbor, nadia, path), **typed}
    nadia.browser.goes_to(nadia.browser.path, "POST", data={**fields, "name": "\0"})
    assert nadia.status == 422
    assert nadia.page.forms[-1]["fields"]["once"] == fields["once"]
    before = len(rows(harbor, model))
    nadia.browser.submits(len(nadia.page.forms) - 1, **typed)
    assert nadia.status == 200
    assert len(rows(harbor, model)) == before + 1


def test_a_name_that_a_form_never_had_is_told(harbor: Harbor) -> None:
    path, model, typed = FORMS["API key"]
    nadia = harbor.administrator()
    fields = {**opened(harbor, nadia, path), **typed, "once": "' or 1=1 --"}
    before = rows(harbor, model)
    nadia.browser.goes_to(nadia.browser.path, "POST", data=fields)
    assert nadia.status == 422
    assert "open the page with the form again" in nadia.text
    assert rows(harbor, model) == before


def test_forms_are_forgotten_when_no_session_can_send_them_any_more(harbor: Harbor) -> None:
    path, _, typed = FORMS["API key"]
    for email in ("nadia@harbor.example", "noah@harbor.example"):
        nadia = harbor.administrator(email=email)
        fields = {**opened(harbor, nadia, path), **typed}
        nadia.browser.goes_to(nadia.browser.path, "POST", data=fields)
        assert nadia.status == 200
        assert len(rows(harbor, SentForm)) == 1
        harbor.clock.advance(12 * 3600)


def test_of_many_at_once_one_makes_something(live_harbor: Harbor) -> None:
    harbor = live_harbor
    harbor.clock.moment = SystemClock().now()  # the servers have the real time
    path, model, typed = FORMS["bypass code"]
    nadia = harbor.administrator(signed_in=False)
    harbor.clock.advance(30)
    nadia.signs_in()
    fields = {**opened(harbor, nadia, path), **typed}
    windows = [
        Browser(nadia.browser.wire, nadia.browser.base_url, dict(nadia.browser.cookies))
        for _ in range(6)
    ]
    address = nadia.browser.path
    with ThreadPoolExecutor(6) as pool:
        replies = list(
            pool.map(lambda one: one.goes_to(address, "POST", data=fields).status, windows)
        )
    assert sorted(replies) == [200, 409, 409, 409, 409, 409]
    assert len(rows(harbor, model)) == 1
    for window in windows:
        if window.reply.status == 200:
            code = next(words for words in window.page.words if len(words) == 11 and "-" in words)
            keep_secret(code)
