"""The audit pages: what an auditor finds, takes along, and an owner lets go."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Organization, Role, User
from app.services import audit_search
from app.services.audit import OPERATOR, Actor, EventKind
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, START, Harbor

pytestmark = pytest.mark.both_databases

NADIA = Actor(
    name="administrator:00000000-0000-4000-8000-000000000007",
    label="nadia@elsewhere.example",
    address="192.0.2.7",
)
MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def record(harbor: Harbor, kind: EventKind, actor: Actor = OPERATOR, **what: Any) -> None:
    values = {"organization_id": harbor.organization.id, **what}
    with harbor.services.database.writing() as tx:
        harbor.services.audit.record(tx, kind, actor, **values)


def sentences(page: str) -> list[str]:
    return re.findall(r"<summary><span>(.*?)</span>", page)


@pytest.fixture
def auditor(harbor: Harbor) -> Administrator:
    return harbor.administrator(Role.AUDITOR)


def test_everything_that_happened_is_there_in_plain_words(
    harbor: Harbor, auditor: Administrator
) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.wrong_codes(phone)[0])
    record(harbor, EventKind.USER_UNLOCKED, NADIA, user_id=uuid.UUID(harbor.ada), why="Called me")
    reply = auditor.at("/audit")
    told = sentences(reply.text)
    assert told[:2] == ["User unlocked", "Code refused: wrong code, authenticator app"]
    assert "Authenticator set up: authenticator app" in told
    assert told[-1] == "Organization created"
    first = reply.text.split("</tr>")[1]
    for shown in (
        "Reason: Called me",
        "nadia@elsewhere.example",
        f'href="/admin/sandbox/harbor/users/{harbor.ada}"',
        "ada@harbor.example",
        "192.0.2.7",
        "user:unlocked",
        "Not sealed yet",
    ):
        assert shown in first
    assert "Harbor Notes" in reply.text
    harbor.services.seals.seal()
    reply = auditor.at("/audit")
    assert "Not sealed yet" not in reply.text
    assert "Number 1" in reply.text


def test_each_field_of_the_search_narrows_it(harbor: Harbor, auditor: Administrator) -> None:
    bo = harbor.person("bo@harbor.example")
    notes = uuid.UUID(harbor.notes.client_id)
    harbor.clock.advance(86400 * 2)
    auditor.signs_in()
    record(harbor, EventKind.USER_UNLOCKED, NADIA, user_id=uuid.UUID(bo))
    record(harbor, EventKind.RESULT_ISSUED, application_id=notes, user_id=uuid.UUID(harbor.ada))
    day = (START + timedelta(days=2)).date()
    for search, found in (
        ("kind=user:unlocked", ["User unlocked"]),
        ("kind=result", ["Result issued to the application"]),
        ("user=bo@harbor.example", ["User unlocked", "User added"]),
        (f"user={bo}&kind=user:created", ["User added"]),
        (f"by={NADIA.name}", ["User unlocked"]),
        (f"application={notes}", ["Result issued to the application"]),
        ("address=192.0.2.7", ["User unlocked"]),
        ("address=%20192.0.2.7%20", ["User unlocked"]),
        (f"since={day}&by=operator", ["Result issued to the application"]),
        (f"until={day - timedelta(days=1)}&kind=organization", ["Organization created"]),
    ):
        reply = auditor.at(f"/audit?{search}")
        assert reply.status == 200, search
        assert sentences(reply.text) == found, search
        assert "Clear the search" in reply.text


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("user=nobody@harbor.example", "Nobody here has this email address"),
        ("user=%27%20OR%201%3D1", "Nobody here has this email address"),
        ("user=%25", "Nobody here has this email address"),
        ("user=a%00b@harbor.example", "Nobody here has this email address"),
        ("address=192.0.2", "Write a whole IP address"),
        ("address=%25", "Write a whole IP address"),
        ("kind=nonsense", ""),
        ("by=nonsense", ""),
        ("application=nonsense", ""),
        ("since=yesterday", "Write a day, such as 2026-11-28."),
        ("since=0001-01-01", "from the year 2000"),
        ("until=9999-12-31", "from the year 2000"),
        ("since=2026-03-02&until=2026-03-01", "Choose the first day or a later one"),
    ],
)
def test_what_can_t_be_looked_for_is_told_at_its_field_and_kept(
    harbor: Harbor, auditor: Administrator, search: str, says: str
) -> None:
    """F78: whatever is typed is only a value."""
    reply = auditor.at(f"/audit?{search}")
    assert reply.status == 422
    assert says in reply.text
    assert 'class="error"' in reply.text
    assert sentences(reply.text) == []
    if search.startswith("user=nobody"):
        assert 'value="nobody@harbor.example"' in reply.text
    assert auditor.at(f"/audit/events.csv?{search}").status == 422


def test_a_search_without_a_hit_says_so_and_offers_the_way_back(
    harbor: Harbor, auditor: Administrator
) -> None:
    reply = auditor.at(f"/audit?user={uuid.uuid4()}")
    assert reply.status == 200
    assert "No event matches" in reply.text
    assert "<table" not in reply.text


def test_a_deleted_user_s_events_stay_and_are_found_by_id(
    harbor: Harbor, auditor: Administrator
) -> None:
    bo = harbor.person("bo@harbor.example")
    with harbor.services.database.writing() as tx:
        found = harbor.services.directory.find(tx, harbor.organization, bo)
        harbor.services.directory.delete(tx, OPERATOR, harbor.organization, found)
    reply = auditor.at(f"/audit?user={bo}")
    assert sentences(reply.text) == ["User deleted", "User added"]
    assert "Deleted user" in reply.text
    assert f"users/{bo}" not in reply.text


def test_pages_lead_to_older_events_and_back(harbor: Harbor, auditor: Administrator) -> None:
    for number in range(120):
        record(harbor, EventKind.USER_UPDATED, fields=f"field_{number}")
    seen: list[str] = []
    reply = auditor.at("/audit?kind=user:updated")
    while True:
        seen += sentences(reply.text)
        following = re.search(r'href="([^"]+)" rel="next"', reply.text)
        if following is None:
            break
        reply = auditor.browser.goes_to(following[1].replace("&amp;", "&"))
    assert seen == [f"User changed: field {number}" for number in reversed(range(120))]
    back = re.search(r'href="([^"]+)" rel="prev"', reply.text)
    assert back is not None
    reply = auditor.browser.goes_to(back[1].replace("&amp;", "&"))
    assert sentences(reply.text) == seen[50:100]
    assert auditor.at("/audit?at=nonsense").status == 200


# Who may


def test_the_help_desk_does_not_see_the_record(harbor: Harbor) -> None:
    helper = harbor.administrator(Role.HELPDESK)
    for path in ("/audit", "/audit/events.csv", "/audit/events.jsonl", "/audit/retention"):
        assert helper.at(path).status == 403


def test_another_organization_s_events_are_not_there(harbor: Harbor) -> None:
    """F82."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    stranger = harbor.administrator(Role.OWNER, "olga@pier.example", organization=pier)
    for path in ("/audit", f"/audit?user={harbor.ada}", "/audit/events.csv", "/audit/events.jsonl"):
        reply = stranger.at(path)
        assert reply.status == 200
        assert "ada@" not in reply.text
        assert harbor.ada not in reply.text.replace(f"user={harbor.ada}", "").replace(
            f'value="{harbor.ada}"', ""
        )
    assert stranger.browser.goes_to("/admin/sandbox/harbor/audit").status == 404
    reply = stranger.at("/audit?user=ada@harbor.example")
    assert "Nobody here has this email address" in reply.text


# Files


def test_the_csv_file_holds_the_same_search(harbor: Harbor, auditor: Administrator) -> None:
    record(
        harbor,
        EventKind.USER_UNLOCKED,
        NADIA,
        user_id=uuid.UUID(harbor.ada),
        why="Said “hello”, ok",
    )
    harbor.services.seals.seal()
    record(harbor, EventKind.USER_UNLOCKED, NADIA)
    reply = auditor.at("/audit/events.csv?kind=user:unlocked")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="harbor-events-2026-03-01.csv"' in reply.headers["content-disposition"]
    assert reply.headers["cache-control"] == "no-store"
    new, old = csv.DictReader(io.StringIO(reply.text))
    assert old["kind"] == "user:unlocked"
    assert old["event"] == "User unlocked"
    assert old["actor_name"] == "nadia@elsewhere.example"
    assert old["user_email"] == "ada@harbor.example"
    assert old["reason"] == "Said “hello”, ok"
    assert (old["seal"], new["seal"]) == ("1", "")


def test_the_json_file_has_one_event_a_line(harbor: Harbor, auditor: Administrator) -> None:
    record(harbor, EventKind.USERS_IMPORTED, created=3, label="a\nb\u2028c")
    reply = auditor.at("/audit/events.jsonl")
    lines = reply.text.removesuffix("\n").split("\n")
    events = [json.loads(line) for line in lines]
    assert events[0]["kind"] == "audit:exported"
    assert events[1]["detail"] == {"created": 3, "label": "a\nb\u2028c"}
    ids = [event["id"] for event in events]
    assert ids == sorted(ids, reverse=True)
    assert "\u2028" not in reply.text


def test_no_cell_of_the_file_is_a_formula(harbor: Harbor, auditor: Administrator) -> None:
    """F72: whatever somebody wrote as a reason or is called."""
    payloads = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("https://x")', " =1"]
    for payload in payloads:
        record(
            harbor,
            EventKind.USER_UNLOCKED,
            Actor(name="administrator:x", label=payload, address=None, device=payload),
            why=payload,
        )
    reply = auditor.at("/audit/events.csv?kind=user:unlocked")
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert len(rows) == len(payloads)
    for row in rows:
        for cell in row.values():
            assert not re.match(r"\s*[=+\-@]|[\t\r]", cell), cell
    for column in ("actor_name", "browser", "reason"):
        assert {row[column] for row in rows} == {f"'{payload}" for payload in payloads}


def test_taking_the_record_along_is_on_record(harbor: Harbor, auditor: Administrator) -> None:
    auditor.at("/audit/events.csv?kind=user:created")
    auditor.at("/audit/events.jsonl")
    assert auditor.at("/audit/events.xml").status == 404
    rows = harbor.rows(
        sa.select(Event.actor_label, Event.address, Event.detail)
        .where(Event.kind == "audit:exported")
        .order_by(Event.id)
    )
    assert [tuple(row) for row in rows] == [
        (auditor.email, "127.0.0.1", {"format": "csv", "search": "kind=user:created"}),
        (auditor.email, "127.0.0.1", {"format": "jsonl", "search": ""}),
    ]


def test_a_file_is_sent_in_parts(
    harbor: Harbor, auditor: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part waits for the next one, so memory holds one at a time."""
    monkeypatch.setattr(audit_search, "_CHUNK", 10)
    for number in range(35):
        record(harbor, EventKind.USER_UPDATED, fields=f"field_{number}")
    client = harbor.wire.client  # type: ignore[attr-defined]
    cookies = "; ".join(f"{name}={value}" for name, value in auditor.browser.cookies.items())
    answer = client.get(
        "/admin/sandbox/harbor/audit/events.jsonl?kind=user:updated",
        headers={"Cookie": cookies},
        buffered=False,
    )
    assert answer.is_streamed
    parts = [part for part in answer.iter_encoded() if part]
    assert [part.count(b"\n") for part in parts] == [10, 10, 10, 5]
    answer.close()


# What strangers write


def test_markup_in_an_event_is_only_text(harbor: Harbor, auditor: Administrator) -> None:
    """F67: names, reasons, addresses, whatever reaches the record from outside."""
    harbor.executes(sa.update(User).values(email=f"{MARKUP}@harbor.example"))
    record(
        harbor,
        EventKind.USER_UPDATED,
        Actor(name=f"administrator:{MARKUP}", label=MARKUP, address=MARKUP),
        user_id=uuid.UUID(harbor.ada),
        why=MARKUP,
        fields=MARKUP,
        **{MARKUP: MARKUP},
    )
    record(harbor, EventKind.USER_UPDATED, Actor(name=MARKUP))
    for path in ("/audit", "/audit?user=" + harbor.ada):
        reply = auditor.at(path)
        assert reply.status == 200
        assert "alert(1)" in reply.text
        assert "<script>alert" not in reply.text
        assert "<img src=x" not in reply.text
        assert "javascript:" not in reply.text


# Retention


@pytest.fixture
def owner(harbor: Harbor) -> Administrator:
    return harbor.administrator(Role.OWNER)


CHANGE = "/audit/retention/change?keep=days&days=90"


def kept(harbor: Harbor) -> int | None:
    days: int | None = harbor.rows(
        sa.select(Organization.audit_days).where(Organization.id == harbor.organization.id)
    )[0][0]
    return days


def test_an_owner_changes_how_long_events_are_kept(harbor: Harbor, owner: Administrator) -> None:
    assert "Events are kept for ever." in owner.at("/audit").text
    assert owner.at("/audit/retention").status == 200
    reply = owner.at(CHANGE)
    assert "Keep the events of Harbor for 90 days?" in reply.text
    assert "nothing is deleted today" in reply.text
    assert kept(harbor) is None
    owner.does(CHANGE, reason="Our privacy notice says 90 days")
    assert kept(harbor) == 90
    assert "Saved. Events are kept for 90 days." in owner.text
    rows = harbor.rows(
        sa.select(Event.actor_label, Event.reason, Event.detail).where(
            Event.kind == "audit:retention_changed"
        )
    )
    assert [tuple(row) for row in rows] == [
        (
            owner.email,
            "Our privacy notice says 90 days",
            {"kept": "90 days", "before": "for ever"},
        )
    ]
    owner.at("/audit/retention/change?keep=for_ever&days=")
    owner.does("/audit/retention/change?keep=for_ever&days=", reason="The court asks")
    assert kept(harbor) is None


def test_the_question_says_how_many_events_go(harbor: Harbor, owner: Administrator) -> None:
    harbor.services.seals.seal()
    sealed = harbor.rows(
        sa.select(sa.func.count())
        .select_from(Event)
        .where(Event.organization_id == harbor.organization.id)
    )[0][0]
    harbor.clock.advance(86400 * 120)
    owner.signs_in()
    harbor.clock.advance(30)
    reply = owner.at(CHANGE)
    assert f"{sealed} events from before 31 March 2026 are deleted within the hour" in reply.text


def test_what_can_t_be_kept_is_told_and_nothing_changes(
    harbor: Harbor, owner: Administrator
) -> None:
    for days in ("29", "3651", "", "x", "-5", "1e3"):
        path = f"/audit/retention/change?keep=days&days={days}"
        reply = owner.at(path)
        assert reply.status == 422, days
        assert "Write a number of days from 30 to 3,650." in reply.text
        assert f'value="{days}"' in reply.text
        assert owner.does(path, reason="Because I want to").status == 422
    reply = owner.does(CHANGE, reason="")
    assert reply.status == 422
    assert "Write in a few words why." in reply.text
    assert kept(harbor) is None


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.HELPDESK, Role.AUDITOR])
def test_only_an_owner_may_change_it(harbor: Harbor, role: Role) -> None:
    other = harbor.administrator(role)
    assert "Change retention" not in other.at("/audit").text
    assert other.at(CHANGE).status == 403
    assert other.does(CHANGE, reason="Because I want to").status == 403
    assert kept(harbor) is None


@ONE_DATABASE
def test_it_wants_a_fresh_second_factor(harbor: Harbor, owner: Administrator) -> None:
    owner.at(CHANGE)
    harbor.clock.advance(3600)
    reply = owner.does(CHANGE, reason="Because I want to")
    assert reply.status == 200 or reply.status == 303
    assert "/sign-in" in owner.browser.path or owner.browser.path.endswith("/verify")
    assert kept(harbor) is None
