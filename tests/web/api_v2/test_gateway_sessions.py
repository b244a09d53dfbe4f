"""/api/v2/org/{domain}/gateway-sessions: the call that starts a visit, and how it stands."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from ksuid import Ksuid

from app.db import Base
from app.errors import Invalid
from app.models import Application, Environment, Event, GatewaySession
from app.services.audit import OPERATOR
from tests.actors import Reply, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused, raw

SESSIONS = "/org/harbor/gateway-sessions"


def asks(harbor: Harbor, **body: Any) -> Reply:
    """Ask with the bearer token, as a backend that serves several applications."""
    fields = {
        "user_id": harbor.ada,
        "redirect_uri": REDIRECT_URI,
        "client_id": harbor.notes.client_id,
        **body,
    }
    return opened(harbor.backend.calls("POST", SESSIONS, json=fields))


def opened(reply: Reply) -> Reply:
    if reply.status == 201:
        keep_secret(parse_qs(urlsplit(reply.json["url"]).query)["token"][0])
    return reply


def everything(harbor: Harbor) -> str:
    """All that stands in the database, as text."""
    with harbor.services.database.reading() as tx:
        tables = [tx.execute(sa.select(table)).all() for table in Base.metadata.sorted_tables]
    return "\n".join(str(row) for rows in tables for row in rows)


# The answer


def test_the_answer_tells_everything_about_the_session(harbor: Harbor) -> None:
    fields = {"state": "s", "nonce": "n", "locale": "fr", "response_mode": "form_post"}
    reply = asks(harbor, intent="enroll", **fields)
    assert reply.status == 201, reply.text
    session = reply.json
    assert session == {
        "__type__": "GatewaySession",
        "__domain__": "harbor",
        "__environment__": "sandbox",
        "id": session["id"],
        "url": session["url"],
        "status": "pending",
        "user_id": harbor.ada,
        "client_id": harbor.notes.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_mode": "form_post",
        "intent": "enroll",
        "locale": "fr",
        "acr_values": [],
        "max_age": None,
        "retry_at": None,
        "created_at": "2026-03-01T12:00:05Z",
        "expires_at": "2026-03-01T12:30:05Z",
    }


@ONE_DATABASE
def test_what_is_not_asked_for_has_its_default(harbor: Harbor) -> None:
    session = asks(harbor).json
    assert session["response_mode"] == "query"
    assert session["intent"] == "verify"
    assert session["locale"] is None


def test_the_id_is_a_ksuid_of_this_very_second(harbor: Harbor) -> None:
    ids = {asks(harbor).json["id"] for _ in range(3)}
    assert len(ids) == 3
    for session_id in ids:
        prefix, _, ksuid = session_id.partition("_")
        assert prefix == "gateway-session"
        assert re.fullmatch(r"[0-9A-Za-z]{27}", ksuid)
        assert Ksuid.from_base62(ksuid).datetime == harbor.clock.now()


def test_the_address_carries_128_bits_that_are_kept_only_hashed(harbor: Harbor) -> None:
    seen = set()
    for _ in range(3):
        session = asks(harbor).json
        parts = urlsplit(session["url"])
        assert f"{parts.scheme}://{parts.netloc}" == harbor.base_url
        assert parts.path == f"/gateway/{session['id'].removeprefix('gateway-session_')}"
        query = parse_qs(parts.query, strict_parsing=True)
        assert set(query) == {"token"}
        [token] = query["token"]
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", token)  # 128 bits in base64url
        assert token not in session["id"]
        seen.add(token)
        assert token not in everything(harbor)
        stored = sa.select(GatewaySession.token_hash).where(GatewaySession.id == session["id"])
        [(token_hash,)] = harbor.rows(stored)
        assert re.fullmatch(r"\w+:[0-9a-f]{64}", token_hash)
    assert len(seen) == 3


def test_the_address_is_told_once(harbor: Harbor) -> None:
    session = asks(harbor).json
    later = harbor.notes.looks_at(session["id"])
    assert later.json == {name: value for name, value in session.items() if name != "url"}
    assert "token" not in later.text
    assert harbor.backend.calls("GET", f"{SESSIONS}/{session['id']}").json == later.json


@ONE_DATABASE
@pytest.mark.parametrize("way", WAYS)
def test_every_shape_of_body_opens_a_session_by_bearer_and_by_basic(harbor: Harbor, way) -> None:
    fields = {
        "user_id": "ADA@harbor.example",
        "redirect_uri": REDIRECT_URI,
        "state": 'a "quoted" & séance',
        "nonce": "n",
        "intent": "verify",
        "response_mode": "query",
    }
    sent = way({**fields, "client_id": harbor.notes.client_id})
    by_bearer = opened(harbor.backend.calls("POST", SESSIONS, **sent))
    assert by_bearer.status == 201, by_bearer.text
    sent = way(fields)
    headers = {**harbor.notes.basic(), **sent.pop("headers", {})}
    by_basic = opened(harbor.wire.request("POST", f"/api/v2{SESSIONS}", headers=headers, **sent))
    assert by_basic.status == 201, by_basic.text
    for reply in (by_bearer, by_basic):
        assert reply.json["user_id"] == harbor.ada
        assert reply.json["client_id"] == harbor.notes.client_id
    states = harbor.rows(sa.select(GatewaySession.state).distinct())
    assert states == [('a "quoted" & séance',)]


def test_opening_a_session_is_recorded_with_who_opened_it(harbor: Harbor) -> None:
    by_key, by_application = asks(harbor).json["id"], harbor.notes.opens(harbor.ada)["id"]
    events = harbor.rows(
        sa.select(Event.gateway_session_id, Event.actor, Event.user_id, Event.detail)
        .where(Event.kind == "gateway_session:opened")
        .order_by(Event.id)
    )
    assert [(row[0], row[1]) for row in events] == [
        (by_key, f"api_key:{harbor.backend.client_id}"),
        (by_application, f"application:{harbor.notes.client_id}"),
    ]
    assert {str(row[2]) for row in events} == {harbor.ada}
    assert {row[3]["client_id"] for row in events} == {harbor.notes.client_id}


# Who may ask, for whom


@ONE_DATABASE
def test_a_bearer_token_must_say_which_application_asks(harbor: Harbor) -> None:
    is_refused(asks(harbor, client_id=None), 422, "invalid_request", "client_id")


@ONE_DATABASE
def test_an_application_can_t_ask_in_another_s_name(harbor: Harbor) -> None:
    other = harbor.registers("Other")
    is_refused(
        harbor.notes.asks(harbor.ada, client_id=other.client_id),
        422,
        "invalid_request",
        "client_id",
    )
    assert harbor.notes.asks(harbor.ada, client_id=harbor.notes.client_id).status == 201


def test_an_application_without_the_right_secret_is_401(harbor: Harbor) -> None:
    for secret in ("", "x", harbor.notes.client_secret + "x", harbor.backend.client_secret):
        stranger = harbor.registers("Other")
        stranger.client_id, stranger.client_secret = harbor.notes.client_id, secret
        is_refused(stranger.asks(harbor.ada), 401, "unauthorized")


def test_unknown_applications_and_those_of_others_are_refused_alike(harbor: Harbor) -> None:
    pier(harbor)
    with harbor.services.database.writing() as tx:
        organization = harbor.services.organizations.find(tx, Environment.SANDBOX, "pier")
        of_pier, _ = harbor.services.applications.create(
            tx,
            OPERATOR,
            environment=Environment.SANDBOX,
            name="Pier Notes",
            redirect_uris=[REDIRECT_URI],
            organizations=[organization],
        )
    live = harbor.registers("Live", environment=Environment.PRODUCTION)
    answers = set()
    for client_id in (
        str(uuid.uuid4()),
        of_pier.client_id,
        live.client_id,
        harbor.backend.client_id,
        "",
        "x",
        "' or 1=1",
        "x" * 5000,
    ):
        reply = asks(harbor, client_id=client_id)
        is_refused(reply, 422, "application_not_found", "client_id")
        answers.add(reply.text)
    assert len(answers) == 1


def pier(harbor: Harbor) -> str:
    """Make another organization with a user; return the user's id."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    harbor.backend.calls("PUT", "/org/pier/totp-connection", json={"active": True})
    created = harbor.backend.calls("POST", "/org/pier/users", json={"email": "pia@pier.example"})
    return str(created.json["id"])


def test_an_application_of_one_organization_serves_that_one_alone(harbor: Harbor) -> None:
    pia = pier(harbor)
    mine = harbor.registers("Mine", only=True)
    assert mine.opens(harbor.ada)
    assert harbor.notes.asks(pia).status == 422
    answers = set()
    for domain in ("pier", "nowhere"):
        mine.organization = domain
        for user in (pia, harbor.ada, "pia@pier.example"):
            reply = mine.asks(user)
            is_refused(reply, 404, "not_found")
            answers.add(reply.text)
    assert len(answers) == 1
    everyones = harbor.registers("Everyone's", organization="pier")
    assert everyones.opens(pia)["__domain__"] == "pier"


def test_an_application_of_production_reaches_nothing_of_the_sandbox(harbor: Harbor) -> None:
    session = harbor.notes.opens(harbor.ada)
    live = harbor.registers("Live", environment=Environment.PRODUCTION)
    is_refused(live.asks(harbor.ada), 404, "not_found")
    is_refused(live.looks_at(session["id"]), 404, "not_found")
    is_refused(live.redeems(session["id"], "x"), 404, "not_found")
    key = harbor.key(Environment.PRODUCTION)
    is_refused(key.calls("GET", f"{SESSIONS}/{session['id']}"), 404, "not_found")


def test_a_session_is_told_to_its_application_and_to_no_other(harbor: Harbor) -> None:
    session = harbor.notes.opens(harbor.ada)["id"]
    other = harbor.registers("Other")
    unknown = other.looks_at("gateway-session_3F5ZqKwR3mSx0a8Yc2VbN1TgLhP")
    is_refused(unknown, 404, "not_found")
    assert other.looks_at(session).text == unknown.text
    pier(harbor)
    elsewhere = harbor.backend.calls("GET", f"/org/pier/gateway-sessions/{session}")
    assert elsewhere.text == unknown.text
    assert harbor.backend.calls("GET", f"{SESSIONS}/{session}").status == 200


def test_a_user_of_nobody_is_not_found_whoever_it_might_be(harbor: Harbor) -> None:
    pia = pier(harbor)
    answers = set()
    for user in (
        str(uuid.uuid4()),
        pia,
        "pia@pier.example",
        "nobody@harbor.example",
        " ",
        "%",
        "*",
        "' or 1=1 --",
        harbor.notes.client_id,
    ):
        reply = asks(harbor, user_id=user)
        is_refused(reply, 422, "user_not_found", "user_id")
        answers.add(reply.text)
    assert len(answers) == 1


# Fields


@ONE_DATABASE
def test_a_user_that_can_t_be_one_is_refused_by_name(harbor: Harbor) -> None:
    odd: list[Any] = [None, "", [], ["a"], {"$ne": 1}, True, 1, "x" * 321]
    for user in odd:
        is_refused(asks(harbor, user_id=user), 422, "invalid_request", "user_id")


ODD_FIELDS = [
    (JSON, b'{"redirect_uri": "x"}', 422, "user_id"),
    (JSON, b'{"user_id": "x"}', 422, "redirect_uri"),
    (JSON, b'{"user_id": "x", "redirect_uri": null}', 422, "redirect_uri"),
    (
        JSON,
        b'{"user_id": "x", "redirect_uri": ["https://notes.example/callback"]}',
        422,
        "redirect",
    ),
    (JSON, b'{"user_id": "x", "redirect_uri": 1}', 422, "redirect_uri"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "client_id": 1}', 422, "client_id"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "client_id": ["x"]}', 422, "client_id"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "state": 1}', 422, "state"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "state": ["x"]}', 422, "state"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "state": {"a": "x"}}', 422, "state"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "nonce": true}', 422, "nonce"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "locale": 1}', 422, "locale"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "intent": "reset"}', 422, "intent"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "intent": "VERIFY"}', 422, "intent"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "intent": ""}', 422, "intent"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "intent": null}', 422, "intent"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "intent": ["verify"]}', 422, "intent"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "response_mode": "fragment"}', 422, "response"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "response_mode": "jwt"}', 422, "response_mode"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "response_mode": null}', 422, "response_mode"),
    (JSON, b'{"user_id": "x", "redirect_uri": "x", "redirect_uri": "y"}', 400, "redirect_uri"),
    (FORM, b"user_id=x&redirect_uri=x&redirect_uri=y", 400, "redirect_uri"),
    (FORM, b"user_id=x&redirect_uri[]=x", 422, "redirect_uri"),
    (FORM, b"user_id[]=x&redirect_uri=x", 422, "user_id"),
    (FORM, b"user_id=x&user_id=y&redirect_uri=x", 400, "user_id"),
]


@ONE_DATABASE
def test_odd_fields_are_refused_by_name_and_open_nothing(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for content_type, body, status, field in ODD_FIELDS:
        with subtests.test(repr(body)):
            sent = raw(
                body.replace(b'"x"', f'"{harbor.ada}"'.encode(), 1),
                content_type,
            )
            is_refused(
                harbor.backend.calls("POST", SESSIONS, **sent), status, "invalid_request", field
            )
    assert harbor.rows(sa.select(sa.func.count()).select_from(GatewaySession)) == [(0,)]


STATES = [
    "",
    "0",
    "x" * 1024,
    "é" * 512,
    "\U0001f600" * 256,
    "a b+c%20&d=e#f?g;h/../\\'\"<script>{{1}}",
    "\u2028\u202e\ufeff e\u0301 \u00e9",
]


def test_the_state_comes_back_byte_for_byte(harbor: Harbor, subtests: pytest.Subtests) -> None:
    for state in STATES:
        with subtests.test(state[:20]):
            browser = harbor.visits(harbor.ada, state=state)
            browser.sends("cancel")
            assert browser.back["state"] == state


@ONE_DATABASE
def test_a_session_without_a_state_comes_back_without_one(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    browser.sends("cancel")
    assert "state" not in browser.back


def test_a_state_that_no_browser_would_bring_back_whole_is_refused(harbor: Harbor) -> None:
    too_long = ["x" * 1025, "é" * 513, "\U0001f600" * 257, "x" * 10_000]
    for state in [*too_long, "a\nb", "a\r\nb", "a\tb", "\x01", "\x7f", "\x1b[31m"]:
        is_refused(asks(harbor, state=state), 422, "invalid_request", "state")
    is_refused(asks(harbor, state="a\x00b"), 422, "invalid_request")


def test_a_nonce_holds_up_to_255_printable_characters(harbor: Harbor) -> None:
    assert asks(harbor, nonce="é" * 255).status == 201
    for nonce in ("x" * 256, "a\nb", "\x7f"):
        is_refused(asks(harbor, nonce=nonce), 422, "invalid_request", "nonce")


@ONE_DATABASE
def test_a_locale_is_a_language_tag_and_an_unknown_one_is_no_obstacle(harbor: Harbor) -> None:
    assert asks(harbor, locale="tlh-Qaak").json["locale"] == "tlh-Qaak"
    browser = harbor.visits(harbor.ada, locale="../../etc/passwd")
    assert browser.reply.status == 200
    is_refused(asks(harbor, locale="x" * 36), 422, "invalid_request", "locale")


# F39: where the answer may go

OTHERS = [
    "",
    " ",
    "/callback",
    "callback",
    "//notes.example/callback",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\\\\\evil.example",
    "https:notes.example/callback",
    "https:/notes.example/callback",
    "https:evil.example",
    "http://notes.example/callback",
    "HTTPS://notes.example/callback",
    "https://NOTES.example/callback",
    "https://notes.example/Callback",
    "https://notes.example/callback/",
    "https://notes.example/callback/sub",
    "https://notes.example/callback?",
    "https://notes.example/callback?x=1",
    "https://notes.example/callback#",
    "https://notes.example/callback#x",
    "https://notes.example/callback;x",
    "https://notes.example/callback;/../x",
    "https://notes.example/..;/callback",
    "https://notes.example/x/../callback",
    "https://notes.example/./callback",
    "https://notes.example//callback",
    "https://notes.example/%63allback",
    "https://notes.example/callbac%6b",
    "https://notes.example%2fcallback",
    "https://notes.example%5c.evil.example/callback",
    "https://notes.example\\callback",
    "https://notes.example\\@evil.example/callback",
    "https://notes.example./callback",
    "https://notes.example:443/callback",
    "https://notes.example:8443/callback",
    "https://notes.example:/callback",
    "https://user@notes.example/callback",
    "https://notes.example@evil.example/callback",
    "https://notes.example%40evil.example/callback",
    "https://a@b@notes.example/callback",
    "https://notes.example%25@evil.example/callback",
    "https://notes.example.evil.example/callback",
    "https://evilnotes.example/callback",
    "https://sub.notes.example/callback",
    "https://notes\u3002example/callback",
    "https://n\u00f6tes.example/callback",
    "https://xn--ntes-5qa.example/callback",
    "https://notes.example/callback ",
    " https://notes.example/callback",
    "https://notes.example/callback\t",
    "https://notes.example/call\nback",
    "https://notes.example/callback\r\nSet-Cookie: a=b",
    "https://notes.example/callback,https://evil.example",
    "https://notes.example/callback https://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://notes.example/callback" + "x" * 10_000,
]


@ONE_DATABASE
def test_no_address_but_the_registered_one_is_taken(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    assert len(OTHERS) > 40
    for uri in OTHERS:
        with subtests.test(uri[:60]):
            reply = asks(harbor, redirect_uri=uri)
            is_refused(reply, 422, "redirect_uri_not_registered", "redirect_uri")
            assert reply.location == ""
            assert not uri.strip() or "evil.example" not in reply.text
    is_refused(asks(harbor, redirect_uri=REDIRECT_URI + "\0"), 422, "invalid_request")
    assert harbor.rows(sa.select(sa.func.count()).select_from(GatewaySession)) == [(0,)]


def test_another_application_s_address_is_not_ours(harbor: Harbor) -> None:
    other = harbor.registers("Other", "https://other.example/callback")
    is_refused(asks(harbor, redirect_uri=other.redirect_uri), 422, "redirect_uri_not_registered")
    assert asks(harbor, client_id=other.client_id, redirect_uri=other.redirect_uri).status == 201


UNREGISTRABLE = [
    "",
    " ",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "javascript://app.example/%0aalert(1)",
    "data:text/html,<script>1</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://app.example/",
    "ws://app.example/",
    "myapp://callback",
    "urn:ietf:wg:oauth:2.0:oob",
    "blob:https://app.example/x",
    "//app.example/back",
    "/back",
    "back",
    "\\\\app.example",
    "/\\app.example",
    "https:app.example",
    "https:/app.example",
    "https:///app.example",
    "https://",
    "https:///",
    "https://?x",
    "https://:443/back",
    "HTTPS://app.example/back",
    "http://app.example/back",
    "http://localhost.evil.example/back",
    "http://127.0.0.1.evil.example/back",
    "http://127.0.0.1@evil.example/back",
    "http://0.0.0.0/back",
    "http://10.0.0.1/back",
    "http://[::2]/back",
    "https://\\evil.example/back",
    "https://app.example\\@evil.example/back",
    "https://app.example\\back",
    "https://user@app.example/back",
    "https://user:secret@app.example/back",
    "https://a@b@app.example/back",
    "https://@app.example/back",
    "https://app.example%40evil.example/back",
    "https://app.example%25@evil.example/back",
    "https://app%2eexample/back",
    "https://app.example/back#x",
    "https://app.example/back#",
    "https://app.example./back",
    "https://app..example/back",
    "https://.app.example/back",
    "https://app.example:/back",
    "https://app.example:x/back",
    "https://app.example:99999/back",
    "https://app.example:-1/back",
    "https://[::1/back",
    "https://[x]/back",
    "https://*/back",
    "https://*.example/back",
    "https://app.example;script-src/back",
    "https://app.example,evil.example/back",
    "https://'self'/back",
    "https://(app).example/back",
    "https://$app.example/back",
    "https://app.example/ba ck",
    " https://app.example/back",
    "https://app.example/back\n",
    "https://app.example/back\tx",
    "https://app.example/back\r\nSet-Cookie: a=b",
    "https://app.example/\0",
    "https://app.example/\x7f",
    'https://app.example/"onload="x',
    "https://app.example/<script>",
    "https://app.example/{x}",
    "https://app.example/`x`",
    "https://\u00e9mile.example/back",
    "https://app\u3002example/back",
    "https://app.example/\u202eback",
    "https://app.example/" + "x" * 2000,
]
REGISTRABLE = [
    "https://app.example",
    "https://app.example/",
    "https://App.Example/Back",
    "https://app.example:8443/back",
    "https://app.example/back?x=1&y=%20z",
    "https://app.example/a(b)/c,d;e/~f/$g/*/'h'!",
    "https://xn--mile-9oa.example/back",
    "https://192.0.2.7/back",
    "https://app_1.internal/back",
    "http://localhost:8001/callback",
    "http://127.0.0.1/callback",
    "http://[::1]:8001/callback",
]


def registers(harbor: Harbor, *uris: str) -> list[str]:
    with harbor.services.database.writing() as tx:
        application, secret = harbor.services.applications.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="App", redirect_uris=uris
        )
    keep_secret(secret)
    return application.redirect_uris


@ONE_DATABASE
def test_an_address_that_could_lead_elsewhere_can_t_be_registered(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F39 and F40, at the door where they would come in."""
    before = harbor.rows(sa.select(sa.func.count()).select_from(Application))
    for uri in UNREGISTRABLE:
        with subtests.test(uri[:60]):
            with pytest.raises(Invalid) as refused:
                registers(harbor, REDIRECT_URI, uri)
            assert refused.value.field == "redirect_uris"
            assert len(refused.value.message) < 400
            assert refused.value.message.isprintable()
    with pytest.raises(Invalid):
        registers(harbor)
    assert harbor.rows(sa.select(sa.func.count()).select_from(Application)) == before


@ONE_DATABASE
def test_a_plain_address_is_registered_as_it_was_written(harbor: Harbor) -> None:
    assert registers(harbor, *REGISTRABLE) == REGISTRABLE


@ONE_DATABASE
def test_the_answer_goes_to_the_address_as_it_was_registered(harbor: Harbor) -> None:
    for uri in REGISTRABLE:
        notes = harbor.registers("App", uri)
        browser = harbor.browser()
        browser.goes_to(notes.opens(harbor.ada, state="s")["url"])
        browser.sends("cancel")
        assert browser.reply.status == 303
        parts = urlsplit(uri)
        sent = uri.replace(parts.netloc, parts.netloc.lower()) + ("&" if "?" in uri else "?")
        assert browser.reply.location.startswith(f"{sent}state=s&session_id="), uri
        policy = browser.reply.headers["content-security-policy"]
        assert policy.endswith(f"form-action 'self' {parts.scheme}://{parts.netloc}")


# Its life


def test_it_lives_fifteen_minutes_to_verify_and_thirty_to_enroll(harbor: Harbor) -> None:
    def minutes(**ask: Any) -> int:
        session = asks(harbor, **ask).json
        [(created, expires)] = harbor.rows(
            sa.select(GatewaySession.created_at, GatewaySession.expires_at).where(
                GatewaySession.id == session["id"]
            )
        )
        assert session["expires_at"] == expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        return int((expires - created).total_seconds()) // 60

    assert minutes() == 30  # a user who has nothing yet
    harbor.enrolls()
    assert minutes() == 15
    assert minutes(intent="verify") == 15
    assert minutes(intent="enroll") == 30


def status(harbor: Harbor, session: dict[str, Any]) -> str:
    told = {
        harbor.notes.looks_at(session["id"]).json["status"],
        harbor.backend.calls("GET", f"{SESSIONS}/{session['id']}").json["status"],
    }
    assert len(told) == 1
    return str(told.pop())


def test_the_status_follows_a_user_who_enrolls_and_then_verifies(harbor: Harbor) -> None:
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    phone = browser.sets_up()
    assert status(harbor, session) == "pending"
    browser.types(harbor.code(phone))
    assert status(harbor, session) == "pending"  # until the codes are saved
    browser.saves_codes()
    assert status(harbor, session) == "enrolled"
    harbor.clock.advance(1500)
    assert status(harbor, session) == "enrolled"

    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    assert status(harbor, session) == "pending"
    browser.types(harbor.code(phone))
    assert status(harbor, session) == "verified"
    harbor.clock.advance(1500)
    assert status(harbor, session) == "verified"


def test_an_added_authenticator_ends_as_enrolled(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    session = harbor.notes.opens(harbor.ada, intent="enroll")
    browser = harbor.browser()
    browser.goes_to(session["url"])
    browser.types(harbor.code(phone))
    assert status(harbor, session) == "pending"
    browser.submits()
    second = browser.scans()
    harbor.clock.advance(30)
    browser.types(harbor.code(second))
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"
    assert status(harbor, session) == "enrolled"


def test_the_status_of_a_cancelled_one(harbor: Harbor) -> None:
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    browser.sends("cancel")
    assert status(harbor, session) == "cancelled"
    assert "result" not in browser.back


def test_the_status_of_a_failed_one(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    wrong = f"{(int(harbor.code(phone)) + 500_000) % 1_000_000:06d}"
    for _ in range(4):
        browser.types(wrong)
        assert status(harbor, session) == "pending"
    browser.types(wrong)
    assert status(harbor, session) == "failed"


def test_the_status_of_an_expired_one(harbor: Harbor) -> None:
    harbor.enrolls()
    session = harbor.notes.opens(harbor.ada)
    harbor.clock.advance(15 * 60 - 1)
    assert status(harbor, session) == "pending"
    harbor.clock.advance(1)
    assert status(harbor, session) == "expired"


@ONE_DATABASE
def test_a_user_with_ten_authenticators_gets_no_eleventh(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for _ in range(9):
        browser = harbor.visits(harbor.ada, intent="enroll")
        browser.types(harbor.code(phone))
        browser.submits()
        harbor.clock.advance(30)
        phone = browser.scans()  # the next visit asks for the one that was used last
        browser.types(harbor.code(phone))
        assert "result" in browser.back
        harbor.clock.advance(30)
    is_refused(asks(harbor, intent="enroll"), 422, "too_many_authenticators")
    assert asks(harbor, intent="verify").status == 201
