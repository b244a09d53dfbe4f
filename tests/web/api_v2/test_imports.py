"""POST /api/v2/org/{domain}/users/import: many users at once, with the seeds that they have."""

from __future__ import annotations

import base64
import json
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa

from app.models import Authenticator, AuthenticatorStatus, Environment, Event, Message, User
from app.services.audit import OPERATOR
from tests.actors import Phone, Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import FORM, JSON, is_refused

pytestmark = pytest.mark.both_databases

USERS = "/org/harbor/users"
MIB = 1024 * 1024
LINES, CSV = "application/x-ndjson", "text/csv"
SEED = "JBSW Y3DP ehpk 3pxp"
"""80 bits, as an older system showed them."""


def sends(
    harbor: Harbor, body: str | bytes, kind: str = LINES, domain: str = "harbor", query: str = ""
) -> Reply:
    data = body.encode() if isinstance(body, str) else body
    path = f"/org/{domain}/users/import{query}"
    return harbor.backend.calls("POST", path, data=data, headers={"Content-Type": kind})


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def imports(harbor: Harbor, *rows: dict[str, Any]) -> dict[str, Any]:
    reply = sends(harbor, lines(*rows))
    assert reply.status == 200, reply.text
    return dict(reply.json)


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return created, updated, unchanged, failed, which must be all rows."""
    assert answer["__type__"] == "UserImport"
    found = (answer["created"], answer["updated"], answer["unchanged"], answer["failed"])
    assert sum(found) == answer["total"]
    return found


def told(answer: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    for error in answer["errors"]:
        assert set(error) == {"row", "type", "message", "field"}
        assert error["message"].endswith((".", "taken")), error
    return [(error["row"], error["type"], error["field"]) for error in answer["errors"]]


def finds(harbor: Harbor, name: str) -> Any:
    return harbor.backend.calls("GET", f"{USERS}/{name}").json


def users(harbor: Harbor) -> int:
    return int(harbor.rows(sa.select(sa.func.count()).select_from(User))[0][0])


def carries(seed: str, **settings: Any) -> Phone:
    """Return the phone on which a person has had this seed for years."""
    key = keep_secret(seed.replace(" ", "").replace("-", "").upper().rstrip("="))
    padded = key + "=" * (-len(key) % 8)
    return Phone(f"otpauth://totp/Old:ada?{urlencode({'secret': padded, **settings})}")


# Rows


def test_json_lines_create_and_update_users_and_the_same_again_changes_nothing(
    harbor: Harbor,
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "email": "kit@harbor.example",
            "phone_number": "+33 6 12 34 56 78",
            "external_id": "crm-1",
            "given_name": "Kit",
            "family_name": "O'Neill",
            "locale": "fr",
            "profile": {"shoes": 43, "tags": ["a"]},
            "whatever": {"is": "ignored"},
        },
        {"email": "ADA@harbor.example", "external_id": "crm-2", "phone_number": "", "profile": {}},
        {"email": "bo@elsewhere.example"},
    ]
    answer = imports(harbor, *rows)
    assert answer == {
        "__type__": "UserImport",
        "total": 3,
        "created": 2,
        "updated": 1,
        "unchanged": 0,
        "failed": 0,
        "told": 0,
        "errors": [],
    }
    kit = finds(harbor, "kit@harbor.example")
    assert kit["phone_number"] == "+33612345678"
    assert kit["external_id"] == "crm-1"
    assert kit["profile"] == {
        "shoes": 43,
        "tags": ["a"],
        "given_name": "Kit",
        "family_name": "O'Neill",
        "locale": "fr",
    }
    assert kit["inserted_at"] == "2026-03-01T12:00:05"
    ada = finds(harbor, "ada@harbor.example")
    assert (ada["id"], ada["email"]) == (harbor.ada, "ada@harbor.example")
    assert ada["external_id"] == "crm-2"
    before = harbor.rows(sa.select(*User.__table__.columns).order_by(User.id))
    harbor.clock.advance(60)
    assert counts(imports(harbor, *rows)) == (0, 0, 3, 0)
    assert harbor.rows(sa.select(*User.__table__.columns).order_by(User.id)) == before


def test_what_a_row_does_not_say_stays_as_it_is(harbor: Harbor) -> None:
    full = {
        "email": "kit@harbor.example",
        "phone_number": "+33612345678",
        "external_id": "crm-1",
        "profile": {"given_name": "Kit", "shoes": 43},
    }
    imports(harbor, full)
    before = finds(harbor, "kit@harbor.example")
    blank = {
        "email": "kit@harbor.example",
        "phone_number": None,
        "external_id": "",
        "profile": {"given_name": None, "shoes": ""},
        "family_name": None,
        "totp_secret": None,
    }
    assert counts(imports(harbor, blank)) == (0, 0, 1, 0)
    assert finds(harbor, "kit@harbor.example") == before
    harbor.clock.advance(60)
    assert counts(imports(harbor, {"email": "kit@harbor.example", "given_name": "C."})) == (
        0,
        1,
        0,
        0,
    )
    assert finds(harbor, "kit@harbor.example") == {
        **before,
        "profile": {"given_name": "C.", "shoes": 43},
        "updated_at": "2026-03-01T12:01:05",
    }


def test_a_known_external_id_brings_its_user_a_new_address(harbor: Harbor) -> None:
    imports(harbor, {"email": "old@harbor.example", "external_id": "crm-1"})
    user = finds(harbor, "old@harbor.example")
    rows = [
        {"email": "new@harbor.example", "external_id": "crm-1"},
        {"email": "old@harbor.example"},  # free now, so it is somebody else's
    ]
    assert counts(imports(harbor, *rows)) == (1, 1, 0, 0)
    assert finds(harbor, "new@harbor.example")["id"] == user["id"]
    assert finds(harbor, "old@harbor.example")["id"] != user["id"]
    clash = imports(harbor, {"email": "old@harbor.example", "external_id": "crm-1"})
    assert told(clash) == [(1, "external_id_taken", None)]
    assert users(harbor) == 3


def test_csv_is_read_as_spreadsheets_write_it(harbor: Harbor) -> None:
    body = (
        "\ufeffEmail,phone_number,external_id,given_name,profile.city,notes\r\n"
        "kit@harbor.example,+33612345678,crm-1,Kit,Brest,\r\n"
        '"bo@harbor.example",,crm-2,"Bo ""B"", Jr.","=HYPERLINK(""https://x.example"")",'
        '"line one\r\nline two"\r\n'
        "\r\n"
        " cy@harbor.example ,,,@SUM(1+1),,-1\r\n"
        "é@harbor.example,,,,,\r\n"
        "ada@harbor.example,,,Ada,,"
    )
    reply = sends(harbor, body, f"{CSV}; charset=utf-8; header=present")
    assert counts(reply.json) == (3, 1, 0, 1), reply.text
    assert told(reply.json) == [(6, "invalid_request", "email")]
    assert finds(harbor, "kit@harbor.example")["profile"] == {"given_name": "Kit", "city": "Brest"}
    bo = finds(harbor, "bo@harbor.example")
    assert bo["phone_number"] is None
    assert bo["profile"] == {
        "given_name": 'Bo "B", Jr.',
        "city": '=HYPERLINK("https://x.example")',
    }
    assert finds(harbor, "cy@harbor.example")["profile"] == {"given_name": "@SUM(1+1)"}
    assert counts(sends(harbor, body, CSV).json) == (0, 0, 4, 1)


@ONE_DATABASE
def test_a_csv_with_semicolons_is_read_too(harbor: Harbor) -> None:
    body = "external_id;email;given_name\n1;kit@harbor.example;Kit, the first\n"
    assert counts(sends(harbor, body, CSV).json) == (1, 0, 0, 0)
    assert finds(harbor, "kit@harbor.example")["profile"] == {"given_name": "Kit, the first"}


@ONE_DATABASE
def test_a_csv_must_name_its_columns(harbor: Harbor, subtests: pytest.Subtests) -> None:
    for body, column in [
        (b"", "email"),
        (b"kit@harbor.example,+33612345678\n", "email"),
        (b"mail,name\nkit@harbor.example,Kit\n", "email"),
        (b"email,locale,Email\n", "email"),
        (b"email,locale,locale\n", "locale"),
        (b"\xff\xfe\n", "email"),
        (b'"email\nkit@harbor.example\n', "email"),
        (b"email," + b"x" * 70_000 + b"\nkit@harbor.example,\n", "email"),
    ]:
        with subtests.test(repr(body[:40])):
            is_refused(sends(harbor, body, CSV), 422, "invalid_request", column)
    assert users(harbor) == 1


BAD_LINES: list[tuple[bytes, str, str | None]] = [
    (b"{", "invalid_json", None),
    (b"[]", "invalid_json", None),
    (b"null", "invalid_json", None),
    (b'"a@x.example"', "invalid_json", None),
    (b'{"email": "a@x.example", "email": "b@x.example"}', "invalid_json", None),
    (b'{"email": NaN}', "invalid_json", None),
    (b'{"email": "a\xff@x.example"}', "invalid_utf8", None),
    (b'{"email": "a\\u0000@x.example"}', "invalid_request", None),
    (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "invalid_json", None),
    (b'{"email": "a@x.example", "note": "' + b"x" * 70_000 + b'"}', "row_too_long", None),
    (b'{"email": "a@x.example", "note": "' + b"x" * 300_000 + b'"}', "row_too_long", None),
    (b"{}", "invalid_request", "email"),
    (b'{"email": null}', "invalid_request", "email"),
    (b'{"email": ["a@x.example"]}', "invalid_request", "email"),
    (b'{"email": "a@x.example,b@x.example"}', "invalid_request", "email"),
    (b'{"email": "a@x.example", "phone_number": "0612345678"}', "invalid_request", "phone_number"),
    (b'{"email": "a@x.example", "external_id": 7}', "invalid_request", "external_id"),
    (b'{"email": "a@x.example", "profile": []}', "invalid_request", "profile"),
    (b'{"email": "a@x.example", "given_name": {}}', "invalid_request", "given_name"),
    (b'{"email": "a@x.example", "totp_secret": "1"}', "invalid_request", "totp_secret"),
]


@ONE_DATABASE
def test_a_bad_line_is_told_by_its_number_and_the_others_are_taken(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for number, (line, code, field) in enumerate(BAD_LINES):
        with subtests.test(repr(line[:60])):
            first, last = f"f{number}@harbor.example", f"l{number}@harbor.example"
            body = b"\r\n".join(
                [
                    json.dumps({"email": first}).encode(),
                    b"",
                    line,
                    json.dumps({"email": last}).encode(),
                ]
            )
            answer = sends(harbor, body, "application/jsonl").json
            assert counts(answer) == (2, 0, 0, 1)
            assert told(answer) == [(3, code, field)]


BAD_CSV: list[tuple[bytes, str, str | None]] = [
    (b"a@x.example", "wrong_columns", None),
    (b"a@x.example,A,+33612345678,more", "wrong_columns", None),
    (b'a@x.example,"A"B,', "invalid_csv", None),
    (b"a@x.example,\xe9,", "invalid_utf8", None),
    (b",A,", "invalid_request", "email"),
    (b"a@x.example,A,06", "invalid_request", "phone_number"),
    (b"a@x.example,A\x00,", "invalid_request", None),
    (b"a@x.example," + b"x" * 70_000 + b",", "row_too_long", None),
]


@ONE_DATABASE
def test_a_bad_row_of_a_csv_is_told_by_its_number(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for number, (row, code, field) in enumerate(BAD_CSV):
        with subtests.test(repr(row[:60])):
            first, last = f"f{number}@harbor.example", f"l{number}@harbor.example"
            parts = [b"email,given_name,phone_number", f"{first},,".encode(), row]
            answer = sends(harbor, b"\n".join([*parts, f"{last},,".encode()]), CSV).json
            assert counts(answer) == (2, 0, 0, 1), answer
            assert told(answer) == [(3, code, field)]


@ONE_DATABASE
def test_a_quote_that_is_never_closed_costs_one_row_of_bounded_length(harbor: Harbor) -> None:
    rows = "".join(f"u{number}@harbor.example,\n" for number in range(6000))
    answer = sends(harbor, f'email,notes\na@harbor.example,"\n{rows}', CSV).json
    assert told(answer)[0] == (2, "row_too_long", None)
    assert answer["failed"] == 1
    assert answer["created"] > 2900
    assert finds(harbor, "u5999@harbor.example")["email"] == "u5999@harbor.example"


def test_a_row_that_repeats_an_earlier_one_is_told(harbor: Harbor) -> None:
    rows = [
        {"email": "kit@harbor.example", "external_id": "crm-1"},
        {"email": "KIT@harbor.example"},
        {"email": "bo@harbor.example", "external_id": "crm-1"},
        {"email": "bo@harbor.example"},
    ]
    answer = imports(harbor, *rows)
    assert counts(answer) == (2, 0, 0, 2)
    assert told(answer) == [(2, "duplicate_row", "email"), (3, "duplicate_row", "external_id")]
    far = [{"email": f"u{number}@harbor.example"} for number in range(600)]
    answer = imports(harbor, *far, far[0])
    assert told(answer) == [(601, "duplicate_row", "email")]
    assert users(harbor) == 603


@ONE_DATABASE
def test_a_thousand_errors_are_listed_and_all_are_counted(harbor: Harbor) -> None:
    rows = [{"email": "nobody"}] * 1200 + [{"email": "kit@harbor.example"}]
    answer = imports(harbor, *rows)
    assert counts(answer) == (1, 0, 0, 1200)
    assert [error["row"] for error in answer["errors"]] == list(range(1, 1001))


@ONE_DATABASE
def test_nothing_is_an_import_of_nothing(harbor: Harbor) -> None:
    for body, kind in (("", LINES), ("\n\n", LINES), ("email\n", CSV), ("email", CSV)):
        assert counts(sends(harbor, body, kind).json) == (0, 0, 0, 0)


def test_rows_beyond_the_limit_are_refused_and_those_before_are_there(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.imports.MOST_ROWS", 700)
    rows = [{"email": f"u{number}@harbor.example"} for number in range(701)]
    is_refused(sends(harbor, lines(*rows)), 422, "too_many_rows", "700")
    assert users(harbor) == 701
    assert recorded(harbor)["complete"] is False
    assert counts(imports(harbor, *rows[:700])) == (0, 0, 700, 0)


# What is sent, and by whom


@ONE_DATABASE
def test_another_type_of_content_is_415(harbor: Harbor) -> None:
    for kind in (JSON, FORM, "text/plain", "multipart/form-data", ""):
        is_refused(sends(harbor, "{}", kind), 415, "unsupported_media_type", LINES, CSV)


@ONE_DATABASE
def test_a_body_over_the_limit_is_413_and_one_above_that_of_other_calls_is_not(
    harbor: Harbor,
) -> None:
    note = "x" * 60_000
    rows = [{"email": f"u{number}@harbor.example", "note": note} for number in range(40)]
    assert len(lines(*rows)) > 2 * MIB
    assert counts(imports(harbor, *rows)) == (40, 0, 0, 0)
    for length, status in ((64 * MIB, 400), (64 * MIB + 1, 413)):  # less comes than is announced
        reply = harbor.wire.client.post(  # type: ignore[attr-defined]
            f"/api/v2{USERS}/import",
            base_url=harbor.base_url,
            headers={"Authorization": f"Bearer {harbor.backend.token}", "Content-Type": LINES},
            data=lines({"email": "kit@harbor.example"}),
            environ_overrides={"CONTENT_LENGTH": str(length)},
        )
        assert reply.status_code == status, reply.text
        assert reply.json["error"]["type"] == {400: "bad_request", 413: "too_large"}[status]


@ONE_DATABASE
def test_who_may_not_import_is_told_so_before_a_line_is_read(harbor: Harbor) -> None:
    body, path = lines({"email": "kit@harbor.example"}), f"/api/v2{USERS}/import"
    headers = {"Content-Type": LINES}
    is_refused(harbor.wire.request("POST", path, data=body, headers=headers), 401, "unauthorized")
    application = {**headers, **harbor.notes.basic()}
    is_refused(harbor.wire.request("POST", path, data=body, headers=application), 403, "forbidden")
    is_refused(sends(harbor, body, domain="nowhere"), 404, "not_found")
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    for key in (harbor.key(Environment.PRODUCTION), harbor.key(only=True)):
        reply = key.calls("POST", "/org/pier/users/import", data=body.encode(), headers=headers)
        is_refused(reply, 404, "not_found")
    assert users(harbor) == 1


def test_another_organization_s_users_are_not_touched(harbor: Harbor) -> None:
    """F80: the same names there are people of their own."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    rows = lines({"email": "ada@harbor.example", "external_id": "1", "totp_secret": SEED})
    keep_secret("JBSWY3DPEHPK3PXP")
    for domain in ("pier", "harbor"):
        reply = sends(harbor, rows, domain=domain)
        assert counts(reply.json) == ((1, 0, 0, 0) if domain == "pier" else (0, 1, 0, 0))
        assert counts(sends(harbor, rows, domain=domain).json) == (0, 0, 1, 0)
    there = harbor.backend.calls("GET", "/org/pier/users/ada@harbor.example").json
    assert there["id"] != harbor.ada


def test_two_imports_at_the_same_moment_make_each_user_once(live_harbor: Harbor) -> None:
    backend = live_harbor.backend
    assert backend.token
    names = [f"u{number}@harbor.example" for number in range(1200)]

    def send(number: int) -> Reply:
        rows = [{"email": name} for name in (names if number % 2 else reversed(names))]
        return live_sends(live_harbor, rows)

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(send, range(4)))
    assert [reply.status for reply in replies] == [200] * 4, [reply.text for reply in replies]
    assert sum(reply.json["created"] for reply in replies) == 1200
    assert sum(reply.json["unchanged"] for reply in replies) == 3600
    assert users(live_harbor) == 1201


def test_a_user_who_is_created_meanwhile_is_there_once(harbor: Harbor) -> None:
    """The batch is looked at again, and the row is about whom somebody else created."""
    rows = [{"email": f"u{number}@harbor.example"} for number in range(20)]
    assert harbor.backend.token
    with ThreadPoolExecutor(1) as pool:
        with harbor.services.database.writing() as tx:
            directory = harbor.services.directory
            directory.create(tx, OPERATOR, harbor.organization, email="u7@harbor.example")
            tx.flush()
            importing = pool.submit(imports, harbor, *rows)
            assert not wait([importing], timeout=1).done
        assert counts(importing.result()) == (19, 0, 1, 0)
    assert users(harbor) == 21


def live_sends(harbor: Harbor, rows: list[dict[str, Any]]) -> Reply:
    return harbor.backend.calls(
        "POST", f"{USERS}/import", data=lines(*rows).encode(), headers={"Content-Type": LINES}
    )


# Records


def recorded(harbor: Harbor) -> dict[str, Any]:
    asked = sa.select(Event.detail).where(Event.kind == "user:imported").order_by(Event.id)
    return dict(harbor.rows(asked)[-1][0])


def test_an_import_is_recorded_as_a_whole_and_for_each_user(harbor: Harbor) -> None:
    rows = [
        {"email": "kit@harbor.example", "totp_secret": keep_secret("GEZDGNBVGY3TQOJQ")},
        {"email": "ada@harbor.example", "given_name": "Ada"},
        {"email": "nobody"},
    ]
    imports(harbor, *rows)
    assert recorded(harbor) == {
        "created": 1,
        "updated": 1,
        "unchanged": 0,
        "failed": 1,
        "told": 0,
        "complete": True,
    }
    kit = finds(harbor, "kit@harbor.example")["id"]
    found = harbor.rows(
        sa.select(Event.kind, Event.actor, Event.address, Event.organization_id, Event.detail)
        .where(Event.user_id == uuid.UUID(kit))
        .order_by(Event.id)
    )
    assert [row.kind for row in found] == ["user:created", "authenticator:imported"]
    for row in found:
        assert row.actor == f"api_key:{harbor.backend.client_id}"
        assert row.address == "127.0.0.1"
        assert row.organization_id == harbor.organization.id
    [(detail,)] = harbor.rows(sa.select(Event.detail).where(Event.kind == "user:updated"))
    assert detail == {"fields": "profile"}
    assert harbor.rows(sa.select(Message.id)) == []


# Who is told


def heard(harbor: Harbor) -> list[tuple[str, str]]:
    every = sa.select(Message.recipient, Message.name)
    return sorted((row.recipient, row.name) for row in harbor.rows(every))


def test_users_are_told_if_it_is_asked_for_and_not_by_a_client_that_never_heard_of_it(
    harbor: Harbor,
) -> None:
    """A nightly import of everybody who was hired must not begin to write mail by itself."""
    rows = lines(
        {"email": "kit@harbor.example", "totp_secret": keep_secret("GEZDGNBVGY3TQOJQ")},
        {"email": "bo@harbor.example"},
    )
    for query in ("", "?notify=false"):
        assert sends(harbor, rows, query=query).json["told"] == 0
        assert heard(harbor) == []
        harbor.executes(sa.delete(User).where(User.email != "ada@harbor.example"))
    assert sends(harbor, rows, query="?notify=true").json["told"] == 2
    expected = [
        ("bo@harbor.example", "user_added"),
        ("kit@harbor.example", "authenticator_imported"),
    ]
    assert heard(harbor) == expected
    assert sends(harbor, rows, query="?notify=true").json["told"] == 0
    assert heard(harbor) == expected


@ONE_DATABASE
def test_a_wish_that_is_neither_yes_nor_no_is_refused_before_a_row_is_read(harbor: Harbor) -> None:
    is_refused(
        sends(harbor, lines({"email": "kit@harbor.example"}), query="?notify=perhaps"),
        422, "invalid_request", "notify",
    )  # fmt: skip
    assert users(harbor) == 1


def test_who_has_an_authenticator_is_told_of_another_address_in_any_case(harbor: Harbor) -> None:
    """F40."""
    harbor.enrolls()
    harbor.executes(sa.update(User).values(external_id="crm-1"))
    before = len(heard(harbor))
    answer = imports(harbor, {"email": "m@harbor.example", "external_id": "crm-1"})
    assert answer["told"] == 1
    assert ("ada@harbor.example", "email_changed") in heard(harbor)
    assert len(heard(harbor)) == before + 1


def test_texts_of_an_import_end_with_the_budget_of_the_month(harbor: Harbor) -> None:
    """F13: notices of single deeds are sent all the same; those of a file may be many."""
    with harbor.services.database.writing() as tx:
        mine = tx.merge(harbor.organization)
        harbor.services.channels.change(tx, OPERATOR, mine, "sms", active=True)
        harbor.services.sending_rules.change(
            tx, OPERATOR, mine, monthly_budget=2, countries=("FR",)
        )
    rows = []
    for number in range(3):
        phone = f"+3361234567{number}"
        imports(harbor, {"phone_number": phone})
        with harbor.services.database.writing() as tx:
            [user] = tx.scalars(sa.select(User).where(User.phone_number == phone))
            tx.add(
                Authenticator(
                    user_id=user.id, kind="sms", status=AuthenticatorStatus.REMOVED,
                    recipient=phone, confirmed_at=harbor.clock.now(),
                    created_at=harbor.clock.now(),
                )
            )  # fmt: skip
        rows.append({"phone_number": phone, "totp_secret": f"GEZDGNBVGY3TQOJ{'ABC'[number]}"})
    assert sends(harbor, lines(*rows), query="?notify=true").json["told"] == 2
    assert len(heard(harbor)) == 2
    [(notice,)] = harbor.rows(sa.select(Event.detail).where(Event.kind == "notice:not_sent"))
    assert notice == {"notice": "authenticator_imported"}


# Seeds


def test_an_imported_user_goes_on_with_the_app_that_is_there(harbor: Harbor) -> None:
    phone = carries(SEED)
    assert counts(imports(harbor, {"email": "kit@harbor.example", "totp_secret": SEED}))[0] == 1
    browser = harbor.visits("kit@harbor.example")
    assert browser.path.endswith("/verify"), browser.path
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    again = harbor.visits("kit@harbor.example")
    again.types(harbor.code(phone))
    assert again.reply.status == 422


SEEDS: list[tuple[str, dict[str, Any]]] = [
    (
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA====",
        {"algorithm": "SHA256", "digits": 8},
    ),
    ("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", {"period": 60}),
    ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", {"algorithm": "SHA512", "digits": 7, "period": 15}),
    ("GEZD-GNBV-GY3T-QOJQ", {"algorithm": "hmac-sha-1", "period": 120}),
]


@pytest.mark.parametrize(("seed", "settings"), SEEDS, ids=lambda value: str(value)[:20])
def test_an_imported_seed_keeps_its_digits_period_and_algorithm(
    harbor: Harbor, seed: str, settings: dict[str, Any]
) -> None:
    row = {f"totp_{name}": value for name, value in settings.items()}
    imports(harbor, {"email": "kit@harbor.example", "totp_secret": seed, **row})
    usual = {**settings, "algorithm": settings.get("algorithm", "SHA1")}
    if usual["algorithm"] == "hmac-sha-1":
        usual["algorithm"] = "SHA1"
    phone = carries(seed, **usual)
    [(status, confirmed_at, parameters)] = harbor.rows(
        sa.select(Authenticator.status, Authenticator.confirmed_at, Authenticator.parameters)
    )
    assert (status, confirmed_at) == ("active", harbor.clock.now())
    kept = {name: value for name, value in usual.items() if value != "SHA1"}
    assert parameters == kept
    browser = harbor.visits("kit@harbor.example")
    browser.types(harbor.code(phone))
    assert "result" in browser.back, browser.page.text


def test_a_csv_brings_seeds_too(harbor: Harbor) -> None:
    seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    body = (
        "email,totp_secret,totp_digits,totp_period,totp_algorithm\n"
        f"kit@harbor.example,{seed},8,,sha256\n"
        "bo@harbor.example,,,,\n"
    )
    assert counts(sends(harbor, body, CSV).json) == (2, 0, 0, 0)
    assert counts(sends(harbor, body, CSV).json) == (0, 0, 2, 0)
    browser = harbor.visits("kit@harbor.example")
    browser.types(harbor.code(carries(seed, digits=8, algorithm="SHA256")))
    assert "result" in browser.back
    assert harbor.visits("bo@harbor.example").path.endswith("/set-up")


BAD_SEEDS: list[tuple[dict[str, Any], str]] = [
    ({"totp_secret": "GEZDGNBVGY3TQOI="}, "totp_secret"),  # 72 bits
    ({"totp_secret": "A" * 208}, "totp_secret"),  # 130 bytes
    ({"totp_secret": "GEZDGNBVGY3TQOJ1"}, "totp_secret"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQG"}, "totp_secret"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ\u00e9"}, "totp_secret"),
    ({"totp_secret": 1234567890}, "totp_secret"),
    ({"totp_secret": ["GEZDGNBVGY3TQOJQ"]}, "totp_secret"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_digits": 5}, "totp_digits"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_digits": 9}, "totp_digits"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_digits": "six"}, "totp_digits"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_digits": True}, "totp_digits"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_period": 14}, "totp_period"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_period": 121}, "totp_period"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_period": 0}, "totp_period"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_algorithm": "MD5"}, "totp_algorithm"),
    ({"totp_secret": "GEZDGNBVGY3TQOJQ", "totp_algorithm": 1}, "totp_algorithm"),
]


@ONE_DATABASE
def test_a_seed_that_can_t_be_used_is_refused_without_being_told(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for fields, field in BAD_SEEDS:
        with subtests.test(repr(fields)):
            keep_secret(str(fields["totp_secret"]))
            reply = sends(harbor, lines({"email": "kit@harbor.example", **fields}))
            assert told(reply.json) == [(1, "invalid_request", field)]
            assert str(fields["totp_secret"]) not in reply.text
    assert users(harbor) == 1


@ONE_DATABASE
def test_the_longest_seed_is_128_bytes(harbor: Harbor) -> None:
    seed = base64.b32encode(bytes(range(128))).decode()
    imports(harbor, {"email": "kit@harbor.example", "totp_secret": seed})
    browser = harbor.visits("kit@harbor.example")
    browser.types(harbor.code(carries(seed)))
    assert "result" in browser.back


def test_a_user_who_has_an_authenticator_keeps_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    row = {"email": "ada@harbor.example", "given_name": "Ada", "totp_secret": SEED}
    keep_secret("JBSWY3DPEHPK3PXP")
    answer = imports(harbor, row)
    assert told(answer) == [(1, "already_enrolled", None)]
    assert finds(harbor, harbor.ada)["profile"] == {}, "a row is taken as a whole or not at all"
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    own = {**row, "totp_secret": phone.key}
    assert counts(imports(harbor, own)) == (0, 1, 0, 0)
    assert counts(imports(harbor, own)) == (0, 0, 1, 0)
    other = {**own, "totp_digits": 8}
    assert told(imports(harbor, other)) == [(1, "already_enrolled", None)]
    assert harbor.rows(sa.select(sa.func.count()).select_from(Authenticator)) == [(1,)]


def test_a_user_whose_authenticator_is_suspended_gets_none_by_an_import(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(codes[0])
    for seed in (SEED, phone.key):
        row = {"email": "ada@harbor.example", "totp_secret": seed}
        assert told(imports(harbor, row)) == [(1, "already_enrolled", None)]


def enrolls_with_codes(harbor: Harbor) -> tuple[Phone, list[str]]:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    return phone, codes


def test_an_import_closes_enrollment_even_in_a_visit_that_is_open(harbor: Harbor) -> None:
    visit = harbor.visits(harbor.ada)
    stranger = visit.sets_up()
    phone = carries(SEED)
    assert counts(imports(harbor, {"email": "ada@harbor.example", "totp_secret": SEED}))[1] == 1
    visit.submits(code=harbor.code(stranger))
    active = sa.select(sa.func.count()).where(Authenticator.status == "active")
    assert harbor.rows(active) == [(1,)]
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


def test_an_import_closes_enrollment_for_who_is_new_and_who_was_there(harbor: Harbor) -> None:
    """So that a reset which does not reopen it leaves nobody with a free first enrollment."""
    for address in ("ada@harbor.example", "kit@harbor.example"):
        imports(harbor, {"email": address, "totp_secret": SEED})
        with harbor.services.database.writing() as tx:
            user = harbor.services.directory.find(tx, harbor.organization, address)
            enrollment, organization = harbor.services.enrollment, harbor.organization
            assert enrollment.reset(tx, OPERATOR, organization, user, reopen=False) == 1
        assert harbor.visits(address).path.endswith("/blocked"), address


def test_a_seed_that_was_removed_does_not_come_back_with_the_same_file(harbor: Harbor) -> None:
    """Whoever stole the phone would be let in by the import that runs every night."""
    row = {"email": "ada@harbor.example", "totp_secret": SEED}
    keep_secret("JBSWY3DPEHPK3PXP")
    imports(harbor, row)
    [one] = harbor.backend.calls("GET", f"{USERS}/{harbor.ada}/authenticators").json["data"]
    path = f"{USERS}/{harbor.ada}/authenticators/{one['id']}?reopen=true"
    assert harbor.backend.calls("DELETE", path).status == 200
    for more in ({}, {"totp_digits": 8}):
        assert told(imports(harbor, {**row, **more})) == [(1, "seed_removed", None)]
    assert harbor.visits(harbor.ada).path.endswith("/set-up")
    fresh = {**row, "totp_secret": "GEZDGNBVGY3TQOJQ"}
    phone = carries("GEZDGNBVGY3TQOJQ")
    assert counts(imports(harbor, fresh)) == (0, 1, 0, 0)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


def test_a_seed_stands_nowhere_in_the_clear(harbor: Harbor) -> None:
    """F68 and F70: not in an answer, an event, a row, or a log."""
    seed = keep_secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    raw = base64.b32decode(seed)
    row = {"email": "kit@harbor.example", "totp_secret": seed}
    answers = [sends(harbor, lines(row)).text, sends(harbor, lines(row)).text]
    answers.append(sends(harbor, lines({**row, "totp_digits": 8})).text)
    for path in ("", "/authenticators", "/events", "/recovery-codes"):
        answers.append(
            harbor.backend.calls("GET", f"{USERS}/{quote('kit@harbor.example')}{path}").text
        )
    for text in (*answers, harbor.dump()):
        for form in (seed, seed.lower(), raw.hex(), raw.decode(), base64.b64encode(raw).decode()):
            assert form not in text


# Rows that name their user by the phone number


def test_a_row_without_an_address_is_about_who_has_the_number(harbor: Harbor) -> None:
    rows = [
        {"phone_number": "+33 6 12 34 56 78", "external_id": "crm-1"},
        {"phone_number": "+447400123456"},
    ]
    assert counts(imports(harbor, *rows)) == (2, 0, 0, 0)
    assert counts(imports(harbor, *rows)) == (0, 0, 2, 0)
    alone = sa.select(User.phone_number, User.external_id).where(User.email.is_(None))
    assert harbor.rows(alone.order_by(User.phone_number)) == [
        ("+33612345678", "crm-1"), ("+447400123456", None),
    ]  # fmt: skip
    # With the same external id the number is replaced, and an address is added.
    moved = {"phone_number": "+33698765432", "external_id": "crm-1"}
    assert counts(imports(harbor, moved)) == (0, 1, 0, 0)
    named = {"email": "kit@harbor.example", "external_id": "crm-1"}
    assert counts(imports(harbor, named)) == (0, 1, 0, 0)
    assert finds(harbor, "kit@harbor.example")["phone_number"] == "+33698765432"
    # Whoever is the only one with the number is meant, also with an address.
    only = {"phone_number": "+33698765432", "given_name": "Kit"}
    assert counts(imports(harbor, only)) == (0, 1, 0, 0)
    assert finds(harbor, "kit@harbor.example")["profile"] == {"given_name": "Kit"}


def test_a_csv_may_have_numbers_alone(harbor: Harbor) -> None:
    seed = SEED.replace(" ", "").upper()
    reply = sends(harbor, f"phone_number;totp_secret\n+33612345678;{seed}\n;\n", CSV)
    assert counts(reply.json) == (1, 0, 0, 1)
    assert told(reply.json) == [(3, "invalid_request", "email")]
    carries(SEED)
    [(enrolled,)] = harbor.rows(sa.select(User.enrolled).where(User.phone_number == "+33612345678"))
    assert enrolled is True


def test_a_number_that_several_have_names_nobody(harbor: Harbor) -> None:
    shared = {"phone_number": "+33612345678"}
    imports(
        harbor, {"email": "kit@harbor.example", **shared}, {"email": "bo@harbor.example", **shared}
    )
    answer = imports(harbor, {**shared, "given_name": "Kit"}, {"email": "cy@harbor.example"})
    assert counts(answer) == (1, 0, 0, 1)
    assert told(answer) == [(1, "phone_number_ambiguous", None)]
    # Somebody who is known by it alone goes before them.
    with harbor.services.database.writing() as tx:
        harbor.services.directory.create(
            tx, OPERATOR, harbor.organization, phone_number="+33612345678"
        )
    assert counts(imports(harbor, {**shared, "given_name": "Al"})) == (0, 1, 0, 0)
    assert finds(harbor, "kit@harbor.example")["profile"] == {}


def test_a_file_names_nobody_twice_by_the_number(harbor: Harbor) -> None:
    number = {"phone_number": "+33612345678"}
    answer = imports(
        harbor, {"email": "kit@harbor.example", **number}, number, {"external_id": "x"}
    )
    assert told(answer) == [(2, "duplicate_row", "phone_number"), (3, "invalid_request", "email")]
    assert counts(answer) == (1, 0, 0, 2)
