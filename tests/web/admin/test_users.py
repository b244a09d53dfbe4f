"""The list of users: found by what they begin with, filtered, sorted, a page at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import (
    Application,
    Authenticator,
    AuthenticatorStatus,
    EnrollmentInvitation,
    Environment,
    Organization,
    Policy,
    PolicyMode,
    RecoveryCode,
    Role,
    User,
)
from app.services.audit import OPERATOR
from app.services.user_fields import email_key, name_keys
from app.services.user_lists import PER_PAGE
from tests import actors
from tests.conftest import ONE_DATABASE, Harbor

pytestmark = pytest.mark.both_databases


def adds(
    harbor: Harbor, email: str | None, organization: Organization | None = None, **more: Any
) -> str:
    """Put a user into the database, with whatever is to be true of them."""
    user_id, now = uuid.uuid4(), harbor.clock.now()
    given, _, family = more.pop("name", "").partition(" ")
    profile = {"given_name": given, "family_name": family} if given else {}
    row = {
        "id": user_id,
        "organization_id": (organization or harbor.organization).id,
        "email": email,
        "email_key": email and email_key(email),
        "profile": profile,
        **name_keys(profile),
        "created_at": now,
        "updated_at": now,
        **more,
    }
    harbor.executes(sa.insert(User).values(row))
    return str(user_id)


def gives(harbor: Harbor, user_id: str, **more: Any) -> None:
    """Give a user an authenticator app, as it is after some time."""
    row = {
        "id": uuid.uuid4(),
        "user_id": uuid.UUID(user_id),
        "kind": "totp",
        "status": AuthenticatorStatus.ACTIVE,
        "created_at": harbor.clock.now(),
        **more,
    }
    harbor.executes(sa.insert(Authenticator).values(row))
    harbor.executes(
        sa.update(User)
        .where(User.id == uuid.UUID(user_id))
        .values(enrolled=row["status"] is AuthenticatorStatus.ACTIVE)
    )


def other(harbor: Harbor) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )


def lists(nadia: actors.Administrator, **query: Any) -> list[str]:
    """Return the users of a page of the list, by what they are called."""
    reply = nadia.at(f"/users?{urlencode(query)}" if query else "/users")
    assert reply.status == 200, reply.text
    return names(reply.text)


def names(html: str) -> list[str]:
    return [
        unescape(part.partition(">")[2].partition("<")[0])
        for part in html.split('<a class="name"')[1:]
    ]


@pytest.fixture
def nadia(harbor: Harbor) -> actors.Administrator:
    return harbor.administrator(Role.OWNER)


# What it shows


def test_the_list_says_of_each_user_what_matters(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    phone = harbor.enrolls()
    assert phone
    nadia.at("/users")
    assert nadia.page.heading == "Users"
    row = nadia.text.partition("Last verified")[2]
    assert "ada@harbor.example" in row
    assert "Enrolled Authenticator app 5 of 5 Today, 12:0" in row
    assert "1 user" in nadia.text
    assert "1 to 1 of 1" in nadia.text


def test_an_organization_without_users_says_what_to_do(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.executes(sa.delete(User).where(User.organization_id == harbor.organization.id))
    nadia.at("/users")
    assert "No users yet" in nadia.text
    assert f"{nadia.place}/users/new" in nadia.page.links
    assert 'role="search"' not in nadia.browser.reply.text


def test_nobody_matches_is_said_with_a_way_back(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    nadia.at("/users?q=nobody")
    assert "Nobody matches" in nadia.text
    assert 'value="nobody"' in nadia.browser.reply.text
    assert f"{nadia.place}/users" in nadia.page.links


def test_each_status_has_its_badge_and_its_filter(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    now = harbor.clock.now()
    soon, past = now + timedelta(hours=1), now - timedelta(minutes=1)
    adds(harbor, "suspended@harbor.example", suspended_at=now, failures=100)
    adds(harbor, "failed@harbor.example", failures=100)
    adds(harbor, "recovering@harbor.example", recovery_retry_at=soon)
    waits = adds(harbor, "waits@harbor.example")
    gives(harbor, waits, retry_at=soon)
    waited = adds(harbor, "waited@harbor.example", failures=99, recovery_retry_at=past)
    gives(harbor, waited, retry_at=past)
    gives(harbor, adds(harbor, "again@harbor.example"), status=AuthenticatorStatus.SUSPENDED)
    gone = adds(harbor, "gone@harbor.example")
    gives(harbor, gone, status=AuthenticatorStatus.REMOVED, retry_at=soon)
    expected = {
        "suspended": ["suspended@harbor.example"],
        "locked": ["failed@harbor.example", "recovering@harbor.example", "waits@harbor.example"],
        "enrolled": ["waited@harbor.example"],
        "re-enrollment": ["again@harbor.example"],
        "overdue": ["ada@harbor.example", "gone@harbor.example"],
        "pending": [],
    }
    for status, emails in expected.items():
        assert lists(nadia, status=status, sort="email") == emails, status
    nadia.at("/users?status=locked")
    assert nadia.browser.reply.text.count('<span class="badge bad">Locked</span>') == 3
    assert "8 users" in nadia.text
    assert "2 overdue" in nadia.text
    assert "3 locked" in nadia.text


def test_who_is_due_only_later_is_pending(harbor: Harbor, nadia: actors.Administrator) -> None:
    assert lists(nadia, status="overdue") == ["ada@harbor.example"]
    rule = {
        "id": uuid.uuid4(),
        "organization_id": harbor.organization.id,
        "mode": PolicyMode.REQUIRED,
        "required_from": harbor.clock.now() + timedelta(days=1),
        "updated_at": harbor.clock.now(),
    }
    harbor.executes(sa.insert(Policy).values(rule))
    assert lists(nadia, status="overdue") == []
    assert lists(nadia, status="pending") == ["ada@harbor.example"]


def test_the_list_filters_by_method(harbor: Harbor, nadia: actors.Administrator) -> None:
    texted, both = adds(harbor, "sms@harbor.example"), adds(harbor, "both@harbor.example")
    gives(harbor, texted, kind="sms")
    gives(harbor, both, kind="sms")
    gives(harbor, both)
    gives(
        harbor, adds(harbor, "old@harbor.example"), kind="sms", status=AuthenticatorStatus.REMOVED
    )
    assert lists(nadia, method="sms", sort="email") == ["both@harbor.example", "sms@harbor.example"]
    assert lists(nadia, method="totp") == ["both@harbor.example"]
    assert lists(nadia, method="totp", q="sms") == []
    nadia.at("/users?method=totp")
    assert "Text message, authenticator app" in nadia.text


def test_recovery_codes_of_a_pending_authenticator_do_not_count(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.enrolls()
    hers = sa.select(RecoveryCode.id).where(RecoveryCode.user_id == uuid.UUID(harbor.ada))
    code = harbor.rows(hers)[0][0]
    harbor.executes(
        sa.update(RecoveryCode).where(RecoveryCode.id == code).values(used_at=harbor.clock.now())
    )
    waiting = uuid.uuid4()
    pending = {
        "id": waiting,
        "user_id": uuid.UUID(harbor.ada),
        "kind": "totp",
        "status": AuthenticatorStatus.PENDING,
        "created_at": harbor.clock.now(),
    }
    harbor.executes(sa.insert(Authenticator).values(pending))
    row = {
        "id": uuid.uuid4(),
        "user_id": uuid.UUID(harbor.ada),
        "authenticator_id": waiting,
        "code_hash": "of a code",
        "length": 16,
        "created_at": harbor.clock.now(),
    }
    harbor.executes(sa.insert(RecoveryCode).values(row))
    nadia.at("/users")
    assert "4 of 5" in nadia.text


def test_who_was_invited_and_did_not_come_yet_is_told(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    now = harbor.clock.now()
    application = harbor.rows(sa.select(Application.id).where(Application.name == "Harbor Notes"))
    for hours, ends in ((30, {}), (2, {"revoked_at": now})):
        row = {
            "id": uuid.uuid4(),
            "user_id": uuid.UUID(harbor.ada),
            "application_id": application[0][0],
            "token_hash": f"of a link {hours}",
            "created_at": now - timedelta(hours=hours),
            "expires_at": now + timedelta(days=1),
            **ends,
        }
        harbor.executes(sa.insert(EnrollmentInvitation).values(row))
    nadia.at("/users")
    assert "Invited yesterday, 06:0" in nadia.text


# Search


SEARCHED = {
    "emilie": "Émilie Maréchal-O'Neill",
    "ÉMILIE  maréchal": "Émilie Maréchal-O'Neill",
    "marechal-o'n": "Émilie Maréchal-O'Neill",
    "em@": "Émilie Maréchal-O'Neill",
    "EM@HARBOR": "Émilie Maréchal-O'Neill",
    "+33 6 12": "Émilie Maréchal-O'Neill",
    "+33612345678": "Émilie Maréchal-O'Neill",
    "0033 6 12": "Émilie Maréchal-O'Neill",
    "06.12.34.56.78": "Émilie Maréchal-O'Neill",
    "33 6 12": "Émilie Maréchal-O'Neill",
    "CRM-00": "Émilie Maréchal-O'Neill",
    "crm-00": "Émilie Maréchal-O'Neill",
    "(201) 555": "Bo Straße",
    "1 201 555": "Bo Straße",
    "strasse": "Bo Straße",
    "50%": "Bo Straße",
    "_x": "Bo Straße",
    "bo@xn--bcher-kva": "Bo Straße",
    "bo@bücher.example": "Bo Straße",
}


def test_the_search_finds_by_the_beginning_of_what_is_known(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    emilie = adds(
        harbor,
        "Em@harbor.example",
        name="Émilie Maréchal-O'Neill",
        phone_number="+33612345678",
        external_id="CRM-007",
    )
    adds(
        harbor,
        "bo@xn--bcher-kva.example",
        name="Bo Straße",
        phone_number="+12015550123",
        external_id="50%_off",
    )
    adds(harbor, "xx@harbor.example", name="_x Percent", external_id="509")
    for typed, found in SEARCHED.items():
        if typed == "_x":
            found = "_x Percent"
        assert lists(nadia, q=typed) == [found], typed
    assert lists(nadia, q=emilie) == ["Émilie Maréchal-O'Neill"]
    assert lists(nadia, q=emilie.upper()) == ["Émilie Maréchal-O'Neill"]
    for typed in ("ilie", "arechal", "%", "_", "%milie", "e%", "12345678", "O'Neill", "x", "0"):
        assert "Émilie Maréchal-O'Neill" not in lists(nadia, q=typed), typed


@pytest.mark.parametrize(
    "typed",
    [
        "'", "' OR 1=1 --", '"', "\\", "%", "_", "*", "ada' UNION SELECT", "\0", "a\0", "\ud7ff",
        "\U0010ffff", "a\U0010ffff", "\u0301", "+", "++1", "x" * 5000, "{{ 7*7 }}", "٣٣٣",
    ],
)  # fmt: skip
def test_whatever_is_typed_is_text(harbor: Harbor, typed: str) -> None:
    """F78: nothing in a search is a pattern or a statement."""
    nadia = harbor.administrator()
    query = urlencode({"q": typed}, errors="surrogatepass")
    assert nadia.at(f"/users?{query}").status == 200
    assert names(nadia.browser.reply.text) == []
    assert "49" not in nadia.text


@ONE_DATABASE
@pytest.mark.parametrize(
    "query",
    [
        "sort=password_hash", "sort=name;DROP TABLE users", "sort=", "status=everything",
        "method=' OR 1=1", "page=0", "page=-1", "page=9999999999999999999", "page=x", "page=٣",
        "status=locked&status=enrolled", "page=1e3",
    ],
)  # fmt: skip
def test_what_the_address_can_not_ask_for_it_does_not(harbor: Harbor, query: str) -> None:
    """F78: a column to sort by comes from a table, a page is one that there is."""
    nadia = harbor.administrator()
    reply = nadia.at(f"/users?{query}")
    assert reply.status == 200
    if not query.startswith("status=locked"):
        assert names(reply.text) == ["ada@harbor.example"]


def test_nobody_of_another_organization_is_ever_listed(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    """F79 and F80: the same name, address, number and id over there is somebody else."""
    pier = other(harbor)
    known = {"name": "Ada Lovelace", "phone_number": "+33612345678", "external_id": "crm-1"}
    theirs = adds(harbor, "ada@harbor.example", pier, **known, failures=100)
    gives(harbor, adds(harbor, "kit@pier.example", pier), kind="sms")
    gives(harbor, adds(harbor, "cy@pier.example", pier), status=AuthenticatorStatus.SUSPENDED)
    soon = harbor.clock.now() + timedelta(hours=1)
    gives(harbor, adds(harbor, "di@pier.example", pier), retry_at=soon)
    for typed in ("ada l", "lovelace", "+336", "0612", "crm-1", theirs, "kit"):
        assert lists(nadia, q=typed) == [], typed
    for query in ({"status": "locked"}, {"status": "re-enrollment"}, {"method": "sms"}):
        assert lists(nadia, **query) == [], query
    assert lists(nadia, q="ada") == ["ada@harbor.example"]
    assert "1 user, 1 overdue" in nadia.text
    assert " locked" not in nadia.text, "they are not counted, either"
    nadia.browser.goes_to("/admin/sandbox/pier/users")
    assert nadia.status == 404
    assert theirs not in nadia.browser.reply.text


# Sorting and pages


def test_users_are_sorted_both_ways_and_who_lacks_it_comes_last(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    harbor.executes(sa.delete(User).where(User.id == uuid.UUID(harbor.ada)))
    now = harbor.clock.now()
    people = [
        ("c@harbor.example", "Éva Zorn", now - timedelta(days=3), 1),
        ("a@harbor.example", "Zoe Adams", now - timedelta(days=1), 2),
        ("b@harbor.example", "", None, 3),
        ("d@harbor.example", "adam West", now - timedelta(days=2), 4),
        ("e@harbor.example", "", None, 5),
    ]
    for email, name, verified, minutes in people:
        adds(
            harbor, email, name=name, last_verified_at=verified,
            created_at=now + timedelta(minutes=minutes),
        )  # fmt: skip
    a, b, c, d, e = "Zoe Adams", "b@harbor.example", "Éva Zorn", "adam West", "e@harbor.example"
    assert lists(nadia) == [a, d, c, e, b]
    assert lists(nadia, sort="last_verified") == [c, d, a, b, e]
    assert lists(nadia, sort="name") == [d, c, a, b, e]
    assert lists(nadia, sort="-name") == [a, c, d, e, b]
    assert lists(nadia, sort="email") == [a, b, c, d, e]
    assert lists(nadia, sort="-email") == [e, d, c, b, a]
    assert lists(nadia, sort="added") == [c, a, b, d, e]
    assert lists(nadia, sort="-added") == [e, d, b, a, c]
    nadia.at("/users?sort=-name")
    assert 'aria-sort="descending"><a href="/admin/sandbox/harbor/users?sort=name"' in (
        nadia.browser.reply.text
    )


def test_who_is_known_by_a_number_alone_comes_after_the_addresses(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    for number in ("+33698765432", "+33612345678"):
        adds(harbor, None, phone_number=number)
    adds(harbor, None, phone_number="+447400123456", name="Bo Zed")
    adds(harbor, "cy@harbor.example", phone_number="+447400123456")
    numbers = ["+33612345678", "+33698765432"]
    assert lists(nadia, sort="name") == [
        "Bo Zed",
        "ada@harbor.example",
        "cy@harbor.example",
        *numbers,
    ]
    assert lists(nadia, sort="-name") == [
        "Bo Zed",
        "cy@harbor.example",
        "ada@harbor.example",
        *numbers[::-1],
    ]
    assert lists(nadia, sort="email") == [
        "ada@harbor.example",
        "cy@harbor.example",
        *numbers,
        "Bo Zed",
    ]
    assert lists(nadia, sort="-email") == [
        "cy@harbor.example",
        "ada@harbor.example",
        "Bo Zed",
        *numbers[::-1],
    ]
    assert set(lists(nadia, q="+44 7400")) == {"Bo Zed", "cy@harbor.example"}
    assert "+447400123456" in nadia.text


@pytest.mark.parametrize("sort", ["-last_verified", "name", "email"])
def test_every_user_is_on_just_one_page(harbor: Harbor, sort: str) -> None:
    nadia, now = harbor.administrator(), harbor.clock.now()
    for number in range(59):
        verified = now - timedelta(minutes=number // 3) if number % 2 else None
        name = f"Kit {number % 7}" if number < 27 else ""
        email = f"u{number:02}@harbor.example" if number % 3 else None
        phone = f"+3361234{number:04}"
        adds(harbor, email, name=name, last_verified_at=verified, phone_number=phone)
    seen: list[str] = []
    nadia.at(f"/users?sort={sort}")
    assert "1 to 25 of 60" in nadia.text
    while True:
        rows = nadia.browser.reply.text.split("<small>")
        emails = [link for link in nadia.page.links if "/users/" in link and len(link) > 60]
        assert len(rows) > 1
        seen += emails
        following = [
            str(attributes["href"])
            for tag, attributes in nadia.page.tags
            if tag == "a" and attributes.get("rel") == "next"
        ]
        if not following:
            break
        nadia.browser.goes_to(following[0])
    assert len(seen) == len(set(seen)) == 60
    assert "51 to 60 of 60" in nadia.text
    nadia.at(f"/users?sort={sort}&page=99")
    assert "51 to 60 of 60" in nadia.text


def test_pages_keep_what_was_asked_for(harbor: Harbor, nadia: actors.Administrator) -> None:
    for number in range(30):
        adds(harbor, f"u{number:02}@harbor.example", name=f"Kit {number}", failures=100)
    nadia.at("/users?q=kit&status=locked&sort=name")
    assert "1 to 25 of 30" in nadia.text
    following = next(
        str(attributes["href"])
        for tag, attributes in nadia.page.tags
        if tag == "a" and attributes.get("rel") == "next"
    )
    nadia.browser.goes_to(following)
    assert "26 to 30 of 30" in nadia.text
    assert names(nadia.browser.reply.text)[0] == "Kit 5"


# Who may see it


def test_each_role_sees_the_list_and_only_what_it_may_do(harbor: Harbor) -> None:
    buttons = ["/users/new", "/users/imports/new", "/users/export"]
    may = {
        Role.OWNER: buttons,
        Role.ADMINISTRATOR: buttons,
        Role.HELPDESK: [],
        Role.AUDITOR: ["/users/export"],
    }
    for role, wanted in may.items():
        somebody = harbor.administrator(role)
        assert somebody.at("/users").status == 200
        found = [path for path in buttons if somebody.place + path in somebody.page.links]
        assert found == wanted, role


@ONE_DATABASE
def test_a_stranger_is_sent_to_sign_in(harbor: Harbor) -> None:
    stranger = harbor.browser()
    stranger.goes_to("/admin/sandbox/harbor/users?q=ada")
    assert stranger.path == "/admin/sign-in"
    assert "ada@" not in stranger.reply.text


# Plans


FORMER = ("Adam", "Bea", "Cyr", "Dora", "Eve", "Finn", "Gus", "Hope", "Ines", "Jo")
QUERIES = [
    {},
    {"page": "40"},
    {"sort": "last_verified", "page": "60"},
    {"sort": "name", "page": "30"},
    {"sort": "-name"},
    {"sort": "email", "page": "5"},
    {"sort": "-added"},
    {"q": "eve"},
    {"q": "e"},
    {"q": "0612"},
    {"q": "crm-1", "sort": "name"},
    *({"status": status} for status in (
        "enrolled", "pending", "overdue", "locked", "suspended", "re-enrollment",
    )),
    {"method": "totp"},
    {"method": "sms", "status": "locked", "q": "a", "sort": "-email"},
]  # fmt: skip


def crowds(harbor: Harbor, organizations: int, each: int) -> None:
    """Fill several organizations, most of them not Harbor."""
    now = harbor.clock.now()
    ids = [harbor.organization.id]
    for number in range(organizations - 1):
        with harbor.services.database.writing() as tx:
            made = harbor.services.organizations.create(
                tx, OPERATOR, environment=Environment.SANDBOX, name=f"Pier {number}"
            )
            ids.append(made.id)
    users: list[dict[str, Any]] = []
    authenticators: list[dict[str, Any]] = []
    for organization_id in ids:
        for number in range(each):
            profile = {"given_name": FORMER[number % 10], "family_name": f"O{number:05}"}
            user_id = uuid.uuid4()
            email = f"{FORMER[number % 10]}{number}@harbor.example" if number % 7 else None
            users.append(
                {
                    "id": user_id,
                    "organization_id": organization_id,
                    "email": email,
                    "email_key": email and email_key(email),
                    "phone_number": f"+336{12000000 + number}",
                    "external_id": f"crm-{number}",
                    "profile": profile,
                    **name_keys(profile),
                    "enrolled": number % 3 > 0,
                    "failures": 100 if number % 400 == 0 else number % 5 % 2,
                    "suspended_at": now if number % 90 == 0 else None,
                    "last_verified_at": now - timedelta(minutes=number) if number % 3 else None,
                    "created_at": now,
                    "updated_at": now,
                }
            )
            authenticators.append(
                {
                    "id": uuid.uuid4(),
                    "user_id": user_id,
                    "kind": "sms" if number % 50 == 0 else "totp",
                    "status": AuthenticatorStatus.ACTIVE
                    if number % 3
                    else AuthenticatorStatus.SUSPENDED
                    if number % 60 == 0
                    else AuthenticatorStatus.REMOVED,
                    "retry_at": now + timedelta(hours=1) if number % 250 == 1 else None,
                    "created_at": now,
                }
            )
    with harbor.services.database.writing() as tx:
        tx.execute(sa.insert(User), users)
        tx.execute(sa.insert(Authenticator), authenticators)
    with harbor.services.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


@contextmanager
def listening(harbor: Harbor) -> Iterator[list[tuple[str, Any]]]:
    """Note down the statements that the application's engine is given."""
    engine = harbor.wire.client.application.extensions["gatehouse"].database.engine  # type: ignore[attr-defined]
    heard: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            heard.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield heard
    sa.event.remove(engine, "before_cursor_execute", note)


def plan(harbor: Harbor, statement: str, parameters: Any) -> str:
    engine = harbor.services.database.engine
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    return "\n".join(str(row[-1]) for row in rows)


def scans(plan: str) -> list[str]:
    """Return the lines that read all of a table that may be large."""
    large = ("users", "authenticators", "recovery_codes", "enrollment_invitations", "events")
    small = "ix_authenticators_suspended"  # an index of nothing else
    return [
        line
        for line in plan.splitlines()
        if small not in line
        and any(f"Seq Scan on {name}" in line or f"SCAN {name}" in line for name in large)
    ]


def test_no_page_of_the_list_reads_a_whole_table(harbor: Harbor) -> None:
    crowds(harbor, organizations=5, each=2000)
    nadia, judged = harbor.administrator(), 0
    for query in [*QUERIES, None]:
        with listening(harbor) as heard:
            path = (
                "/users/export.csv?status=enrolled"
                if query is None
                else f"/users?{urlencode(query)}"
            )
            assert nadia.at(path).status == 200
        asked = [
            one
            for one in heard
            if ("users" in one[0] or "authenticators" in one[0])
            and not one[0].endswith(("WHERE 0 = 1", "WHERE false"))  # which reads nothing
        ]
        assert len(asked) > 2
        for statement, parameters in asked:
            found = plan(harbor, statement, parameters)
            assert scans(found) == [], f"{query}\n{statement}\n{found}"
            judged += 1
    assert judged > 60
    assert PER_PAGE == 25


def test_the_look_at_plans_would_find_a_scan(harbor: Harbor) -> None:
    crowds(harbor, organizations=2, each=100)
    for statement in (
        "SELECT email FROM users WHERE profile IS NOT NULL",
        "SELECT id, kind FROM authenticators",
    ):
        assert scans(plan(harbor, statement, ())), statement
