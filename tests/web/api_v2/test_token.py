"""POST /oauth/token: an API key's id and secret become a bearer token, whichever guide it reads."""

from __future__ import annotations

import base64
import uuid
from statistics import quantiles
from time import perf_counter
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import ApiKey, Application, Environment
from app.services.audit import OPERATOR
from tests.actors import Backend, Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, as_form, as_json, is_refused, raw

PATHS = ["/oauth/token", "/api/v2/oauth/token"]


def asks(harbor: Harbor, *, path: str = PATHS[0], **request: Any) -> Reply:
    reply = harbor.wire.request("POST", path, **request)
    if reply.status == 200:
        keep_secret(reply.json["access_token"])
    return reply


def pair(backend: Backend) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": backend.client_id,
        "client_secret": backend.client_secret,
    }


def basic(username: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def is_oauth_error(reply: Reply, status: int, error: str) -> None:
    assert reply.status == status, reply.text
    assert set(reply.json) == {"error", "error_description"}
    assert reply.json["error"] == error
    assert reply.headers["cache-control"] == "no-store"


def opens_the_api(harbor: Harbor, token: str) -> bool:
    reply = harbor.wire.request(
        "GET", "/api/v2/organizations", headers={"Authorization": f"Bearer {token}"}
    )
    assert reply.status in {200, 401}, reply.text
    return reply.status == 200


@ONE_DATABASE
def test_every_shape_of_body_gets_a_token_at_both_addresses(harbor: Harbor) -> None:
    for path in PATHS:
        for way in WAYS:
            reply = asks(harbor, path=path, **way(pair(harbor.backend)))
            assert reply.status == 200, reply.text
            assert set(reply.json) == {"access_token", "token_type", "expires_in", "scope"}
            assert reply.json["token_type"] == "Bearer"
            assert reply.json["expires_in"] == 3600
            assert "read:organizations" in reply.json["scope"].split()
            assert reply.headers["cache-control"] == "no-store"
            assert opens_the_api(harbor, reply.json["access_token"])


def test_the_id_and_secret_may_come_by_http_basic(harbor: Harbor) -> None:
    key = harbor.backend
    headers = basic(key.client_id, key.client_secret)
    reply = asks(harbor, headers=headers, data={"grant_type": "client_credentials"})
    assert reply.status == 200, reply.text
    assert opens_the_api(harbor, reply.json["access_token"])
    wrong = basic(key.client_id, key.client_secret + "x")
    reply = asks(harbor, headers=wrong, data=pair(key))
    is_oauth_error(reply, 401, "invalid_client")


@ONE_DATABASE
def test_the_account_domain_has_three_names_and_must_be_ours(harbor: Harbor) -> None:
    key = pair(harbor.backend)
    for name in ("domain", "audience", "tenant_domain"):
        for way in WAYS:
            assert asks(harbor, **way({**key, name: "harbor-account"})).status == 200
            is_oauth_error(asks(harbor, **way({**key, name: "elsewhere"})), 400, "invalid_target")


@ONE_DATABASE
def test_one_wrong_account_domain_beside_a_right_one_is_still_wrong(harbor: Harbor) -> None:
    named = {"domain": "harbor-account", "audience": "elsewhere"}
    reply = asks(harbor, json={**pair(harbor.backend), **named})
    is_oauth_error(reply, 400, "invalid_target")


def test_wrong_credentials_are_refused_alike_whatever_is_wrong(harbor: Harbor) -> None:
    key, notes = pair(harbor.backend), harbor.notes
    unknown = "6f3f5e0c-0000-4000-8000-000000000000"
    wrong = [
        {**key, "client_secret": key["client_secret"][:-1]},
        {**key, "client_secret": key["client_secret"] + " "},
        {**key, "client_secret": ""},
        {**key, "client_secret": "ghk_" + "A" * 43},
        {**key, "client_id": unknown},
        {**key, "client_id": ""},
        {**key, "client_id": "' or 1=1 --"},
        {**key, "client_id": "x" * 10_000},
        {**key, "client_id": notes.client_id, "client_secret": notes.client_secret},
        {name: value for name, value in key.items() if name != "client_secret"},
        {name: value for name, value in key.items() if name != "client_id"},
        {"grant_type": "client_credentials"},
    ]
    answers = set()
    for fields in wrong:
        reply = asks(harbor, json=fields)
        is_oauth_error(reply, 401, "invalid_client")
        assert reply.headers["www-authenticate"].startswith("Basic ")
        answers.add(reply.text)
    assert len(answers) == 1


def heads(reply: Reply) -> dict[str, str]:
    """The headers that could tell anything."""
    alike = {"x-request-id", "date"}
    return {name: value for name, value in reply.headers.items() if name not in alike}


def test_nobody_learns_which_ids_exist(harbor: Harbor) -> None:
    """F55: by status, body or headers; whatever the id once was, or is elsewhere."""
    blocked = harbor.key()
    reply = harbor.backend.calls("POST", f"/api-keys/{blocked.client_id}/blocklist")
    assert reply.status == 200, reply.text
    known = [
        harbor.backend.client_id,
        harbor.key(Environment.PRODUCTION).client_id,
        harbor.key(only=True).client_id,
        blocked.client_id,
        harbor.notes.client_id,
    ]
    answers = set()
    for client_id in (*known, str(uuid.uuid4()), "x", ""):
        for way in (as_json, as_form):
            reply = asks(harbor, **way({**pair(harbor.backend), **wrong(client_id)}))
            answers.add((reply.status, reply.text, tuple(sorted(heads(reply).items()))))
        body = {"grant_type": "client_credentials"}
        headers = basic(client_id, wrong(client_id)["client_secret"])
        reply = asks(harbor, headers=headers, json=body)
        answers.add((reply.status, reply.text, tuple(sorted(heads(reply).items()))))
    assert len(answers) == 1
    # Nor does a right secret tell that a key was blocked.
    reply = asks(harbor, json=pair(blocked))
    assert (reply.status, reply.text, tuple(sorted(heads(reply).items()))) in answers


def wrong(client_id: str) -> dict[str, str]:
    return {"client_id": client_id, "client_secret": "ghk_" + "A" * 43}


def test_nor_by_the_time_that_the_answer_takes(harbor: Harbor) -> None:
    """F56: 100 of each, in turns, of which the quickest quarters are compared.

    Whatever else the machine does makes an answer take longer, never shorter.
    """
    ids = {"known": harbor.backend.client_id, "unknown": str(uuid.uuid4())}
    spent: dict[str, list[float]] = {name: [] for name in ids}
    for _ in range(100):
        for name, client_id in ids.items():
            began = perf_counter()
            reply = asks(harbor, json={**pair(harbor.backend), **wrong(client_id)})
            spent[name].append(perf_counter() - began)
            assert reply.status == 401
    known, unknown = (quantiles(times, n=4)[0] for times in spent.values())
    assert abs(known - unknown) < 0.01


@ONE_DATABASE
def test_no_other_grant_is_supported(harbor: Harbor) -> None:
    for grant in ("password", "authorization_code", "", None, "Client_Credentials"):
        fields = pair(harbor.backend) | {"grant_type": grant}
        is_oauth_error(asks(harbor, json=fields), 400, "unsupported_grant_type")


NONSENSE = [
    (JSON, b"{"),
    (JSON, b"[]"),
    (JSON, b'{"grant_type": "client_credentials", "client_id": ["a"]}'),
    (JSON, b'{"grant_type": "client_credentials", "client_id": {"$ne": 1}}'),
    (JSON, b'{"grant_type": "client_credentials", "client_secret": true}'),
    (JSON, b'{"grant_type": "client_credentials", "client_secret": "\\u0000"}'),
    (JSON, b'{"client_id": "a", "client_id": "b"}'),
    (FORM, b"client_id=a&client_id=b"),
    (FORM, b"client_id=%00"),
    ("text/plain", b"grant_type=client_credentials"),
    ("application/xml", b"<a/>"),
]


@ONE_DATABASE
def test_a_body_that_makes_no_sense_is_an_invalid_request(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for content_type, body in NONSENSE:
        with subtests.test(repr(body)):
            is_oauth_error(asks(harbor, **raw(body, content_type)), 400, "invalid_request")


def test_a_token_works_until_its_hour_is_over(harbor: Harbor) -> None:
    token = asks(harbor, json=pair(harbor.backend)).json["access_token"]
    harbor.clock.advance(3599)
    assert opens_the_api(harbor, token)
    harbor.clock.advance(1)
    assert not opens_the_api(harbor, token)
    later = asks(harbor, json=pair(harbor.backend)).json["access_token"]
    assert opens_the_api(harbor, later)


def test_a_token_dies_with_its_key(harbor: Harbor) -> None:
    token = asks(harbor, json=pair(harbor.backend)).json["access_token"]
    assert opens_the_api(harbor, token)
    with harbor.services.database.writing() as tx:
        tx.execute(sa.delete(ApiKey))
    assert not opens_the_api(harbor, token)


def test_a_replaced_secret_gets_no_more_tokens(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        key = harbor.services.api_keys.find(tx, harbor.backend.client_id)
        assert key is not None
        fresh = keep_secret(harbor.services.api_keys.replace_secret(tx, OPERATOR, key))
    is_oauth_error(asks(harbor, json=pair(harbor.backend)), 401, "invalid_client")
    assert asks(harbor, json={**pair(harbor.backend), "client_secret": fresh}).status == 200


@ONE_DATABASE
def test_a_token_is_refused_in_the_shape_of_the_api(harbor: Harbor) -> None:
    for given in ("", "Bearer", "Bearer ", "Bearer x.y.z", "Bearer a=b", "Token x", "Basic !!!"):
        headers = {"Authorization": given} if given else {}
        reply = harbor.wire.request("GET", "/api/v2/organizations", headers=headers)
        is_refused(reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"].startswith("Bearer ")


@ONE_DATABASE
def test_a_token_does_not_work_from_the_query_or_the_body(harbor: Harbor) -> None:
    token = harbor.backend.token
    path = f"/api/v2/organizations?access_token={token}"
    assert harbor.wire.request("GET", path).status == 401
    form = {"access_token": token, "name": "Pier"}
    assert harbor.wire.request("POST", "/api/v2/organizations", data=form).status == 401


# What a key reaches


def calls_below(domain: str, user: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every call below an organization, with a body that would be good."""
    org = f"/org/{domain}"
    session = "gateway-session_3F5ZqKwR3mSx0a8Yc2VbN1TgLhP"
    return [
        ("POST", f"{org}/users", {"json": {"email": "new@harbor.example"}}),
        ("GET", f"{org}/users/{user}", {}),
        ("GET", f"{org}/users/ada@harbor.example", {}),
        ("GET", f"{org}/totp-connection", {}),
        ("PUT", f"{org}/totp-connection", {"json": {"active": False}}),
        ("POST", f"{org}/gateway-sessions", {"json": {"user_id": user, "redirect_uri": "x"}}),
        ("GET", f"{org}/gateway-sessions/{session}", {}),
        ("POST", f"{org}/gateway-sessions/{session}/redeem", {"json": {"result": "x"}}),
    ]


def test_an_account_key_creates_and_lists_organizations_and_reaches_all_of_them(
    harbor: Harbor,
) -> None:
    created = harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    assert created.status == 201, created.text
    listed = harbor.backend.calls("GET", "/organizations").json
    assert {one["domain"] for one in listed["data"]} == {"harbor", "pier"}
    for domain in ("harbor", "pier"):
        assert harbor.backend.calls("GET", f"/org/{domain}/totp-connection").status == 200
        created = harbor.backend.calls(
            "POST", f"/org/{domain}/users", json={"email": "z@x.example"}
        )
        assert created.status == 201


def test_a_key_of_one_organization_neither_creates_nor_lists_organizations(harbor: Harbor) -> None:
    mine = harbor.key(only=True)
    is_refused(mine.calls("POST", "/organizations", json={"name": "Pier"}), 403, "forbidden")
    is_refused(mine.calls("GET", "/organizations"), 403, "forbidden")
    assert harbor.backend.calls("GET", "/organizations").json["total"] == 1
    assert "organizations" not in mine.asks_token().json["scope"]


def test_a_key_of_one_organization_reaches_that_one_alone(harbor: Harbor) -> None:
    mine = harbor.key(only=True)
    assert mine.calls("GET", f"/org/harbor/users/{harbor.ada}").status == 200
    assert mine.calls("GET", "/org/harbor/totp-connection").status == 200
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    harbor.backend.calls("PUT", "/org/pier/totp-connection", json={"active": True})
    harbor.backend.calls("POST", "/org/pier/users", json={"email": "ada@harbor.example"})
    others = calls_below("pier", harbor.ada)
    unknown = calls_below("nowhere", harbor.ada)
    for (method, path, body), (_, nowhere, _body) in zip(others, unknown, strict=True):
        reply = mine.calls(method, path, **body)
        is_refused(reply, 404, "not_found")
        assert reply.text == mine.calls(method, nowhere, **body).text
    assert harbor.backend.calls("GET", "/org/pier/totp-connection").json["active"] is True
    assert harbor.backend.calls("GET", "/org/pier/users/new@harbor.example").status == 404


def test_nothing_crosses_from_one_environment_to_the_other(harbor: Harbor) -> None:
    live = harbor.key(Environment.PRODUCTION)
    assert live.calls("GET", "/organizations").json["data"] == []
    unknown = calls_below("nowhere", harbor.ada)
    for (method, path, body), (_, nowhere, _body) in zip(
        calls_below("harbor", harbor.ada), unknown, strict=True
    ):
        reply = live.calls(method, path, **body)
        is_refused(reply, 404, "not_found")
        assert reply.text == live.calls(method, nowhere, **body).text
    created = live.calls("POST", "/organizations", json={"name": "Harbor"})
    assert created.json["domain"] == "harbor"
    assert live.calls("GET", f"/org/harbor/users/{harbor.ada}").status == 404
    assert live.calls("GET", "/org/harbor/users/ada@harbor.example").status == 404
    assert live.calls("GET", "/org/harbor/totp-connection").json["__environment__"] == "production"


@ONE_DATABASE
def test_no_key_and_no_application_reaches_across_by_itself(harbor: Harbor) -> None:
    """A second lock behind the look-up, which asks for the environment already."""
    with harbor.services.database.reading() as tx:
        mine = harbor.services.organizations.find(tx, Environment.SANDBOX, "harbor")
        for environment in Environment:
            key = ApiKey(environment=environment, organization_id=None)
            narrow = ApiKey(environment=environment, organization_id=mine.id)
            application = Application(environment=environment, organizations=[])
            reached = [key.reaches(mine), narrow.reaches(mine), application.serves(mine)]
            assert reached == [environment is Environment.SANDBOX] * 3


@ONE_DATABASE
def test_an_application_s_own_credentials_open_its_gateway_sessions_and_nothing_else(
    harbor: Harbor,
) -> None:
    for method, path, body in calls_below("harbor", harbor.ada)[:5]:
        reply = harbor.wire.request(method, f"/api/v2{path}", headers=harbor.notes.basic(), **body)
        is_refused(reply, 403, "forbidden")
    reply = harbor.wire.request("GET", "/api/v2/organizations", headers=harbor.notes.basic())
    is_refused(reply, 403, "forbidden")


@ONE_DATABASE
def test_an_api_key_s_id_and_secret_open_no_call_by_themselves(harbor: Harbor) -> None:
    headers = basic(harbor.backend.client_id, harbor.backend.client_secret)
    for method, path, body in calls_below("harbor", harbor.ada):
        reply = harbor.wire.request(method, f"/api/v2{path}", headers=headers, **body)
        is_refused(reply, 401, "unauthorized")
