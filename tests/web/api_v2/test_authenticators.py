"""What an administrator sees of a user's methods, and does about them, by API."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Environment, Event, Message, RecoveryCode, User
from tests.actors import Phone, Reply
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import is_refused


def calls(harbor: Harbor, method: str, path: str, user: str | None = None) -> Reply:
    return harbor.backend.calls(method, f"/org/harbor/users/{user or harbor.ada}{path}")


def listed(harbor: Harbor, user: str | None = None) -> list[dict[str, Any]]:
    reply = calls(harbor, "GET", "/authenticators", user)
    assert reply.status == 200, reply.text
    assert reply.json["total"] == len(reply.json["data"])
    return list(reply.json["data"])


def removes(harbor: Harbor, authenticator: str, query: str = "", user: str | None = None) -> Reply:
    return calls(harbor, "DELETE", f"/authenticators/{authenticator}{query}", user)


def enrolls_with_codes(harbor: Harbor) -> tuple[Phone, list[str]]:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    return phone, codes


def recovers(harbor: Harbor, code: str) -> None:
    """Use a recovery code, and set up a new phone."""
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(code)
    assert browser.path.endswith("/enroll"), browser.page.text
    browser.types(harbor.code(browser.scans()))
    assert "result" in browser.back
    harbor.clock.advance(30)


# Authenticators


def test_authenticators_are_listed_without_their_secrets(harbor: Harbor) -> None:
    assert listed(harbor) == []
    phone = harbor.enrolls()
    harbor.visits(harbor.ada).types(harbor.code(phone))
    [one] = listed(harbor)
    assert one == {
        "id": one["id"],
        "kind": "totp",
        "status": "active",
        "created_at": "2026-03-01T12:00:05Z",
        "confirmed_at": "2026-03-01T12:00:05Z",
        "last_used_at": "2026-03-01T12:00:35Z",
    }
    assert listed(harbor, "ADA@harbor.example") == [one]
    harbor.adds_another(phone_later(harbor, phone))
    assert len(listed(harbor)) == 2


def phone_later(harbor: Harbor, phone: Phone) -> Phone:
    harbor.clock.advance(30)
    return phone


def test_one_that_is_being_set_up_is_listed_until_it_expires(harbor: Harbor) -> None:
    harbor.visits(harbor.ada).sets_up()
    assert [one["status"] for one in listed(harbor)] == ["pending"]
    harbor.clock.advance(30 * 60)
    assert listed(harbor) == []


def test_the_last_one_leaves_with_the_codes_and_closes_enrollment(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    [one] = listed(harbor)
    reply = removes(harbor, one["id"])
    assert reply.status == 200, reply.text
    assert reply.json == {"deleted": True, "resource": one}
    assert listed(harbor) == []
    assert harbor.rows(sa.select(Authenticator.status, Authenticator.secret)) == [("removed", None)]
    assert harbor.rows(sa.select(sa.func.count()).select_from(RecoveryCode)) == [(0,)]
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/blocked")
    for page, code in (("verify", harbor.code(phone)), ("recover", codes[0])):
        browser.sends(page, code=code)
        assert browser.path.endswith("/blocked"), page
    is_refused(removes(harbor, one["id"]), 404, "not_found")


def test_the_last_one_may_leave_enrollment_open(harbor: Harbor) -> None:
    harbor.enrolls()
    [one] = listed(harbor)
    for query in ("?reopen=perhaps", "?reopen="):
        is_refused(removes(harbor, one["id"], query), 422, "invalid_request", "reopen")
    assert listed(harbor) == [one]
    assert removes(harbor, one["id"], "?reopen=true").status == 200
    harbor.enrolls()


def test_one_of_two_leaves_the_other_and_the_codes(harbor: Harbor) -> None:
    phone, codes = enrolls_with_codes(harbor)
    added = harbor.adds_another(phone)
    newest, oldest = sorted(listed(harbor), key=lambda one: one["created_at"], reverse=True)
    assert removes(harbor, oldest["id"], "?reopen=true").status == 200
    assert [one["id"] for one in listed(harbor)] == [newest["id"]]
    assert harbor.rows(sa.select(sa.func.count()).select_from(RecoveryCode)) == [(len(codes),)]
    assert harbor.rows(sa.select(User.enrollment_open)) == [(False,)]
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert browser.reply.status == 422
    browser.types(harbor.code(added))
    assert "result" in browser.back


def test_a_visit_that_is_open_can_t_go_on_with_a_removed_one(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    [one] = listed(harbor)
    removes(harbor, one["id"], "?reopen=true")
    browser.sends("verify", code=harbor.code(phone))
    assert browser.path.endswith("/set-up")


def test_the_user_is_told_and_it_is_recorded(harbor: Harbor) -> None:
    phone, _ = enrolls_with_codes(harbor)
    harbor.adds_another(phone)
    for one in listed(harbor):
        harbor.clock.advance(1)
        removes(harbor, one["id"], "?reopen=true")
    told = sa.select(Message.recipient, Message.name).order_by(Message.created_at.desc()).limit(2)
    assert [tuple(row) for row in harbor.rows(told)] == [
        ("ada@harbor.example", "authenticators_reset"),
        ("ada@harbor.example", "authenticator_removed"),
    ]
    recorded = harbor.rows(
        sa.select(Event.actor, Event.user_id, Event.detail)
        .where(Event.kind == "authenticator:removed")
        .order_by(Event.id)
    )
    assert [row.detail["reopened"] for row in recorded] == [False, True]
    for actor, user_id, detail in recorded:
        assert actor == f"api_key:{harbor.backend.client_id}"
        assert str(user_id) == harbor.ada
        assert detail["kind"] == "totp"


def test_of_several_removals_at_once_one_is_told_and_recorded(live_harbor: Harbor) -> None:
    live_harbor.enrolls()
    [one] = listed(live_harbor)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: removes(live_harbor, one["id"]), range(6)))
    assert sorted(reply.status for reply in replies) == [200] + [404] * 5
    kinds = sa.select(sa.func.count()).where(Event.kind == "authenticator:removed")
    assert live_harbor.rows(kinds) == [(1,)]


# Recovery codes


def test_recovery_codes_are_counted_and_never_shown(harbor: Harbor) -> None:
    assert calls(harbor, "GET", "/recovery-codes").json == {
        "remaining": 0,
        "next_use_at": None,
        "reenrollments": 0,
        "reenrollments_left": 5,
    }
    _, codes = enrolls_with_codes(harbor)
    reply = calls(harbor, "GET", "/recovery-codes")
    assert reply.json["remaining"] == 5
    assert not [code for code in codes if code in reply.text]
    recovers(harbor, codes[0])
    assert calls(harbor, "GET", "/recovery-codes").json == {
        "remaining": 4,
        "next_use_at": "2026-03-02T12:00:35Z",
        "reenrollments": 1,
        "reenrollments_left": 4,
    }
    harbor.clock.advance(86400 - 30)
    harbor.backend = harbor.key()  # the token of the other has expired
    assert calls(harbor, "GET", "/recovery-codes").json["next_use_at"] is None


# Unlocking, approving


def test_a_locked_user_is_unlocked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, 5):
        browser.types(code)
    locked = harbor.visits(harbor.ada)
    locked.sends("verify", code=harbor.code(phone))
    assert "result" not in locked.reply.location
    reply = calls(harbor, "POST", "/unlock")
    assert reply.status == 200, reply.text
    assert reply.json == calls(harbor, "GET", "").json
    counted = sa.select(User.failures, Authenticator.failures, Authenticator.retry_at)
    assert harbor.rows(counted.select_from(User).join(Authenticator)) == [(0, 0, None)]
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    told = sa.select(Message.recipient).where(Message.name == "user_unlocked")
    assert harbor.rows(told) == [("ada@harbor.example",)]
    actors = sa.select(Event.actor).where(Event.kind == "user:unlocked")
    assert harbor.rows(actors) == [(f"api_key:{harbor.backend.client_id}",)]


def test_a_reenrollment_is_approved_if_one_is_due(harbor: Harbor) -> None:
    _, codes = enrolls_with_codes(harbor)
    assert calls(harbor, "POST", "/reenrollment-approval").json == {"due": False}
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(codes[0])
    browser.sends("cancel")
    assert calls(harbor, "POST", "/reenrollment-approval").json == {"due": True}
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(browser.sets_up()))
    assert "result" in browser.back


# Events


def test_events_of_a_user_are_listed_newest_first(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.wrong_codes(phone)[0])
    browser.types(harbor.code(phone))
    harbor.person("bo@harbor.example")
    everything = calls(harbor, "GET", "/events?per_page=100").json
    assert everything["__type__"] == "List"
    kinds = [event["kind"] for event in everything["data"]]
    assert kinds[-1] == "user:created"
    assert kinds[0] == "result:issued"
    assert kinds.index("verification:accepted") < kinds.index("verification:refused")
    assert everything["total"] == len(kinds) > 6
    ids = [event["id"] for event in everything["data"]]
    assert ids == sorted(ids, reverse=True)
    refused = next(one for one in everything["data"] if one["kind"] == "verification:refused")
    assert refused == {
        "id": refused["id"],
        "at": "2026-03-01T12:00:35Z",
        "kind": "verification:refused",
        "actor": "user",
        "address": "127.0.0.1",
        "detail": refused["detail"],
        "gateway_session_id": refused["gateway_session_id"],
    }
    assert refused["detail"]["reason"] == "wrong"
    assert refused["gateway_session_id"].startswith("gateway-session_")
    second = calls(harbor, "GET", "/events?page=2&per_page=2").json
    assert [event["id"] for event in second["data"]] == ids[2:4]


# Whose


def everywhere(authenticator: str) -> list[tuple[str, str]]:
    return [
        ("GET", "/authenticators"),
        ("DELETE", f"/authenticators/{authenticator}"),
        ("GET", "/recovery-codes"),
        ("POST", "/unlock"),
        ("POST", "/reenrollment-approval"),
        ("GET", "/events"),
    ]


def test_swapping_ids_reaches_nobody_and_changes_nothing(harbor: Harbor) -> None:
    """F28 and F79: another user's or another organization's is 404, as an unknown one is."""
    harbor.enrolls()
    [one] = listed(harbor)
    bo = harbor.person("bo@harbor.example")
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    cy = harbor.backend.calls("POST", "/org/pier/users", json={"email": "cy@pier.example"}).json
    tables = (User, Authenticator, RecoveryCode, Message, Event)
    rows = [sa.select(*table.__table__.columns).order_by(table.id) for table in tables]
    before = [harbor.rows(statement) for statement in rows]
    for user in (bo, "bo@harbor.example"):
        is_refused(removes(harbor, one["id"], user=user), 404, "not_found")
    for name in (
        str(uuid.uuid4()),
        "x",
        "%20",
        "%25",
        "*",
        "null",
        one["id"][:-1],
        f"{one['id']}/",
    ):
        is_refused(removes(harbor, name), 404, "not_found")
    only, production = harbor.key(only=True), harbor.key(Environment.PRODUCTION)
    for method, rest in everywhere(one["id"]):
        for key, path in (
            (harbor.backend, f"/org/pier/users/{harbor.ada}{rest}"),
            (harbor.backend, f"/org/pier/users/{cy['id']}/authenticators/{one['id']}"),
            (harbor.backend, f"/org/harbor/users/{cy['id']}{rest}"),
            (harbor.backend, f"/org/harbor/users/{uuid.uuid4()}{rest}"),
            (only, f"/org/pier/users/{cy['id']}{rest}"),
            (production, f"/org/harbor/users/{harbor.ada}{rest}"),
        ):
            asked = "DELETE" if "/authenticators/" in path else method
            is_refused(key.calls(asked, path), 404, "not_found")
    after = [harbor.rows(statement) for statement in rows]
    assert after[:4] == before[:4]
    assert {row.kind for row in after[4]} - {row.kind for row in before[4]} <= {"api_key:created"}
    assert listed(harbor) == [one]


@ONE_DATABASE
def test_an_address_with_slashes_names_its_user_in_every_call(harbor: Harbor) -> None:
    for address in ("a/b@harbor.example", "/authenticators@harbor.example", "a/events@h.example"):
        user = harbor.person(address)
        quoted = address.replace("/", "%2F")
        assert calls(harbor, "GET", "", quoted).json["id"] == user
        assert calls(harbor, "GET", "/authenticators", quoted).json["data"] == []
        events = calls(harbor, "GET", "/events", quoted).json["data"]
        assert [event["kind"] for event in events] == ["user:created"]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("read:users", {"/authenticators", "/recovery-codes"}),
        ("write:users", {"/unlock", "/reenrollment-approval"}),
        ("read:events", {"/events"}),
    ],
)
def test_a_key_does_what_its_permissions_say(
    harbor: Harbor, permission: str, allowed: set[str]
) -> None:
    """F82: each call asks for its own."""
    harbor.executes(
        sa.text("update api_keys set permissions = :it").bindparams(it=f'["{permission}"]')
    )
    for method, rest in everywhere(str(uuid.uuid4())):
        reply = calls(harbor, method, rest)
        if method == "DELETE":
            assert reply.status == (404 if permission == "write:users" else 403)
        else:
            assert reply.status == (200 if rest in allowed else 403), (rest, reply.text)
