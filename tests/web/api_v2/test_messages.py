"""GET /api/v2/org/{domain}/messages: what the sandbox captured."""

from __future__ import annotations

import sqlalchemy as sa

from app.models import Environment, Event, Message
from app.services.audit import OPERATOR
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import is_refused

MESSAGES = "/org/harbor/messages"


def test_captured_messages_are_listed_newest_first(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.adds_another(phone)
    reply = harbor.backend.calls("GET", MESSAGES)
    assert reply.status == 200, reply.text
    assert (reply.json["__type__"], reply.json["total"]) == ("List", 2)
    newest, oldest = reply.json["data"]
    assert newest == {
        "id": newest["id"],
        "channel": "email",
        "to": "ada@harbor.example",
        "subject": "An authenticator app was added to your account",
        "text": newest["text"],
        "html": newest["html"],
        "status": "captured",
        "created_at": "2026-03-01T12:01:05Z",
    }
    assert "ada@harbor.example at Harbor" in newest["text"]
    assert newest["html"].startswith("<!doctype html>")
    assert "ada@harbor.example at Harbor" in newest["html"]
    assert oldest["created_at"] == "2026-03-01T12:00:05Z"
    second = harbor.backend.calls("GET", f"{MESSAGES}?page=2&per_page=1").json
    assert second["data"] == [oldest]
    is_refused(harbor.backend.calls("GET", f"{MESSAGES}?page=x"), 422, "invalid_request", "page")


def test_another_organization_s_messages_are_not_there(harbor: Harbor) -> None:
    harbor.enrolls()
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    assert harbor.backend.calls("GET", "/org/pier/messages").json["data"] == []
    only = harbor.key(only=True)
    assert only.calls("GET", MESSAGES).json["total"] == 1
    is_refused(only.calls("GET", "/org/pier/messages"), 404, "not_found")


@ONE_DATABASE
def test_production_has_no_such_call(harbor: Harbor) -> None:
    production = harbor.key(Environment.PRODUCTION)
    with harbor.services.database.writing() as tx:
        harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
    there = production.calls("GET", "/org/harbor/messages")
    nowhere = production.calls("GET", "/org/nowhere/messages")
    is_refused(there, 404, "not_found")
    assert (there.status, there.text) == (nowhere.status, nowhere.text)


@ONE_DATABASE
def test_reading_messages_takes_its_own_permission(harbor: Harbor) -> None:
    harbor.executes(sa.text("""update api_keys set permissions = '["read:users"]'"""))
    is_refused(harbor.backend.calls("GET", MESSAGES), 403, "forbidden", "read:messages")


@ONE_DATABASE
def test_what_a_message_says_stands_in_no_row_and_no_event(harbor: Harbor) -> None:
    harbor.enrolls()
    [message] = harbor.backend.calls("GET", MESSAGES).json["data"]
    kept = harbor.rows(sa.select(Message.body)) + harbor.rows(sa.select(Event.detail))
    assert message["text"].splitlines()[0] not in repr(kept)
