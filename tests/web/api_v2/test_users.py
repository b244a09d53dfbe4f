"""/api/v2/org/{domain}/users: the people of an organization, as the guides create and read them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    Environment,
    Event,
    GatewaySession,
    Message,
    RecoveryCode,
    User,
    Verification,
)
from tests.actors import Phone, Reply, keep_secret
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

pytestmark = pytest.mark.both_databases

USERS = "/org/harbor/users"


def creates(harbor: Harbor, **request: Any) -> Reply:
    return harbor.backend.calls("POST", USERS, **request)


def finds(harbor: Harbor, id_or_email: str) -> Reply:
    return harbor.backend.calls("GET", f"{USERS}/{id_or_email}")


def updates(harbor: Harbor, user: str, method: str = "PUT", **request: Any) -> Reply:
    return harbor.backend.calls(method, f"{USERS}/{user}", **request)


def events(harbor: Harbor, kind: str) -> list[Any]:
    return harbor.rows(sa.select(Event.user_id, Event.detail).where(Event.kind == kind))


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
        "phone_numbers": [],
        "phone_number_verified": False,
        "external_id": None,
        "active": True,
        "address": None,
        "identities": [],
        "meta_data": [],
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
    assert user["phone_numbers"] == ["+33612345678"]
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
        "/kit@harbor.example",
        "kit@harbor.example/",
        " kit@harbor.example",
        "kit@harbor.example\u3000",
        "ki\u0074\u0301@harbor.example",
        '"kit"@harbor.example',
        "kit@h\u0430rbor.example",  # a Cyrillic a
        "kit@xn--hrbor-4ve.example",
        "kit@har\u00adbor.example",  # a soft hyphen, which reading a domain drops
        "kit@harbor\uff0eexample",
        "kit@harbor.e\uff58ample",
        "kit@harbor.example,ist@harbor.example",
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


# Which spellings are one address


SPELLINGS = [
    "kit@\u212aelvin.example",
    "kit@kel\u00advin.example",
    "kit@kelvin\uff0eexample",
    "kit@kelvin\u3002example",
    "kit@kel\u200bvin.example",
    "kit@kel\u2060vin.example",
    "kit@\uff4belvin.example",
    "kit@cafe\u0301.example",
    "kit\uff20kelvin.example",
    "kit@kelvin.example.",
    '"kit"@kelvin.example',
    "kit(now)@kelvin.example",
    " kit@kelvin.example",
    "kit@kelvin.example,ada@harbor.example",
]


@ONE_DATABASE
def test_an_address_in_an_odd_spelling_is_refused_and_finds_nobody(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F83: domains that a look-up would read as another are not taken at all."""
    for address in ("kit@kelvin.example", "kit@café.example"):
        assert creates(harbor, json={"email": address}).status == 201
    for spelling in SPELLINGS:
        with subtests.test(spelling):
            is_refused(creates(harbor, json={"email": spelling}), 422, "invalid_request", "email")
            moved = updates(harbor, harbor.ada, json={"email": spelling})
            is_refused(moved, 422, "invalid_request", "email")
            is_refused(finds(harbor, quote(spelling)), 404, "not_found")
            is_refused(harbor.notes.asks(spelling), 422, "user_not_found", "user_id")


@ONE_DATABASE
def test_addresses_that_only_look_alike_are_users_of_their_own(harbor: Harbor) -> None:
    """F83: no dot, tag or letter is dropped to find somebody."""
    addresses = [
        "kit@harbor.example",
        "k.it@harbor.example",
        "kit+1@harbor.example",
        "kit@h\u0430rbor.example",
        "kit@harb\u00f6r.example",
        "k/it@harbor.example",
        "/kit@harbor.example",
        "k//it@harbor.example",
    ]
    created = {
        address: creates(harbor, json={"email": address}).json["id"] for address in addresses
    }
    assert len(set(created.values())) == len(addresses)
    for address, user_id in created.items():
        assert finds(harbor, quote(address, safe="")).json["id"] == user_id, address


# Lists


def test_users_are_listed_newest_first(harbor: Harbor) -> None:
    for number in range(11):
        harbor.clock.advance(1)
        assert creates(harbor, json={"email": f"u{number}@harbor.example"}).status == 201
    first = harbor.backend.calls("GET", USERS).json
    assert first["__type__"] == "List"
    assert first["total"] == 12
    assert [user["email"] for user in first["data"]] == [
        f"u{number}@harbor.example" for number in range(10, 0, -1)
    ]
    assert first["data"][0] == finds(harbor, "u10@harbor.example").json
    for query in ("page=2&per_page=5", "current_page=2&per_page=5"):
        second = harbor.backend.calls("GET", f"{USERS}?{query}").json
        assert [user["email"][:2] for user in second["data"]] == ["u5", "u4", "u3", "u2", "u1"]
        assert second["pagination"] == {
            "current_page": 2,
            "current_pages": [1, 2, 3],
            "next_page": 3,
            "prev_page": 1,
            "per_page": 5,
            "total_pages": 3,
        }
    for query in ("page=0", "per_page=101", "page=x", "per_page=-1", "page=99999999999999999999"):
        reply = harbor.backend.calls("GET", f"{USERS}?{query}")
        is_refused(reply, 422, "invalid_request", query.split("=")[0])


def test_another_organization_s_users_are_in_no_list(harbor: Harbor) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    listed = harbor.backend.calls("GET", "/org/pier/users").json
    assert (listed["data"], listed["total"]) == ([], 0)
    only = harbor.key(only=True)
    assert only.calls("GET", USERS).json["total"] == 1
    is_refused(only.calls("GET", "/org/pier/users"), 404, "not_found")


@pytest.mark.parametrize("way", [as_form, as_json, as_curl_d, as_multipart])
@ONE_DATABASE
def test_the_guide_s_list_call_without_g_says_to_use_get(
    harbor: Harbor, way: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    for fields in ({"page": "1", "per_page": "20"}, {"current_page": "1"}):
        is_refused(creates(harbor, **way(fields)), 422, "use_get", "GET", "-G", USERS)
    is_refused(creates(harbor, **way({"page": "1", "x": "y"})), 422, "invalid_request", "email")


# Changes


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_what_is_given_changes(harbor: Harbor, method: str) -> None:
    before = creates(
        harbor,
        json={
            "email": "kit@harbor.example",
            "phone_number": "+33612345678",
            "external_id": "crm-1",
            "profile": {"given_name": "Kit", "tags": ["a"], "locale": "fr"},
        },
    ).json
    harbor.clock.advance(5)
    after = updates(harbor, before["id"], method, json={"profile": {"given_name": "Christopher"}})
    assert after.status == 200, after.text
    assert after.json == {
        **before,
        "profile": {"given_name": "Christopher", "tags": ["a"], "locale": "fr"},
        "updated_at": "2026-03-01T12:00:10",
    }
    given = {
        "email": "Christopher@harbor.example",
        "phone_number": "+33 6 99 99 99 99",
        "external_id": "crm-2",
        "profile": {"locale": None},
    }
    after = updates(harbor, "kit@harbor.example", method, json=given)
    assert after.json["email"] == "Christopher@harbor.example"
    assert after.json["phone_number"] == "+33699999999"
    assert after.json["external_id"] == "crm-2"
    assert after.json["profile"] == {"given_name": "Christopher", "tags": ["a"]}
    assert finds(harbor, "christopher@harbor.example").json == after.json
    is_refused(finds(harbor, "kit@harbor.example"), 404, "not_found")


def test_what_can_be_absent_is_taken_away_by_json_alone(harbor: Harbor) -> None:
    full = {
        "email": "kit@harbor.example",
        "phone_number": "+33612345678",
        "external_id": "crm-1",
        "profile": {"given_name": "Kit"},
    }
    user = creates(harbor, json=full).json
    blanks = {"email": "", "phone_number": "", "external_id": "", "profile[given_name]": ""}
    for way in (as_form, as_multipart):
        assert updates(harbor, user["id"], **way(blanks)).json == user
    assert updates(harbor, user["id"], json={"profile": {}}).json == user
    for nothing in ("", None):
        fields = {"phone_number": nothing, "external_id": nothing, "profile": None}
        bare = updates(harbor, user["id"], json=fields).json
        assert (bare["phone_number"], bare["phone_numbers"]) == (None, [])
        assert (bare["external_id"], bare["profile"]) == (None, {})
        is_refused(updates(harbor, user["id"], json={"email": nothing}), 422, "invalid_request")
        assert updates(harbor, user["id"], json=full).json == user


def test_the_kotlin_sdk_s_form_of_a_whole_user_changes_what_is_new_in_it(harbor: Harbor) -> None:
    user = creates(
        harbor,
        json={
            "email": "kit@harbor.example",
            "phone_number": "+33612345678",
            "external_id": "crm-1",
            "profile": {"given_name": "Kit", "shoes": 43},
        },
    ).json
    form = {
        "__type__": "User",
        "__environment__": "sandbox",
        "__domain__": "harbor",
        "email": "kit@harbor.example",
        "id": str(uuid.uuid4()),
        "phone_number": "+33612345678",
        "phone_numbers[]": "+33612345678",
        "phone_number_verified": "true",
        "email_verified": "true",
        "profile[__type__]": "Profile",
        "profile[given_name]": "Christopher",
        "profile[family_name]": "",
        "inserted_at": "2026-03-01T12:00:05",
        "updated_at": "2026-03-01T12:00:05",
        "active": "false",
    }
    after = updates(harbor, user["id"], data=form)
    assert after.status == 200, after.text
    assert after.json == {**user, "profile": {"given_name": "Christopher", "shoes": 43}}


def test_the_kotlin_sdk_s_form_of_a_new_user_keeps_none_of_its_marks(harbor: Harbor) -> None:
    form = {
        "__type__": "User",
        "email": "kit@harbor.example",
        "phone_number_verified": "false",
        "email_verified": "false",
        "profile[__type__]": "Profile",
        "profile[given_name]": "Kit",
    }
    reply = creates(harbor, data=form)
    assert (reply.status, reply.json["profile"]) == (201, {"given_name": "Kit"})


def test_the_guide_s_spelling_changes_address_and_number(harbor: Harbor) -> None:
    fields = {"profile[email]": "new@harbor.example", "profile[phone_number]": "+33612345678"}
    after = updates(harbor, harbor.ada, data=fields).json
    assert (after["email"], after["phone_number"]) == ("new@harbor.example", "+33612345678")
    assert after["profile"] == {}
    both = {"email": "top@harbor.example", "profile": {"email": "inside@harbor.example"}}
    after = updates(harbor, harbor.ada, json=both).json
    assert (after["email"], after["profile"]) == ("top@harbor.example", {})


def test_a_name_that_is_taken_stays_with_who_has_it(harbor: Harbor) -> None:
    other = creates(harbor, json={"email": "kit@harbor.example", "external_id": "crm-1"}).json
    before = finds(harbor, harbor.ada).json
    for again in ("kit@harbor.example", "KIT@harbor.example"):
        reply = updates(harbor, harbor.ada, json={"email": again, "profile": {"x": 1}})
        is_refused(reply, 422, "email_taken")
        assert reply.json["error"]["message"] == "email has already been taken"
    reply = updates(harbor, harbor.ada, json={"external_id": "crm-1", "profile": {"x": 1}})
    is_refused(reply, 422, "external_id_taken", "external_id")
    assert finds(harbor, harbor.ada).json == before
    same = {"email": "kit@harbor.example", "external_id": "crm-1"}
    assert updates(harbor, other["id"], json=same).json == other


def test_a_change_is_recorded_by_the_names_of_what_changed(harbor: Harbor) -> None:
    updates(harbor, harbor.ada, json={"email": "ada@harbor.example"})
    assert events(harbor, "user:updated") == []
    updates(harbor, harbor.ada, json={"email": "new@harbor.example", "profile": {"x": "secret"}})
    [(user_id, detail)] = events(harbor, "user:updated")
    assert str(user_id) == harbor.ada
    assert detail == {"fields": "email, profile"}


@ONE_DATABASE
def test_odd_changes_are_refused_by_name(harbor: Harbor, subtests: pytest.Subtests) -> None:
    before = finds(harbor, harbor.ada).json
    for body, field in [
        (b'{"email": []}', "email"),
        (b'{"email": 7}', "email"),
        (b'{"email": "nobody"}', "email"),
        (b'{"profile": {"email": ["a@x.example"]}}', "email"),
        (b'{"profile": {"email": null}}', "email"),
        (b'{"phone_number": 33612345678}', "phone_number"),
        (b'{"phone_number": "0612345678"}', "phone_number"),
        (b'{"external_id": {}}', "external_id"),
        (b'{"external_id": "a\\u0007"}', "external_id"),
        (b'{"profile": []}', "profile"),
        (b'{"profile": {' + b",".join(b'"f%d": 1' % n for n in range(51)) + b"}}", "profile"),
    ]:
        with subtests.test(repr(body)):
            reply = updates(harbor, harbor.ada, **raw(body))
            is_refused(reply, 422, "invalid_request", field)
    half = {f"a{number}": number for number in range(30)}
    assert updates(harbor, harbor.ada, json={"profile": half}).status == 200
    more = {f"b{number}": number for number in range(30)}
    is_refused(updates(harbor, harbor.ada, json={"profile": more}), 422, "invalid_request")
    assert {**finds(harbor, harbor.ada).json, "profile": {}} == before


def test_changes_side_by_side_are_all_there(live_harbor: Harbor) -> None:
    backend = live_harbor.backend
    assert backend.token

    def change(number: int) -> Reply:
        body = {"profile": {f"f{number}": number}}
        return backend.calls("PATCH", f"{USERS}/{live_harbor.ada}", json=body)

    with ThreadPoolExecutor(12) as pool:
        assert {reply.status for reply in pool.map(change, range(12))} == {200}
    profile = finds(live_harbor, live_harbor.ada).json["profile"]
    assert profile == {f"f{number}": number for number in range(12)}


def test_an_address_that_two_want_at_the_same_moment_goes_to_one(live_harbor: Harbor) -> None:
    backend = live_harbor.backend
    assert backend.token
    people = [live_harbor.person(f"p{number}@harbor.example") for number in range(8)]

    def move(person: str) -> Reply:
        return backend.calls("PUT", f"{USERS}/{person}", json={"email": "one@harbor.example"})

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(move, people))
    assert sorted(reply.status for reply in replies) == [200] + [422] * 7
    for reply in replies:
        if reply.status == 422:
            is_refused(reply, 422, "email_taken")


# Deleting


def test_a_deleted_user_is_gone_with_all_that_was_there(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    was = finds(harbor, harbor.ada).json
    reply = harbor.backend.calls("DELETE", f"{USERS}/ADA@harbor.example")
    assert reply.status == 200, reply.text
    assert reply.json == {"deleted": True, "resource": was}
    for name in (harbor.ada, "ada@harbor.example"):
        is_refused(finds(harbor, name), 404, "not_found")
        is_refused(harbor.backend.calls("DELETE", f"{USERS}/{name}"), 404, "not_found")
        is_refused(updates(harbor, name, json={"profile": {}}), 404, "not_found")
        is_refused(harbor.notes.asks(name), 422, "user_not_found")
    browser.submits(code=harbor.code(phone))
    assert browser.reply.status in {403, 404}
    for model in (Authenticator, RecoveryCode, GatewaySession, Verification, Message):
        assert harbor.rows(sa.select(sa.func.count()).select_from(model)) == [(0,)], model
    assert [str(user_id) for user_id, _ in events(harbor, "user:deleted")] == [harbor.ada]
    assert [str(user_id) for user_id, _ in events(harbor, "user:created")] == [harbor.ada]
    assert "ada@harbor.example" not in harbor.dump()
    again = creates(harbor, json={"email": "ada@harbor.example"})
    assert again.status == 201
    assert again.json["id"] != harbor.ada
    assert harbor.visits("ada@harbor.example").path.endswith("/set-up")


# Whose users


@ONE_DATABASE
def test_nobody_reaches_a_user_of_another_organization(harbor: Harbor) -> None:
    """F28 and F79: 404, the same as for an id that nobody has, and nothing changes."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    there = harbor.backend.calls("POST", "/org/pier/users", json={"email": "kit@pier.example"})
    only, unknown = harbor.key(only=True), str(uuid.uuid4())
    production = harbor.key(Environment.PRODUCTION)
    before = harbor.backend.calls("GET", f"/org/pier/users/{there.json['id']}").json
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        sent = {"json": {"email": "stolen@harbor.example"}} if method.startswith("P") else {}
        asked = [
            (harbor.backend, f"{USERS}/{there.json['id']}"),
            (harbor.backend, f"{USERS}/kit@pier.example"),
            (only, f"{USERS}/{there.json['id']}"),
            (only, f"/org/pier/users/{there.json['id']}"),
            (only, f"/org/pier/users/{harbor.ada}"),
            (production, f"{USERS}/{harbor.ada}"),
            (harbor.backend, f"{USERS}/{unknown}"),
        ]
        for backend, path in asked:
            is_refused(backend.calls(method, path, **sent), 404, "not_found")
    assert harbor.backend.calls("GET", f"/org/pier/users/{there.json['id']}").json == before
    assert finds(harbor, harbor.ada).json["email"] == "ada@harbor.example"


def test_the_same_address_in_two_organizations_is_two_people(harbor: Harbor) -> None:
    """F80: what happens to one of them touches nothing of the other."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    harbor.backend.calls("PUT", "/org/pier/totp-connection", json={"active": True})
    fields = {"email": "ada@harbor.example", "external_id": "crm-1"}
    there = harbor.backend.calls("POST", "/org/pier/users", json=fields).json
    phone = harbor.enrolls()
    notes = replace(harbor.notes, organization="pier")
    stranger = harbor.browser()
    stranger.goes_to(notes.opens("ada@harbor.example")["url"])
    assert stranger.path.endswith("/set-up")
    theirs = stranger.sets_up()
    assert theirs.secret != phone.secret
    stranger.types(harbor.code(theirs))
    stranger.saves_codes()
    harbor.clock.advance(30)
    asking = harbor.browser()
    asking.goes_to(notes.opens("ada@harbor.example")["url"])
    for code in harbor.wrong_codes(theirs, 4):
        asking.types(code)
    counted = sa.select(User.id, User.failures)
    assert {str(user): failures for user, failures in harbor.rows(counted)} == {
        harbor.ada: 0,
        there["id"]: 4,
    }
    harbor.visits(harbor.ada).types(harbor.code(phone))
    changed = {"email": "new@harbor.example", "external_id": "crm-1"}
    assert updates(harbor, "ada@harbor.example", json=changed).status == 200
    harbor.backend.calls("DELETE", f"{USERS}/{harbor.ada}")
    assert harbor.backend.calls("GET", "/org/pier/users/ada@harbor.example").json == there


ODD_NAMES = ["", "%20", "%25", "*", "null", "[]", "[%22a%22]", "%2525", "%3F", "_", "0", "%20%20"]


@ONE_DATABASE
def test_a_blank_or_odd_name_finds_nobody_and_counts_for_nobody(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F15: neither in an address nor in a body is it read as everybody."""
    phone = harbor.enrolls()
    harbor.visits(harbor.ada).types(harbor.wrong_codes(phone)[0])
    rows = [sa.select(*model.__table__.columns) for model in (User, Authenticator)]
    before = [harbor.rows(statement) for statement in rows]
    ways = [
        ("GET", "", {}),
        ("PUT", "", {"json": {"profile": {"x": 1}}}),
        ("DELETE", "", {}),
        ("POST", "/unlock", {}),
        ("POST", "/reenrollment-approval", {}),
        ("GET", "/authenticators", {}),
        ("DELETE", f"/authenticators/{uuid.uuid4()}", {}),
        ("GET", "/events", {}),
        ("GET", "/recovery-codes", {}),
    ]
    for name in ODD_NAMES:
        for method, rest, sent in ways:
            with subtests.test(f"{method} {name}{rest}"):
                reply = harbor.backend.calls(method, f"{USERS}/{name}{rest}", **sent)
                assert reply.status in {404, 405}, (reply.status, reply.text)
    for value in ("", " ", "%", "*", None, [], [harbor.ada], {"id": harbor.ada}, 0, True):
        with subtests.test(repr(value)):
            body = {"user_id": value, "redirect_uri": harbor.notes.redirect_uri}
            path = "/org/harbor/gateway-sessions"
            reply = harbor.backend.calls(
                "POST", path, json={**body, "client_id": harbor.notes.client_id}
            )
            assert reply.status in {400, 422}, (reply.status, reply.text)
    assert [harbor.rows(statement) for statement in rows] == before


# Users who are known by a phone number alone


def test_a_phone_number_is_enough_to_know_a_user_by(harbor: Harbor) -> None:
    reply = creates(harbor, json={"phone_number": "+33 6 12 34 56 78"})
    assert reply.status == 201, reply.text
    user = reply.json
    assert (user["email"], user["phone_number"]) == (None, "+33612345678")
    assert finds(harbor, user["id"]).json == user
    listed = harbor.backend.calls("GET", USERS).json["data"]
    assert user in listed
    assert [one["email"] for one in listed if one != user] == ["ada@harbor.example"]
    deleted = harbor.backend.calls("DELETE", f"{USERS}/{user['id']}")
    assert deleted.json["resource"] == user


@pytest.mark.parametrize("fields", [{}, {"email": ""}, {"email": None}, {"phone_number": ""}])
def test_a_user_needs_one_of_both(harbor: Harbor, fields: dict[str, Any]) -> None:
    reply = creates(harbor, json={"external_id": "crm-1", **fields})
    is_refused(reply, 422, "invalid_request")
    assert "an e-mail address or a phone number" in reply.json["error"]["message"]
    assert harbor.rows(sa.select(User.id).where(User.external_id == "crm-1")) == []


def test_one_at_most_is_known_by_a_number_alone_and_others_may_share_it(harbor: Harbor) -> None:
    number = {"phone_number": "+33612345678"}
    alone = creates(harbor, json=number).json
    is_refused(creates(harbor, json=number), 422, "phone_number_taken")
    for name in ("sam", "kit"):
        shares = creates(harbor, json={"email": f"{name}@harbor.example", **number})
        assert shares.status == 201
    other = creates(harbor, json={"phone_number": "+447400123456"}).json
    is_refused(updates(harbor, other["id"], json=number), 422, "phone_number_taken")
    assert finds(harbor, other["id"]).json["phone_number"] == "+447400123456"
    # Another organization has numbers of its own.
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    assert harbor.backend.calls("POST", "/org/pier/users", json=number).status == 201
    # Once there is an address, the number may be somebody's alone again.
    assert updates(harbor, alone["id"], json={"email": "al@harbor.example"}).status == 200
    assert creates(harbor, json=number).status == 201


def test_of_parallel_calls_one_creates_the_user_of_a_number(harbor: Harbor) -> None:
    assert harbor.backend.token  # asked for once, before all
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: creates(harbor, json={"phone_number": "+33612345678"}), range(8))
        )
    assert sorted(reply.status for reply in made) == [201, *[422] * 7]
    assert {reply.error for reply in made if reply.status == 422} == {"phone_number_taken"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": None}, "email"),
        ({"email": ""}, "email"),
        ({"phone_number": None}, "phone_number"),
        ({"phone_number": ""}, "phone_number"),
    ],
)
def test_the_only_contact_is_not_taken_away(
    harbor: Harbor, fields: dict[str, Any], field: str
) -> None:
    known = {"phone_number": "+33612345678"} if field == "phone_number" else {}
    user = creates(harbor, json=known).json["id"] if known else harbor.ada
    before = finds(harbor, user).json
    reply = updates(harbor, user, json={**fields, "external_id": "crm-1"})
    is_refused(reply, 422, "invalid_request")
    assert reply.json["error"]["message"].startswith(f"{field}: ")
    assert finds(harbor, user).json == before


def test_an_address_stays_also_where_there_is_a_number(harbor: Harbor) -> None:
    assert updates(harbor, harbor.ada, json={"phone_number": "+33612345678"}).status == 200
    is_refused(updates(harbor, harbor.ada, json={"email": None}), 422, "invalid_request")
    # To say once more that there is none is no change.
    alone = creates(harbor, json={"phone_number": "+447400123456"}).json["id"]
    assert updates(harbor, alone, json={"email": None, "external_id": "x"}).status == 200


def test_who_is_known_by_a_number_enrolls_and_is_told_by_no_mail(harbor: Harbor) -> None:
    user = creates(harbor, json={"phone_number": "+33612345678"}).json["id"]
    begun = harbor.backend.calls("POST", f"/org/harbor/totp-enrollment/{user}")
    phone = Phone(begun.json["otp_uri"])
    assert phone.label == "Harbor:%2B33612345678"
    for code in begun.json["recovery_codes"].split():
        keep_secret(code)
    path = f"/org/harbor/totp-enrollment/validation/{user}"
    confirmed = harbor.backend.calls("PUT", path, json={"code": harbor.code(phone)})
    assert confirmed.json["success"] is True
    assert harbor.rows(sa.select(Message.id)) == []
    assert updates(harbor, user, json={"email": "al@harbor.example"}).status == 200
    assert harbor.rows(sa.select(Message.id)) == []
    # From then on there is an address to tell.
    [one] = harbor.rows(sa.select(Authenticator.id).where(Authenticator.user_id == uuid.UUID(user)))
    path = f"{USERS}/{user}/authenticators/{one.id}"
    assert harbor.backend.calls("DELETE", path).status == 200
    assert harbor.rows(sa.select(Message.recipient)) == [("al@harbor.example",)]
