"""/api/v2/api-keys: keys that make keys, and never one that can more than they can themselves."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event
from app.services.api_keys import ACCOUNT_WIDE, Permission
from tests.actors import Backend, Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused, raw

WEEK = 7 * 24 * 3600
READING = [one for one in Permission if one.startswith("read:")]
SECRET = re.compile(r"ghk_[A-Za-z0-9_-]{43}")


def creates(backend: Backend, **fields: Any) -> Reply:
    reply = backend.calls("POST", "/api-keys", json={"name": "Fresh", **fields})
    if reply.status == 201:
        keep_secret(reply.json["client_secret"])
    return reply


def made(backend: Backend, **fields: Any) -> Backend:
    """Create a key by another and return the backend that holds it."""
    reply = creates(backend, **fields)
    assert reply.status == 201, reply.text
    return Backend(backend.wire, reply.json["client_id"], reply.json["client_secret"])


def replaces(backend: Backend, client_id: str, **fields: Any) -> Reply:
    reply = backend.calls("POST", f"/api-keys/{client_id}/replacement", json=fields)
    if reply.status == 200:
        keep_secret(reply.json["client_secret"])
    return reply


def blocks(backend: Backend, client_id: str) -> Reply:
    return backend.calls("POST", f"/api-keys/{client_id}/blocklist")


def lists(backend: Backend) -> list[dict[str, Any]]:
    return list(backend.calls("GET", "/api-keys?per_page=100").json["data"])


def ids(backend: Backend) -> set[str]:
    return {one["client_id"] for one in lists(backend)}


def signs_in(backend: Backend, secret: str | None = None) -> bool:
    """Tell whether a secret gets a token."""
    one = Backend(backend.wire, backend.client_id, secret or backend.client_secret)
    reply = one.asks_token()
    assert reply.status in {200, 401}, reply.text
    if reply.status == 200:
        keep_secret(reply.json["access_token"])
    return reply.status == 200


# Making and reading


def test_a_new_key_s_answer_alone_holds_its_secret(harbor: Harbor) -> None:
    reply = creates(harbor.backend, name="  Night   jobs ")
    key = reply.json
    assert SECRET.fullmatch(key.pop("client_secret"))
    assert key == {
        "__type__": "ApiKey",
        "__environment__": "sandbox",
        "client_id": str(uuid.UUID(key["client_id"])),
        "name": "Night jobs",
        "api": "v2",
        "application": None,
        "organization": None,
        "permissions": None,
        "previous_secret_until": None,
        "blocked_at": None,
        "created_at": "2026-03-01T12:00:05Z",
    }
    read = harbor.backend.calls("GET", f"/api-keys/{key['client_id']}")
    assert read.status == 200
    assert read.json == key
    assert key in lists(harbor.backend)
    listed = harbor.backend.calls("GET", "/api-keys")
    for shown in (read, listed):
        assert "secret" not in shown.text.replace("previous_secret_until", "")
        assert not SECRET.search(shown.text)
    assert reply.headers["cache-control"] == "no-store"


@ONE_DATABASE
def test_every_way_of_writing_makes_a_key_that_works(harbor: Harbor) -> None:
    for number, way in enumerate(WAYS):
        reply = harbor.backend.calls("POST", "/api-keys", **way({"name": f"Key {number}"}))
        assert reply.status == 201, reply.text
        key = reply.json
        mine = Backend(harbor.wire, key["client_id"], keep_secret(key["client_secret"]))
        assert mine.calls("GET", "/organizations").json["total"] == 1
    form = raw(
        b"name=A&permissions[]=read:users&permissions[]=read:events&organization=harbor", FORM
    )
    key = harbor.backend.calls("POST", "/api-keys", **form).json
    keep_secret(key["client_secret"])
    assert key["permissions"] == ["read:users", "read:events"]
    assert key["organization"] == "harbor"


def test_a_key_does_what_it_is_made_for_and_nothing_else(harbor: Harbor) -> None:
    reader = made(harbor.backend, permissions=["read:users", "read:users"])
    assert reader.asks_token().json["scope"] == "read:users"
    assert reader.calls("GET", f"/org/harbor/users/{harbor.ada}").status == 200
    is_refused(
        reader.calls("POST", "/org/harbor/users", json={"email": "z@harbor.example"}),
        403,
        "forbidden",
        "write:users",
    )
    narrow = made(harbor.backend, organization="harbor")
    assert narrow.calls("GET", f"/org/harbor/users/{harbor.ada}").status == 200
    is_refused(narrow.calls("GET", "/organizations"), 403, "forbidden")
    scope = set(narrow.asks_token().json["scope"].split())
    assert scope == set(Permission) - ACCOUNT_WIDE
    assert set(harbor.backend.asks_token().json["scope"].split()) == set(Permission)


def test_keys_are_listed_newest_first_in_pages(harbor: Harbor) -> None:
    for number in range(3):
        harbor.clock.advance(1)
        creates(harbor.backend, name=f"Key {number}")
    first = harbor.backend.calls("GET", "/api-keys?per_page=3").json
    assert [one["name"] for one in first["data"]] == ["Key 2", "Key 1", "Key 0"]
    assert first["total"] == 4
    second = harbor.backend.calls("GET", "/api-keys?per_page=3&page=2").json
    assert [one["client_id"] for one in second["data"]] == [harbor.backend.client_id]


ODD = [
    (JSON, b"{}", "name"),
    (JSON, b'{"name": null}', "name"),
    (JSON, b'{"name": " "}', "name"),
    (JSON, b'{"name": 7}', "name"),
    (JSON, b'{"name": "a\\u0007b"}', "name"),
    (JSON, b'{"name": "' + b"x" * 101 + b'"}', "name"),
    (JSON, b'{"name": "A", "permissions": []}', "permissions"),
    (JSON, b'{"name": "A", "permissions": "read:users"}', "permissions"),
    (JSON, b'{"name": "A", "permissions": ["read:everything"]}', "permissions"),
    (JSON, b'{"name": "A", "permissions": ["*"]}', "permissions"),
    (JSON, b'{"name": "A", "permissions": ["read:users", null]}', "permissions"),
    (JSON, b'{"name": "A", "permissions": [["read:users"]]}', "permissions"),
    (JSON, b'{"name": "A", "organization": 7}', "organization"),
    (JSON, b'{"name": "A", "organization": ["harbor"]}', "organization"),
    (JSON, b'{"name": "A", "environment": "stage"}', "environment"),
    (
        JSON,
        b'{"name": "A", "organization": "harbor", "permissions": ["write:organizations"]}',
        "permissions",
    ),
]


@ONE_DATABASE
def test_odd_fields_are_refused_by_name_and_make_nothing(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for content_type, body, field in ODD:
        with subtests.test(repr(body[:80])):
            reply = harbor.backend.calls("POST", "/api-keys", **raw(body, content_type))
            is_refused(reply, 422, "invalid_request", field)
    is_refused(creates(harbor.backend, organization="nowhere"), 404, "not_found")
    assert len(lists(harbor.backend)) == 1


# F82: nobody promotes itself


@ONE_DATABASE
def test_a_key_gives_no_permission_that_it_does_not_have(harbor: Harbor) -> None:
    has = [Permission.WRITE_API_KEYS, Permission.READ_API_KEYS, Permission.READ_USERS]
    maker = harbor.key(permissions=has)
    before = ids(harbor.backend)
    for wanted in (
        {},
        {"permissions": None},
        {"permissions": ["write:users"]},
        {"permissions": ["read:users", "write:users"]},
        {"permissions": [one.value for one in Permission]},
        {"organization": "harbor"},
        {"organization": "harbor", "permissions": ["write:users"]},
    ):
        is_refused(creates(maker, **wanted), 403, "forbidden", "more than it has")
    assert ids(harbor.backend) == before
    child = made(maker, permissions=["read:users"])
    is_refused(creates(child, permissions=["read:users"]), 403, "forbidden", "write:api_keys")
    twin = made(maker, permissions=[one.value for one in has])
    is_refused(creates(twin), 403, "forbidden")


@ONE_DATABASE
def test_a_key_gets_no_secret_of_a_key_that_has_more(harbor: Harbor) -> None:
    """A replacement would hand it over."""
    maker = harbor.key(permissions=[Permission.WRITE_API_KEYS, Permission.READ_USERS])
    is_refused(replaces(maker, harbor.backend.client_id), 403, "forbidden")
    is_refused(replaces(maker, harbor.key(only=True).client_id), 403, "forbidden")
    more = harbor.key(permissions=[Permission.WRITE_API_KEYS, Permission.WRITE_USERS])
    is_refused(replaces(maker, more.client_id, overlap_seconds=60), 403, "forbidden")
    assert signs_in(harbor.backend)
    assert signs_in(more)
    assert replaces(maker, maker.client_id).status == 200
    less = harbor.key(permissions=[Permission.READ_USERS])
    assert replaces(maker, less.client_id).status == 200


@ONE_DATABASE
def test_a_key_makes_keys_of_its_own_environment(harbor: Harbor) -> None:
    for name in ("production", "default"):
        reply = creates(harbor.backend, environment=name)
        is_refused(reply, 403, "forbidden", "environment")
    assert creates(harbor.backend, environment="sandbox").json["__environment__"] == "sandbox"
    live = harbor.key(Environment.PRODUCTION)
    assert creates(live, environment="default").json["__environment__"] == "production"
    is_refused(creates(live, environment="sandbox"), 403, "forbidden")
    unknown = str(uuid.uuid4())
    for act in (replaces, blocks):
        reply = act(live, harbor.backend.client_id)
        is_refused(reply, 404, "not_found")
        assert reply.text == act(live, unknown).text
    assert live.calls("GET", f"/api-keys/{harbor.backend.client_id}").status == 404
    assert harbor.backend.client_id not in ids(live)


def test_a_key_of_one_organization_sees_and_makes_only_keys_of_its_own(harbor: Harbor) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    mine, other = harbor.key(only=True), made(harbor.backend, organization="pier")
    assert ids(mine) == {mine.client_id}
    for stranger in (other.client_id, harbor.backend.client_id):
        unknown = mine.calls("GET", f"/api-keys/{uuid.uuid4()}")
        is_refused(unknown, 404, "not_found")
        assert mine.calls("GET", f"/api-keys/{stranger}").text == unknown.text
        for act in (replaces, blocks):
            reply = act(mine, stranger)
            assert (reply.status, reply.text) == (404, unknown.text)
    assert signs_in(other)
    for nonsense in ("x", "*", "%20", "null"):
        assert mine.calls("GET", f"/api-keys/{nonsense}").status == 404

    child = creates(mine).json
    assert child["organization"] == "harbor"
    assert creates(mine, organization="harbor").json["organization"] == "harbor"
    assert creates(mine, organization=None).json["organization"] == "harbor"
    elsewhere = creates(mine, organization="pier")
    is_refused(elsewhere, 404, "not_found")
    assert elsewhere.text == creates(mine, organization="nowhere").text
    is_refused(creates(mine, permissions=["write:organizations"]), 403, "forbidden")
    assert len(ids(mine)) == 4
    assert len(ids(harbor.backend)) == 6


# Replacing


def test_a_replaced_secret_is_dead_at_once(harbor: Harbor) -> None:
    key = harbor.key()
    reply = replaces(harbor.backend, key.client_id)
    assert reply.status == 200, reply.text
    fresh = reply.json["client_secret"]
    assert SECRET.fullmatch(fresh)
    assert reply.json["previous_secret_until"] is None
    assert not signs_in(key)
    assert signs_in(key, fresh)


def test_with_an_overlap_both_secrets_work_until_it_ends(harbor: Harbor) -> None:
    key = harbor.key()
    reply = replaces(harbor.backend, key.client_id, overlap_seconds=3600)
    fresh = reply.json["client_secret"]
    assert reply.json["previous_secret_until"] == "2026-03-01T13:00:05Z"
    assert signs_in(key)
    assert signs_in(key, fresh)
    harbor.clock.advance(3599)
    assert signs_in(key)
    harbor.clock.advance(1)
    assert not signs_in(key)
    assert signs_in(key, fresh)
    shown = harbor.key().calls("GET", f"/api-keys/{key.client_id}").json
    assert shown["previous_secret_until"] is None


def test_a_second_replacement_ends_the_first_overlap(harbor: Harbor) -> None:
    key = harbor.key()
    first = replaces(harbor.backend, key.client_id, overlap_seconds=3600).json["client_secret"]
    second = replaces(harbor.backend, key.client_id, overlap_seconds=60).json["client_secret"]
    assert [signs_in(key, one) for one in (key.client_secret, first, second)] == [False, True, True]
    third = replaces(harbor.backend, key.client_id).json["client_secret"]
    assert [signs_in(key, one) for one in (first, second, third)] == [False, False, True]


@ONE_DATABASE
def test_an_overlap_is_at_most_a_week(harbor: Harbor) -> None:
    key = harbor.key()
    odd = [-1, WEEK + 1, 10**20, 1.5, True, None, "", "x", " 60", "1e3", "0x10", [60], {"a": 1}]
    for value in odd:
        reply = replaces(harbor.backend, key.client_id, overlap_seconds=value)
        is_refused(reply, 422, "invalid_request", "overlap_seconds")
    assert signs_in(key)
    path = f"/api-keys/{key.client_id}/replacement"
    reply = harbor.backend.calls("POST", path, data={"overlap_seconds": str(WEEK)})
    keep_secret(reply.json["client_secret"])
    assert reply.json["previous_secret_until"] == "2026-03-08T12:00:05Z"
    without = harbor.backend.calls("POST", path)
    assert without.status == 200, without.text
    keep_secret(without.json["client_secret"])
    assert not signs_in(key)


def test_replacements_side_by_side_leave_the_last_two_secrets(live_harbor: Harbor) -> None:
    key, backend = live_harbor.key(), live_harbor.backend
    assert backend.token
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(lambda _: replaces(backend, key.client_id, overlap_seconds=3600), range(8))
        )
    assert [reply.status for reply in replies] == [200] * 8
    working = [signs_in(key, reply.json["client_secret"]) for reply in replies]
    assert working.count(True) == 2
    assert not signs_in(key)


# Blocking


def test_a_blocked_key_is_dead_with_its_secrets_and_its_tokens(harbor: Harbor) -> None:
    key = harbor.key()
    second = replaces(harbor.backend, key.client_id, overlap_seconds=3600).json["client_secret"]
    assert key.calls("GET", "/organizations").status == 200
    reply = blocks(harbor.backend, key.client_id)
    assert reply.status == 200, reply.text
    assert reply.json["blocked_at"] == "2026-03-01T12:00:05Z"
    is_refused(key.calls("GET", "/organizations"), 401, "unauthorized")
    assert not signs_in(key)
    assert not signs_in(key, second)
    harbor.clock.advance(60)
    again = blocks(harbor.backend, key.client_id)
    assert (again.status, again.json) == (200, reply.json)
    is_refused(replaces(harbor.backend, key.client_id), 422, "api_key_blocked")
    assert not signs_in(key)
    assert harbor.backend.calls("GET", f"/api-keys/{key.client_id}").json == reply.json


@ONE_DATABASE
def test_a_key_can_block_itself(harbor: Harbor) -> None:
    key = harbor.key()
    assert blocks(key, key.client_id).status == 200
    is_refused(key.calls("GET", f"/api-keys/{key.client_id}"), 401, "unauthorized")


def test_a_block_holds_at_once_in_every_worker(live_harbor: Harbor) -> None:
    """F82: with a token that both workers have seen before."""
    key = live_harbor.key()

    def look(_: int) -> int:
        return key.calls("GET", "/organizations").status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(24))) == {200}
        assert blocks(live_harbor.backend, key.client_id).status == 200
        assert set(pool.map(look, range(24))) == {401}
        assert {key.asks_token().status for _ in range(8)} == {401}


# F82: a walk over every call


def every_call(harbor: Harbor) -> Iterator[tuple[Any, str, str]]:
    """Yield (operation, method, path) of each call that needs a permission."""
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    values = {"domain": "harbor", "id_or_email": harbor.ada, "client_id": str(uuid.uuid4())}
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "operation", None)
        if operation is None or operation.permission is None:
            continue
        path = rule.rule
        for name in rule.arguments:
            path = re.sub(rf"<(\w+:)?{name}>", values.get(name, str(uuid.uuid4())), path)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield operation, method, path.removeprefix("/api/v2")


@ONE_DATABASE
def test_a_key_that_only_reads_is_refused_on_every_call_that_writes(harbor: Harbor) -> None:
    reader, tried = harbor.key(permissions=READING), 0
    before = harbor.rows(sa.select(sa.func.count(Event.id)))
    for operation, method, path in every_call(harbor):
        reply = reader.calls(method, path)
        if method == "GET":
            assert operation.permission in READING, path
            assert reply.status in {200, 404}, (path, reply.text)
        else:
            assert operation.permission not in READING, path
            is_refused(reply, 403, "forbidden", operation.permission)
            tried += 1
    assert tried >= 12
    assert harbor.rows(sa.select(sa.func.count(Event.id))) == before


@ONE_DATABASE
def test_every_call_needs_the_very_permission_that_it_names(harbor: Harbor) -> None:
    without = {one: harbor.key(permissions=set(Permission) - {one}) for one in Permission}
    for operation, method, path in every_call(harbor):
        reply = without[operation.permission].calls(method, path)
        is_refused(reply, 403, "forbidden", operation.permission)


@ONE_DATABASE
def test_a_blocked_key_and_a_key_of_a_deleted_organization_are_refused_everywhere(
    harbor: Harbor,
) -> None:
    blocked, narrow = harbor.key(), harbor.key(only=True)
    calls = list(every_call(harbor))
    assert len(calls) > 20
    for key in (blocked, narrow):
        assert key.calls("GET", "/org/harbor/totp-connection").status == 200
    blocks(harbor.backend, blocked.client_id)
    assert harbor.backend.calls("DELETE", "/organizations/harbor").status == 200
    for _, method, path in calls:
        for key in (blocked, narrow):
            is_refused(key.calls(method, path), 401, "unauthorized")
    for key in (blocked, narrow):
        assert key.asks_token().status == 401
    assert narrow.client_id not in ids(harbor.backend)
    assert harbor.backend.calls("GET", f"/api-keys/{narrow.client_id}").status == 404


def test_what_happens_to_a_key_is_recorded_without_its_secret(harbor: Harbor) -> None:
    key = made(harbor.backend)
    replaces(harbor.backend, key.client_id, overlap_seconds=60)
    blocks(harbor.backend, key.client_id)
    blocks(harbor.backend, key.client_id)
    rows = harbor.rows(sa.select(Event.kind, Event.actor, Event.detail).order_by(Event.id))
    mine = [row for row in rows if row.detail.get("client_id") == key.client_id]
    assert [row.kind for row in mine] == [
        "api_key:created",
        "api_key:secret_replaced",
        "api_key:blocked",
    ]
    assert {row.actor for row in mine} == {f"api_key:{harbor.backend.client_id}"}
    assert not SECRET.search(harbor.dump())
