"""A walk over the URL map: to whom each page of the admin area opens, and what it changes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Organization, Role
from app.services.audit import OPERATOR
from app.services.roles import DANGEROUS, MAY, Action
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, Harbor, InProcess
from tests.web.admin.production import has_account, has_webhook

OPEN = {
    "admin_sign_in.show",
    "admin_sign_in.begin",
    "admin_sign_in.back",
    "admin_sign_in.verify",
    "admin_sign_in.verify_again",
    "admin_sign_in.sign_out",
    "admin_invitation.show",
    "admin_invitation.accept",
}
"""Where somebody who is not signed in may come; none of them tells anything of anybody."""

NOT_RECORDED = {"administrator_sessions"}
"""What looking at a page may touch: when a session was last seen."""


def app_of(harbor: Harbor) -> Any:
    assert isinstance(harbor.wire, InProcess)
    return harbor.wire.client.application


def routes(harbor: Harbor) -> Iterator[tuple[str, str, str, Action | None]]:
    """Yield endpoint, method, rule and action of every page of the admin area."""
    app = app_of(harbor)
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("admin"):
            continue
        action = getattr(app.view_functions[rule.endpoint], "action", None)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, method, rule.rule, action


_WORDS = {"door": "oidc", "form": "csv", "ending": "csv", "kind": "sms", "language": "en"}


def filled(rule: str, place: str, ids: dict[str, str] | None = None) -> str:
    """Return an address for a rule: real ids where they are known, else made-up ones."""
    path = rule.replace("/admin/<environment>/<domain>", place)

    def value(found: re.Match[str]) -> str:
        return (ids or {}).get(found[2]) or _WORDS.get(found[2]) or str(uuid.uuid4())

    return re.sub(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", value, path)


def contents(harbor: Harbor) -> dict[str, str]:
    """Return what every table holds."""
    engine, tables = harbor.services.database.engine, sa.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: repr(sorted(map(repr, connection.execute(table.select()).all())))
            for table in tables.sorted_tables
            if table.name not in NOT_RECORDED
        }


def pier(harbor: Harbor, environment: Environment = Environment.SANDBOX) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=environment, name="Pier"
        )


def asks(person: Administrator, method: str, path: str) -> int:
    more = {} if method == "GET" else {"data": {"csrf_token": person.browser.form_token}}
    reply = person.browser.wire.request(method, path, cookies=dict(person.browser.cookies), **more)
    return reply.status


@ONE_DATABASE
def test_every_page_of_an_organization_names_what_it_does(harbor: Harbor) -> None:
    found = list(routes(harbor))
    assert len(found) > 60
    for endpoint, _method, rule, action in found:
        if "<environment>" in rule:
            assert isinstance(action, Action), endpoint
    used = {action for *_, action in found if action}
    assert set(Action) - used == set()


@ONE_DATABASE
def test_to_an_outsider_no_page_opens(harbor: Harbor) -> None:
    """F26: neither without a session, nor with one of a hosted page, nor with an API key."""
    harbor.administrator()
    before = contents(harbor)
    visitor = harbor.visits(harbor.ada)
    visitor.sets_up()
    for endpoint, method, rule, _action in routes(harbor):
        if endpoint in OPEN:
            continue
        path = filled(rule, "/admin/sandbox/harbor", {"user_id": harbor.ada})
        for headers, cookies in (
            ({}, {}),
            ({"Authorization": f"Bearer {harbor.backend.token}"}, {}),
            ({}, dict(visitor.cookies)),
        ):
            data = {"csrf_token": visitor.form_token} if method == "POST" else None
            reply = harbor.wire.request(method, path, headers=headers, cookies=cookies, data=data)
            if method == "POST" and not cookies:
                # No form token without a cookie; uploads are read only once a role is proved.
                assert reply.status in {303, 400}, endpoint
                continue
            assert reply.status == 303, (endpoint, reply.status)
            assert reply.location == "/admin/sign-in", endpoint
    after = contents(harbor)
    for name in before:
        if name not in {"events", "gateway_sessions", "authenticators"}:
            assert after[name] == before[name], name


@ONE_DATABASE
@pytest.mark.parametrize("role", list(Role))
def test_to_a_lower_role_a_page_is_closed(harbor: Harbor, role: Role) -> None:
    """F82: by GET and by POST, with a good form token, and nothing changes."""
    person = harbor.administrator(role)
    person.browser.goes_to("/admin/profile")
    before = contents(harbor)
    refused = 0
    for endpoint, method, rule, action in routes(harbor):
        if action is None or action in MAY[role]:
            continue
        path = filled(rule, person.place, {"user_id": harbor.ada})
        assert asks(person, method, path) == 403, (endpoint, method)
        refused += 1
    assert refused > 5 or role in {Role.OWNER, Role.ADMINISTRATOR}
    assert contents(harbor) == before


@ONE_DATABASE
def test_to_the_owner_of_another_organization_all_is_unknown(harbor: Harbor) -> None:
    """F79: by the organization's own address."""
    harbor.administrator()
    other = pier(harbor)
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=other)
    eve.browser.goes_to("/admin/profile")
    before = contents(harbor)
    for endpoint, method, rule, action in routes(harbor):
        if action is None:
            continue
        path = filled(rule, "/admin/sandbox/harbor", {"user_id": harbor.ada})
        assert asks(eve, method, path) == 404, (endpoint, method)
        nowhere = filled(rule, "/admin/production/harbor", {"user_id": harbor.ada})
        assert asks(eve, method, nowhere) == 404, (endpoint, method)
    assert contents(harbor) == before


def ids_of(harbor: Harbor) -> dict[str, list[str]]:
    """Return every id that Harbor has, by the name of its table."""
    engine, tables = harbor.services.database.engine, sa.MetaData()
    tables.reflect(engine)
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            if "id" in table.c:
                rows = connection.execute(sa.select(table.c.id)).all()
                found[table.name] = [
                    str(uuid.UUID(str(value))) if len(str(value)) == 32 else str(value)
                    for (value,) in rows
                ]
    return found


OF_TABLE = {
    "user_id": "users",
    "administrator_id": "administrators",
    "invitation_id": "invitations",
    "authenticator_id": "authenticators",
    "application_id": "applications",
    "client_id": "applications",
    "key_id": "api_keys",
    "code_id": "bypass_codes",
    "job_id": "import_jobs",
    "policy_id": "policies",
    "message_id": "messages",
    "account_id": "provider_accounts",
    "browser_id": "trusted_browsers",
    "webhook_id": "webhooks",
    "delivery_id": "webhook_deliveries",
}


@ONE_DATABASE
def test_ids_of_another_organization_are_unknown_within_one_s_own(harbor: Harbor) -> None:
    """F79: every id of every table of Harbor, put into Pier's addresses; no side effect."""
    harbor.enrolls()
    harbor.registers("Harbor Logs", only=True)
    harbor.key(only=True)
    has_account(harbor, harbor.organization)
    has_webhook(harbor)
    owner = harbor.administrator()
    owner.at("/administrators/invite")
    owner.browser.submits(1, email="bo@harbor.example", role="auditor")
    theirs = ids_of(harbor)
    theirs["applications"].remove(harbor.notes.client_id)  # it serves all of the sandbox
    other = pier(harbor)
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=other)
    eve.browser.goes_to("/admin/profile")
    before = contents(harbor)
    tried = 0
    for endpoint, method, rule, action in routes(harbor):
        names = re.findall(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>", rule)[2:]
        if action is None or not {*names} - {*_WORDS}:
            continue
        for number in range(
            max(len(theirs.get(OF_TABLE.get(name, ""), [])) for name in names) or 1
        ):
            ids = {
                name: (theirs.get(OF_TABLE.get(name, "")) or [""])[
                    number % len(theirs.get(OF_TABLE.get(name, "")) or [""])
                ]
                for name in names
            }
            status = asks(eve, method, filled(rule, eve.place, ids))
            assert status in {404, 405}, (endpoint, method, ids, status)
            tried += 1
    assert tried > 20
    assert contents(harbor) == before


@ONE_DATABASE
def test_a_get_changes_nothing(harbor: Harbor) -> None:
    """F66: every page that opens by GET, with ids that exist; and none waits for a writer."""
    harbor.enrolls()
    harbor.registers("Harbor Logs", only=True)
    harbor.key(only=True)
    has_account(harbor, harbor.organization)
    has_webhook(harbor)
    owner = harbor.administrator()
    owner.browser.goes_to("/admin/profile")
    before, opened = contents(harbor), 0
    known = ids_of(harbor)
    ids = {name: (known.get(table) or [""])[0] for name, table in OF_TABLE.items()}
    ids["user_id"] = harbor.ada
    for endpoint, method, rule, action in routes(harbor):
        if method != "GET" or action is None or re.search("export|download|end_trial", endpoint):
            continue  # what is carried out of the house is recorded, and a result used up
        with writings(harbor) as written:
            status = asks(owner, "GET", filled(rule, owner.place, ids))
        assert status < 500, endpoint
        assert written == [], endpoint
        opened += status == 200
    assert opened > 20
    assert contents(harbor) == before


@contextmanager
def writings(harbor: Harbor) -> Iterator[list[str]]:
    """Note down what is sent to be written, whether or not it is kept."""
    engine = app_of(harbor).extensions["gatehouse"].database.engine
    heard: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if re.match(r"\s*(INSERT|UPDATE|DELETE)\b", statement) and not any(
            f" {table} " in statement for table in NOT_RECORDED
        ):
            heard.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield heard
    sa.event.remove(engine, "before_cursor_execute", note)


@ONE_DATABASE
def test_no_form_is_taken_without_its_token(harbor: Harbor) -> None:
    """F66: missing, made up, and of another browser."""
    owner, eve = harbor.administrator(), harbor.administrator(Role.OWNER, "eve@harbor.example")
    eve.browser.goes_to("/admin/profile")
    owner.browser.goes_to("/admin/profile")
    before = contents(harbor)
    for endpoint, method, rule, _action in routes(harbor):
        if method == "GET":
            continue
        path = filled(rule, owner.place, {"user_id": harbor.ada})
        for data in ({}, {"csrf_token": "made-up"}, {"csrf_token": eve.browser.form_token}):
            reply = harbor.wire.request(
                method, path, cookies=dict(owner.browser.cookies), data=data
            )
            assert reply.status == 400, (endpoint, data)
    assert contents(harbor) == before


@ONE_DATABASE
def test_every_dangerous_page_wants_a_fresh_second_factor(harbor: Harbor) -> None:
    owner = harbor.administrator()
    harbor.clock.advance(31 * 60)
    owner.browser.goes_to("/admin/profile")
    before = contents(harbor)
    tried = 0
    for endpoint, method, rule, action in routes(harbor):
        if action not in DANGEROUS:
            continue
        path = filled(rule, owner.place, {"user_id": harbor.ada})
        more = {} if method == "GET" else {"data": {"csrf_token": owner.browser.form_token}}
        reply = harbor.wire.request(method, path, cookies=dict(owner.browser.cookies), **more)
        assert (reply.status, reply.location) == (303, "/admin/verify"), (endpoint, method)
        tried += 1
    assert tried > 20
    assert contents(harbor) == before


@ONE_DATABASE
def test_what_is_gone_opens_no_page(harbor: Harbor) -> None:
    """F82: a deleted organization is gone for its own administrators at once."""
    owner = harbor.administrator()
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(tx, Environment.SANDBOX, "harbor")
        harbor.services.organizations.delete(tx, OPERATOR, found)
    assert owner.at("/administrators").status == 404
    assert owner.browser.goes_to("/admin/").status == 200
    assert "You run no organization now" in owner.text


@ONE_DATABASE
def test_no_key_and_no_application_reaches_the_users_that_administrators_are(
    harbor: Harbor,
) -> None:
    """F82: their second factor is nobody's to reset from outside."""
    owner = harbor.administrator()
    for environment in (Environment.SANDBOX, Environment.PRODUCTION):
        key = harbor.key(environment)
        for method, path in (
            ("GET", "/org/gatehouse/users"),
            ("GET", f"/org/gatehouse/users/{owner.email}"),
            ("DELETE", f"/org/gatehouse/users/{owner.email}"),
            ("GET", "/organizations/gatehouse"),
        ):
            assert key.calls(method, path).status == 404, (method, path)
        assert "gatehouse" not in key.calls("GET", "/organizations").text.lower().replace(
            "gatehouse.example", ""
        )
    notes = harbor.notes
    notes.organization = "gatehouse"
    assert notes.asks(owner.email).status == 404
