"""Whom `User` names: by address, by number, by both; an unknown contact becomes a user."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Event, User
from app.services.api_keys import Permission
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v1.backend import EMAIL, OTHER, PHONE, Devrift


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def adds(harbor: Harbor, **fields: str) -> str:
    reply = harbor.backend.calls("POST", "/org/harbor/users", json=fields)
    assert reply.status == 201, reply.text
    return str(reply.json["id"])


def users(harbor: Harbor) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in harbor.rows(sa.select(User.email, User.phone_number))}


def test_an_unknown_contact_becomes_a_user_with_that_alone(
    harbor: Harbor, backend: Devrift
) -> None:
    assert backend.asks("new@harbor.example", "EMAIL").status == 200
    assert backend.asks(OTHER, "SMS").status == 200
    assert backend.asks(f"both@harbor.example:{PHONE}", "DUAL").status == 200
    assert backend.asks("app@harbor.example", "APP").status == 200
    assert users(harbor) == {
        (EMAIL, None),
        ("new@harbor.example", None),
        (None, OTHER),
        ("both@harbor.example", PHONE),
        ("app@harbor.example", None),
    }
    created = harbor.rows(sa.select(Event.actor).where(Event.kind == "user:created"))
    actors = Counter(row.actor.partition(":")[0] for row in created)
    assert actors == {"operator": 1, "api_key": 4}


def test_who_is_known_is_found_in_any_case_and_stays_one(harbor: Harbor, backend: Devrift) -> None:
    first = backend.asks("ADA@Harbor.Example", "EMAIL").json
    assert first["user_id"] == harbor.ada
    assert backend.verifies("Ada@harbor.example", "EMAIL", backend.code(EMAIL)).status == 200
    assert len(users(harbor)) == 1


def test_who_is_known_by_the_number_alone_goes_before_others_who_share_it(
    harbor: Harbor, backend: Devrift
) -> None:
    sam = adds(harbor, email="sam@harbor.example", phone_number=PHONE)
    assert backend.asks(PHONE, "SMS").json["user_id"] == sam
    backend.later()
    adds(harbor, email="kit@harbor.example", phone_number=PHONE)
    shared = backend.asks(PHONE, "SMS")
    assert (shared.status, shared.error) == (422, "phone_number_ambiguous")
    assert backend.verifies(PHONE, "PHONE", "000000").error == "phone_number_ambiguous"
    alone = adds(harbor, phone_number=PHONE)
    assert backend.asks(PHONE, "SMS").json["user_id"] == alone


def test_an_address_and_a_number_are_of_one_user(harbor: Harbor, backend: Devrift) -> None:
    adds(harbor, email="sam@harbor.example", phone_number=PHONE)
    before = users(harbor)
    for user in (
        f"{EMAIL}:{PHONE}",  # two users
        f"sam@harbor.example:{OTHER}",  # Sam has another number
        f"new@harbor.example:{PHONE}",  # whose number it is has another address
    ):
        for path in ("/mfa", "/mfa/backup"):
            reply = backend.asks(user, "DUAL", path)
            assert (reply.status, reply.error) == (422, "contact_mismatch"), user
        assert backend.verifies(user, "DUAL", "000000").error == "contact_mismatch"
    assert users(harbor) == before
    assert backend.messages(PHONE) == []
    assert backend.asks(f"sam@harbor.example:{PHONE}", "DUAL").status == 200


def test_the_half_that_was_unknown_is_added(harbor: Harbor, backend: Devrift) -> None:
    alone = backend.asks(OTHER, "SMS").json["user_id"]
    backend.later()
    dual = backend.asks(f"al@harbor.example:{OTHER}", "DUAL")
    assert dual.json["user_id"] == alone
    assert backend.asks(f"{EMAIL}:{PHONE}", "DUAL").json["user_id"] == harbor.ada
    assert users(harbor) == {(EMAIL, PHONE), ("al@harbor.example", OTHER)}


@pytest.mark.parametrize(
    "number",
    [
        "0612345678",
        "33612345678",
        "+330612345678",
        "+33 6 12 34 56 78",
        "+33-612345678",
        "+3361234567",
        "+33612345678;ext=1",
        "+٣٣٦١٢٣٤٥٦٧٨",
        "tel:+33612345678",
        "+",
    ],
)
@ONE_DATABASE
def test_a_number_is_written_in_e164(harbor: Harbor, backend: Devrift, number: str) -> None:
    for reply in (
        backend.asks(number, "SMS"),
        backend.verifies(number, "PHONE", "123456"),
        backend.backs_up(number, "SMS"),
        backend.asks(f"{EMAIL}:{number}", "DUAL"),
    ):
        assert reply.status == 422, reply.text
        assert reply.error in {"invalid_phone_number", "invalid_email"}
        assert reply.json["error"]["message"].startswith("User: ")
    assert users(harbor) == {(EMAIL, None)}


@pytest.mark.parametrize(
    ("user", "type_", "error"),
    [
        (PHONE, "EMAIL", "invalid_request"),
        (EMAIL, "SMS", "invalid_request"),
        (EMAIL, "CALL", "invalid_request"),
        (EMAIL, "DUAL", "invalid_request"),
        (PHONE, "DUAL", "invalid_request"),
        (f"{EMAIL}:{PHONE}", "EMAIL", "invalid_request"),
        (f"{EMAIL}:{PHONE}", "SMS", "invalid_request"),
        (f":{PHONE}", "DUAL", "invalid_request"),
        (f"{EMAIL}:", "DUAL", "invalid_phone_number"),
        (":", "DUAL", "invalid_email"),
        ("ada@", "EMAIL", "invalid_email"),
        ("ada@harbor", "EMAIL", "invalid_email"),
        ("@harbor.example", "APP", "invalid_email"),
        (f"{PHONE}:{EMAIL}", "DUAL", "invalid_email"),
        ("x" * 300 + "@harbor.example", "EMAIL", "invalid_email"),
    ],
)
@ONE_DATABASE
def test_what_a_type_can_not_use_is_refused(
    harbor: Harbor, backend: Devrift, user: str, type_: str, error: str
) -> None:
    reply = backend.asks(user, type_)
    assert (reply.status, reply.error) == (422, error), reply.text
    assert users(harbor) == {(EMAIL, None)}


def test_an_app_is_named_by_any_contact(harbor: Harbor, backend: Devrift) -> None:
    adds(harbor, email="sam@harbor.example", phone_number=PHONE)
    for user in ("sam@harbor.example", PHONE, f"sam@harbor.example:{PHONE}"):
        assert backend.asks(user, "APP").status == 200


def test_a_key_that_may_add_nobody_reaches_who_is_known(harbor: Harbor) -> None:
    backend = Devrift(
        harbor, permissions=[Permission.WRITE_CHALLENGES, Permission.WRITE_ENROLLMENTS]
    )
    assert backend.asks(EMAIL, "EMAIL").status == 200
    for user, type_ in ((OTHER, "SMS"), (f"{EMAIL}:{PHONE}", "DUAL"), ("x@harbor.example", "APP")):
        reply = backend.asks(user, type_)
        assert (reply.status, reply.error) == (403, "forbidden")
    assert users(harbor) == {(EMAIL, None)}


def test_another_organization_s_users_are_unknown(harbor: Harbor, backend: Devrift) -> None:
    """F82: the same contact is another person there."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    theirs = harbor.backend.calls(
        "POST", "/org/pier/users", json={"email": "paul@pier.example", "phone_number": OTHER}
    ).json["id"]
    mine = backend.asks(OTHER, "SMS").json["user_id"]
    also = backend.asks("paul@pier.example", "EMAIL").json["user_id"]
    assert len({theirs, mine, also}) == 3
