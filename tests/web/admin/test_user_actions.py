"""What administrators do about a user: asked once, told to the user, and recorded."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    AuthenticatorStatus,
    BypassCode,
    EnrollmentInvitation,
    Event,
    Message,
    Role,
    User,
)
from app.services.audit import OPERATOR
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, Harbor

WHY = "Spoke with Ada on the number that we knew."
EMAIL = "ada@harbor.example"


def asks(harbor: Harbor, action: str, role: Role = Role.OWNER) -> Administrator:
    """Sign in as somebody new, and open the page that asks whether to do this about Ada."""
    person = harbor.administrator(role, f"{uuid.uuid4()}@gatehouse.example")
    person.at(f"/users/{harbor.ada}/{action}")
    return person


def does(harbor: Harbor, action: str, role: Role = Role.OWNER, **fields: str) -> Administrator:
    """Go on, and press the page's own button."""
    person = asks(harbor, action, role)
    assert person.status == 200, person.text
    form = next(n for n, it in enumerate(person.page.forms) if not it["action"])
    person.browser.submits(form, **fields)
    return person


def newest(harbor: Harbor, kind: str) -> Event:
    rows = harbor.rows(sa.select(Event).where(Event.kind == kind).order_by(Event.id.desc()))
    found: Event = rows[0].Event
    return found


def subjects(harbor: Harbor) -> list[str]:
    mine = sa.select(Message.subject).where(Message.recipient == EMAIL)
    return [row.subject for row in harbor.rows(mine.order_by(Message.created_at))]


def body(harbor: Harbor) -> str:
    return str(harbor.backend.calls("GET", "/org/harbor/messages").json["data"][0]["text"])


def authenticator(harbor: Harbor) -> str:
    mine = sa.select(Authenticator.id).join(User).where(User.email == EMAIL)
    return str(harbor.rows(mine.order_by(Authenticator.created_at.desc()))[0].id)


def statuses(harbor: Harbor) -> list[str]:
    mine = sa.select(Authenticator.status).join(User).where(User.email == EMAIL)
    return [row.status.value for row in harbor.rows(mine.order_by(Authenticator.created_at))]


# Asked, told, recorded


def test_a_lost_phone_is_reset_and_an_invitation_brings_the_next(harbor: Harbor) -> None:
    harbor.enrolls()
    one = authenticator(harbor)
    person = does(harbor, f"authenticators/{one}/reset", Role.HELPDESK, reason=WHY, after="closed")
    assert "The authenticator app was reset. We told ada@harbor.example." in person.text
    assert statuses(harbor) == ["removed"]
    event = newest(harbor, "authenticator:removed")
    assert event.reason == WHY
    assert event.actor.startswith("administrator:")
    assert event.address == "127.0.0.1"
    assert event.detail["reopened"] is False
    assert "Your second step was reset" in subjects(harbor)
    assert "By: an administrator of Harbor" in body(harbor)
    assert "127.0.0.1" not in body(harbor)
    assert "If you did not expect this" in body(harbor)
    assert harbor.visits(harbor.ada).path.endswith("/blocked")
    invited = does(harbor, "invite", Role.HELPDESK, client_id=harbor.notes.client_id)
    link = next(word for word in invited.text.split() if "/enroll/" in word)
    keep_secret(link.rpartition("/")[2])
    browser = harbor.browser()
    browser.goes_to(link)
    browser.submits()
    assert browser.path.endswith("/set-up")


def test_a_reset_may_open_the_next_visit(harbor: Harbor) -> None:
    harbor.enrolls()
    does(harbor, "reset", reason=WHY, after="reopen")
    assert newest(harbor, "authenticator:reset").reason == WHY
    assert harbor.visits(harbor.ada).path.endswith("/set-up")


def test_of_two_phones_the_other_goes_on(harbor: Harbor) -> None:
    first = harbor.enrolls()
    harbor.adds_another(first)
    person = asks(harbor, f"authenticators/{authenticator(harbor)}/reset")
    assert "The other authenticators and the recovery codes go on working." in person.text
    assert "How may a new one be set up?" not in person.text
    person.browser.submits(1, reason=WHY)
    assert statuses(harbor) == ["active", "removed"]
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(first))
    assert "result" in browser.back


@pytest.mark.parametrize(
    "action", ["reset", "approve", "suspend", "lift-suspension", "bypass-code", "delete"]
)
@ONE_DATABASE
def test_without_a_reason_nothing_is_done_and_what_was_typed_is_kept(
    harbor: Harbor, action: str
) -> None:
    harbor.enrolls()
    events = len(harbor.rows(sa.select(Event.id).where(Event.actor.startswith("administrator"))))
    person = does(harbor, action, reason=" x ", email="somebody@else.example", minutes="60")
    assert person.status == 422
    assert "Write in a few words why." in person.text
    assert person.page.title.startswith("Error: ")
    if action == "delete":
        assert 'value="somebody@else.example"' in person.browser.reply.text
    if action == "bypass-code":
        assert 'checked id="minutes-2"' in person.browser.reply.text
    assert statuses(harbor) == ["active"]
    after = harbor.rows(
        sa.select(Event.id).where(
            Event.actor.startswith("administrator"), ~Event.kind.startswith("administrator")
        )
    )
    assert len(after) <= events + 3  # the sign-in alone


def test_unlocking_starts_the_counts_anew(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.executes(sa.update(User).where(User.email == EMAIL).values(failures=100))
    person = does(harbor, "unlock", Role.HELPDESK)
    assert "was unlocked" in person.text
    assert "Your account was unlocked" in subjects(harbor)
    assert newest(harbor, "user:unlocked").actor.startswith("administrator:")
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


def test_an_approved_user_sets_up_anew(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    left = harbor.visits(harbor.ada)
    left.goes_to(left.address("recover"))
    left.types(codes[0])
    assert harbor.visits(harbor.ada).path.endswith("/due")
    person = does(harbor, "approve", Role.HELPDESK, reason=WHY)
    assert "sets up a new authenticator at the next visit" in person.text
    assert newest(harbor, "reenrollment:approved").reason == WHY
    assert "An administrator checked that it’s you" in subjects(harbor)
    assert harbor.visits(harbor.ada).path.endswith("/set-up")


def test_a_bypass_code_is_shown_once_and_lets_in_once(harbor: Harbor) -> None:
    harbor.enrolls()
    person = does(harbor, "bypass-code", reason=WHY, minutes="10")
    assert person.browser.reply.headers["cache-control"] == "no-store"
    code = keep_secret(
        person.browser.reply.text.partition('aria-label="Bypass code">')[2].partition("<")[0]
    )
    assert len(code) == 11
    assert newest(harbor, "bypass_code:given").reason == WHY
    person.at(f"/users/{harbor.ada}")
    assert code not in person.browser.reply.text
    assert "Withdraw bypass code" in person.text
    browser = harbor.visits(harbor.ada)
    browser.sends("bypass", code=code)
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["acr"] == "urn:gatehouse:acr:bypass"
    person.at(f"/users/{harbor.ada}")
    assert "Withdraw bypass code" not in person.text


@ONE_DATABASE
def test_a_bypass_code_lives_no_longer_than_offered(harbor: Harbor) -> None:
    person = does(harbor, "bypass-code", reason=WHY, minutes="10000")
    assert person.status == 422
    assert harbor.rows(sa.select(BypassCode.id)) == []


def test_what_was_given_is_withdrawn(harbor: Harbor) -> None:
    does(harbor, "bypass-code", reason=WHY, minutes="30")
    person = does(harbor, "withdraw-bypass-code")
    assert "The bypass code was withdrawn." in person.text
    does(harbor, "invite", client_id=harbor.notes.client_id)
    person = does(harbor, "withdraw-invitation")
    assert "The invitation was withdrawn." in person.text
    for table in (BypassCode, EnrollmentInvitation):
        [row] = harbor.rows(sa.select(table.revoked_at))
        assert row.revoked_at
    kinds = {row.kind for row in harbor.rows(sa.select(Event.kind))}
    assert {"bypass_code:withdrawn", "enrollment_invitation:withdrawn"} <= kinds


@ONE_DATABASE
def test_only_an_application_of_the_organization_is_named(harbor: Harbor) -> None:
    """F79."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx,
            OPERATOR,
            environment=harbor.organization.environment,
            name="Pier",
        )
        stranger, _ = harbor.services.applications.create(
            tx,
            OPERATOR,
            environment=pier.environment,
            name="Pier Notes",
            redirect_uris=["https://pier.example/back"],
            organizations=[pier],
        )
    person = asks(harbor, "invite")
    assert "Pier Notes" not in person.text
    person = does(harbor, "invite", client_id=stranger.client_id)
    assert person.status == 422
    assert harbor.rows(sa.select(EnrollmentInvitation.id)) == []


def test_a_suspended_user_is_shown_and_lifted(harbor: Harbor) -> None:
    harbor.enrolls()
    person = does(harbor, "suspend", reason=WHY)
    assert "is suspended. We told ada@harbor.example." in person.text
    assert "Suspended since 1 March 2026" in person.text
    links = {link.rpartition("/")[2] for link in person.page.links}
    assert "lift-suspension" in links
    assert not {"bypass-code", "invite", "suspend"} & links
    assert person.at(f"/users/{harbor.ada}/bypass-code").status == 422
    again = does(harbor, "suspend", reason=WHY)
    assert again.status == 422
    assert "The user is suspended already." in again.text
    does(harbor, "lift-suspension", reason=WHY)
    assert harbor.visits(harbor.ada).path.endswith("/verify")


def test_a_deleted_user_is_told_and_the_events_stay(harbor: Harbor) -> None:
    harbor.enrolls()
    person = does(harbor, "delete", reason=WHY, email="someone@else.example")
    assert person.status == 422
    assert "Type it as it stands here." in person.text
    person = does(harbor, "delete", reason=WHY, email=" ADA@harbor.example ")
    assert "ada@harbor.example was deleted, and told." in person.text
    assert harbor.rows(sa.select(User.id).where(User.email == EMAIL)) == []
    event = newest(harbor, "user:deleted")
    assert (str(event.user_id), event.reason) == (harbor.ada, WHY)
    assert subjects(harbor) == ["Your account was deleted"]
    assert "ada@harbor.example" in body(harbor)
    assert person.at(f"/users/{harbor.ada}").status == 404
    events = sa.select(Event.id).where(Event.user_id == event.user_id)
    assert len(harbor.rows(events)) > 5


NUMBER = "+33612345678"


def test_of_who_has_no_address_pages_say_that_no_notice_reaches_them(harbor: Harbor) -> None:
    made = harbor.backend.calls("POST", "/org/harbor/users", json={"phone_number": NUMBER})
    harbor.ada = made.json["id"]
    nothing = f"No notice reaches {NUMBER}: there is no email address, and no confirmed number"
    for action in ("unlock", "reset", "approve", "suspend", "bypass-code"):
        assert nothing in asks(harbor, action).text, action
    person = does(harbor, "invite", client_id=harbor.notes.client_id)
    assert "There is no email address to send it to, so hand the link over yourself." in person.text
    assert "No notice reaches" in person.at(f"/users/{harbor.ada}").text
    person = does(harbor, "suspend", reason=WHY)
    assert f"{NUMBER} is suspended." in person.text
    assert "We told" not in person.text
    assert "Nobody could be told: user suspended" in person.text
    person = does(harbor, "delete", reason=WHY, email="+33698765432")
    assert f"That is not {NUMBER}. Type it as it stands here." in person.text
    assert "Type the phone number to confirm" in person.text
    person = does(harbor, "delete", reason=WHY, email=NUMBER)
    assert f"{NUMBER} was deleted." in person.text
    assert harbor.rows(sa.select(User.id).where(User.id == uuid.UUID(harbor.ada))) == []
    mine = Message.organization_id == harbor.organization.id
    assert harbor.rows(sa.select(Message.id).where(mine)) == []


@pytest.mark.parametrize("action", ["unlock", "reset", "approve", "suspend", "delete", "invite"])
@ONE_DATABASE
def test_looking_at_the_question_changes_nothing(harbor: Harbor, action: str) -> None:
    """F66."""
    person = harbor.administrator()
    person.at(f"/users/{harbor.ada}")
    before = harbor.rows(sa.select(sa.func.count()).select_from(Event))
    assert person.at(f"/users/{harbor.ada}/{action}").status == 200
    assert harbor.rows(sa.select(sa.func.count()).select_from(Event)) == before
    path = f"{person.place}/users/{harbor.ada}/{action}"
    sent = {"reason": WHY, "email": EMAIL, "client_id": harbor.notes.client_id}
    assert person.browser.goes_to(path, "POST", data=sent).status == 400
    assert harbor.rows(sa.select(sa.func.count()).select_from(Event)) == before


def test_dangerous_actions_want_a_fresh_second_factor(harbor: Harbor) -> None:
    harbor.enrolls()
    person = harbor.administrator()
    harbor.clock.advance(45 * 60)
    for action in ("reset", "approve", "suspend", "delete", "bypass-code"):
        person.at(f"/users/{harbor.ada}/{action}")
        assert "/users/" not in person.browser.path, action
    assert person.at(f"/users/{harbor.ada}/unlock").status == 200
    assert statuses(harbor) == [AuthenticatorStatus.ACTIVE.value]
