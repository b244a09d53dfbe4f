"""One user's page: what it tells, to whom it offers what, and that it shows any text inertly."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.models import Event, Role, User
from app.services.audit import Actor
from tests.actors import Administrator, Phone, keep_secret
from tests.conftest import ONE_DATABASE, Harbor

ADMIN = Actor(name="administrator:1", label="nadia@harbor.example", address="192.0.2.1")
PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


def path(harbor: Harbor, action: str = "") -> str:
    return f"/users/{harbor.ada}" + (f"/{action}" if action else "")


def looks(harbor: Harbor, role: Role = Role.OWNER) -> Administrator:
    """Sign in, and open Ada's page."""
    person = harbor.administrator(role)
    person.at(path(harbor))
    assert person.status == 200
    return person


def changes(harbor: Harbor, **values: object) -> None:
    harbor.executes(sa.update(User).where(User.email == "ada@harbor.example").values(values))


def locks(harbor: Harbor, phone: Phone, times: int = 10) -> None:
    """Type so many wrong codes, each as soon as it is judged."""
    for code in harbor.wrong_codes(phone, times):
        harbor.visits(harbor.ada).types(code)
        harbor.clock.advance(15 * 60)


def actions(person: Administrator) -> set[str]:
    """Return the last part of each link below the user's own address."""
    inside = [link for link in person.page.links if "/users/" in link]
    return {link.rpartition("/")[2].partition("?")[0] for link in inside}


# What it tells


def test_it_tells_what_the_user_has(harbor: Harbor) -> None:
    changes(
        harbor,
        profile={"given_name": "Ada", "family_name": "Byron", "locale": "fr", "desk": "4"},
        phone_number="+33612345678",
        external_id="hr-1",
    )
    phone = harbor.enrolls()
    harbor.visits(harbor.ada).types(harbor.code(phone))
    person = looks(harbor)
    assert person.page.heading == "Ada Byron"
    for words in (
        "ada@harbor.example",
        "Enrolled",
        "Authenticator app",
        "Added 1 March 2026 · last used 1 March 2026, 12:00 UTC",
        "5 left · 0 of 5 re-enrollments used",
        "+33612345678",
        "French",
        "hr-1",
        "desk",
        harbor.ada,
        "Verified with authenticator app",
        "Harbor Notes",
    ):
        assert words in person.text, words


def test_it_tells_what_is_locked_why_and_until_when(harbor: Harbor) -> None:
    changes(harbor, profile={"given_name": "Ada"})
    phone = harbor.enrolls_on_the_pages()
    locks(harbor, phone)
    person = looks(harbor)
    assert "Locked" in person.text
    assert "Authenticator app locked until 1 March 2026, 1" in person.text
    assert "10 wrong codes between 1 March 2026, 12:0" in person.text
    assert "all from 127.0.0.1" in person.text
    assert "where Ada never confirmed before" not in person.text  # the phone was set up from there
    assert "Recovery codes still work." in person.text
    assert "Unlock only after you have spoken with Ada." in person.text
    assert "unlock" in actions(person)


def test_who_was_refused_a_hundred_times_waits_for_an_administrator(harbor: Harbor) -> None:
    harbor.enrolls()
    changes(harbor, failures=100)
    person = looks(harbor)
    assert "Everything locked until you unlock." in person.text


def test_a_lock_of_the_recovery_codes_is_told_apart(harbor: Harbor) -> None:
    harbor.enrolls()
    for _ in range(8):
        browser = harbor.visits(harbor.ada)
        browser.goes_to(browser.address("recover"))
        browser.types("AAAA-BBBB-CCCC-DDDD")
        harbor.clock.advance(130)
    person = looks(harbor)
    assert "Recovery codes locked until" in person.text
    assert "Other methods still work." in person.text


def test_a_user_with_nothing_is_to_be_invited(harbor: Harbor) -> None:
    person = looks(harbor)
    assert "Nothing is set up" in person.text
    assert "invite" in actions(person)
    assert not {"unlock", "approve", "reset"} & actions(person)


def test_whoever_has_an_authenticator_is_not_invited(harbor: Harbor) -> None:
    harbor.enrolls()
    person = looks(harbor)
    assert "invite" not in actions(person)
    person.at(path(harbor, "invite"))
    assert person.status == 422
    assert "They add further ones themselves." in person.text


def test_the_timeline_counts_what_happened_again_and_again(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        for _ in range(3):
            harbor.services.limits.unlock(tx, ADMIN, user)
    person = looks(harbor)
    assert "User unlocked, 3 times" in person.text
    assert "by nadia@harbor.example" in person.text
    assert "All 4 events" in person.text
    [link] = {link for link in person.page.links if "/audit" in link and "user=" in link}
    person.browser.goes_to(link)
    assert person.status == 200


@ONE_DATABASE
def test_a_user_of_another_organization_is_unknown(harbor: Harbor) -> None:
    """F79."""
    person = harbor.administrator()
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, ADMIN, environment=harbor.organization.environment, name="Pier"
        )
        stranger = harbor.services.directory.create(tx, ADMIN, pier, email="bo@pier.example").id
    for action in ("", "/invite", "/unlock", "/reset", "/delete", "/bypass-code", "/suspend"):
        assert person.at(f"/users/{stranger}{action}").status == 404, action
    person.at(path(harbor))
    for action in ("invite", "unlock", "reset", "delete", "bypass-code", "suspend", "approve"):
        sent = {"reason": "none at all", "email": "bo@pier.example", "minutes": "30"}
        assert person.does(f"/users/{stranger}/{action}", **sent).status == 404, action


# Roles


@pytest.mark.parametrize("role", list(Role))
@ONE_DATABASE
def test_each_role_is_offered_what_it_may(harbor: Harbor, role: Role) -> None:
    harbor.enrolls()
    changes(harbor, failures=100, reenrollments=2)
    shown = actions(looks(harbor, role))
    helps = {"unlock", "approve", "reset"}
    more = {"bypass-code", "suspend", "delete", "edit"}
    expected = {
        Role.OWNER: helps | more,
        Role.ADMINISTRATOR: helps | more,
        Role.HELPDESK: helps,
        Role.AUDITOR: set(),
    }[role]
    assert shown & (helps | more) == expected


@pytest.mark.parametrize("action", ["bypass-code", "suspend", "delete", "lift-suspension"])
@ONE_DATABASE
def test_the_help_desk_is_refused_what_it_may_not(harbor: Harbor, action: str) -> None:
    """F82: without the button, too."""
    person = looks(harbor, Role.HELPDESK)
    assert person.at(path(harbor, action)).status == 403
    person.at(path(harbor))
    sent = {"reason": "let me in", "minutes": "30", "email": "ada@harbor.example"}
    assert person.does(path(harbor, action), **sent).status == 403
    kinds = [row.kind for row in harbor.rows(sa.select(Event.kind))]
    assert not {"bypass_code:given", "user:suspended", "user:deleted"} & set(kinds)


# F67


def test_whatever_is_in_names_and_labels_is_inert(harbor: Harbor) -> None:
    changes(
        harbor,
        profile={
            "given_name": PAYLOAD,
            "family_name": PAYLOAD,
            PAYLOAD: PAYLOAD,
            "locale": PAYLOAD,
        },
        external_id=PAYLOAD,
    )
    phone = harbor.enrolls()
    headers = {"User-Agent": PAYLOAD, "X-Forwarded-For": PAYLOAD}
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        actor = Actor(name="administrator:1", label=PAYLOAD, address=PAYLOAD, device=PAYLOAD)
        harbor.services.enrollment.approve(tx, actor, harbor.organization, user, why=PAYLOAD)
    harbor.wire.request("GET", harbor.notes.opens(harbor.ada)["url"], headers=headers)
    changes(harbor, failures=100)
    person = looks(harbor)
    pages = [
        "",
        "unlock",
        "approve",
        "reset",
        "suspend",
        "lift-suspension",
        "delete",
        "bypass-code",
    ]
    for page in pages:
        person.at(path(harbor, page))
        assert person.status == 200, page
        assert "<script>alert" not in person.browser.reply.text, page
        assert "<img" not in person.browser.reply.text, page
        assert "49" not in person.page.heading, page
    assert harbor.code(phone)


# What it never tells


def test_no_secret_stands_on_it(harbor: Harbor) -> None:
    """F68."""
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        given = harbor.services.bypass_codes.give(tx, ADMIN, user, minutes=30, why="A reason.")
    keep_secret(given.code)
    person = looks(harbor)
    assert "Bypass code" in person.text
    for secret in (phone.key, given.code, *codes):
        assert secret not in person.browser.reply.text
