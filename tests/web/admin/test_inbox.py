"""The sandbox's inbox: what was captured, and never in production."""

from __future__ import annotations

import uuid
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from app import crypto
from app.errors import NotFound
from app.models import Environment, Message, Organization, Role
from app.services.audit import OPERATOR
from app.services.letters import Letter, sealed
from app.web.admin.inbox import parts_of
from tests.conftest import ENCRYPTION_KEYS, ONE_DATABASE, Harbor
from tests.web.api_v2.headless import enrolls


def messages(harbor: Harbor, channel: str = "email") -> list[Message]:
    """Return what was written to Harbor's users, newest first."""
    found = sa.select(Message).where(
        Message.organization_id == harbor.organization.id, Message.channel == channel
    )
    return [row.Message for row in harbor.rows(found.order_by(Message.created_at.desc()))]


def production(harbor: Harbor) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )


def texts_a_code(harbor: Harbor) -> str:
    """Have a code sent to Ada's number, and return the number."""
    number = "+33612345678"
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(
            tx, OPERATOR, harbor.organization, methods=("app", "sms"), sms_delivery="gateway"
        )
    reply = harbor.backend.calls(
        "PATCH", f"/org/harbor/users/{harbor.ada}", json={"phone_number": number}
    )
    assert reply.status == 200, reply.text
    assert enrolls(harbor, method="sms").status == 201
    return number


def test_messages_are_there_newest_first_with_what_they_say(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.adds_another(phone)
    nadia = harbor.administrator(Role.HELPDESK)
    nadia.at("/inbox")
    assert nadia.text.count("to ada@harbor.example ·") == 2
    newest, oldest = messages(harbor)
    times = [f"{one.created_at:%H:%M} UTC" for one in (newest, oldest)]
    assert times[0] != times[1]
    assert nadia.text.index(times[0]) < nadia.text.index(times[1])
    for line in harbor.text_of(newest).split("\n\n"):
        assert " ".join(line.split()) in " ".join(nadia.text.split())


def test_a_text_lies_on_the_phone_with_its_code_to_copy(harbor: Harbor) -> None:
    number = texts_a_code(harbor)
    nadia = harbor.administrator()
    html = nadia.at("/inbox").text
    [message] = messages(harbor, "sms")
    code = harbor.text_of(message)[:6]
    assert f'id="code-{message.id}">{code}</code>' in html
    assert html.index('class="phone"') < html.index(code)
    assert number in nadia.text
    assert "No email yet." in nadia.text


def test_pages_go_on_where_the_last_one_ended(harbor: Harbor) -> None:
    harbor.enrolls()
    [one] = messages(harbor)
    for number in range(24):
        copy(harbor, one, f"Message {number:02}")
    nadia = harbor.administrator()
    seen: list[str] = []
    nadia.at("/inbox")
    while True:
        seen += [f"Message {n:02}" for n in reversed(range(24)) if f"Message {n:02}" in nadia.text]
        older = next((link for link in nadia.page.links if "email=" in link), None)
        if older is None:
            break
        nadia.browser.goes_to(unescape(older))
    assert seen == [f"Message {n:02}" for n in reversed(range(24))]
    nadia.at("/inbox?email=nonsense&sms=2026-03-01T12:00:00~x")
    assert "Message 23" in nadia.text


def copy(harbor: Harbor, message: Message, subject: str) -> None:
    """Put a later message in that says the same under another subject."""
    harbor.clock.advance(1)
    new: dict[str, Any] = {"id": uuid.uuid4(), "subject": subject, "created_at": harbor.clock.now()}
    vault = crypto.Vault(crypto.parse_keys(ENCRYPTION_KEYS))
    body = sealed(vault, new["id"], Letter(text=harbor.text_of(message)))
    columns = {one.key: getattr(message, one.key) for one in sa.inspect(Message).column_attrs}
    harbor.executes(sa.insert(Message).values({**columns, **new, "body": body}))


def test_one_user_s_messages_can_be_asked_for(harbor: Harbor) -> None:
    harbor.enrolls()
    bo = harbor.person("bo@harbor.example")
    harbor.enrolls(bo)
    nadia = harbor.administrator()
    for asked in ("bo@harbor.example", "BO@harbor.example", bo):
        nadia.at(f"/inbox?user={asked}")
        assert "to bo@harbor.example" in nadia.text
        assert "to ada@" not in nadia.text
    nadia.at("/inbox?user=nobody@harbor.example")
    assert "No user has this address" in nadia.text
    assert "to ada@" not in nadia.text


def test_another_organization_s_messages_are_not_there(harbor: Harbor) -> None:
    """F79: neither by the list, nor by a user's id, nor by a place between messages."""
    harbor.enrolls()
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=pier)
    for query in ("", f"?user={harbor.ada}", "?user=ada@harbor.example"):
        eve.at(f"/inbox{query}")
        assert eve.status == 200
        assert "ada@harbor.example" not in eve.text
    assert eve.browser.goes_to("/admin/sandbox/harbor/inbox").status == 404


def test_production_has_no_inbox(harbor: Harbor) -> None:
    organization = production(harbor)
    nadia = harbor.administrator(Role.OWNER, "nadia@harbor.example", organization=organization)
    nadia.at("/")
    assert "/inbox" not in nadia.browser.reply.text
    assert nadia.at("/inbox").status == 404


def test_the_service_itself_opens_no_message_of_production(harbor: Harbor) -> None:
    harbor.enrolls()
    organization = production(harbor)
    harbor.executes(sa.update(Message).values(organization_id=organization.id))
    inbox = harbor.services.inbox
    [(message,)] = harbor.rows(sa.select(Message))
    with harbor.services.database.reading() as tx:
        for reads in (
            lambda: inbox.page(tx, organization, page=1, per_page=10),
            lambda: inbox.newest(tx, organization, "email", number=10),
            lambda: inbox.text_of(organization, message),
            lambda: inbox.text_of(harbor.organization, message),
        ):
            with pytest.raises(NotFound):
                reads()


@ONE_DATABASE
def test_only_our_own_addresses_can_be_followed(harbor: Harbor) -> None:
    """F67: a message holds what others wrote, such as the name of an organization."""
    ours = "http://localhost"
    text = (
        "Open http://localhost/g/links/abc?x=1. Not http://localhost.evil.example/, "
        "http://localhost@evil.example/, https://evil.example/http://localhost/, "
        "javascript:alert(1) <b>or</b> http://localhost"
    )
    parts = list(parts_of(text, ours))
    assert [href for _, href in parts if href] == ["http://localhost/g/links/abc?x=1"]
    assert "".join(piece for piece, _ in parts) == text
    with harbor.services.database.writing() as tx:
        harbor.organization = tx.merge(harbor.organization)
        harbor.organization.name = "<script>alert(1)</script> https://evil.example/x"
    harbor.enrolls()
    nadia = harbor.administrator()
    html = nadia.at("/inbox").text
    assert "<script>alert" not in html
    assert "https://evil.example/x" in nadia.text
    assert not [link for link in nadia.page.links if "evil" in link]


@ONE_DATABASE
def test_an_auditor_reads_no_message(harbor: Harbor) -> None:
    """A code in it would let them in as the user."""
    harbor.enrolls()
    auditor = harbor.administrator(Role.AUDITOR)
    assert auditor.at("/inbox").status == 403
    assert "ada@harbor.example" not in auditor.text


@ONE_DATABASE
def test_an_empty_inbox_says_what_fills_it(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/inbox")
    assert "No message yet" in nadia.text
    nadia.at("/inbox?user=ada@harbor.example")
    assert "Nothing was sent to ada@harbor.example" in nadia.text
