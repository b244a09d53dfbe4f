"""/api/v2/magic-link-challenge: a backend asks for a link, and gets the result that it leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    AuthorizationCode,
    Environment,
    Event,
    GatewaySession,
    MagicLink,
    Message,
    Result,
    User,
)
from app.services.audit import OPERATOR
from tests.actors import Application, Backend, Reply, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, START, FixedClock, Harbor, stage
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused

EMAIL = "ada@harbor.example"


def asks(harbor: Harbor, **more: Any) -> Reply:
    fields = {"org_domain": "harbor", "redirect_uri": REDIRECT_URI, "email": EMAIL, **more}
    return harbor.backend.asks_link(**fields)


def posts(harbor: Harbor, **request: Any) -> Reply:
    reply = harbor.backend.calls("POST", "/magic-link-challenge", **request)
    if reply.status == 200:
        keep_secret(reply.json["magic_link"].rpartition("/")[2])
    return reply


def follows(harbor: Harbor, reply: Reply) -> dict[str, str]:
    """Follow the link of an answer, and return what the browser brings back."""
    browser = harbor.browser()
    browser.goes_to(reply.json["magic_link"])
    browser.submits()
    return browser.back


def events(harbor: Harbor, kind: str) -> list[Event]:
    return [row.Event for row in harbor.rows(sa.select(Event).where(Event.kind == kind))]


def production(harbor: Harbor) -> tuple[Backend, Application]:
    """Put Ada into the other environment, too, with a key and an application there."""
    services = harbor.services
    with services.database.writing() as tx:
        found = services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
        services.directory.create(tx, OPERATOR, found, email=EMAIL)
    key = harbor.key(Environment.PRODUCTION)
    return key, harbor.registers(environment=Environment.PRODUCTION)


# Asking


@ONE_DATABASE
def test_every_way_of_writing_asks_for_a_link(harbor: Harbor) -> None:
    for way in WAYS:
        fields = {"user_email": EMAIL, "redirect_uri": REDIRECT_URI, "org_domain": "harbor"}
        assert posts(harbor, **way(fields)).status == 200


def test_the_answer_has_the_guide_s_fields_and_ours(harbor: Harbor) -> None:
    answer = asks(harbor).json
    assert re.fullmatch(r"magic-link-challenge_[0-9A-Za-z]{27}", answer["request_id"])
    assert re.fullmatch(r"http://localhost/magic-link/[\w-]{32}", answer["magic_link"])
    assert answer == {
        "__type__": "MagicLinkChallenge",
        "__domain__": "harbor",
        "__environment__": "sandbox",
        "code": None,
        "email_address": EMAIL,
        "find_or_create_user": False,
        "find_or_create": False,
        "magic_link": answer["magic_link"],
        "request_id": answer["request_id"],
        "expires_at": "2026-03-01T12:10:05Z",
        "waiting_url": answer["waiting_url"],
    }
    assert answer["waiting_url"].startswith("http://localhost/gateway/")
    assert [event.detail for event in events(harbor, "magic_link:created")] == [
        {"deliver": "return"}
    ]


def test_a_link_needs_no_method_that_the_organization_offers(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Bare"
        )
        harbor.services.directory.create(tx, OPERATOR, found, email=EMAIL)
    assert "code" in follows(harbor, asks(harbor, org_domain="bare"))


@ONE_DATABASE
def test_a_key_of_one_organization_need_not_name_it(harbor: Harbor) -> None:
    only = harbor.key(only=True)
    reply = only.asks_link(EMAIL, REDIRECT_URI)
    assert reply.json["__domain__"] == "harbor"
    is_refused(harbor.backend.asks_link(EMAIL, REDIRECT_URI), 422, "invalid_request", "org_domain")


@ONE_DATABASE
def test_another_organization_s_key_sees_neither_the_organization_nor_its_users(
    harbor: Harbor,
) -> None:
    services = harbor.services
    with services.database.writing() as tx:
        pier = services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        key, secret = services.api_keys.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier", organization=pier
        )
    other = Backend(harbor.wire, str(key.id), keep_secret(secret))
    theirs = other.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor")
    unknown = other.asks_link(EMAIL, REDIRECT_URI, org_domain="nowhere")
    is_refused(theirs, 404, "not_found")
    assert theirs.text == unknown.text
    is_refused(other.asks_link(EMAIL, REDIRECT_URI), 422, "user_not_found")
    key_of_production, _ = production(harbor)
    is_refused(
        key_of_production.asks_link("bo@harbor.example", REDIRECT_URI, org_domain="harbor"),
        422,
        "user_not_found",
    )


@ONE_DATABASE
@pytest.mark.parametrize("email", ["bo@harbor.example", "nobody", "@", "ada@harbor.example\u00e9"])
def test_an_unknown_user_is_refused(harbor: Harbor, email: str) -> None:
    is_refused(asks(harbor, email=email), 422, "user_not_found", "user_email", "harbor")


@ONE_DATABASE
def test_an_id_is_no_email_address(harbor: Harbor) -> None:
    is_refused(asks(harbor, email=harbor.ada), 422, "user_not_found")


@ONE_DATABASE
@pytest.mark.parametrize("field", ["user_email", "redirect_uri"])
def test_a_missing_field_is_named(harbor: Harbor, field: str) -> None:
    fields = {"user_email": EMAIL, "redirect_uri": REDIRECT_URI, "org_domain": "harbor"}
    reply = posts(harbor, json={name: fields[name] for name in fields if name != field})
    is_refused(reply, 422, "invalid_request", field)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "value"),
    [("deliver", "pigeon"), ("state", "a\nb"), ("state", "x" * 1025), ("org_domain", 5)],
)
def test_a_value_that_can_not_be_is_named(harbor: Harbor, field: str, value: object) -> None:
    is_refused(asks(harbor, **{field: value}), 422, "invalid_request", field)


@ONE_DATABASE
@pytest.mark.parametrize("end", ["x", "/", "?a=1", "#a"])
def test_only_a_registered_address_to_the_letter_is_gone_back_to(harbor: Harbor, end: str) -> None:
    address = REDIRECT_URI + end
    is_refused(asks(harbor, redirect_uri=address), 422, "redirect_uri_not_registered")
    named = asks(harbor, redirect_uri=address, client_id=harbor.notes.client_id)
    is_refused(named, 422, "redirect_uri_not_registered")


@ONE_DATABASE
def test_of_several_applications_with_that_address_one_is_named(harbor: Harbor) -> None:
    other = harbor.registers("Harbor Charts")
    is_refused(asks(harbor), 422, "invalid_request", "client_id")
    reply = asks(harbor, client_id=other.client_id)
    code = follows(harbor, reply)["code"]
    is_refused(harbor.notes.exchanges(code), 422, "code_invalid")
    assert other.exchanges(code).json["claims"]["aud"] == other.client_id


@ONE_DATABASE
def test_an_application_that_does_not_serve_the_organization_is_not_there(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        theirs, _ = harbor.services.applications.create(
            tx,
            OPERATOR,
            environment=Environment.SANDBOX,
            name="Pier",
            redirect_uris=["https://pier.example/back"],
            organizations=[pier],
        )
    _, elsewhere = production(harbor)
    for client_id in (theirs.client_id, elsewhere.client_id, "nonsense", ""):
        is_refused(asks(harbor, client_id=client_id), 422, "application_not_found", "client_id")
    reply = asks(harbor, redirect_uri="https://pier.example/back")
    is_refused(reply, 422, "redirect_uri_not_registered")
    assert asks(harbor).status == 200  # the one in production does not make it ambiguous


# Who carries it


def test_the_gateway_mails_the_link_and_returns_it_to_nobody(harbor: Harbor) -> None:
    reply = asks(harbor, deliver="gateway")
    assert reply.json["magic_link"] is None
    [message] = [row.Message for row in harbor.rows(sa.select(Message))]
    assert (message.channel, message.recipient, message.name) == ("email", EMAIL, "magic_link")
    assert "Harbor Notes" in message.subject
    text = harbor.text_of(message)
    [address] = re.findall(r"http://localhost/magic-link/[\w-]+", text)
    keep_secret(address.rpartition("/")[2])
    assert "10 minutes" in text
    browser = harbor.browser()
    browser.goes_to(address)
    browser.submits()
    assert browser.back["request_id"] == reply.json["request_id"]


@ONE_DATABASE
def test_a_link_goes_to_the_address_on_record_however_it_was_asked_for(harbor: Harbor) -> None:
    """F83."""
    for spelling in ("ADA@harbor.example", "Ada@HARBOR.EXAMPLE"):
        assert asks(harbor, email=spelling, deliver="gateway").status == 200
        harbor.clock.advance(600)
    for look_alike in ("ad\u0430@harbor.example", "ada@harbor.example,eve@evil.example"):
        assert asks(harbor, email=look_alike, deliver="gateway").status in {404, 422}
    assert harbor.rows(sa.select(Message.recipient).distinct()) == [(EMAIL,)]


@ONE_DATABASE
def test_the_mail_speaks_the_user_s_language(harbor: Harbor) -> None:
    harbor.executes(sa.update(User).values(profile={"locale": "fr"}))
    asks(harbor, deliver="gateway")
    [message] = [row.Message for row in harbor.rows(sa.select(Message))]
    assert "Votre lien" in message.subject
    assert "10 minutes" in harbor.text_of(message)


@ONE_DATABASE
def test_in_production_a_mail_server_carries_the_link_as_long_as_it_works(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    carries = {"smtp_url": "smtp://mail.example:587", "mail_from": "mfa@gate.example"}
    with stage(database_url, tmp_path, clock, **carries) as harbor:
        key, _ = production(harbor)
        reply = key.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor", deliver="gateway")
        assert (reply.status, reply.json["magic_link"]) == (200, None)
        [message] = [row.Message for row in harbor.rows(sa.select(Message))]
        assert (message.recipient, message.status.value) == (EMAIL, "queued")
        assert message.expires_at == clock.now() + timedelta(minutes=10)


@ONE_DATABASE
def test_in_production_without_a_mail_carrier_the_refusal_says_so(harbor: Harbor) -> None:
    key, application = production(harbor)
    refused = key.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor", deliver="gateway")
    is_refused(refused, 422, "channel_unavailable", "deliver")
    assert harbor.rows(sa.select(Message)) == []
    returned = key.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor")
    assert application.exchanges(follows(harbor, returned)["code"]).json["claims"]["env"] == (
        "production"
    )


def test_mails_with_a_link_are_charged_as_every_message_is(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.sending_rules.change(
            tx, OPERATOR, tx.merge(harbor.organization), per_user_day=2, cooldowns=(60,)
        )
    assert asks(harbor, deliver="gateway").status == 200
    waits = asks(harbor, deliver="gateway")
    assert (waits.status, waits.error, waits.headers["retry-after"]) == (429, "rate_limited", "60")
    assert asks(harbor).status == 200  # for who mails it themselves
    harbor.clock.advance(60)
    assert asks(harbor, deliver="gateway").status == 200
    harbor.clock.advance(60)
    assert asks(harbor, deliver="gateway").error == "rate_limited"
    assert len(harbor.rows(sa.select(Message))) == 2


def test_the_database_holds_neither_link_nor_code(harbor: Harbor) -> None:
    """Who steals it can't follow a link, nor exchange a code."""
    reply = asks(harbor)
    asks(harbor, deliver="gateway")
    code = follows(harbor, reply)["code"]
    dump = harbor.dump()
    assert reply.json["magic_link"].rpartition("/")[2] not in dump
    assert "magic-link/" not in dump
    assert code not in dump


# The exchange


def test_a_code_is_exchanged_once_for_the_result(harbor: Harbor) -> None:
    reply = asks(harbor, state="a b&c")
    back = follows(harbor, reply)
    assert back == {
        "code": back["code"],
        "state": "a b&c",
        "request_id": reply.json["request_id"],
    }
    got = harbor.notes.exchanges(back["code"])
    assert got.status == 200, got.text
    claims = harbor.notes.checks(keep_secret(got.json["result"]))
    assert got.json == {
        "__type__": "MagicLinkResult",
        "result": got.json["result"],
        "claims": claims,
        "request_id": reply.json["request_id"],
        "user_id": harbor.ada,
        "email": EMAIL,
    }
    assert claims["sub"] == harbor.ada
    assert claims["aud"] == harbor.notes.client_id
    assert claims["acr"] == "urn:gatehouse:acr:email"
    assert claims["amr"] == ["otp"]
    assert claims["mfa_method"] == "magic_link"
    assert claims["status"] == "verified"
    assert claims["org"] == "harbor"


def test_the_second_exchange_is_refused_and_recorded(harbor: Harbor) -> None:
    code = follows(harbor, asks(harbor))["code"]
    keep_secret(harbor.notes.exchanges(code).json["result"])
    assert events(harbor, "authorization_code:replayed") == []
    for _ in range(2):
        is_refused(harbor.notes.exchanges(code), 422, "code_invalid")
    replays = events(harbor, "authorization_code:replayed")
    assert {event.actor for event in replays} == {f"application:{harbor.notes.client_id}"}
    assert [str(event.user_id) for event in replays] == [harbor.ada] * 2


def test_a_result_that_was_exchanged_is_used_up(harbor: Harbor) -> None:
    back = follows(harbor, asks(harbor))
    result = keep_secret(harbor.notes.exchanges(back["code"]).json["result"])
    [[session_id]] = harbor.rows(sa.select(GatewaySession.id))
    assert harbor.notes.redeems(session_id, result).error == "result_already_redeemed"
    assert len(events(harbor, "result:redeemed")) == 1


def test_a_code_works_for_a_minute(harbor: Harbor) -> None:
    early, late = (follows(harbor, asks(harbor))["code"] for _ in range(2))
    harbor.clock.advance(59)
    assert harbor.notes.exchanges(early).status == 200
    harbor.clock.advance(1)
    is_refused(harbor.notes.exchanges(late), 422, "code_invalid")
    assert events(harbor, "authorization_code:replayed") == []


@ONE_DATABASE
def test_every_bad_code_is_answered_alike(harbor: Harbor) -> None:
    used, old = (follows(harbor, asks(harbor))["code"] for _ in range(2))
    keep_secret(harbor.notes.exchanges(used).json["result"])
    harbor.clock.advance(60)
    foreign = follows(harbor, asks(harbor))["code"]
    other = harbor.registers("Harbor Charts", "https://charts.example/back")
    answers = {harbor.notes.exchanges(code).text for code in (used, old, "nonsense", "", "\u00e9")}
    assert answers == {other.exchanges(foreign).text}
    assert harbor.notes.exchanges(foreign).status == 200  # another's try did not burn it


@ONE_DATABASE
def test_the_credentials_may_stand_in_the_body(harbor: Harbor) -> None:
    for way in WAYS:
        code = follows(harbor, asks(harbor))["code"]
        fields = {
            "client_id": harbor.notes.client_id,
            "client_secret": harbor.notes.client_secret,
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT_URI,
        }
        reply = harbor.notes.exchanges(code, **{"headers": {}, "json": None, **way(fields)})
        assert reply.status == 200, reply.text


@ONE_DATABASE
def test_without_the_application_s_own_credentials_nothing_is_exchanged(harbor: Harbor) -> None:
    code = follows(harbor, asks(harbor))["code"]
    pair = {"client_id": harbor.notes.client_id, "client_secret": harbor.backend.client_secret}
    key = {"client_id": harbor.backend.client_id, "client_secret": harbor.backend.client_secret}
    bearer = {"Authorization": f"Bearer {harbor.backend.token}"}
    for headers, fields in (({}, {}), ({}, pair), ({}, key), (bearer, {})):
        reply = harbor.notes.exchanges(code, headers=headers, json={"code": code, **fields})
        is_refused(reply, 401, "unauthorized")
    assert harbor.notes.exchanges(code).status == 200


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fields", "named"), [({}, "code"), ({"code": "x", "grant_type": "password"}, "grant_type")]
)
def test_a_field_of_the_exchange_that_can_not_be_is_named(
    harbor: Harbor, fields: dict[str, str], named: str
) -> None:
    reply = harbor.notes.exchanges("", json=fields)
    is_refused(reply, 422, "invalid_request", named)


@ONE_DATABASE
def test_a_body_that_can_not_be_read_is_refused(harbor: Harbor) -> None:
    for body, kind, status in (
        (b"{", JSON, 400),
        (b"code=1&code=2", FORM, 400),
        (b"a", "a/b", 415),
    ):
        headers = {**harbor.notes.basic(), "Content-Type": kind}
        reply = harbor.notes.exchanges("", json=None, data=body, headers=headers)
        assert reply.status == status, reply.text


def test_the_pages_bring_a_code_back_and_never_the_result(harbor: Harbor) -> None:
    browser = harbor.browser()
    browser.goes_to(asks(harbor).json["magic_link"])
    browser.submits()
    assert set(browser.back) == {"code", "request_id"}
    assert harbor.rows(sa.select(MagicLink.used_at)) == [(START,)]
    assert harbor.rows(sa.select(AuthorizationCode.used_at)) == [(None,)]
    assert harbor.rows(sa.select(Result.redeemed_at)) == [(None,)]


@pytest.fixture
def https_stage(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with stage(database_url, tmp_path, clock, base_url="https://mfa.example") as harbor:
        yield harbor


@ONE_DATABASE
def test_the_link_carries_the_deployment_s_own_address(https_stage: Harbor) -> None:
    """F51: whatever host a request names."""
    reply = asks(https_stage)
    assert reply.json["magic_link"].startswith("https://mfa.example/magic-link/")
    assert reply.json["waiting_url"].startswith("https://mfa.example/gateway/")
