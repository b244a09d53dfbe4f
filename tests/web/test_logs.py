"""Logs: one line a request, with its id; no secret in any, and no input makes one of its own."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy as sa

from app.models import Authenticator, SigningKey
from tests import actors
from tests.actors import Browser, Phone, Reply, keep_secret
from tests.conftest import ONE_DATABASE, PATIENCE, FixedClock, Harbor, Server, stage

VALUE = r'("(\\.|[^"\\])*"|\S*)'
LOGFMT = re.compile(rf"timestamp=\S+Z level=\w+ event={VALUE}( \w+={VALUE})*")


def live_a_little(harbor: Harbor) -> Phone:
    """Do everything that a secret passes through, with right codes and wrong ones."""
    browser = harbor.visits(harbor.ada, state=secret("state"), nonce=secret("nonce"))
    phone = browser.sets_up()
    browser.types(typed())
    browser.types(spaced(harbor.code(phone)))
    keep_cookies(browser)
    for code in browser.page.area.split():
        keep_secret(code)
    browser.sends("recovery-codes/download")
    browser.sends("recovery-codes")
    session_id = browser.back["session_id"]
    assert harbor.notes.redeems(session_id, browser.back["result"]).status == 200
    assert harbor.notes.redeems(session_id, browser.back["result"]).status == 409
    verifies(harbor, phone)
    fails(harbor)
    return phone


def verifies(harbor: Harbor, phone: Phone) -> None:
    browser = harbor.visits(harbor.ada, state=secret("state"), response_mode="form_post")
    keep_cookies(browser)
    for code in (typed(), spaced(harbor.code(phone)), "123"):
        browser.types(code)
        assert browser.reply.status == 422
    browser.sends("verify", code=secret("typed"), csrf_token=secret("token"))
    assert browser.reply.status == 400
    browser.goes_to(f"{browser.address('verify')}?code={secret('typed')}")
    browser.types(spaced(harbor.code(phone, 1)))
    assert browser.page.heading == "You are confirmed"
    keep_secret(browser.page.forms[0]["fields"]["result"])
    other = harbor.browser()
    assert other.goes_to(f"{browser.address('')}?token={secret('token')}").status == 403
    assert other.goes_to(f"/{secret('path')}?token={secret('token')}").status == 404


def fails(harbor: Harbor) -> None:
    """Make the API refuse secrets in every place where one may stand."""
    harbor.backend.calls("GET", f"/org/harbor/users/{harbor.ada}")
    for headers in (
        {"Authorization": f"Bearer {secret('token')}"},
        {"Authorization": f"Basic {secret('basic')}"},
        {"Authorization": f"Digest {secret('digest')}", "Cookie": f"gatehouse={secret('cookie')}"},
    ):
        path = f"/api/v2/org/harbor/users/{secret('path')}"
        assert harbor.wire.request("GET", path, headers=headers).status == 401
    for fields in ({"client_secret": secret("secret")}, {"grant_type": secret("type")}):
        assert harbor.backend.asks_token(**fields).status in {400, 401}
    assert harbor.notes.asks(harbor.ada, redirect_uri=f"https://x/{secret('uri')}").status == 422
    assert harbor.notes.redeems("x", secret("result")).status == 404


def breaks(harbor: Harbor, phone: Phone) -> list[Reply]:
    """Meet the unexpected with a right code, a result and a secret in the request."""
    browser = harbor.visits(harbor.ada)
    harbor.executes(sa.update(Authenticator).values(secret=f"v1:gone:{secret('sealed')}"))
    harbor.executes(sa.update(SigningKey).values(private=f"v1:gone:{secret('sealed')}"))
    page = browser.types(spaced(harbor.code(phone, 2)))
    call = harbor.backend.asks_token()
    assert (page.status, call.status) == (500, 500)
    return [page, call]


def secret(kind: str) -> str:
    """Make up something that must not be heard, and that nothing else looks like."""
    return keep_secret(f"marker-{kind}-{len(actors.SECRETS)}x")


def typed() -> str:
    """Make up an answer that is judged, and wrong."""
    return keep_secret(f"0 00000 {len(actors.SECRETS)} 00000 0")


def spaced(code: str) -> str:
    """Return a code as nothing else in a log is written."""
    return keep_secret(f"{code[:3]} {code[3:]}")


def keep_cookies(browser: Browser) -> None:
    for value in browser.cookies.values():
        keep_secret(value)


def told(text: str) -> list[str]:
    """Return which secrets a text holds."""
    return [found for found in actors.SECRETS if actors.holds(text, found)]


def test_a_whole_life_leaves_no_secret_in_any_line(
    harbor: Harbor, no_secret_in_logs: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy")  # below, it logs rows as they are stored
    phone = live_a_little(harbor)
    for reply in breaks(harbor, phone):
        assert "Traceback" not in reply.text
        assert not told(reply.text)
    heard = no_secret_in_logs.getvalue()
    assert heard.count("Traceback") == 2  # the listener does hear what happens
    assert "SELECT" in heard
    assert "INSERT" in heard
    assert len(actors.SECRETS) > 40
    assert not told(heard)
    assert "ada@harbor.example" not in lines_of_requests(heard)


def lines_of_requests(heard: str) -> str:
    return "\n".join(line for line in heard.splitlines() if "'event': 'request'" in line)


@ONE_DATABASE
@pytest.mark.parametrize("server", [{"log_format": "json"}], indirect=True)
def test_a_servers_log_is_one_object_a_line_without_a_secret(
    server: Server, live_harbor: Harbor
) -> None:
    phone = live_a_little(live_harbor)
    breaks(live_harbor, phone)
    for line in (
        f"GET /gateway/x?token={secret('token')}",
        f"GET /gateway/x?token={secret('token')} extra HTTP/1.1",
        f"GET /gateway/x?token={secret('token')} HTTP/9.9",
        f"G\x01T /gateway/x?token={secret('token')} HTTP/1.1",
        f"GET / HTTP/1.1\r\nAuthorization Bearer {secret('bearer')}",
        f"GET / HTTP/1.1\r\nX-Forged: a\r\n {secret('folded')} level=info",
        f"GET / HTTP/1.1\r\nUser-Agent: \x1b[31m{secret('agent')}",
    ):
        assert b" 400 " in says(server, line)
    assert b" 404 " in says(server, f"GET /%0d%0alevel=error%0a{secret('path')} HTTP/1.1")
    settings = server.config
    keep_secret(settings.secret_key.get_secret_value())
    keep_secret(settings.encryption_keys.get_secret_value().split(":")[1])
    text = server.log.read_text()
    assert not told(text)
    greeting, *lines = text.splitlines()
    assert greeting.startswith("Gatehouse serves ")
    found = [json.loads(line) for line in lines]
    assert all({"timestamp", "level", "event"} <= set(it) for it in found)
    assert len([it for it in found if it["event"] == "request"]) >= 40
    assert [it["event"] for it in found if it["level"] == "error"] == ["unexpected error"] * 2
    unreadable = [it for it in found if "Invalid request" in it["event"]]
    assert len(unreadable) == 7
    assert not [it for it in unreadable if "request_id" in it]  # they belong to no other request


def says(server: Server, *lines: str) -> bytes:
    host, port = urlsplit(server.config.base_url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        text = "\r\n".join([*lines, f"Host: {host}:{port}", "Connection: close", "", ""])
        connection.sendall(text.encode("latin-1"))
        return connection.recv(65536)


FORGED = "\r\nforged=1\ntimestamp=2026-01-01T00:00:00Z level=info event=forged\x85\x1b[2J"


def forges(harbor: Harbor) -> None:
    """Put line breaks wherever a client may write."""
    for path in (f"/{quote(FORGED)}", f"/gateway/{quote(FORGED)}/verify", f"/?x={quote(FORGED)}"):
        harbor.wire.request("GET", path)
    harbor.wire.request(f"GET{FORGED}", "/")
    one_line = re.sub(r"[\r\n]", " ", FORGED)
    names = ("User-Agent", "Referer", "X-Request-Id", "X-Forwarded-For", "Accept-Language")
    harbor.wire.request("GET", "/healthz", headers=dict.fromkeys(names, one_line))
    for zone in ("fe80::1%\n" + one_line, "fe80::1%\x85" + one_line):
        forwarded = {"X-Forwarded-For": zone.replace("\n", "")}
        harbor.wire.request("GET", "/healthz", headers=forwarded)
    users = "/org/harbor/users"
    for email in (f"eve{FORGED}@harbor.example", f"{FORGED}eve@harbor.example"):
        assert harbor.backend.calls("POST", users, json={"email": email}).status == 422
    harbor.backend.calls("GET", f"{users}/{quote(FORGED)}")
    harbor.notes.asks(FORGED, state=FORGED, nonce=FORGED, redirect_uri=FORGED)


@ONE_DATABASE
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_input_makes_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    tmp_path: Path,
    clock: FixedClock,
    log_format: str,
) -> None:
    settings = {"log_format": log_format, "trusted_proxies": "127.0.0.1"}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        capsys.readouterr()
        forges(harbor)
        breaks(harbor, harbor.enrolls())
    text = capsys.readouterr().err
    assert "\r" not in text
    assert "\x1b" not in text
    assert "forged" not in text
    lines = text.split("\n")[:-1]
    assert lines == text.splitlines()
    assert len([line for line in lines if "Traceback" in line]) == 2
    for line in lines:
        if log_format == "json":
            assert json.loads(line)["event"] in {"request", "unexpected error"}
        else:
            assert LOGFMT.fullmatch(line), line


@ONE_DATABASE
def test_every_answer_names_the_line_of_its_request(
    capsys: pytest.CaptureFixture[str], database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock, log_format="json") as harbor:
        phone = harbor.enrolls()
        capsys.readouterr()
        browser = harbor.visits(harbor.ada)
        mine = {"X-Request-Id": "1234"}
        replies = [
            browser.goes_to(browser.path, headers=mine),
            harbor.wire.request("GET", "/x"),
            harbor.wire.request("GET", "/healthz"),
            harbor.wire.request("GET", "/", headers={"Host": "evil.example"}),
            harbor.wire.request("POST", browser.path),
            *breaks(harbor, phone),
        ]
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert len(set(ids)) == len(ids)
    for reply, request_id in zip(replies, ids, strict=True):
        assert re.fullmatch("[0-9a-f]{32}", request_id)
        [line] = [it for it in found if it["request_id"] == request_id and it["event"] == "request"]
        assert line["status"] == reply.status
        assert line["peer"] == "127.0.0.1"
    broken = {it["request_id"] for it in found if it["event"] == "unexpected error"}
    assert broken == set(ids[-2:])
    assert f"this reference: {ids[-2][:12]}" in actors.Page(replies[-2].text).text
