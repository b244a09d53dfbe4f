"""What every answer of the API carries, whichever call it is of."""

from __future__ import annotations

from pathlib import Path
from time import sleep

import pytest

from tests.actors import Reply, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor, stage
from tests.web.api_v2.shapes import is_refused

LIMIT = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


def told(reply: Reply) -> tuple[int, int, int]:
    """Return how many requests are allowed, left, and for how many seconds."""
    limit, remaining, reset = (int(reply.headers[name]) for name in LIMIT)
    return limit, remaining, reset


def tells_nothing(reply: Reply) -> bool:
    return not set(LIMIT) & set(reply.headers)


# Limits


@ONE_DATABASE
def test_a_caller_is_told_how_many_requests_are_left(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock, key_limit="6 per hour") as harbor:
        path = "/org/harbor/users"
        assert harbor.backend.token  # the first of the six
        first = harbor.backend.calls("GET", path)
        assert told(first)[:2] == (6, 4)
        assert 3590 <= told(first)[2] <= 3600
        refused = harbor.backend.calls("POST", path, json={})
        is_refused(refused, 422, "invalid_request")
        assert told(refused)[:2] == (6, 3)
        missing = harbor.backend.calls("GET", "/org/nobody/users")
        is_refused(missing, 404, "not_found")
        assert told(missing)[:2] == (6, 2)
        # A key of its own is one request, though who asks is looked up twice.
        headers = {"Idempotency-Key": "once"}
        body = {"email": "new@harbor.example"}
        assert told(harbor.backend.calls("POST", path, json=body, headers=headers))[1] == 1
        again = harbor.backend.calls("POST", path, json=body, headers=headers)
        assert again.headers["idempotency-replayed"] == "true"
        assert told(again)[1] == 0
        over = harbor.backend.calls("GET", path)
        assert (over.status, over.error) == (429, "rate_limited")
        assert told(over)[:2] == (6, 0)
        assert 3590 <= int(over.headers["retry-after"]) <= 3600
        # Each caller has a count of its own, and so has an application.
        assert told(harbor.key().asks_token())[:2] == (6, 5)
        session = harbor.notes.asks(harbor.ada)
        assert (session.status, told(session)[:2]) == (201, (6, 5))


@ONE_DATABASE
def test_the_token_call_counts_for_its_key(harbor: Harbor) -> None:
    reply = harbor.backend.asks_token()
    assert reply.status == 200
    assert told(reply) == (1000, 999, 1)


@ONE_DATABASE
def test_a_stranger_is_told_only_once_it_is_too_much(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock, address_limit="2 per hour") as harbor:
        for wrong in ("", "Bearer x"):
            headers = {"Authorization": wrong}
            reply = harbor.wire.request("GET", "/api/v2/organizations", headers=headers)
            is_refused(reply, 401, "unauthorized")
            assert tells_nothing(reply)
        over = [
            harbor.wire.request("GET", "/api/v2/organizations"),
            harbor.backend.asks_token(client_secret="wrong"),
            harbor.wire.request(
                "POST", "/api/v2/org/harbor/users", headers={"Idempotency-Key": "x"}, json={}
            ),
        ]
        for reply in over:
            assert (reply.status, reply.error) == (429, "rate_limited")
            assert told(reply)[:2] == (2, 0)
            assert 0 < int(reply.headers["retry-after"]) <= 3600
            assert reply.json["error"]["retry_at"].startswith("2026-03-01T1")
        assert tells_nothing(harbor.wire.request("GET", "/.well-known/jwks.json"))


@ONE_DATABASE
def test_the_count_begins_anew(database_url: str, tmp_path: Path, clock: FixedClock) -> None:
    """The limits have the machine's clock."""
    with stage(database_url, tmp_path, clock, key_limit="2 per second") as harbor:
        token = harbor.backend.asks_token()
        assert told(token)[0] == 2
        harbor.backend._token = keep_secret(token.json["access_token"])
        statuses = [harbor.backend.calls("GET", "/organizations").status for _ in range(12)]
        assert 429 in statuses
        sleep(1.1)
        assert harbor.backend.calls("GET", "/organizations").status == 200


# Addresses and methods


@ONE_DATABASE
def test_a_doubled_slash_is_another_address_and_no_redirect(harbor: Harbor) -> None:
    for path in ("/api//v2/organizations", "/api/v2//organizations", "//api/v2/organizations"):
        for method in ("GET", "POST"):
            reply = harbor.wire.request(method, path)
            assert reply.status == 404, path
            if path.startswith("/api"):
                is_refused(reply, 404, "not_found")


@ONE_DATABASE
def test_head_answers_like_get_without_a_body(harbor: Harbor) -> None:
    for path in (
        "/organizations",
        f"/org/harbor/users/{harbor.ada}",
        "/org/harbor/totp-connection",
    ):
        got, head = (harbor.backend.calls(method, path) for method in ("GET", "HEAD"))
        assert (head.status, head.text) == (200, "")
        for name in ("content-type", "content-length", "cache-control"):
            assert head.headers[name] == got.headers[name], name
        assert harbor.wire.request("HEAD", f"/api/v2{path}").status == 401


@ONE_DATABASE
@pytest.mark.parametrize("path", ["/api/v2/organizations", "/oauth/token"])
def test_options_tells_the_methods_and_allows_no_origin(harbor: Harbor, path: str) -> None:
    reply = harbor.wire.request("OPTIONS", path, headers={"Origin": "https://evil.example"})
    assert reply.status == 200
    assert "POST" in reply.headers["allow"].split(", ")
    assert not [name for name in reply.headers if name.startswith("access-control")]


@ONE_DATABASE
def test_every_route_refuses_other_methods_in_json(harbor: Harbor) -> None:
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    seen = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/api/", "/oauth/")) or rule.endpoint.startswith("duo."):
            continue  # Duo's errors have a shape of their own: tests/web/duo/test_door.py
        seen += 1
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "x").replace(f"<person:{name}>", "x")
        reply = harbor.wire.request("PROPFIND", path)
        is_refused(reply, 405, "method_not_allowed")
        assert rule.methods <= set(reply.headers["allow"].split(", ")), path
    assert seen > 20
