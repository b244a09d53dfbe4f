"""Duo's addresses: JSON whatever goes wrong, no redirect, no secret in a log, pages for people."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from app.errors import Refusal
from app.models import Application
from app.services.audit import OPERATOR
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor, stage
from tests.web.duo.client import STATE, Client, confirms, duo_client
from tests.web.duo.sdks import PYTHON

ADA = "ada@harbor.example"
PATHS = ("/oauth/v1/health_check", "/oauth/v1/token", "/oauth/v1/nothing", "/oauth/v1")
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_whatever_is_asked_is_answered_by_json_and_never_by_a_redirect(
    harbor: Harbor, path: str, method: str
) -> None:
    for address in (path, f"{path}/", f"{path}?x=%ff%00", path.replace("/v1", "//v1")):
        reply = harbor.wire.request(method, address, headers=HTML)
        assert not 300 <= reply.status < 400, address
        if method != "OPTIONS" or reply.status >= 400:
            assert reply.headers["content-type"] == "application/json", address
            assert reply.json


def test_too_large_and_for_another_host_are_told_by_json_as_well(harbor: Harbor) -> None:
    for path in PATHS[:2]:
        big = harbor.wire.request("POST", path, data={"code": "x" * 70_000})
        assert (big.status, big.headers["content-type"]) == (413, "application/json")
        other = harbor.wire.request("POST", path, headers={"Host": "evil.example"})
        assert (other.status, other.headers["content-type"]) == (421, "application/json")


def test_our_own_faults_are_told_by_json(harbor: Harbor, wiki: Client) -> None:
    from sqlalchemy import text

    good = wiki.assertion("health_check")
    harbor.executes(text("DROP TABLE seen_tokens"))
    reply = wiki.checks_with(good)
    assert (reply.status, reply.json["stat"], reply.json["code"]) == (500, "FAIL", 50000)
    reply = wiki.exchanges("x")
    assert (reply.status, reply.json["error"]) == (500, "internal_error")


@ONE_DATABASE
def test_too_many_requests_are_told_by_json(
    database_url: str, tmp_path: object, clock: FixedClock
) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    with stage(database_url, tmp_path, clock, address_limit="2 per minute") as harbor:
        wiki = duo_client(harbor)
        wrong = wiki.by(PYTHON, secret="s" * 40)
        statuses = [wrong.checks_health().status for _ in range(3)]
        assert statuses == [401, 401, 429]
        reply = wrong.exchanges("x")
        assert (reply.status, reply.json["error"]) == (429, "rate_limited")
        assert int(reply.headers["retry-after"]) > 0
        assert wiki.checks_health().status == 200


def test_a_person_reads_a_page_and_a_program_json(harbor: Harbor, wiki: Client) -> None:
    request = wiki.request(ADA)
    address = f"/oauth/v1/authorize?client_id={wiki.client_id}&request={request}"
    assert harbor.wire.request("GET", address, headers=HTML).status == 303
    used = harbor.wire.request("GET", address, headers=HTML)
    assert used.status == 400
    assert used.page.heading == "This sign-in was opened before"
    assert "frame-ancestors 'none'" in used.headers["content-security-policy"]
    assert used.headers["cache-control"] == "no-store"
    assert used.headers["referrer-policy"] == "no-referrer"
    bad = harbor.wire.request("GET", address.replace("request=", "request=x"), headers=HTML)
    assert bad.status == 401
    assert bad.page.heading == "This sign-in can’t go on"
    assert harbor.wire.request("GET", address).json["error"] == "request_used"


def test_no_secret_of_a_visit_stands_in_a_log(
    harbor: Harbor, wiki: Client, no_secret_in_logs: io.StringIO
) -> None:
    phone = harbor.enrolls()
    state, nonce = keep_secret("s" * 30), keep_secret("n" * 30)
    browser = harbor.browser()
    browser.goes_to(f"{PYTHON.sends(wiki.setting, ADA, state)}&nonce={nonce}")
    browser.types(harbor.code(phone))
    reply = wiki.by(PYTHON).exchanges(keep_secret(browser.back["duo_code"]))
    keep_secret(reply.json["id_token"])
    assert "/oauth/v1/token" in no_secret_in_logs.getvalue()


def test_the_secret_is_sealed_in_the_database_and_bound_to_its_row(
    harbor: Harbor, wiki: Client
) -> None:
    from sqlalchemy import update

    from app.models import DuoClient

    assert wiki.secret not in harbor.dump()
    other = duo_client(harbor, name="Another")
    with harbor.services.database.reading() as tx:
        found = harbor.services.duo_clients.find(tx, other.client_id)
        assert found is not None
        moved = found.secret
    harbor.executes(
        update(DuoClient).where(DuoClient.client_id == wiki.client_id).values(secret=moved)
    )
    assert wiki.by(PYTHON, secret=other.secret).checks_health().status == 500


def test_ids_and_secrets_have_the_form_that_every_sdk_takes(harbor: Harbor) -> None:
    import re

    for _ in range(20):
        made = duo_client(harbor)
        assert re.fullmatch("DI[A-Z0-9]{18}", made.client_id)
        assert re.fullmatch("[A-Za-z0-9]{40}", made.secret)


def test_two_secrets_work_while_one_takes_over_and_each_signs_its_own_answer(
    harbor: Harbor, wiki: Client
) -> None:
    phone = harbor.enrolls()
    with harbor.services.database.writing() as tx:
        found = harbor.services.duo_clients.find(tx, wiki.client_id)
        assert found is not None
        fresh = harbor.services.duo_clients.replace_secret(
            tx, OPERATOR, found.application, overlap=timedelta(hours=1)
        )
    new = wiki.by(PYTHON, secret=keep_secret(fresh))
    for client in (wiki, new):
        assert client.checks_health().status == 200
        claims = client.reads(client.exchanges(confirms(harbor, client, phone)["duo_code"]))
        assert claims["preferred_username"] == ADA
    harbor.clock.advance(3600)
    assert wiki.checks_health().status == 401
    assert new.checks_health().status == 200


def test_a_deleted_application_opens_nothing(harbor: Harbor, wiki: Client) -> None:
    phone = harbor.enrolls()
    code = confirms(harbor, wiki, phone)["duo_code"]
    with harbor.services.database.writing() as tx:
        found = harbor.services.duo_clients.find(tx, wiki.client_id)
        assert found is not None
        application = tx.get_one(Application, found.application_id)
        harbor.services.applications.delete(tx, OPERATOR, application)
    assert wiki.checks_health().status == 401
    assert wiki.exchanges(code).status == 401
    assert wiki.asks(wiki.request(ADA, STATE)).status == 401


def test_the_plain_replacement_would_lose_the_secret_and_is_no_way(
    harbor: Harbor, wiki: Client
) -> None:
    with harbor.services.database.writing() as tx:
        found = harbor.services.duo_clients.find(tx, wiki.client_id)
        assert found is not None
        with pytest.raises(Refusal, match="The admin area replaces it"):
            harbor.services.applications.replace_secret(tx, OPERATOR, found.application)
