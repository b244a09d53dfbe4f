"""A suspended user: no door lets the user in, whatever was begun before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from app.models import BypassCode, EnrollmentInvitation, Event, Message, User, Verification
from app.services.audit import Actor
from tests.actors import Browser, Phone, Reply
from tests.conftest import REDIRECT_URI, Harbor
from tests.web.gateway.test_bypass import gives
from tests.web.gateway.test_enrollment_invitations import invites, opens

ADMIN = Actor(name="administrator:1", label="nadia@harbor.example", address="192.0.2.1")
EMAIL = "ada@harbor.example"


def suspends(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.user_care.suspend(
            tx, ADMIN, harbor.organization, person, why="Laptop stolen."
        )


def lifts(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.user_care.lift(tx, ADMIN, harbor.organization, person, why="Laptop found.")


# The doors for programs: each is tried with a user who would be let in


def enroll_path(harbor: Harbor) -> str:
    return f"/org/{harbor.organization.domain}/totp-enrollment"


def challenge_path(harbor: Harbor) -> str:
    return f"/org/{harbor.organization.domain}/totp-challenge"


DOORS: dict[str, Callable[[Harbor, Phone], Reply]] = {
    "an application opens a session": lambda harbor, _: harbor.notes.asks(harbor.ada),
    "an application opens one to enroll": lambda harbor, _: harbor.notes.asks(
        harbor.ada, intent="enroll"
    ),
    "a backend forces an enrollment in a session": lambda harbor, _: harbor.backend.calls(
        "POST",
        "/org/harbor/gateway-sessions",
        json={
            "user_id": harbor.ada,
            "client_id": harbor.notes.client_id,
            "redirect_uri": REDIRECT_URI,
            "force_enroll": True,
        },
    ),
    "a backend enrolls": lambda harbor, _: harbor.backend.calls(
        "POST", enroll_path(harbor), json={"user_id": harbor.ada, "force_enroll": True}
    ),
    "a backend enrolls the user of the address": lambda harbor, _: harbor.backend.calls(
        "POST", f"{enroll_path(harbor)}/{harbor.ada}", json={"force_enroll": True}
    ),
    "a backend confirms an enrollment": lambda harbor, phone: harbor.backend.calls(
        "PUT",
        f"{enroll_path(harbor)}/validation/{harbor.ada}",
        json={"code": harbor.code(phone)},
    ),
    "a backend poses a challenge": lambda harbor, _: harbor.backend.calls(
        "POST", f"{challenge_path(harbor)}/{harbor.ada}"
    ),
    "a backend brings a right code": lambda harbor, phone: harbor.backend.calls(
        "POST",
        f"{challenge_path(harbor)}/validation/{harbor.ada}",
        json={"code": harbor.code(phone)},
    ),
    "a backend asks for a magic link": lambda harbor, _: harbor.backend.asks_link(
        EMAIL, REDIRECT_URI, org_domain="harbor"
    ),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_no_door_lets_a_suspended_user_in(
    harbor: Harbor, door: Callable[[Harbor, Phone], Reply]
) -> None:
    phone = harbor.enrolls()
    suspends(harbor)
    before = len(harbor.rows(sa.select(Verification.id)))
    reply = door(harbor, phone)
    assert (reply.status, reply.error) == (422, "user_suspended")
    assert len(harbor.rows(sa.select(Verification.id))) == before
    lifts(harbor)
    again = door(harbor, phone)
    assert again.text.find("user_suspended") < 0


# What was begun before


def test_a_result_that_was_not_picked_up_is_refused(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    browser.types(harbor.code(phone))
    result = browser.back["result"]
    suspends(harbor)
    reply = harbor.notes.redeems(opened["id"], result)
    assert (reply.status, reply.error) == (422, "user_suspended")
    browser.goes_to(browser.address("return"))
    assert "result" not in browser.back
    assert browser.back["error_description"] == "An administrator suspended the user."
    lifts(harbor)
    assert harbor.notes.redeems(opened["id"], result).status == 200


def test_the_code_of_a_magic_link_is_not_exchanged(harbor: Harbor) -> None:
    asked = harbor.backend.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor").json
    browser = opens(harbor, asked["magic_link"])
    browser.submits()
    code = browser.back["code"]
    suspends(harbor)
    reply = harbor.notes.exchanges(code)
    assert (reply.status, reply.error) == (422, "user_suspended")


def test_a_magic_link_that_is_under_way_leads_nowhere(harbor: Harbor) -> None:
    asked = harbor.backend.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor").json
    landed, waiting = opens(harbor, asked["magic_link"]), opens(harbor, asked["waiting_url"])
    suspends(harbor)
    assert opens(harbor, asked["magic_link"]).reply.status == 410
    landed.submits()
    assert landed.reply.status == 410
    waiting.goes_to(waiting.path)
    assert waiting.path.endswith("/blocked")
    waiting.sends("link", code="ABC-123")
    assert waiting.path.endswith("/blocked")
    assert harbor.rows(sa.select(Verification.id)) == []


def at_set_up(harbor: Harbor) -> Browser:
    return harbor.visits(harbor.ada)


def at_enroll(harbor: Harbor) -> Browser:
    browser = harbor.visits(harbor.ada)
    browser.sets_up()
    return browser


def at_codes(harbor: Harbor) -> Browser:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/recovery-codes")
    return browser


def at_verify(harbor: Harbor) -> Browser:
    harbor.enrolls()
    return harbor.visits(harbor.ada)


POSTS = (
    "set-up",
    "enroll",
    "verify",
    "recover",
    "bypass",
    "recovery-codes",
    "recovery-codes/new",
    "recovery-codes/download",
)


@pytest.mark.parametrize("arrives", [at_set_up, at_enroll, at_codes, at_verify])
def test_a_running_visit_ends_up_on_the_blocked_page(
    harbor: Harbor, arrives: Callable[[Harbor], Browser]
) -> None:
    browser = arrives(harbor)
    page = browser.path.rpartition("/")[2]
    suspends(harbor)
    browser.goes_to(browser.path)
    assert browser.path.endswith("/blocked")
    assert browser.page.heading == "Your account is suspended"
    assert "help desk" not in " ".join(browser.page.links)
    for path in POSTS:
        browser.sends(path, code="ABCDE-12345", kind="totp")
        assert browser.path.endswith("/blocked"), path
    lifts(harbor)
    browser.goes_to(browser.address("resume"))
    assert browser.path.endswith(page)
    browser.sends("cancel")
    assert "access_denied" in browser.reply.location


def test_a_right_code_is_not_even_judged(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    suspends(harbor)
    before = len(harbor.rows(sa.select(Verification.id)))
    browser.sends("verify", code=harbor.code(phone))
    assert browser.path.endswith("/blocked")
    assert len(harbor.rows(sa.select(Verification.id))) == before


def test_codes_and_links_that_were_given_die_with_it(harbor: Harbor) -> None:
    code, link = gives(harbor), invites(harbor)
    landed, browser = opens(harbor, link), harbor.visits(harbor.ada)
    suspends(harbor)
    assert opens(harbor, link).reply.status == 410
    landed.submits()
    assert landed.reply.status == 410
    lifts(harbor)
    browser.sends("bypass", code=code)
    assert browser.reply.status == 422
    assert opens(harbor, link).reply.status == 410
    for table in (BypassCode, EnrollmentInvitation):
        [row] = harbor.rows(sa.select(table.used_at, table.revoked_at))
        assert row.used_at is None
        assert row.revoked_at is not None


def test_it_is_told_recorded_and_shown(harbor: Harbor) -> None:
    suspends(harbor)
    shown = harbor.backend.calls("GET", f"/org/harbor/users/{harbor.ada}").json
    assert shown["active"] is False
    lifts(harbor)
    assert harbor.backend.calls("GET", f"/org/harbor/users/{harbor.ada}").json["active"] is True
    subjects = [row.subject for row in harbor.rows(sa.select(Message.subject))]
    assert sorted(subjects) == [
        "Your account is no longer suspended",
        "Your account was suspended",
    ]
    events = harbor.rows(sa.select(Event).where(Event.kind.startswith("user:susp")))
    assert sorted((row.Event.kind, row.Event.reason) for row in events) == [
        ("user:suspended", "Laptop stolen."),
        ("user:suspension_lifted", "Laptop found."),
    ]


def test_nothing_else_changes_with_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    suspends(harbor)
    lifts(harbor)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    [row] = harbor.rows(sa.select(User.suspended_at).where(User.email == EMAIL))
    assert row.suspended_at is None
