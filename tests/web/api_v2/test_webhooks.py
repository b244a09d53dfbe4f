"""/api/v2/webhooks: the object of the guides, and no way to an address that may not be called."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Webhook
from app.services.api_keys import Permission
from app.services.webhooks import MOST_WEBHOOKS
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.hooks import Hooks, hooked
from tests.providers.servers import Web, web
from tests.web.api_v2.shapes import is_refused

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
WEBHOOK = re.compile(r"webhook_[A-Za-z0-9]{27}")


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def hooks(database_url: str, tmp_path: Path, clock: FixedClock, server: Web) -> Iterator[Hooks]:
    with hooked(database_url, tmp_path, clock, server) as made:
        yield made


def test_a_webhook_is_created_with_a_key_that_is_told_this_once(hooks: Hooks) -> None:
    reply = hooks.asks("user:created", organization="harbor")
    assert reply.status == 201
    made = reply.json
    assert SECRET.fullmatch(keep_secret(made["signature_key"]))
    assert WEBHOOK.fullmatch(made["id"])
    now = hooks.harbor.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    wanted = {
        "__type__": "Webhook",
        "__environment__": "sandbox",
        "id": made["id"],
        "name": "Log",
        "active": True,
        "event_codes": ["user:created"],
        "target_url": f"{hooks.web.url}/hook",
        "signature_key": None,
        "organization": "harbor",
        "off_reason": None,
        "previous_signature_key_until": None,
        "inserted_at": now,
        "updated_at": now,
    }
    assert made == {**wanted, "signature_key": made["signature_key"]}
    assert hooks.shows(made["id"]) == wanted
    assert hooks.harbor.backend.calls("GET", "/webhooks").json["data"] == [wanted]
    [row] = hooks.harbor.rows(sa.select(Event).where(Event.kind == "webhook:created"))
    assert row[0].detail == {"webhook": made["id"], "name": "Log"}
    assert row[0].organization_id == hooks.harbor.organization.id


def test_the_form_of_the_guides_is_read_too(hooks: Hooks) -> None:
    form = {
        "name": "Log",
        "event_codes[]": ["user:created", "user:deleted"],
        "target_url": f"{hooks.web.url}/hook",
    }
    reply = hooks.harbor.backend.calls("POST", "/webhooks", data=form)
    assert reply.status == 201, reply.text
    keep_secret(reply.json["signature_key"])
    assert reply.json["event_codes"] == ["user:created", "user:deleted"]


def test_they_are_listed_newest_first_a_page_at_a_time(hooks: Hooks) -> None:
    made = [hooks.registers() for _ in range(3)]
    listed = hooks.harbor.backend.calls("GET", "/webhooks?per_page=2").json
    assert [one["id"] for one in listed["data"]] == made[:0:-1]
    assert listed["total"] == 3


def test_a_deleted_one_is_told_nothing_more(hooks: Hooks) -> None:
    made = hooks.registers()
    hooks.happens()
    hooks.seals()
    reply = hooks.harbor.backend.calls("DELETE", f"/webhooks/{made}")
    assert reply.json["deleted"] is True
    assert reply.json["resource"]["id"] == made
    assert hooks.works() == 0
    assert hooks.rows() == []
    is_refused(hooks.harbor.backend.calls("GET", f"/webhooks/{made}"), 404, "not_found")
    is_refused(hooks.harbor.backend.calls("DELETE", f"/webhooks/{made}"), 404, "not_found")
    [row] = hooks.harbor.rows(sa.select(Event).where(Event.kind == "webhook:deleted"))
    assert row[0].detail["webhook"] == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a" * 101),
        ("name", "a\nb\x07"),
        ("name", None),
        ("event_codes", []),
        ("event_codes", ["user:born"]),
        ("event_codes", ["*:*"]),
        ("event_codes", "user:created"),
        ("event_codes", [1]),
        ("target_url", ""),
        ("target_url", None),
        ("target_url", "https://example.com/" + "a" * 500),
        ("organization", 5),
    ],
)
@ONE_DATABASE
def test_what_cannot_be_is_refused_by_name(field: str, value: Any, hooks: Hooks) -> None:
    reply = hooks.asks("user:created", **{field: value})
    is_refused(reply, 422, "invalid_request")
    assert reply.json["error"]["message"].startswith(field)


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://172.16.3.4/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/hook",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[fd00::1]/hook",
        "https://[fe80::1]/hook",
        "https://2130706433/hook",
        "https://0x7f.0.0.1/hook",
        "https://0177.0.0.1/hook",
        "https://127.1/hook",
        "https://localhost/hook",
        "https://user:password@93.184.216.34/hook",
        "https://93.184.216.34:25/hook",
        "https://93.184.216.34/hook#part",
        "http://93.184.216.34/hook",
        "gopher://93.184.216.34/hook",
        "file:///etc/passwd",
        "//93.184.216.34/hook",
        "https://93.184.216.34\\@10.0.0.1/",
        "https://93.184.216.34/ hook",
    ],
)
@ONE_DATABASE
def test_an_address_that_may_not_be_called_is_refused_when_it_is_written_down(
    address: str, harbor: Harbor
) -> None:
    body = {"name": "Log", "event_codes": ["*"], "target_url": address}
    reply = harbor.backend.calls("POST", "/webhooks", json=body)
    is_refused(reply, 422, "invalid_request")
    assert reply.json["error"]["message"].startswith("target_url: ")
    assert harbor.rows(sa.select(Webhook.id)) == []


@ONE_DATABASE
def test_a_public_address_is_taken(harbor: Harbor) -> None:
    body = {"name": "Log", "event_codes": ["*"], "target_url": "https://93.184.216.34/hook"}
    reply = harbor.backend.calls("POST", "/webhooks", json=body)
    assert reply.status == 201
    keep_secret(reply.json["signature_key"])


def test_a_slow_look_up_holds_up_nobody_who_writes(hooks: Hooks) -> None:
    """It is done before the transaction: SQLite has one writer at a time."""
    outbound = hooks.harbor.services.webhook_drafts._outbound
    before, seen = outbound._resolve, []

    def writes_meanwhile(host: str, port: int) -> list[str]:
        began = time.monotonic()
        hooks.happens("meanwhile")
        seen.append(time.monotonic() - began)
        return ["127.0.0.1"]

    outbound._resolve = writes_meanwhile
    try:
        hooks.registers(target_url=f"http://hooks.harbor.example:{hooks.web.port}/hook")
    finally:
        outbound._resolve = before
    assert seen
    assert max(seen) < 5


@ONE_DATABASE
def test_no_stranger_has_a_name_looked_up(hooks: Hooks) -> None:
    outbound = hooks.harbor.services.webhook_drafts._outbound
    before, seen = outbound._resolve, []

    def notes(host: str, port: int) -> list[str]:
        seen.append(host)
        return ["127.0.0.1"]

    outbound._resolve = notes
    body = {"name": "a", "event_codes": ["*"], "target_url": "https://hooks.harbor.example/"}
    reading = hooks.harbor.key(permissions=[Permission.READ_WEBHOOKS])
    try:
        for headers in ({}, {"Idempotency-Key": "one"}):
            reply = hooks.harbor.wire.request(
                "POST", "/api/v2/webhooks", headers=headers, json=body
            )
            is_refused(reply, 401, "unauthorized")
            is_refused(
                reading.calls("POST", "/webhooks", headers=headers, json=body), 403, "forbidden"
            )
    finally:
        outbound._resolve = before
    assert seen == []


def test_a_request_that_comes_twice_makes_one(hooks: Hooks) -> None:
    headers, body = (
        {"Idempotency-Key": "one"},
        {"name": "Log", "event_codes": ["*"], "target_url": f"{hooks.web.url}/hook"},
    )
    first, second = (
        hooks.harbor.backend.calls("POST", "/webhooks", headers=headers, json=body)
        for _ in range(2)
    )
    assert first.status == second.status == 201
    assert keep_secret(first.json["signature_key"]) == second.json["signature_key"]
    assert len(hooks.harbor.rows(sa.select(Webhook.id))) == 1


# Whose it is


def test_a_key_of_one_organization_makes_and_sees_its_own_alone(hooks: Hooks) -> None:
    own = hooks.harbor.key(only=True)
    of_all = hooks.asks("*")
    keep_secret(of_all.json["signature_key"])
    assert of_all.json["organization"] is None
    made = hooks.asks("*", backend=own)
    keep_secret(made.json["signature_key"])
    assert made.json["organization"] == "harbor"
    listed = own.calls("GET", "/webhooks").json["data"]
    assert [one["id"] for one in listed] == [made.json["id"]]
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/replacement")):
        reply = own.calls(method, f"/webhooks/{of_all.json['id']}{path}")
        is_refused(reply, 404, "not_found")
    assert hooks.harbor.backend.calls("GET", "/webhooks").json["total"] == 2


def test_nothing_crosses_from_one_environment_to_another(hooks: Hooks) -> None:
    made = hooks.registers()
    other = hooks.harbor.key(Environment.PRODUCTION)
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/replacement")):
        is_refused(other.calls(method, f"/webhooks/{made}{path}"), 404, "not_found")
    assert other.calls("GET", "/webhooks").json["total"] == 0
    is_refused(hooks.asks("*", backend=other, organization="harbor"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/webhooks", Permission.WRITE_WEBHOOKS),
        ("GET", "/webhooks", Permission.READ_WEBHOOKS),
        ("GET", "/webhooks/{id}", Permission.READ_WEBHOOKS),
        ("POST", "/webhooks/{id}/replacement", Permission.WRITE_WEBHOOKS),
        ("PUT", "/webhooks/{id}", Permission.WRITE_WEBHOOKS),
        ("DELETE", "/webhooks/{id}", Permission.WRITE_WEBHOOKS),
    ],
)
@ONE_DATABASE
def test_each_call_wants_its_permission(
    method: str, path: str, needed: Permission, hooks: Hooks
) -> None:
    path = path.replace("{id}", hooks.registers())
    others = hooks.harbor.key(permissions=[one for one in Permission if one is not needed])
    is_refused(others.calls(method, path), 403, "forbidden")


def test_there_are_no_more_than_so_many(hooks: Hooks) -> None:
    for _ in range(MOST_WEBHOOKS):
        hooks.registers("user:created")
    is_refused(hooks.asks("*", organization="harbor"), 422, "too_many_webhooks")
    reply = hooks.asks("*")
    keep_secret(reply.json["signature_key"])
    assert reply.status == 201  # of the environment


# Off and on


@pytest.mark.parametrize("way", ["json", "data"])
def test_it_is_switched_off_and_on(way: str, hooks: Hooks) -> None:
    made = hooks.registers("user:created")
    backend, address = hooks.harbor.backend, f"/webhooks/{made}"
    reply = backend.calls("PUT", address, **{way: {"active": "false" if way == "data" else False}})
    assert (reply.status, reply.json["active"], reply.json["signature_key"]) == (200, False, None)
    hooks.happens()
    assert hooks.works() == 0
    hooks.harbor.clock.advance(1)
    reply = backend.calls("PUT", address, **{way: {"active": "true" if way == "data" else True}})
    assert reply.json["active"] is True
    hooks.happens()
    assert hooks.works() == 1
    for sent in ({}, {"active": "maybe"}, {"active": None}):
        is_refused(backend.calls("PUT", address, json=sent), 422, "invalid_request", "active")


# Rotation


def test_a_replaced_key_is_told_once_with_the_end_of_the_old_one(hooks: Hooks) -> None:
    made = hooks.registers()
    reply = hooks.harbor.backend.calls(
        "POST", f"/webhooks/{made}/replacement", json={"overlap_seconds": 3600}
    )
    assert reply.status == 200
    new = keep_secret(reply.json["signature_key"])
    assert SECRET.fullmatch(new)
    assert new != hooks.secrets[made]
    assert reply.json["previous_signature_key_until"] is not None
    assert hooks.shows(made)["signature_key"] is None
    hooks.harbor.clock.advance(3600)
    assert hooks.shows(made)["previous_signature_key_until"] is None
    [row] = hooks.harbor.rows(sa.select(Event).where(Event.kind == "webhook:secret_replaced"))
    assert new not in str(row[0].detail)


@pytest.mark.parametrize("seconds", [-1, 604801, "1.5", "soon"])
@ONE_DATABASE
def test_an_overlap_has_its_bounds(seconds: Any, hooks: Hooks) -> None:
    made = hooks.registers()
    reply = hooks.harbor.backend.calls(
        "POST", f"/webhooks/{made}/replacement", json={"overlap_seconds": seconds}
    )
    is_refused(reply, 422, "invalid_request")
