"""An invitation to enroll: one link, one browser, one first authenticator."""

from __future__ import annotations

from collections import Counter

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    EnrollmentInvitation,
    Event,
    GatewaySession,
    Message,
    Result,
)
from app.services.audit import Actor
from tests.actors import Browser, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.gateway.test_magic_link import SCANNERS
from tests.web.gateway.test_parallel import at_once

ADMIN = Actor(name="administrator:1", label="nadia@harbor.example", address="192.0.2.1")
DAY = 24 * 3600
OVER = "This link no longer works"


def invites(harbor: Harbor, user: str = "") -> str:
    """Have an administrator invite a user, and return the link."""
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, user or harbor.ada)
        invited = harbor.services.enrollment_invitations.invite(
            tx, ADMIN, person, harbor.notes.client_id
        )
    keep_secret(invited.address.rpartition("/")[2])
    return invited.address


def resets(harbor: Harbor, *, reopen: bool) -> None:
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.enrollment.reset(tx, ADMIN, harbor.organization, person, reopen=reopen)


def opens(harbor: Harbor, link: str) -> Browser:
    browser = harbor.browser()
    browser.goes_to(link)
    return browser


def starts(harbor: Harbor, link: str) -> Browser:
    """Open the link and press its button."""
    browser = opens(harbor, link)
    browser.submits()
    return browser


def state_of(harbor: Harbor) -> tuple[object, ...]:
    """Return all that following a link may change."""
    used = harbor.rows(sa.select(EnrollmentInvitation.used_at))
    sessions = harbor.rows(sa.select(sa.func.count()).select_from(GatewaySession))
    events = harbor.rows(sa.select(sa.func.count()).select_from(Event))
    return (*used, *sessions, *events)


# Followed


def test_an_invited_user_sets_up_without_any_application(harbor: Harbor) -> None:
    link = invites(harbor)
    browser = opens(harbor, link)
    assert browser.page.heading == "Set up your second step"
    assert "Harbor Notes" in browser.page.text
    assert "ada" not in browser.page.text
    browser.submits()
    phone = browser.sets_up()
    assert "Cancel the setup" in browser.page.text
    browser.types(harbor.code(phone))
    assert len(browser.saves_codes()) == 5
    assert browser.page.heading == "You are set up"
    assert "Next time Harbor Notes asks" in browser.page.text
    harbor.clock.advance(30)
    visit = harbor.visits(harbor.ada)
    visit.types(harbor.code(phone))
    assert "result" in visit.back


def test_nobody_gets_a_result_that_no_application_asked_for(harbor: Harbor) -> None:
    browser = starts(harbor, invites(harbor))
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert browser.path.endswith("/ended")
    for page in ("return", "ended", "resume"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/ended")
        assert "result" not in browser.reply.text
    assert harbor.rows(sa.select(Result.id)) == []


def test_who_cancels_reads_that_nothing_was_set_up(harbor: Harbor) -> None:
    browser = starts(harbor, invites(harbor))
    browser.sends("cancel")
    assert browser.page.heading == "Nothing was set up"
    assert "ask an administrator of Harbor for a new link" in browser.page.text


def test_it_opens_enrollment_after_a_reset_that_did_not(harbor: Harbor) -> None:
    """In its own visit alone: elsewhere the user stays blocked."""
    harbor.enrolls()
    resets(harbor, reopen=False)
    assert harbor.visits(harbor.ada).path.endswith("/blocked")
    browser = starts(harbor, invites(harbor))
    phone = browser.sets_up()
    assert harbor.visits(harbor.ada).path.endswith("/blocked")
    browser.types(harbor.code(phone))
    browser.saves_codes()
    [confirmed] = harbor.rows(
        sa.select(Event.detail)
        .where(Event.kind == "authenticator:confirmed")
        .order_by(Event.id.desc())
        .limit(1)
    )
    assert confirmed.detail["ground"] == "invited"


def test_the_mail_holds_the_link_and_the_record_does_not(harbor: Harbor) -> None:
    link = invites(harbor)
    [message] = harbor.backend.calls("GET", "/org/harbor/messages").json["data"]
    assert message["subject"] == "Set up your second step for Harbor Notes"
    assert link in message["text"]
    assert "You did not expect this?" in message["text"]
    assert link.rpartition("/")[2] not in harbor.dump()
    [made] = harbor.rows(sa.select(Event).where(Event.kind == "enrollment_invitation:created"))
    assert (made.Event.actor, made.Event.address) == ("administrator:1", "192.0.2.1")


# Looked at


@pytest.mark.parametrize("headers", SCANNERS)
@ONE_DATABASE
def test_a_scanner_uses_nothing_up(harbor: Harbor, headers: dict[str, str]) -> None:
    """F50."""
    link = invites(harbor)
    before = state_of(harbor)
    for method in ("HEAD", "GET", "GET", "OPTIONS"):
        reply = harbor.wire.request(method, link.removeprefix(harbor.base_url), headers=headers)
        assert reply.status == 200
        assert "ada@" not in reply.text
    assert state_of(harbor) == before
    assert starts(harbor, link).path.endswith("/set-up")


@ONE_DATABASE
def test_its_button_needs_the_page_s_own_token(harbor: Harbor) -> None:
    """F66."""
    link = invites(harbor)
    before = state_of(harbor)
    reply = harbor.wire.request("POST", link.removeprefix(harbor.base_url), data={})
    assert reply.status == 400
    assert state_of(harbor) == before


@ONE_DATABASE
def test_the_visit_opens_in_no_other_browser(harbor: Harbor) -> None:
    """F29."""
    browser = starts(harbor, invites(harbor))
    stranger = harbor.browser()
    stranger.goes_to(browser.path)
    assert stranger.reply.status == 403
    assert not [link for link in stranger.page.links if "Return" in link]
    assert "otpauth" not in stranger.reply.text


@ONE_DATABASE
def test_a_link_that_never_was_is_unknown(harbor: Harbor) -> None:
    for token in ("x", "A" * 32, "%00", "x" * 5000):
        assert harbor.wire.request("GET", f"/enroll/{token}").status == 404, token


# F35: once, and only while there is nothing


def test_it_works_once(harbor: Harbor) -> None:
    link = invites(harbor)
    first = starts(harbor, link)
    late = opens(harbor, link)
    assert (late.reply.status, late.page.heading) == (410, OVER)
    first.goes_to(link)
    assert first.path.endswith("/set-up")  # the browser that used it goes on where it was


def test_a_button_pressed_late_uses_nothing(harbor: Harbor) -> None:
    link = invites(harbor)
    early, late = opens(harbor, link), opens(harbor, link)
    early.submits()
    late.submits()
    assert (late.reply.status, late.page.heading) == (410, OVER)
    assert len(harbor.rows(sa.select(GatewaySession.id))) == 1


def test_of_many_at_once_one_gets_in(live_harbor: Harbor) -> None:
    harbor = live_harbor
    harbor.clock.moment = SystemClock().now()
    link = invites(harbor)
    browsers = [opens(harbor, link) for _ in range(12)]
    at_once([lambda it=it: it.submits() for it in browsers])  # type: ignore[misc]
    assert Counter(it.reply.status for it in browsers) == {200: 1, 410: 11}
    assert len(harbor.rows(sa.select(GatewaySession.id))) == 1


def test_an_invitation_against_an_enrollment_leaves_one_authenticator(
    live_harbor: Harbor,
) -> None:
    """Both confirm at the same instant: on whichever ground, one gets through."""
    harbor = live_harbor
    harbor.clock.moment = SystemClock().now()
    invited = [starts(harbor, invites(harbor)) for _ in range(1)]
    visits = [harbor.visits(harbor.ada) for _ in range(3)]
    browsers = invited + visits
    phones = [it.sets_up() for it in browsers]
    codes = [phone.code(SystemClock().now()) for phone in phones]
    at_once(
        [
            lambda it=it, code=code: it.types(code)  # type: ignore[misc]
            for it, code in zip(browsers, codes, strict=True)
        ]
    )
    active = sa.select(Authenticator.id).where(Authenticator.status == AuthenticatorStatus.ACTIVE)
    assert len(harbor.rows(active)) == 1


def test_it_dies_when_the_user_has_an_authenticator(harbor: Harbor) -> None:
    link = invites(harbor)
    looked = opens(harbor, link)
    harbor.enrolls()
    assert opens(harbor, link).reply.status == 410
    looked.submits()
    assert looked.reply.status == 410
    [row] = harbor.rows(sa.select(EnrollmentInvitation.used_at))
    assert row.used_at is None


def test_a_visit_that_it_opened_dies_then_too(harbor: Harbor) -> None:
    browser = starts(harbor, invites(harbor))
    phone = browser.sets_up()
    harbor.enrolls()
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/verify")
    active = sa.select(Authenticator.id).where(Authenticator.status == AuthenticatorStatus.ACTIVE)
    assert len(harbor.rows(active)) == 1


def test_a_newer_one_ends_the_older_and_what_it_began(harbor: Harbor) -> None:
    harbor.enrolls()
    resets(harbor, reopen=False)
    older = invites(harbor)
    begun = starts(harbor, older)
    newer = invites(harbor)
    assert opens(harbor, older).reply.status == 410
    begun.goes_to(begun.path)
    assert begun.page.heading == "Nothing was set up"
    assert starts(harbor, newer).path.endswith("/set-up")


def test_it_lasts_seven_days(harbor: Harbor) -> None:
    """F17."""
    link = invites(harbor)
    harbor.clock.advance(7 * DAY - 1)
    waiting = opens(harbor, link)
    assert waiting.reply.status == 200
    harbor.clock.advance(1)
    assert opens(harbor, link).reply.status == 410
    waiting.submits()
    assert waiting.reply.status == 410


@ONE_DATABASE
def test_it_dies_with_its_application(harbor: Harbor) -> None:
    link = invites(harbor)
    with harbor.services.database.writing() as tx:
        notes = harbor.services.applications.find(tx, harbor.notes.client_id)
        assert notes
        harbor.services.applications.delete(tx, ADMIN, notes)
    assert opens(harbor, link).reply.status == 404


@ONE_DATABASE
def test_nothing_about_it_is_recorded_twice(harbor: Harbor) -> None:
    starts(harbor, invites(harbor))
    kinds = [
        row.kind
        for row in harbor.rows(sa.select(Event.kind).order_by(Event.id))
        if row.kind.startswith(("enrollment_invitation", "gateway_session"))
    ]
    assert kinds == [
        "enrollment_invitation:created",
        "gateway_session:opened",
        "enrollment_invitation:used",
        "gateway_session:entered",
    ]
    assert len(harbor.rows(sa.select(Message.id))) == 1
