"""Idempotency-Key: a request that is sent again changes nothing again, and is answered alike."""

from __future__ import annotations

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from app.db import Base
from app.errors import Refusal
from app.models import Application, Event, GatewaySession, IdempotencyKey, Organization, User
from app.services.idempotency import Ask, Claim
from tests.actors import Backend, Reply, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, Harbor
from tests.web.api_v2.shapes import FORM, JSON, is_refused, raw

pytestmark = pytest.mark.both_databases

USERS, SESSIONS = "/org/harbor/users", "/org/harbor/gateway-sessions"
HOUR = 3600


def sends(
    caller: Backend, path: str, key: str, headers: dict[str, str] | None = None, **more: Any
) -> Reply:
    return caller.calls("POST", path, headers={"Idempotency-Key": key, **(headers or {})}, **more)


def adds(harbor: Harbor, key: str, email: str = "new@harbor.example") -> Reply:
    return sends(harbor.backend, USERS, key, json={"email": email})


def is_replay(reply: Reply, first: Reply) -> None:
    assert (reply.status, reply.text) == (first.status, first.text)
    assert reply.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert reply.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


def count(harbor: Harbor, model: type[Base]) -> int:
    [(number,)] = harbor.rows(sa.select(sa.func.count()).select_from(model))
    return int(number)


def ask(harbor: Harbor, key: str, email: str = "new@harbor.example") -> Ask:
    """What `adds` asks, as a process that dies in the middle of it has claimed it."""
    body = json.dumps({"email": email}).encode()
    return Ask(
        caller=harbor.backend.client_id,
        key=key,
        call=f"POST /api/v2{USERS}",
        content=b"\n".join([JSON.encode(), b"", body]),
    )


def claims(harbor: Harbor, asked: Ask) -> Claim:
    with harbor.services.database.writing() as tx:
        claim = harbor.services.idempotency.claim(tx, asked)
    assert isinstance(claim, Claim)
    return claim


# The same again


CALLS: list[tuple[str, dict[str, Any], type[Base]]] = [
    ("/organizations", {"name": "Pier"}, Organization),
    (USERS, {"email": "new@harbor.example"}, User),
    ("/applications", {"name": "Boats", "redirect_uris": [REDIRECT_URI]}, Application),
    (SESSIONS, {"user_id": "ada@harbor.example", "redirect_uri": REDIRECT_URI}, GatewaySession),
]


@pytest.mark.parametrize(("path", "fields", "model"), CALLS, ids=[path for path, *_ in CALLS])
def test_a_request_that_comes_again_is_answered_alike_and_does_nothing(
    harbor: Harbor, path: str, fields: dict[str, Any], model: type[Base]
) -> None:
    body = {**fields, "client_id": harbor.notes.client_id} if path == SESSIONS else fields
    before = count(harbor, model)
    first = sends(harbor.backend, path, "once", json=body)
    assert first.status == 201, first.text
    done = count(harbor, Event)
    for _ in range(2):
        is_replay(sends(harbor.backend, path, "once", json=body), first)
    assert count(harbor, model) == before + 1
    assert count(harbor, Event) == done
    other = sends(harbor.backend, path, "twice", json={**body, "name": "Quay", "email": "q@x.org"})
    assert other.status == 201, other.text
    assert count(harbor, model) == before + 2


def test_an_application_s_own_request_is_repeated_the_same_way(harbor: Harbor) -> None:
    headers = {**harbor.notes.basic(), "Idempotency-Key": "once"}
    body = {"user_id": harbor.ada, "redirect_uri": REDIRECT_URI}
    first, again = (
        harbor.wire.request("POST", f"/api/v2{SESSIONS}", headers=headers, json=body)
        for _ in range(2)
    )
    assert first.status == 201, first.text
    is_replay(again, first)
    assert count(harbor, GatewaySession) == 1


def test_a_stored_answer_and_its_key_can_t_be_read_in_the_database(harbor: Harbor) -> None:
    reply = sends(
        harbor.backend,
        SESSIONS,
        "a key of many characters",
        json={
            "user_id": harbor.ada,
            "redirect_uri": REDIRECT_URI,
            "client_id": harbor.notes.client_id,
        },
    )
    assert reply.status == 201, reply.text
    token = keep_secret(parse_qs(urlsplit(reply.json["url"]).query)["token"][0])
    for secret in (token, reply.json["url"], "a key of many characters"):
        assert secret not in harbor.dump()
    [(first,)] = harbor.rows(sa.select(IdempotencyKey.answer))
    assert re.match(r"v1:\w+:", first)
    # And it opens in its own row alone.
    adds(harbor, "another")
    harbor.executes(sa.update(IdempotencyKey).values(answer=first))
    assert adds(harbor, "another").status == 500


def test_a_refusal_is_kept_as_any_answer_is(harbor: Harbor) -> None:
    first = adds(harbor, "once", email="ada@harbor.example")
    is_refused(first, 422, "email_taken")
    assert harbor.backend.calls("DELETE", f"{USERS}/{harbor.ada}").status == 200
    is_replay(adds(harbor, "once", email="ada@harbor.example"), first)
    assert adds(harbor, "twice", email="ada@harbor.example").status == 201
    unreadable = sends(harbor.backend, USERS, "thrice", **raw(b"{"))
    is_refused(unreadable, 400, "invalid_request")
    again = sends(harbor.backend, USERS, "thrice", headers={"Content-Type": JSON}, data=b"{")
    is_replay(again, unreadable)


def test_a_refusal_that_is_recorded_is_recorded_once(harbor: Harbor) -> None:
    """A second use of a result is returned and not raised, so it commits with its answer."""
    phone = harbor.enrolls()
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    browser.types(harbor.code(phone))
    path, body = f"{SESSIONS}/{session['id']}/redeem", {"result": browser.back["result"]}
    first = sends(harbor.backend, path, "a", json=body)
    assert first.status == 200, first.text
    is_replay(sends(harbor.backend, path, "a", json=body), first)
    second = sends(harbor.backend, path, "b", json=body)
    is_refused(second, 409, "result_already_redeemed")
    is_replay(sends(harbor.backend, path, "b", json=body), second)
    kinds = harbor.rows(sa.select(Event.kind).where(Event.kind.startswith("result:re")))
    assert sorted(kind for (kind,) in kinds) == ["result:redeemed", "result:replayed"]


# What is the same, and what is not


def test_another_body_is_refused_and_does_nothing(harbor: Harbor) -> None:
    first = adds(harbor, "once")
    before = count(harbor, User)
    is_refused(adds(harbor, "once", "other@x.example"), 422, "idempotency_key_reused")
    form = {"email": "new@harbor.example"}
    for again in (
        sends(harbor.backend, USERS, "once", data=form),
        sends(harbor.backend, f"{USERS}?page=1", "once", json=form),
        sends(harbor.backend, USERS, "once"),
    ):
        is_refused(again, 422, "idempotency_key_reused", "Idempotency-Key")
    assert count(harbor, User) == before
    is_replay(adds(harbor, "once"), first)


@ONE_DATABASE
def test_the_boundary_of_a_multipart_body_is_no_part_of_what_it_says(harbor: Harbor) -> None:
    def part(boundary: str, email: str = "new@harbor.example") -> dict[str, Any]:
        head = 'Content-Disposition: form-data; name="profile[email]"'
        body = f"--{boundary}\r\n{head}\r\n\r\n{email}\r\n--{boundary}--\r\n"
        return raw(body.encode(), f"multipart/form-data; boundary={boundary}")

    first = sends(harbor.backend, USERS, "once", **part("abc"))
    assert first.status == 201, first.text
    is_replay(sends(harbor.backend, USERS, "once", **part("xyz123")), first)
    reply = sends(harbor.backend, USERS, "once", **part("abc", "o@harbor.example"))
    is_refused(reply, 422, "idempotency_key_reused")


def test_a_key_belongs_to_its_caller_and_its_call(harbor: Harbor) -> None:
    first = adds(harbor, "once")
    other = harbor.key()
    reply = sends(other, USERS, "once", json={"email": "new@harbor.example"})
    is_refused(reply, 422, "email_taken")
    assert "idempotency-replayed" not in reply.headers
    created = sends(harbor.backend, "/organizations", "once", json={"name": "Pier"})
    assert created.status == 201, created.text
    elsewhere = sends(harbor.backend, "/org/pier/users", "once", json={"email": "n@x.example"})
    assert elsewhere.status == 201, elsewhere.text
    is_replay(adds(harbor, "once"), first)


def test_an_answer_is_told_to_nobody_who_has_not_proved_itself(harbor: Harbor) -> None:
    adds(harbor, "once")
    sent: dict[str, Any] = {"json": {"email": "new@harbor.example"}}
    for wrong in ({}, {"Authorization": "Bearer x"}, harbor.registers("Other").basic()):
        headers = {"Idempotency-Key": "once", **wrong}
        reply = harbor.wire.request("POST", f"/api/v2{USERS}", headers=headers, **sent)
        is_refused(reply, reply.status, "forbidden" if "Basic" in str(wrong) else "unauthorized")
    assert count(harbor, IdempotencyKey) == 1


@ONE_DATABASE
def test_a_key_is_1_to_255_printable_characters(harbor: Harbor, subtests: pytest.Subtests) -> None:
    for key in ("", "x" * 256, "é", "a\tb", "\x7f", "x" * 5000):
        with subtests.test(key[:20]):
            is_refused(adds(harbor, key), 422, "idempotency_key_invalid", "Idempotency-Key")
    assert count(harbor, IdempotencyKey) == 0
    assert count(harbor, User) == 1
    for number, key in enumerate(("x", "x" * 255, str(uuid.uuid4()), '"a b"', "' or 1=1 --")):
        email = f"n{number}@harbor.example"
        first = adds(harbor, key, email)
        assert first.status == 201, first.text
        is_replay(adds(harbor, key, email), first)


def test_only_a_post_to_the_api_heeds_the_key(harbor: Harbor) -> None:
    headers = {"Idempotency-Key": "x" * 300}
    for _ in range(2):
        for reply in (
            harbor.backend.calls("GET", f"{USERS}/{harbor.ada}", headers=headers),
            harbor.backend.calls(
                "PUT", "/org/harbor/totp-connection", headers=headers, json={"active": True}
            ),
        ):
            assert reply.status == 200, reply.text
            assert "idempotency-replayed" not in reply.headers
    key = harbor.backend
    body = {
        "grant_type": "client_credentials",
        "client_id": key.client_id,
        "client_secret": key.client_secret,
    }
    for path in ("/oauth/token", "/api/v2/oauth/token"):
        tokens = {
            keep_secret(
                harbor.wire.request(
                    "POST", path, headers={"Idempotency-Key": "once"}, json=body
                ).json["access_token"]
            )
            for _ in range(2)
        }
        assert len(tokens) == 2
    assert count(harbor, IdempotencyKey) == 0


# At once


def test_of_many_equal_requests_at_once_one_does_the_work(live_harbor: Harbor) -> None:
    before = count(live_harbor, Event)
    assert live_harbor.backend.token
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: adds(live_harbor, "once"), range(20)))
    first = [reply for reply in replies if reply.status == 201]
    waiting = [reply for reply in replies if reply.status != 201]
    assert len({reply.text for reply in first}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in first) == 1
    for reply in waiting:
        assert (reply.status, reply.error) == (409, "idempotency_in_flight")
        assert int(reply.headers["retry-after"]) >= 1
    assert count(live_harbor, User) == 2
    assert count(live_harbor, Event) == before + 1
    assert adds(live_harbor, "once").text == first[0].text


def test_who_comes_while_the_first_is_answered_is_told_to_wait(harbor: Harbor) -> None:
    claims(harbor, ask(harbor, "once"))
    reply = adds(harbor, "once")
    assert (reply.status, reply.error) == (409, "idempotency_in_flight")
    assert reply.headers["retry-after"] == "1"
    assert reply.json["error"]["retry_at"] == "2026-03-01T12:00:06Z"
    is_refused(adds(harbor, "once", "other@x.example"), 422, "idempotency_key_reused")
    assert count(harbor, User) == 1


# Time, crashes, faults


def test_a_key_is_free_again_after_24_hours(harbor: Harbor) -> None:
    first = adds(harbor, "once")
    harbor.clock.advance(24 * HOUR - 1)
    harbor.backend._token = ""
    is_replay(adds(harbor, "once"), first)
    harbor.clock.advance(1)
    harbor.backend._token = ""
    is_refused(adds(harbor, "once"), 422, "email_taken")


def test_what_is_over_is_deleted_by_and_by(harbor: Harbor) -> None:
    for number in range(3):
        adds(harbor, f"key {number}", f"n{number}@harbor.example")
    claims(harbor, ask(harbor, "left behind"))
    assert count(harbor, IdempotencyKey) == 4
    harbor.clock.advance(24 * HOUR)
    harbor.backend._token = ""
    adds(harbor, "new")
    assert count(harbor, IdempotencyKey) == 1


def test_a_process_that_died_blocks_its_key_for_five_minutes(harbor: Harbor) -> None:
    claims(harbor, ask(harbor, "once"))
    harbor.clock.advance(299)
    assert adds(harbor, "once").status == 409
    harbor.clock.advance(1)
    first = adds(harbor, "once")
    assert first.status == 201, first.text
    is_replay(adds(harbor, "once"), first)


def test_whose_claim_has_lapsed_undoes_its_work(harbor: Harbor) -> None:
    """It was only slow; meanwhile somebody else did the same."""
    idempotency, slow = harbor.services.idempotency, claims(harbor, ask(harbor, "once"))
    harbor.clock.advance(300)
    first = adds(harbor, "once")
    with pytest.raises(Refusal) as refused, harbor.services.database.writing() as tx:
        idempotency.keep(tx, slow, 201, b"another answer")
    assert refused.value.code == "idempotency_in_flight"
    with harbor.services.database.writing() as tx:
        idempotency.release(tx, slow)
    is_replay(adds(harbor, "once"), first)


def test_an_answer_that_is_kept_stays_whatever_goes_wrong_after_it(harbor: Harbor) -> None:
    """As when the database commits, but the connection breaks before it says so."""
    first = adds(harbor, "once")
    [(row_id,)] = harbor.rows(sa.select(IdempotencyKey.id))
    with harbor.services.database.writing() as tx:
        harbor.services.idempotency.release(tx, Claim(row_id))
    with pytest.raises(Refusal), harbor.services.database.writing() as tx:
        harbor.services.idempotency.keep(tx, Claim(row_id), 422, b"another")
    is_replay(adds(harbor, "once"), first)


def test_a_fault_of_ours_frees_the_key(harbor: Harbor) -> None:
    harbor.executes(sa.text("ALTER TABLE events RENAME TO lost"))
    is_refused(adds(harbor, "once"), 500, "internal_error")
    assert count(harbor, IdempotencyKey) == 0
    harbor.executes(sa.text("ALTER TABLE lost RENAME TO events"))
    first = adds(harbor, "once")
    assert first.status == 201, first.text
    is_replay(adds(harbor, "once"), first)


@ONE_DATABASE
def test_no_change_is_kept_whose_answer_is_not(harbor: Harbor) -> None:
    harbor.executes(
        sa.text(
            "CREATE TRIGGER full BEFORE UPDATE ON idempotency_keys "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    )
    is_refused(adds(harbor, "once"), 500, "internal_error")
    assert count(harbor, User) == 1
    harbor.executes(sa.text("DROP TRIGGER full"))
    assert adds(harbor, "once").status == 201


def test_an_answer_that_only_time_changes_is_not_kept(harbor: Harbor) -> None:
    for status in (429, 500, 503):
        claim = claims(harbor, ask(harbor, "once"))
        with harbor.services.database.writing() as tx:
            harbor.services.idempotency.keep(tx, claim, status, b"{}")
    assert adds(harbor, "once").status == 201


@ONE_DATABASE
def test_a_form_is_repeated_too(harbor: Harbor) -> None:
    first, again = (
        sends(harbor.backend, USERS, "once", **raw(b"profile[email]=n@harbor.example", FORM))
        for _ in range(2)
    )
    assert first.status == 201, first.text
    is_replay(again, first)
