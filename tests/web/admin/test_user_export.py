"""Exporting users: what the list shows, in pieces, safe to open, and recorded."""

from __future__ import annotations

import csv
import io
import json
import uuid

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Environment, Event, Role, User
from app.services.audit import OPERATOR
from app.services.user_exports import PIECE
from app.web.admin.csv_rows import csv_line, neutral
from tests import actors
from tests.conftest import ONE_DATABASE, Harbor


@pytest.fixture
def nadia(harbor: Harbor) -> actors.Administrator:
    return harbor.administrator(Role.AUDITOR)


def exports(nadia: actors.Administrator, query: str = "") -> list[dict[str, str]]:
    reply = nadia.at(f"/users/export.csv{query}")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(reply.text)))


def test_an_export_has_what_the_list_shows_and_no_secret(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    """F68: nothing that lets anybody in is in it."""
    phone = harbor.enrolls()
    [row] = exports(nadia)
    assert row == {
        "id": harbor.ada,
        "email": "ada@harbor.example",
        "given_name": "",
        "family_name": "",
        "phone_number": "",
        "external_id": "",
        "status": "enrolled",
        "methods": "totp",
        "recovery_codes_left": "5",
        "added_at": "2026-03-01T12:00:05Z",
        "last_verified_at": row["last_verified_at"],
    }
    assert row["last_verified_at"].startswith("2026-03-01T12:")
    sealed = harbor.rows(sa.select(Authenticator.secret).where(Authenticator.secret.is_not(None)))
    reply = nadia.at("/users/export.jsonl")
    assert reply.headers["content-disposition"].startswith(
        'attachment; filename="users-harbor-2026-'
    )
    [line] = reply.text.splitlines()
    found = json.loads(line)
    assert found["methods"] == ["totp"]
    assert found["recovery_codes_left"] == 5
    assert phone.key not in reply.text
    assert all(secret not in reply.text for (secret,) in sealed)


def test_an_export_is_recorded_with_how_many_it_handed_out(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.person("bo@harbor.example")
    exports(nadia, "?q=bo&status=overdue")
    [(event,)] = harbor.rows(sa.select(Event).where(Event.kind == "user:exported"))
    assert event.actor_label == "auditor@gatehouse.example"
    assert event.organization_id == harbor.organization.id
    assert event.detail == {
        "count": 1, "form": "csv", "search": "bo", "status": "overdue", "method": None,
    }  # fmt: skip


def test_the_page_before_it_says_what_will_be_in_it_and_records_nothing(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.person("bo@harbor.example")
    nadia.at("/users/export?q=bo&status=overdue")
    assert nadia.page.heading == "Export 1 user"
    assert "“bo”" in nadia.text
    assert f"{nadia.place}/users/export.csv?q=bo&status=overdue" in nadia.page.links
    nadia.browser.goes_to(nadia.place + "/users/export.csv", "HEAD")
    assert harbor.rows(sa.select(Event.id).where(Event.kind == "user:exported")) == []


def test_more_users_than_a_piece_come_once_each(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    now, number = harbor.clock.now(), 2 * PIECE + 3
    users = [
        {
            "id": uuid.uuid4(),
            "organization_id": harbor.organization.id,
            "email": f"u{each}@harbor.example",
            "email_key": f"u{each}@harbor.example",
            "profile": {},
            "created_at": now,
            "updated_at": now,
        }
        for each in range(number)
    ]
    harbor.executes(sa.insert(User).values(users[:1]))
    with harbor.services.database.writing() as tx:
        tx.execute(sa.insert(User), users[1:])
    found = [row["email"] for row in exports(nadia)]
    assert len(found) == len(set(found)) == number + 1
    assert found == sorted(found)


def test_after_the_addresses_come_those_who_have_a_number_alone(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    now, number = harbor.clock.now(), PIECE + 3
    common = {"organization_id": harbor.organization.id, "created_at": now, "updated_at": now}
    users = [
        {**common, "id": uuid.uuid4(), "profile": {}, "phone_number": f"+336{12000000 + one}"}
        for one in range(number)
    ]
    with harbor.services.database.writing() as tx:
        tx.execute(sa.insert(User), users)
    lines = nadia.at("/users/export.jsonl").text.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["email"] for one in found] == ["ada@harbor.example", *[None] * number]
    assert [one["phone_number"] for one in found[1:]] == [one["phone_number"] for one in users]


def test_nobody_of_another_organization_is_exported(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    """F79."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        harbor.services.directory.create(tx, OPERATOR, pier, email="ada@harbor.example")
        harbor.services.directory.create(tx, OPERATOR, pier, email="kit@pier.example")
    assert [row["id"] for row in exports(nadia)] == [harbor.ada]
    for kind in ("csv", "jsonl"):
        reply = nadia.browser.goes_to(f"/admin/sandbox/pier/users/export.{kind}")
        assert reply.status == 404
        assert "pier.example" not in reply.text


@ONE_DATABASE
def test_who_may_not_export_gets_nothing(harbor: Harbor) -> None:
    """F82."""
    somebody = harbor.administrator(Role.HELPDESK)
    for path in ("/users/export", "/users/export.csv", "/users/export.jsonl"):
        assert somebody.at(path).status == 403
        assert "ada@harbor.example" not in somebody.browser.reply.text
    stranger = harbor.browser()
    stranger.goes_to(f"{somebody.place}/users/export.csv")
    assert stranger.path == "/admin/sign-in"
    assert harbor.rows(sa.select(Event.id).where(Event.kind == "user:exported")) == []


@ONE_DATABASE
@pytest.mark.parametrize("path", ["export.xlsx", "export.csv/..", "export.%2e%2e", "export."])
def test_no_other_form_is_known(harbor: Harbor, path: str) -> None:
    """F74."""
    assert harbor.administrator().at(f"/users/{path}").status == 404


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\u3000=1",
    "\uff1d1",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("typed", FORMULAS)
def test_no_cell_is_taken_for_a_formula(typed: str) -> None:
    [cells] = (
        csv.reader([csv_line([typed, "x"]).rstrip("\r\n")])
        if "\r" not in typed
        else [[neutral(typed), "x"]]
    )
    assert cells == ["'" + typed, "x"]


@pytest.mark.parametrize(
    "typed", ["", "ada", "a=b", "'x", "1-1", 'Ada, "the" first', "é", "+33612345678"]
)
def test_other_cells_stay_as_they_are(typed: str) -> None:
    [cells] = csv.reader([csv_line([typed, None, 7]).rstrip("\r\n")])
    assert cells == [typed, "", "7"]


@ONE_DATABASE
def test_a_name_that_would_be_a_formula_is_neutral_in_an_export(harbor: Harbor) -> None:
    profile = {"given_name": '=HYPERLINK("https://evil.example")', "family_name": "@x"}
    mine = sa.update(User).where(User.id == uuid.UUID(harbor.ada))
    harbor.executes(mine.values(profile=profile, external_id="+cmd", phone_number="+33612345678"))
    [row] = exports(harbor.administrator())
    assert row["given_name"] == '\'=HYPERLINK("https://evil.example")'
    assert (row["family_name"], row["external_id"]) == ("'@x", "'+cmd")
    assert row["phone_number"] == "+33612345678"
