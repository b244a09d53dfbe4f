"""Who runs an organization, and what an owner may change about it."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.models import AdministratorRole, Event, Message, Role
from app.services.roles import DANGEROUS, MAY, Action
from tests.actors import Administrator, Browser
from tests.conftest import Harbor


def seat_of(harbor: Harbor, role: Role) -> uuid.UUID:
    rows = harbor.rows(
        sa.select(AdministratorRole.administrator_id).where(AdministratorRole.role == role)
    )
    return rows[0][0]


def role_path(harbor: Harbor, role: Role, what: str) -> str:
    return f"/administrators/{seat_of(harbor, role)}/{what}"


def kinds(harbor: Harbor) -> list[str]:
    mine = sa.select(Event.kind).where(Event.organization_id == harbor.organization.id)
    return [row[0] for row in harbor.rows(mine.order_by(Event.id))]


def test_the_table_of_roles_holds_what_the_issue_says() -> None:
    assert MAY[Role.OWNER] == frozenset(Action)
    assert Action.CHANGE_ADMINISTRATORS not in MAY[Role.ADMINISTRATOR]
    assert {Action.UNLOCK_USER, Action.RESET_AUTHENTICATORS} <= MAY[Role.HELPDESK]
    assert not {Action.GIVE_BYPASS_CODE, Action.DELETE_USER, Action.EDIT_USERS} & MAY[Role.HELPDESK]
    reads = MAY[Role.AUDITOR]
    assert all(one.name.startswith(("SEE_", "EXPORT_")) for one in reads)
    assert not DANGEROUS & MAY[Role.AUDITOR]


def test_a_changed_role_holds_at_once_and_is_told_and_recorded(harbor: Harbor) -> None:
    """F82: no session goes on under a secret from before."""
    nadia, bo = harbor.administrator(), harbor.administrator(Role.ADMINISTRATOR)
    nadia.at(role_path(harbor, Role.ADMINISTRATOR, "role"))
    nadia.browser.submits(1, role=Role.HELPDESK.value)
    assert "is now: Help desk" in nadia.text
    assert kinds(harbor)[-1] == "administrator:role_changed"
    bo.at("/administrators")
    assert bo.browser.path == "/admin/sign-in"
    harbor.clock.advance(30)
    bo.signs_in()
    assert bo.at("/administrators").status == 403
    assert "Your role doesn’t allow this" in bo.text
    names = harbor.rows(sa.select(Message.name, Message.recipient))
    assert ("administrator_role", bo.email) in names


def test_who_is_removed_is_out_at_once(harbor: Harbor) -> None:
    nadia, bo = harbor.administrator(), harbor.administrator(Role.ADMINISTRATOR)
    nadia.at(role_path(harbor, Role.ADMINISTRATOR, "remove"))
    assert "Remove Administrator from Harbor?" in nadia.text
    nadia.browser.submits(1)
    assert "was removed" in nadia.text
    bo.at("/administrators")
    assert bo.browser.path == "/admin/sign-in"
    assert kinds(harbor)[-1] == "administrator:removed"
    harbor.clock.advance(30)
    bo.signs_in()
    assert bo.at("/administrators").status == 404


@pytest.mark.parametrize("what", ["role", "remove"])
def test_whoever_changes_their_own_rights_goes_on_under_a_new_secret(
    harbor: Harbor, what: str
) -> None:
    nadia = harbor.administrator()
    harbor.administrator(Role.OWNER, "noah@harbor.example", signed_in=False)
    elsewhere = replace(nadia, browser=harbor.browser())
    elsewhere.signs_in()
    nadia.browser.goes_to("/admin/profile")
    before = dict(nadia.browser.cookies)
    nadia.at("/administrators")
    mine = next(link for link in nadia.page.links if what in link and own_id(harbor, nadia) in link)
    nadia.browser.goes_to(mine)
    nadia.browser.submits(1, role=Role.AUDITOR.value)
    assert nadia.browser.path.startswith("/admin"), nadia.browser.path
    assert nadia.browser.path != "/admin/sign-in"
    assert nadia.browser.cookies["gatehouse-admin"] != before["gatehouse-admin"]
    stolen = Browser(harbor.wire, harbor.base_url, before)
    for other in (stolen, elsewhere.browser):
        other.goes_to("/admin/profile")
        assert other.path == "/admin/sign-in"


def own_id(harbor: Harbor, person: Administrator) -> str:
    with harbor.services.database.reading() as tx:
        found = harbor.services.administrators.named(tx, person.email)
    assert found is not None
    return str(found.id)


@pytest.mark.parametrize("what", ["role", "remove"])
def test_the_last_owner_stays(harbor: Harbor, what: str) -> None:
    nadia = harbor.administrator()
    nadia.at(role_path(harbor, Role.OWNER, what))
    assert nadia.browser.submits(1, role=Role.AUDITOR.value).status == 409
    assert "There must be an owner" in nadia.text
    assert nadia.at("/administrators/invite").status == 200


def test_an_owner_may_leave_when_there_is_another(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    bo = harbor.administrator(Role.OWNER, "bo@harbor.example", signed_in=False)
    del bo
    mine = harbor.rows(
        sa.select(AdministratorRole.administrator_id).order_by(AdministratorRole.created_at)
    )[0][0]
    nadia.at(f"/administrators/{mine}/remove")
    nadia.browser.submits(1)
    assert nadia.browser.path == "/admin/organizations"
    assert "You run no organization now" in nadia.text


def test_two_owners_who_remove_each_other_leave_one(live_harbor: Harbor) -> None:
    """The row of the organization is held before owners are counted."""
    from concurrent.futures import ThreadPoolExecutor

    both = [
        live_harbor.administrator(Role.OWNER, email, signed_in=False)
        for email in ("ann@harbor.example", "bo@harbor.example")
    ]
    for person in both:
        live_harbor.clock.moment = SystemClock().now()  # the servers have the real time
        live_harbor.clock.advance(30)
        person.signs_in()
    rows = live_harbor.rows(
        sa.select(AdministratorRole.administrator_id).order_by(AdministratorRole.created_at)
    )
    pairs = list(zip(both, [rows[1][0], rows[0][0]], strict=True))
    for person, other in pairs:
        person.at(f"/administrators/{other}/remove")

    def remove(pair: tuple[Administrator, uuid.UUID]) -> int:
        return pair[0].browser.submits(1).status

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(remove, pairs))
    assert len(live_harbor.rows(sa.select(AdministratorRole.role))) == 1


def test_the_same_person_is_invited_twice_only_before_accepting(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/administrators/invite")
    reply = nadia.browser.submits(1, email=nadia.email.upper(), role=Role.AUDITOR.value)
    assert reply.status == 422
    told = next(words for words in nadia.page.words if "is an administrator here already" in words)
    assert told.startswith(nadia.email.partition("@")[0].upper())  # as it was typed


@pytest.mark.parametrize(
    "email", ["", "x", "a@b", "a@b@c.example", "<script>alert(1)</script>@x.y"]
)
def test_an_address_that_is_none_is_told_at_its_field(harbor: Harbor, email: str) -> None:
    nadia = harbor.administrator()
    nadia.at("/administrators/invite")
    reply = nadia.browser.submits(1, email=email, role=Role.AUDITOR.value)
    assert reply.status == 422
    assert 'aria-invalid="true"' in reply.text
    assert "<script>alert" not in reply.text
    assert "Error:" in nadia.page.title


def test_nobody_promotes_themselves(harbor: Harbor) -> None:
    """F82: neither by the form nor by an address typed by hand."""
    for role in (Role.ADMINISTRATOR, Role.HELPDESK, Role.AUDITOR):
        person = harbor.administrator(role)
        person.browser.goes_to("/admin/profile")
        path = role_path(harbor, role, "role")
        assert person.does(path, role="owner").status == 403
        assert (
            person.does("/administrators/invite", email="x@y.example", role="owner").status == 403
        )
        assert (
            harbor.rows(
                sa.select(AdministratorRole.role).where(AdministratorRole.role == Role.OWNER)
            )
            == []
        )


def test_names_of_administrators_are_inert(harbor: Harbor) -> None:
    """F67 and F78."""
    nadia = harbor.administrator()
    for name in ("<script>alert(1)</script>", "{{ 7*7 }}", 'a" onmouseover="x'):
        nadia.browser.goes_to("/admin/profile")
        data = {"csrf_token": nadia.browser.form_token, "name": name}
        nadia.browser.goes_to("/admin/profile/name", "POST", data=data)
        reply = nadia.at("/administrators")
        assert name in nadia.text
        assert not re.search(r"<script>alert|onmouseover=\"x", reply.text)
