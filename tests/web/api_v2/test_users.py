"""/api/v2/org/{domain}/users: the people of an organization, as the guides create and read them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Event, User
from tests.actors import Reply
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import (
    FORM,
    JSON,
    as_curl_d,
    as_form,
    as_json,
    as_multipart,
    is_refused,
    raw,
)

USERS = "/org/harbor/users"


def creates(harbor: Harbor, **request: Any) -> Reply:
    return harbor.backend.calls("POST", USERS, **request)


def finds(harbor: Harbor, id_or_email: str) -> Reply:
    return harbor.backend.calls("GET", f"{USERS}/{id_or_email}")


@pytest.mark.parametrize("way", [as_form, as_multipart])
def test_the_guide_s_form_creates_a_user(
    harbor: Harbor, way: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    fields = {
        "profile[email]": "omvold@blockapp.example",
        "profile[given_name]": 'Omvold "Om"',
        "profile[family_name]": "O'Neill",
    }
    reply = creates(harbor, **way(fields))
    assert reply.status == 201, reply.text
    user = reply.json
    assert uuid.UUID(user["id"]).version == 4
    assert user == {
        "__type__": "User",
        "__domain__": "harbor",
        "__environment__": "sandbox",
        "id": user["id"],
        "email": "omvold@blockapp.example",
        "email_verified": False,
        "phone_number": None,
        "phone_number_verified": False,
        "external_id": None,
        "active": True,
        "profile": {"given_name": 'Omvold "Om"', "family_name": "O'Neill"},
        "inserted_at": "2026-03-01T12:00:05",
        "updated_at": "2026-03-01T12:00:05",
    }
    assert finds(harbor, user["id"]).json == user


@pytest.mark.parametrize("way", [as_json, as_curl_d])
def test_json_creates_a_user_with_the_address_at_the_top_or_in_the_profile(
    harbor: Harbor, way: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    at_the_top = {
        "email": "top@harbor.example",
        "phone_number": "+33612345678",
        "external_id": "crm-1",
        "profile": {"given_name": "Émile", "address": {"locality": "Brest"}, "tags": ["a", 1]},
        "whatever": {"is": "ignored"},
    }
    user = creates(harbor, **way(at_the_top)).json
    assert user["email"] == "top@harbor.example"
    assert user["phone_number"] == "+33612345678"
    assert user["external_id"] == "crm-1"
    assert user["profile"] == at_the_top["profile"]
    inside = {"profile": {"email": "inside@harbor.example", "phone_number": "+44 7400 123456"}}
    user = creates(harbor, **way(inside)).json
    assert user["email"] == "inside@harbor.example"
    assert user["phone_number"] == "+447400123456"
    assert user["profile"] == {}


def test_a_user_is_found_by_id_and_by_address_in_any_case(harbor: Harbor) -> None:
    created = creates(harbor, json={"email": "Mixed.Case@Harbor.Example"}).json
    for name in (
        created["id"],
        created["id"].upper(),
        "mixed.case@harbor.example",
        "MIXED.CASE@HARBOR.EXAMPLE",
        "Mixed.Case%40Harbor.Example",
    ):
        assert finds(harbor, name).json == created, name


def test_nobody_is_404_whatever_is_asked_for(harbor: Harbor) -> None:
    answers = set()
    for name in (
        str(uuid.uuid4()),
        "nobody@harbor.example",
        "%25",
        "*",
        "%20",
        "' or 1=1 --",
        "ada",
        "a" * 5000,
        "%ED%A0%80",
    ):
        reply = finds(harbor, name)
        is_refused(reply, 404, "not_found")
        answers.add(reply.text)
    assert len(answers) == 1
    for name in ("%00", "ada@harbor.example%00", f"{harbor.ada}%00"):
        is_refused(finds(harbor, name), 404, "not_found")


def test_an_address_that_is_there_is_refused_in_the_guide_s_words(harbor: Harbor) -> None:
    for again in ("ada@harbor.example", "ADA@harbor.example", "Ada@HARBOR.example"):
        reply = creates(harbor, data={"profile[email]": again})
        is_refused(reply, 422, "email_taken")
        assert reply.json["error"]["message"] == "email has already been taken"
    assert harbor.rows(sa.select(sa.func.count()).select_from(User)) == [(1,)]


def test_two_organizations_may_have_one_address_each_for_a_user_of_its_own(harbor: Harbor) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    other = harbor.backend.calls("POST", "/org/pier/users", json={"email": "ada@harbor.example"})
    assert other.status == 201
    assert other.json["id"] != harbor.ada
    assert finds(harbor, "ada@harbor.example").json["id"] == harbor.ada
    assert finds(harbor, other.json["id"]).status == 404
    assert harbor.backend.calls("GET", f"/org/pier/users/{harbor.ada}").status == 404


PHONES = [
    ("+33612345678", "+33612345678"),
    ("+33 6 12 34 56 78", "+33612345678"),
    ("+33 (0)6-12-34-56-78", "+33612345678"),
    ("", None),
]


@ONE_DATABASE
def test_a_phone_number_is_kept_in_e164(harbor: Harbor) -> None:
    for number, (written, kept) in enumerate(PHONES):
        fields = {"profile[email]": f"p{number}@harbor.example", "profile[phone_number]": written}
        assert creates(harbor, data=fields).json["phone_number"] == kept


NUMBERS = ["0612345678", "+33", "+0", "+999999999999", "x", "+1555", "\uff05"]


@ONE_DATABASE
def test_a_number_without_a_country_or_that_nobody_has_is_refused(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for number in NUMBERS:
        with subtests.test(number):
            reply = creates(harbor, json={"email": "p@harbor.example", "phone_number": number})
            is_refused(reply, 422, "invalid_request", "phone_number", "+33612345678")


def test_an_external_id_is_unique_within_the_organization(harbor: Harbor) -> None:
    first = creates(harbor, json={"email": "one@harbor.example", "external_id": "crm-1"})
    assert first.status == 201
    second = creates(harbor, json={"email": "two@harbor.example", "external_id": "crm-1"})
    is_refused(second, 422, "external_id_taken", "external_id")
    assert finds(harbor, "two@harbor.example").status == 404
    exact = creates(harbor, json={"email": "two@harbor.example", "external_id": "CRM-1"})
    assert exact.status == 201
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    body = {"email": "one@harbor.example", "external_id": "crm-1"}
    assert harbor.backend.calls("POST", "/org/pier/users", json=body).status == 201
    for name in ("three", "four"):
        assert creates(harbor, json={"email": f"{name}@harbor.example"}).status == 201


NO_ADDRESSES = [
    "",
    " ",
    "ada",
    "ada@",
    "@harbor.example",
    "ada@harbor",
    "a@x.example,b@y.example",
    "a@b@harbor.example",
    "ada@harbor.example.",
    "ada@-harbor.example",
    "ada harbor@harbor.example",
    "ada\n@harbor.example",
    "ada\u200b@harbor.example",
    "ada\uff20harbor.example",
    "\u212ate@harbor.example",
    "ad\u0131@harbor.example",
    "é@harbor.example",
    "a@" + "x" * 250 + ".example",
    "x" * 10_000,
    "Ada <ada@harbor.example>",
]


@ONE_DATABASE
def test_what_is_no_plain_address_is_refused_by_name(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for address in NO_ADDRESSES:
        with subtests.test(address[:80]):
            reply = creates(harbor, json={"email": address})
            is_refused(reply, 422, "invalid_request", "email")
            assert len(reply.text) < 1000


def test_no_two_spellings_reach_each_other_s_account(harbor: Harbor) -> None:
    """F83: letters that only look alike, or that folding would make alike, stay distinct."""
    for address in ("kit@harbor.example", "ist@harbor.example", "ss@harbor.example"):
        assert creates(harbor, json={"email": address}).status == 201
    for look_alike in (
        "\u212ait@harbor.example",  # the Kelvin sign, whose lower case is an ASCII k
        "K\u0131t@harbor.example",
        "\u0130st@harbor.example",
        "\u0131st@harbor.example",
        "\u00df@harbor.example",
        "kit\u200b@harbor.example",
        "kit\uff20harbor.example",
        "k.it@harbor.example",
        "kit+1@harbor.example",
        "kit@harbor.example.",
    ):
        assert finds(harbor, look_alike).status == 404, look_alike
        asked = harbor.notes.asks(look_alike)
        is_refused(asked, 422, "user_not_found", "user_id")


@ONE_DATABASE
def test_a_user_with_an_international_domain_is_found_by_either_spelling(harbor: Harbor) -> None:
    created = creates(harbor, json={"email": "ada@hafen-münchen.example"}).json
    assert created["email"] == "ada@xn--hafen-mnchen-jlb.example"
    assert finds(harbor, "ada@xn--hafen-mnchen-jlb.example").json == created
    assert finds(harbor, "ada@hafen-münchen.example").json == created


ODD_FIELDS = [
    (JSON, b"{}", 422, "email"),
    (JSON, b"", 422, "email"),
    (JSON, b'{"email": null}', 422, "email"),
    (JSON, b'{"email": []}', 422, "email"),
    (JSON, b'{"email": ["a@x.example", "b@x.example"]}', 422, "email"),
    (JSON, b'{"email": {"$ne": 1}}', 422, "email"),
    (JSON, b'{"email": true}', 422, "email"),
    (JSON, b'{"email": 123456}', 422, "email"),
    (JSON, b'{"email": 1e5}', 422, "email"),
    (JSON, b'{"profile": null}', 422, "profile"),
    (JSON, b'{"profile": "ada@harbor.example"}', 422, "profile"),
    (JSON, b'{"profile": ["ada@harbor.example"]}', 422, "profile"),
    (JSON, b'{"profile": {"email": null}}', 422, "email"),
    (JSON, b'{"profile": {"email": ["a@x.example"]}}', 422, "email"),
    (JSON, b'{"profile": {"email": {"email": "a@x.example"}}}', 422, "email"),
    (JSON, b'{"profile": {"email": false}}', 422, "email"),
    (JSON, b'{"email": "n@x.example", "phone_number": 33612345678}', 422, "phone_number"),
    (JSON, b'{"email": "n@x.example", "profile": {"phone_number": []}}', 422, "phone_number"),
    (JSON, b'{"email": "n@x.example", "profile": {"phone_number": [1]}}', 422, "phone_number"),
    (JSON, b'{"email": "n@x.example", "external_id": 7}', 422, "external_id"),
    (JSON, b'{"email": "n@x.example", "external_id": "a\\u0007b"}', 422, "external_id"),
    (JSON, b'{"email": "a@x.example", "email": "b@x.example"}', 400, "email"),
    (JSON, b'{"profile": {"email": "a@x.example", "email": "b@x.example"}}', 400, "email"),
    (FORM, b"email=a%40x.example&email=b%40x.example", 400, "email"),
    (FORM, b"profile[email]=a%40x.example&profile[email]=b%40x.example", 400, "profile[email]"),
    (FORM, b"profile[email][]=a%40x.example", 422, "email"),
    (FORM, b"profile=x&profile[email]=a%40x.example", 400, "profile[email]"),
    (FORM, b"profile[email]=a%40x.example&profile=x", 400, "profile"),
    (FORM, b"profile[email=a%40x.example", 400, "profile[email"),
    (FORM, b"a" + b"[b]" * 20 + b"=1", 400, "a[b][b]"),
    (FORM, b"email=n%40x.example&email=", 400, "email"),
]


@ONE_DATABASE
def test_odd_fields_are_refused_by_name_and_create_nobody(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F20 and F15: whatever the shape, an answer and no crash."""
    for content_type, body, status, field in ODD_FIELDS:
        with subtests.test(repr(body[:80])):
            reply = creates(harbor, **raw(body, content_type))
            is_refused(reply, status, "invalid_request", field)
    assert harbor.rows(sa.select(sa.func.count()).select_from(User)) == [(1,)]


UNKEEPABLE = [
    b'{"a": 1e999}',
    b'{"a": -1e999}',
    b'{"a": NaN}',
    b'{"a": [Infinity]}',
    b'{"a": "\\u0000"}',
    b'{"\\u0000": 1}',
    b'{"a": "\\ud800"}',
    b'{"a": {"\\udfff": []}}',
    b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"a": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    b'{"a": ' + b"9" * 5000 + b"}",
    b"{" + b",".join(b'"f%d": 1' % number for number in range(51)) + b"}",
]


def test_a_profile_that_could_not_be_kept_is_refused(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for profile in UNKEEPABLE:
        with subtests.test(repr(profile[:40])):
            body = b'{"email": "n@harbor.example", "profile": ' + profile + b"}"
            reply = creates(harbor, **raw(body))
            assert reply.status in {400, 422}, (reply.status, reply.text[:300])
            is_refused(reply, reply.status, "invalid_request")
    assert finds(harbor, "n@harbor.example").status == 404


def test_a_profile_that_can_be_kept_comes_back_as_it_was(harbor: Harbor) -> None:
    profile = {
        "n": 1.5,
        "big": 2**60,
        "text": "Ünï\U0001f600\u2028",
        "list": [None, True, {"a": []}],
    }
    created = creates(harbor, json={"email": "n@harbor.example", "profile": profile})
    assert created.status == 201, created.text
    assert finds(harbor, "n@harbor.example").json["profile"] == profile


def test_the_same_address_at_the_same_moment_makes_one_user(live_harbor: Harbor) -> None:
    backend = live_harbor.backend
    assert backend.token

    def create(number: int) -> Reply:
        spelled = "Twin@harbor.example" if number % 2 else "twin@HARBOR.example"
        return backend.calls("POST", USERS, json={"email": spelled, "external_id": f"t{number}"})

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(create, range(16)))
    assert sorted(reply.status for reply in replies) == [201] + [422] * 15
    for reply in replies:
        if reply.status == 422:
            is_refused(reply, 422, "email_taken")
    twins = sa.select(sa.func.count()).where(User.email_key == "twin@harbor.example")
    assert live_harbor.rows(twins) == [(1,)]


def test_the_same_external_id_at_the_same_moment_makes_one_user(live_harbor: Harbor) -> None:
    backend = live_harbor.backend
    assert backend.token

    def create(number: int) -> Reply:
        body = {"email": f"twin{number}@harbor.example", "external_id": "one"}
        return backend.calls("POST", USERS, json=body)

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(create, range(16)))
    assert sorted(reply.status for reply in replies) == [201] + [422] * 15
    for reply in replies:
        if reply.status == 422:
            is_refused(reply, 422, "external_id_taken")


def test_creating_a_user_is_recorded_without_the_address(harbor: Harbor) -> None:
    created = creates(harbor, json={"email": "n@harbor.example"}).json
    event = sa.select(Event.actor, Event.user_id, Event.address, Event.detail).where(
        Event.kind == "user:created", Event.user_id == uuid.UUID(created["id"])
    )
    [(actor, user_id, address, detail)] = harbor.rows(event)
    assert actor == f"api_key:{harbor.backend.client_id}"
    assert str(user_id) == created["id"]
    assert address == "127.0.0.1"
    assert "n@harbor.example" not in str(detail)
