"""API keys in the admin area: of this organization alone, with no more than it can give."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import ApiKey, Environment, Event, Organization, Role
from app.services.api_keys import ACCOUNT_WIDE, Permission
from app.services.audit import OPERATOR
from app.services.roles import MAY, Action
from app.web.admin.api_key_form import WORDS
from tests.actors import Administrator, Backend, keep_secret
from tests.conftest import ONE_DATABASE, Harbor

SECRET = re.compile(r"ghk_[A-Za-z0-9_-]{43}")
PAYLOAD = """<img src=x onerror=alert(1)>'"{{7*7}}"""


def creates(nadia: Administrator, **fields: Any) -> str:
    """Fill in the form; return the secret that is shown, or nothing."""
    nadia.at("/api-keys/new")
    nadia.does("/api-keys/new", **{"name": "Import", "reach": "everything", **fields})
    found = SECRET.search(nadia.browser.reply.text)
    return keep_secret(found[0]) if found else ""


def newest(harbor: Harbor, name: str = "Import") -> ApiKey:
    with harbor.services.database.reading() as tx:
        return tx.scalars(sa.select(ApiKey).where(ApiKey.name == name)).one()


def backend(harbor: Harbor, secret: str, name: str = "Import") -> Backend:
    return Backend(harbor.wire, str(newest(harbor, name).id), secret)


def pier(harbor: Harbor) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )


def told(harbor: Harbor, kind: str) -> list[Any]:
    whole = sa.select(Event).where(Event.kind == kind).order_by(Event.id)
    return [row.Event for row in harbor.rows(whole)]


# Creating


def test_a_key_of_everything_reaches_this_organization_alone(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    pier(harbor)
    secret = creates(nadia)
    assert nadia.status == 200
    assert "no-store" in nadia.browser.reply.headers["cache-control"]
    key = backend(harbor, secret)
    assert key.calls("GET", "/org/harbor/users").status == 200
    assert key.calls("GET", "/org/pier/users").status == 404
    assert key.calls("GET", "/organizations").status == 403
    assert key.calls("POST", "/organizations", json={"name": "X"}).status == 403
    made = newest(harbor)
    assert (made.organization_id, made.permissions) == (harbor.organization.id, None)
    event = told(harbor, "api_key:created")[-1]
    assert event.organization_id == harbor.organization.id
    assert event.actor.startswith("administrator:")
    assert secret not in repr(event.detail)


def test_a_key_may_do_what_was_chosen_and_no_more(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    chosen = ["read:users", "read:connections"]
    secret = creates(nadia, reach="chosen", permissions=chosen)
    key = backend(harbor, secret)
    assert key.asks_token().json["scope"].split() == chosen
    assert key.calls("GET", "/org/harbor/users").status == 200
    assert key.calls("POST", "/org/harbor/users", json={"email": "x@x.example"}).status == 403
    nadia.at(f"/api-keys/{newest(harbor).id}")
    assert WORDS[Permission.READ_USERS] in nadia.text
    assert WORDS[Permission.WRITE_USERS] not in nadia.text


def test_a_secret_is_shown_once_and_kept_nowhere(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    secret = creates(nadia)
    assert secret
    assert "CLIENT_SECRET" in nadia.text
    for path in ("/api-keys", f"/api-keys/{newest(harbor).id}"):
        assert secret not in nadia.at(path).text
    assert secret not in harbor.dump()
    assert secret not in str(nadia.browser.cookies)


@ONE_DATABASE
def test_no_key_with_more_than_the_organization_s_own_can_be_asked_for(harbor: Harbor) -> None:
    """F82: not by fields that the page doesn't have, not by another organization's name."""
    nadia = harbor.administrator()
    before = len(harbor.rows(sa.select(ApiKey.id)))
    for permission in ("read:organizations", "write:organizations", "*", "admin", ""):
        creates(nadia, reach="chosen", permissions=["read:users", permission])
        assert nadia.status == 422, permission
    assert len(harbor.rows(sa.select(ApiKey.id))) == before
    other = pier(harbor)
    more = {"organization": "pier", "organization_id": str(other.id), "environment": "production"}
    creates(nadia, **more, grantor="", account_wide="y")
    made = newest(harbor)
    assert made.organization_id == harbor.organization.id
    assert made.environment is Environment.SANDBOX


@ONE_DATABASE
def test_a_form_that_lacks_something_says_what_and_keeps_what_was_chosen(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/api-keys/new")
    for fields, words in (
        ({"name": "", "reach": "everything"}, "1 to 100 printable characters"),
        ({"name": "a\u202eb", "reach": "everything"}, "1 to 100 printable characters"),
        ({"name": "Import", "reach": "chosen"}, "Choose at least one"),
        ({"name": "Import", "reach": "x"}, "Not a valid choice"),
    ):
        nadia.does("/api-keys/new", **fields)
        assert nadia.status == 422
        assert words in nadia.text or words == "Not a valid choice"
    nadia.does("/api-keys/new", name="", reach="chosen")
    for words in ("1 to 100 printable characters", "Choose at least one"):
        assert words in nadia.text  # all at once
    nadia.does("/api-keys/new", name="", reach="chosen", permissions=["read:users"])
    checked = [found for tag, found in nadia.page.tags if tag == "input" and "checked" in found]
    assert {found["value"] for found in checked} == {"v2", "chosen", "read:users"}


def test_every_permission_of_an_organization_has_words_and_no_other(harbor: Harbor) -> None:
    assert set(WORDS) == set(Permission) - ACCOUNT_WIDE
    html = harbor.administrator().at("/api-keys/new").text
    for permission, words in WORDS.items():
        assert words in html
        assert f'value="{permission.value}"' in html


# Looking


def test_the_list_has_the_organization_s_keys_alone(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    assert "No API keys yet" in nadia.at("/api-keys").text
    creates(nadia, reach="chosen", permissions=["read:users", "read:events", "read:messages"])
    other = pier(harbor)
    with harbor.services.database.writing() as tx:
        harbor.services.api_keys.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Theirs", organization=other
        )
    nadia.at("/api-keys")
    assert "Import" in nadia.text
    assert "1 more" in nadia.text
    assert "Theirs" not in nadia.text
    assert "Tests" not in nadia.text  # account-wide, the operator's


@ONE_DATABASE
def test_a_payload_in_a_name_does_nothing(harbor: Harbor) -> None:
    """F67."""
    nadia = harbor.administrator()
    creates(nadia, name=PAYLOAD)
    assert "<img" not in nadia.browser.reply.text
    here = f"/api-keys/{newest(harbor, PAYLOAD).id}"
    for path in ("/api-keys", here, f"{here}/secret", f"{here}/block"):
        html = nadia.at(path).text
        assert nadia.status == 200
        assert "<img" not in html, path
    nadia.does(f"{here}/block")
    assert "is blocked." in nadia.text
    assert "<img" not in nadia.browser.reply.text


# Replacing and blocking


@pytest.mark.parametrize("seconds", [0, 3600, 86400, 604800])
def test_a_secret_is_replaced_with_the_chosen_overlap(harbor: Harbor, seconds: int) -> None:
    nadia = harbor.administrator()
    old = backend(harbor, creates(nadia))
    place = f"/api-keys/{old.client_id}/secret"
    nadia.at(place)
    mark = nadia.page.forms[-1]["fields"]["instead_of"]
    nadia.does(place, overlap=str(seconds), instead_of=mark)
    secret = keep_secret(SECRET.findall(nadia.browser.reply.text)[0])
    new = backend(harbor, secret)
    assert new.asks_token().status == 200
    assert old.asks_token().status == (200 if seconds else 401)
    harbor.clock.advance(seconds)
    assert old.asks_token().status == 401
    assert new.asks_token().status == 200
    [event] = told(harbor, "api_key:secret_replaced")
    assert event.organization_id == harbor.organization.id


@ONE_DATABASE
def test_a_form_that_is_sent_twice_replaces_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    place = f"/api-keys/{backend(harbor, creates(nadia)).client_id}/secret"
    nadia.at(place)
    mark = nadia.page.forms[-1]["fields"]["instead_of"]
    nadia.does(place, overlap="0", instead_of=mark)
    secret = keep_secret(SECRET.findall(nadia.browser.reply.text)[0])
    nadia.does(place, overlap="0", instead_of=mark)
    assert nadia.status == 409
    assert backend(harbor, secret).asks_token().status == 200


def test_a_block_asks_once_and_holds_at_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    key = backend(harbor, creates(nadia))
    assert key.calls("GET", "/org/harbor/users").status == 200
    nadia.at(f"/api-keys/{key.client_id}/block")
    assert "Block Import for good?" in nadia.text
    assert key.calls("GET", "/org/harbor/users").status == 200
    nadia.browser.submits(-1)
    assert "Import is blocked." in nadia.text
    assert key.calls("GET", "/org/harbor/users").status == 401
    assert key.asks_token().status == 401
    main = nadia.browser.reply.text.partition("<main")[2]
    assert "Blocked for good since" in nadia.text
    assert "/secret" not in main
    assert "/block" not in main
    assert "Blocked" in nadia.at("/api-keys").text
    nadia.does(f"/api-keys/{key.client_id}/secret", overlap="0")
    assert nadia.status == 422
    assert "blocked for good" in nadia.text
    [event] = told(harbor, "api_key:blocked")
    assert event.organization_id == harbor.organization.id


# Who may


@ONE_DATABASE
@pytest.mark.parametrize("role", Role)
def test_each_role_does_what_it_may_and_no_more(harbor: Harbor, role: Role) -> None:
    """F82."""
    theirs = harbor.key(only=True)
    somebody = harbor.administrator(role)
    here = f"/api-keys/{theirs.client_id}"
    looks, changes = (
        200 if action in MAY[role] else 403
        for action in (Action.SEE_SETTINGS, Action.CHANGE_API_KEYS)
    )
    for path in ("/api-keys", here):
        assert somebody.at(path).status == looks, path
        main = somebody.browser.reply.text.partition("<main")[2]
        assert ("/block" in main) is (changes == 200 and path == here)
    for path in ("/api-keys/new", f"{here}/secret", f"{here}/block"):
        assert somebody.at(path).status == changes, path
        if changes == 403:
            somebody.does(path, name="X", reach="everything", overlap="0")
            assert somebody.status == 403
    assert theirs.asks_token().status == 200
    assert not harbor.rows(sa.select(ApiKey.id).where(ApiKey.name == "X"))


@ONE_DATABASE
def test_what_another_organization_has_is_unknown_here(harbor: Harbor) -> None:
    """F79: as is a key of the whole account."""
    theirs, wide = harbor.key(only=True), harbor.backend
    mallory = harbor.administrator(organization=pier(harbor), email="mallory@pier.example")
    mallory.at("/api-keys/new")
    before = harbor.rows(sa.select(Event.id))
    for client_id in (theirs.client_id, wide.client_id, str(uuid.uuid4())):
        for path in ("", "/secret", "/block"):
            assert mallory.at(f"/api-keys/{client_id}{path}").status == 404
        for path in ("/secret", "/block"):
            mallory.does(f"/api-keys/{client_id}{path}", overlap="0")
            assert mallory.status == 404
    assert harbor.rows(sa.select(Event.id)) == before
    assert theirs.asks_token().status == 200
    mallory.browser.goes_to("/admin/sandbox/harbor/api-keys")
    assert mallory.status == 404


@ONE_DATABASE
def test_changing_wants_a_fresh_second_factor_and_a_form_of_ours(harbor: Harbor) -> None:
    theirs = harbor.key(only=True)
    nadia = harbor.administrator()
    nadia.at(f"/api-keys/{theirs.client_id}/block")
    address = f"{nadia.place}/api-keys/{theirs.client_id}/block"
    nadia.browser.goes_to(address, "POST", data={"csrf_token": "forged"})
    assert nadia.status == 400
    harbor.clock.advance(1800)
    nadia.does(f"/api-keys/{theirs.client_id}/block")
    assert nadia.browser.path == "/admin/verify"
    assert theirs.asks_token().status == 200
