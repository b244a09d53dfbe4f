"""Adding and editing a user: what was typed is kept, and what can't be is told at its field."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Message, Role, User
from app.services.audit import OPERATOR
from tests import actors
from tests.conftest import ONE_DATABASE, Harbor

TYPED = {
    "given_name": " Émilie ",
    "family_name": "Laurent",
    "email": "Emilie@Harbor.example",
    "phone_number": "+33 6 12 34 56 78",
    "external_id": "crm-7",
    "locale": "fr",
}


@pytest.fixture
def nadia(harbor: Harbor) -> actors.Administrator:
    return harbor.administrator(Role.ADMINISTRATOR)


def knows(harbor: Harbor, email: str) -> User:
    return harbor.rows(sa.select(User).where(User.email_key == email))[0][0]


def error_at(page: actors.Page, field: str) -> bool:
    """Tell whether a field says that it is wrong, and is tied to the sentence that says why."""
    told = {attributes.get("id"): attributes for _, attributes in page.tags}
    return (
        told[field].get("aria-invalid") == "true"
        and f"{field}-error" in str(told[field].get("aria-describedby"))
        and f"{field}-error" in told
    )


def value_of(page: actors.Page, field: str) -> str | None:
    return next(found.get("value") for _, found in page.tags if found.get("id") == field)


def test_a_user_is_added_with_all_that_is_known(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    nadia.at("/users/new")
    nadia.browser.submits(1, **TYPED)
    made = knows(harbor, "emilie@harbor.example")
    assert nadia.browser.path == f"{nadia.place}/users/{made.id}"
    assert "Émilie Laurent was added." in nadia.text
    assert made.phone_number == "+33612345678"
    assert made.external_id == "crm-7"
    assert made.profile == {"given_name": "Émilie", "family_name": "Laurent", "locale": "fr"}
    assert (made.name_key, made.family_name_key) == ("emilie laurent", "laurent")
    event = sa.select(Event.kind, Event.actor_label).where(Event.user_id == made.id)
    assert harbor.rows(event) == [("user:created", "administrator@gatehouse.example")]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("email", "ada", "Write one such as ada@example.com."),
        ("email", "ADA@harbor.example", "Another user here has this address."),
        ("email", "ada@harbor.example\ud7ff", "Write one such as"),
        ("phone_number", "0612345678", "Write it in E.164, such as +33612345678."),
        ("external_id", "x" * 256, "Use 1 to 255 printable characters."),
        ("external_id", "taken", "Another user here has this external id."),
        ("given_name", "x" * 101, "Use 100 characters at most."),
        ("locale", "xx", "Not a valid choice"),
    ],
)
def test_what_can_not_be_is_told_at_its_field_and_all_is_kept(
    harbor: Harbor, field: str, value: str, told: str
) -> None:
    nadia = harbor.administrator()
    harbor.executes(
        sa.update(User).where(User.id == uuid.UUID(harbor.ada)).values(external_id="taken")
    )
    nadia.at("/users/new")
    nadia.browser.submits(1, **{**TYPED, field: value})
    assert nadia.status == 422
    assert told in nadia.text
    assert error_at(nadia.page, field)
    assert nadia.page.title.startswith("Error: ")
    if field != "external_id":
        assert value_of(nadia.page, "external_id") == "crm-7"
    assert harbor.rows(sa.select(User.id).where(User.external_id == "crm-7")) == []


@ONE_DATABASE
def test_everything_that_can_not_be_is_told_at_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/users/new")
    nadia.browser.submits(1, email="ada", phone_number="0612", external_id="x" * 256)
    assert nadia.status == 422
    for field in ("email", "phone_number", "external_id"):
        assert error_at(nadia.page, field), field


def test_a_phone_number_alone_names_a_user_on_every_page(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    nadia.at("/users/new")
    nadia.browser.submits(1, given_name="Émilie", locale="")
    assert nadia.status == 422
    assert "Type an address, such as ada@example.com, or a phone number." in nadia.text
    assert error_at(nadia.page, "email")
    nadia.browser.submits(1, given_name="", phone_number="+33 6 12 34 56 78", locale="")
    assert "+33612345678 was added." in nadia.text
    assert nadia.page.heading == "+33612345678"
    [(made,)] = harbor.rows(sa.select(User).where(User.email.is_(None)))
    nadia.at("/users/new")
    nadia.browser.submits(1, phone_number="+33612345678", locale="")
    assert "Another user is known by this number alone." in nadia.text
    assert error_at(nadia.page, "phone_number")
    nadia.at(f"/users/{made.id}/edit")
    assert nadia.page.heading == "Edit +33612345678"
    nadia.browser.submits(1, phone_number="", locale="")
    assert error_at(nadia.page, "email")
    nadia.at("/users")
    assert "+33612345678" in nadia.text
    nadia.at("/audit")
    assert "+33612345678" in nadia.text
    assert "None" not in nadia.page.heading


def test_a_user_is_edited_and_a_field_left_empty_is_taken_away(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    nadia.at("/users/new")
    nadia.browser.submits(1, **TYPED)
    made = knows(harbor, "emilie@harbor.example")
    harbor.executes(
        sa.update(User).where(User.id == made.id).values(profile={**made.profile, "team": "blue"})
    )
    nadia.at(f"/users/{made.id}/edit")
    assert nadia.page.heading == "Edit Émilie Laurent"
    assert value_of(nadia.page, "phone_number") == "+33612345678"
    nadia.browser.submits(1, phone_number="", family_name="Roux", locale="")
    assert nadia.browser.path == f"{nadia.place}/users/{made.id}"
    assert "Saved." in nadia.text
    after = knows(harbor, "emilie@harbor.example")
    assert after.phone_number is None
    assert after.profile == {"given_name": "Émilie", "family_name": "Roux", "team": "blue"}
    changed = sa.select(Event.detail).where(Event.kind == "user:updated")
    assert harbor.rows(changed) == [({"fields": "phone_number, profile"},)]
    assert harbor.rows(sa.select(Message.id).where(Message.user_id == made.id)) == []


def test_after_a_new_address_the_old_one_is_told(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    """F58: the notice goes where the user was reached before, and doesn't name the new address."""
    harbor.enrolls()
    harbor.executes(sa.delete(Message))
    nadia.at(f"/users/{harbor.ada}/edit")
    nadia.browser.submits(1, email="new@harbor.example")
    [(notice,)] = harbor.rows(sa.select(Message))
    text = harbor.services.inbox.text_of(harbor.organization, notice)
    assert (notice.recipient, notice.name) == ("ada@harbor.example", "email_changed")
    assert "ada@harbor.example" in text
    assert "new@harbor.example" not in text
    assert knows(harbor, "new@harbor.example").id == uuid.UUID(harbor.ada)


def test_another_spelling_of_the_address_and_a_user_who_has_nothing_cause_no_notice(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    nadia.at(f"/users/{harbor.ada}/edit")
    nadia.browser.submits(1, email="somebody@harbor.example")
    harbor.enrolls()
    harbor.executes(sa.delete(Message))
    nadia.at(f"/users/{harbor.ada}/edit")
    nadia.browser.submits(1, email="Somebody@harbor.example")
    assert harbor.rows(sa.select(Message.id)) == []


def test_an_address_that_is_taken_changes_nothing(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.person("bo@harbor.example")
    before = harbor.rows(sa.select(*User.__table__.columns).order_by(User.id))
    nadia.at(f"/users/{harbor.ada}/edit")
    nadia.browser.submits(1, email="bo@harbor.example", given_name="Ada")
    assert nadia.status == 422
    assert "Another user here has this address." in nadia.text
    assert nadia.page.heading == "Edit ada@harbor.example"
    assert value_of(nadia.page, "email") == "bo@harbor.example"
    assert harbor.rows(sa.select(*User.__table__.columns).order_by(User.id)) == before
    assert harbor.rows(sa.select(Event.id).where(Event.kind == "user:updated")) == []


@ONE_DATABASE
def test_a_name_is_text_on_every_page(harbor: Harbor) -> None:
    """F67 and F78."""
    nadia, name = harbor.administrator(), "<script>alert(1)</script>{{ 7*7 }}"
    nadia.at("/users/new")
    nadia.browser.submits(1, **{**TYPED, "given_name": name, "external_id": name})
    made = knows(harbor, "emilie@harbor.example")
    for path in ("/users", f"/users/{made.id}/edit", f"/users?q={made.id}", "/users?q=<script>"):
        html = nadia.at(path).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html, path
        assert "}49" not in html


@ONE_DATABASE
def test_who_may_not_edit_can_not(harbor: Harbor) -> None:
    """F82: neither see the form nor send it, and with no token nobody can (F66)."""
    for role in (Role.HELPDESK, Role.AUDITOR):
        somebody = harbor.administrator(role)
        for path in ("/users/new", f"/users/{harbor.ada}/edit"):
            assert somebody.at(path).status == 403
            assert somebody.does(path, **TYPED).status == 403
    owner = harbor.administrator(Role.OWNER)
    for path in ("/users/new", f"/users/{harbor.ada}/edit"):
        assert owner.browser.goes_to(owner.place + path, "POST", data=TYPED).status == 400
    assert harbor.rows(sa.select(User.id).where(User.external_id == "crm-7")) == []
    assert knows(harbor, "ada@harbor.example").external_id is None


@ONE_DATABASE
def test_a_user_of_another_organization_is_unknown_here(harbor: Harbor) -> None:
    """F79: told no differently from nobody."""
    nadia = harbor.administrator()
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        theirs = harbor.services.directory.create(tx, OPERATOR, pier, email="kit@pier.example").id
    nadia.at("/users/new")
    for user_id in (theirs, uuid.uuid4()):
        assert nadia.at(f"/users/{user_id}/edit").status == 404
        assert nadia.does(f"/users/{user_id}/edit", **TYPED).status == 404
    assert knows(harbor, "kit@pier.example").external_id is None
