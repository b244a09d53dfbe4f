"""What every answer carries, whom it believes, and what no input can put into a page."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy as sa

from app.models import (
    Application,
    Authenticator,
    Event,
    GatewaySession,
    Organization,
    Result,
    SigningKey,
    User,
    Verification,
)
from tests.actors import Browser, Page, Reply
from tests.conftest import (
    ONE_DATABASE,
    PATIENCE,
    ROOT,
    FixedClock,
    Harbor,
    InProcess,
    Server,
    stage,
)

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
EVIL = "evil.example"


def app_of(harbor: Harbor) -> Any:
    assert isinstance(harbor.wire, InProcess)
    return harbor.wire.client.application


def asks(harbor: Harbor, method: str, path: str, **more: Any) -> Reply:
    return harbor.wire.request(method, path, **more)


def policy_of(reply: Reply) -> dict[str, str]:
    parts = reply.headers["content-security-policy"].split("; ")
    policy = dict(part.split(" ", 1) for part in parts)
    assert len(policy) == len(parts)
    return policy


# Every route


def addresses(harbor: Harbor, visit_id: str) -> list[str]:
    """Return an address for every route, with ids that exist."""
    email, back = "ada@harbor.example", harbor.notes.redirect_uri
    link = harbor.backend.asks_link(email, back, org_domain="harbor").json["magic_link"]
    ids = {
        "visit_id": visit_id,
        "token": link.rpartition("/")[2],
        "domain": harbor.organization.domain,
        "client_id": harbor.notes.client_id,
        "user_id": harbor.ada,
        "session_id": f"gateway-session_{visit_id}",
        "id_or_email": harbor.ada,
        "authenticator_id": harbor.ada,
        "filename": "css/gatehouse.css",
        "environment": "sandbox",
        "organization_id": str(harbor.organization.id),
        "digest": "0" * 32,
    }
    rules = list(app_of(harbor).url_map.iter_rules())
    assert len(rules) > 25
    return [
        re.sub(r"<(?:\w+:)?(\w+)>", lambda match: ids.get(match[1], harbor.ada), rule.rule)
        for rule in rules
    ]


def answers(harbor: Harbor) -> Iterator[tuple[str, Reply]]:
    """Ask every route in every way, and make every kind of error."""
    harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    visit_id = browser.path.split("/")[2]
    for path in addresses(harbor, visit_id):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            yield f"{method} {path}", asks(harbor, method, path, cookies=browser.cookies)
    yield "static", asks(harbor, "GET", browser.page.attribute("link", "href") or "")
    for path in ("/", "/x", "/api/v2/x", "/static/x", "/gateway/x", "//healthz", "/%00"):
        yield f"404 {path}", asks(harbor, "GET", path)
    yield "other browser", asks(harbor, "GET", f"/gateway/{visit_id}/verify")
    yield "421", asks(harbor, "GET", "/", headers={"Host": EVIL})
    yield "413", asks(harbor, "POST", browser.path, data=b"x" * 100_000, cookies=browser.cookies)
    yield "503", asks(harbor, "GET", f"/gateway/{visit_id}", headers={"Sec-Purpose": "prefetch"})
    yield "429", guessed(harbor)
    yield from broken_answers(harbor, browser)


def guessed(harbor: Harbor) -> Reply:
    """Guess codes by a backend until no more is judged."""
    place = f"/org/{harbor.organization.domain}/totp-challenge/validation/{harbor.ada}"
    for number in range(20):
        reply = harbor.backend.calls("POST", place, json={"code": f"{number:06d}"})
        if reply.status != 200:
            break
    return reply


def broken_answers(harbor: Harbor, browser: Browser) -> Iterator[tuple[str, Reply]]:
    """Break the database, so that a page and a call of the API meet the unexpected."""
    harbor.executes(sa.update(Authenticator).values(secret="v1:gone:AAAA"))
    harbor.executes(sa.update(SigningKey).values(private="v1:gone:AAAA"))
    yield "500 page", browser.sends("verify", code="123456")
    yield "500 API", harbor.backend.asks_token()


def cacheable(name: str) -> bool:
    method, _, path = name.partition(" ")
    known = path in {
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/api/v2/openapi.json",
        "/api/v2/reference",
        "/static/css/gatehouse.css",
    }
    keys = path.startswith("/t/") and path.endswith("/.well-known")
    return name == "static" or (method in {"GET", "HEAD"} and (known or keys))


@ONE_DATABASE
def test_every_answer_carries_the_security_headers(harbor: Harbor) -> None:
    found = dict(answers(harbor))
    statuses = {reply.status for reply in found.values()}
    assert statuses >= {200, 303, 400, 401, 403, 404, 405, 413, 421, 429, 500, 503}
    for name, reply in found.items():
        policy = policy_of(reply)
        form_action = policy.pop("form-action")
        assert policy == POLICY, name
        assert form_action in {"'self'", "'self' https://notes.example"}, name
        assert reply.headers["x-content-type-options"] == "nosniff", name
        assert reply.headers["x-frame-options"] == "DENY", name
        assert reply.headers["cross-origin-opener-policy"] == "same-origin", name
        if not name.startswith("HEAD"):  # its answer has the headers of the page that it spares
            assert reply.headers["referrer-policy"] == expected_referrer(reply), name
        assert "strict-transport-security" not in reply.headers, name
        assert "x-request-id" in reply.headers, name
        assert ("no-store" in reply.headers["cache-control"]) != cacheable(name), name
        assert "server" not in reply.headers or "Werkzeug" not in reply.headers["server"]
        anybody = reply.headers.get("access-control-allow-origin") == "*"
        assert not anybody or ".well-known" in name or "jwks" in name, name  # what all may know
        kind = reply.headers.get("content-type", "")
        assert kind or not reply.text, name
        assert "charset=utf-8" in kind or not kind.startswith("text/"), name


def expected_referrer(reply: Reply) -> str:
    has_form = "form" in {tag for tag, _ in Page(reply.text).tags}
    return "same-origin" if has_form else "no-referrer"


@ONE_DATABASE
def test_over_tls_every_answer_demands_tls(https_harbor: Harbor) -> None:
    for name, reply in answers(https_harbor):
        hsts = reply.headers["strict-transport-security"]
        assert hsts == "max-age=31536000; includeSubDomains", name
        assert policy_of(reply)["frame-ancestors"] == "'none'", name


@ONE_DATABASE
def test_what_may_be_kept_is_kept_for_its_time(harbor: Harbor) -> None:
    keys = asks(harbor, "GET", "/.well-known/jwks.json")
    assert keys.headers["cache-control"] == "public, max-age=60"
    sheet = harbor.visits(harbor.ada).page.attribute("link", "href") or ""
    assert "max-age=31536000" in asks(harbor, "GET", sheet).headers["cache-control"]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("redirect_uri", "origin"),
    [
        ("https://notes.example/callback", "https://notes.example"),
        (
            "https://notes.example:8443/callback?x=https://evil.example",
            "https://notes.example:8443",
        ),
        ("http://localhost:5000", "http://localhost:5000"),
    ],
)
def test_forms_end_here_or_at_the_application_that_asked(
    harbor: Harbor, redirect_uri: str, origin: str
) -> None:
    application = harbor.registers("Other", redirect_uri)
    browser = harbor.visits(harbor.ada)  # an ask of another application, in the same browser
    browser.goes_to(application.opens(harbor.ada)["url"])
    for step in (
        lambda: browser.goes_to(browser.path),
        browser.sets_up,
        lambda: browser.types("123"),
        lambda: browser.types(harbor.code(browser.scans())),
        lambda: browser.goes_to(browser.path),
    ):
        step()
        assert policy_of(browser.reply)["form-action"] == f"'self' {origin}", browser.path
    stranger = harbor.browser()
    stranger.goes_to(browser.path)
    for reply in (stranger.reply, asks(harbor, "POST", browser.path, cookies=browser.cookies)):
        assert reply.status in {400, 403}
        assert policy_of(reply)["form-action"] == "'self'"


# Who we are is configured (F51)

POISON = {
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Server": EVIL,
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Scheme": "gopher",
    "X-Forwarded-Port": "1337",
    "X-Forwarded-Prefix": "/evil.example",
    "X-Forwarded-Ssl": "on",
    "X-Host": EVIL,
    "X-Original-URL": "/evil.example",
    "X-Rewrite-URL": "/evil.example",
    "X-Original-Host": EVIL,
    "X-HTTP-Host-Override": EVIL,
    "X-HTTP-Method-Override": "DELETE",
    "Forwarded": f"for=203.0.113.9;host={EVIL};proto=gopher",
    "Front-End-Https": "on",
    "SCRIPT_NAME": "/evil.example",
}


class Poisoned:
    """Carries requests with headers that lie about who we are."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.replies: list[Reply] = []

    def request(self, method: str, path: str, **more: Any) -> Reply:
        more["headers"] = {**POISON, **(more.get("headers") or {})}
        reply = self.wire.request(method, path, **more)
        self.replies.append(reply)
        return reply


def is_untouched(harbor: Harbor) -> None:
    """Walk an enrollment with lying headers: nothing of them is anywhere."""
    harbor.wire = harbor.notes.wire = Poisoned(harbor.wire)
    opened = harbor.notes.opens(harbor.ada)
    assert opened["url"].startswith(f"{harbor.base_url}/gateway/")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    phone = browser.sets_up()
    assert phone.settings["issuer"] == "Harbor"
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert harbor.notes.checks(browser.back["result"])["iss"] == harbor.base_url
    for reply in harbor.wire.replies:
        told = reply.text + str(reply.headers)
        # Whole marks: a few letters or digits turn up in random ids by themselves.
        assert not re.search(r"evil\.example|gopher:|:1337", told)
        assert not reply.location or reply.location.startswith(("/gateway/", "https://notes.ex"))


@ONE_DATABASE
def test_headers_that_lie_about_the_host_are_ignored(harbor: Harbor) -> None:
    is_untouched(harbor)


@ONE_DATABASE
def test_they_are_ignored_over_tls_and_behind_a_proxy_too(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    settings = {"base_url": "https://mfa.example", "trusted_proxies": "127.0.0.0/8"}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        is_untouched(harbor)


OTHER_HOSTS = [
    EVIL,
    f"{EVIL}:80",
    "localhost.",
    "localhost:8080",
    f"localhost.{EVIL}",
    f"localhost@{EVIL}",
    f"localhost,{EVIL}",
    f"{EVIL}, localhost",
    f"localhost {EVIL}",
    f"localhost/{EVIL}",
    "127.0.0.1",
    "[::1]",
    "\xef\xbc\xac\xef\xbd\x8f",
    " ",
]


@ONE_DATABASE
def test_only_the_configured_host_is_answered(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    paths = [
        browser.path,
        "/",
        "/oauth/token",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/oidc/authorize",
        "/oidc/token",
        "/static/css/gatehouse.css",
    ]
    for host in OTHER_HOSTS:
        for path in paths:
            reply = asks(harbor, "GET", path, headers={"Host": host}, cookies=browser.cookies)
            assert reply.status in {400, 421}, (host, path)
            assert EVIL not in reply.text + str(reply.headers)
        for path in ("/healthz", "/readyz"):
            assert asks(harbor, "GET", path, headers={"Host": host}).status == 200, (host, path)
    for host in ("localhost", "LocalHost", "localhost:80"):
        assert browser.goes_to(browser.path, headers={"Host": host}).status == 200, host
    assert asks(harbor, "GET", "/", headers={"Host": EVIL}).status == 421


def says(server: Server, *lines: str) -> str:
    """Send raw bytes to a server, and return all that it answers."""
    host, port = urlsplit(server.config.base_url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@ONE_DATABASE
def test_no_form_of_request_changes_who_a_server_is(server: Server, live_harbor: Harbor) -> None:
    host = urlsplit(server.config.base_url).netloc
    opened = live_harbor.notes.opens(live_harbor.ada)["url"]
    path = opened.removeprefix(live_harbor.base_url).split("?")[0]
    requests = {
        "absolute": (f"GET http://{EVIL}{path} HTTP/1.1", f"Host: {host}"),
        "absolute, other host": (f"GET {opened.split('?')[0]} HTTP/1.1", f"Host: {EVIL}"),
        "two hosts": (f"GET {path} HTTP/1.1", f"Host: {host}", f"Host: {EVIL}"),
        "two hosts, ours last": (f"GET {path} HTTP/1.1", f"Host: {EVIL}", f"Host: {host}"),
        "folded": (f"GET {path} HTTP/1.1", f"Host: {host}", f" {EVIL}"),
        "spaced": (f"GET {path} HTTP/1.1", f"Host : {EVIL}", f"Host: {host}"),
        "no host": (f"GET {path} HTTP/1.1",),
        "HTTP/1.0": (f"GET {path} HTTP/1.0",),
        "authority": (f"GET @{EVIL}{path} HTTP/1.1", f"Host: {host}"),
        "slashes": (f"GET //{EVIL}{path} HTTP/1.1", f"Host: {host}"),
        "backslash": (f"GET /\\{EVIL} HTTP/1.1", f"Host: {host}"),
        "script name": (f"GET {path} HTTP/1.1", f"Host: {host}", f"SCRIPT_NAME: /{EVIL}"),
        "script-name": (f"GET {path} HTTP/1.1", f"Host: {host}", f"Script-Name: /{EVIL}"),
        "path info": (f"GET {path} HTTP/1.1", f"Host: {host}", "PATH_INFO: /healthz"),
        "scheme": (f"GET {path} HTTP/1.1", f"Host: {host}", "X-Forwarded-Proto: https"),
    }
    told = {name: says(server, *lines) for name, lines in requests.items()}
    for name, answer in told.items():
        status = answer.split(" ")[1]
        assert status in {"303", "400", "404", "421"}, (name, status)
        locations = re.findall("(?im)^location: *(.*?)\r$", answer)
        assert all(re.fullmatch(f"{re.escape(path)}/resume", found) for found in locations), name
    assert " 421 " in told["absolute, other host"].splitlines()[0]
    assert " 303 " in told["scheme"].splitlines()[0]
    health = says(server, "GET /healthz HTTP/1.1", f"Host: {EVIL}")
    assert health.startswith("HTTP/1.1 200")


# Who asks is the peer (F52)


def addresses_noted(harbor: Harbor, forwarded: str) -> set[str | None]:
    harbor.executes(sa.delete(Event))
    opened = harbor.notes.opens(harbor.ada)
    path = opened["url"].removeprefix(harbor.base_url)
    reply = asks(harbor, "GET", path, headers={"X-Forwarded-For": forwarded}, cookies={})
    assert reply.status == 303
    entered = sa.select(Event.address).where(Event.kind == "gateway_session:entered")
    return {address for (address,) in harbor.rows(entered)}


JUNK = [
    "",
    "a",
    ",",
    "unknown",
    "203.0.113.9:5678",
    "[2001:db8::1]:80",
    "203.0.113.9, a",
    "1",
    "\0",
]
JUNK += ["fe80::1%eth0", "fe80::1%<b>\x85forged", "0x7f.1", "203.0.113.9 ,,", "x" * 5000]


@ONE_DATABASE
def test_a_client_can_not_name_its_own_address(harbor: Harbor) -> None:
    for forwarded in ("203.0.113.9", "127.0.0.1, 203.0.113.9", "2001:db8::1", *JUNK):
        assert addresses_noted(harbor, forwarded) == {"127.0.0.1"}, forwarded


@ONE_DATABASE
def test_a_trusted_proxy_names_the_client(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    proxies = "127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48"
    with stage(database_url, tmp_path, clock, trusted_proxies=proxies) as harbor:
        for forwarded, expected in {
            "203.0.113.9": "203.0.113.9",
            " 203.0.113.9 ": "203.0.113.9",
            "198.51.100.1, 203.0.113.9": "203.0.113.9",
            "203.0.113.9, 10.1.2.3": "203.0.113.9",
            "203.0.113.9, 2001:db8:1::5, 10.1.2.3": "203.0.113.9",
            "a, 203.0.113.9": "203.0.113.9",
            "2001:DB8:2:0::1": "2001:db8:2::1",
            "10.1.1.1, 10.1.2.3": "10.1.1.1",
            ", ".join(["198.51.100.1"] * 50): "198.51.100.1",
            "203.0.113.9, a, 10.1.2.3": "10.1.2.3",
            **dict.fromkeys(JUNK, "127.0.0.1"),
        }.items():
            assert addresses_noted(harbor, forwarded) == {expected}, forwarded


# Where the peer is


def country_noted(harbor: Harbor, **headers: str) -> str | None:
    harbor.executes(sa.delete(Event))
    path = harbor.notes.opens(harbor.ada)["url"].removeprefix(harbor.base_url)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    assert asks(harbor, "GET", path, headers=named, cookies={}).status == 303
    entered = sa.select(Event.country).where(Event.kind == "gateway_session:entered")
    [(country,)] = harbor.rows(entered)
    return country


@ONE_DATABASE
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"trusted_proxies": "127.0.0.1"},
        {"trusted_proxies": "10.0.0.0/8", "country_header": "CF-IPCountry"},
    ],
    ids=["nothing set", "no header named", "from no trusted proxy"],
)
def test_a_client_can_not_name_its_own_country(
    database_url: str, tmp_path: Path, clock: FixedClock, settings: dict[str, str]
) -> None:
    """F52: also if it pretends that a proxy was on the way."""
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        assert country_noted(harbor, CF_IPCountry="FR") is None
        assert country_noted(harbor, CF_IPCountry="FR", X_Forwarded_For="10.1.2.3") is None
        assert country_noted(harbor, X_Country="FR", country="FR") is None


@ONE_DATABASE
def test_a_trusted_proxy_names_the_country_in_the_header_that_is_set_for_it(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """What is no country of ISO 3166 is no country: unknown, Tor, several, words, markup."""
    settings = {"trusted_proxies": "127.0.0.1", "country_header": "cf-ipcountry"}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        for code in ("FR", "GB", "TW", "AQ"):
            assert country_noted(harbor, CF_IPCountry=code) == code
        for code in ("", "fr", "XX", "T1", "ZZ", "EU", "FRA", "FR,US", "250", "001", "<b>", "é"):
            assert country_noted(harbor, CF_IPCountry=code) is None, code
        assert country_noted(harbor) is None
        assert country_noted(harbor, X_AppEngine_Country="FR") is None


# Whose form it is (F66)


def gateway_forms(harbor: Harbor, visit_id: str) -> list[str]:
    rules = [rule for rule in app_of(harbor).url_map.iter_rules() if "POST" in rule.methods]
    mine = [rule.rule for rule in rules if rule.endpoint.startswith("gateway.")]
    assert len(mine) >= 7
    known = {
        "<visit_id>": visit_id,
        "<uuid:authenticator_id>": harbor.ada,
        "<uuid:browser_id>": harbor.ada,
        "<kind>": "email",
    }
    return [re.sub("<[^>]+>", lambda match: known[match[0]], rule) for rule in mine]


def state(harbor: Harbor) -> str:
    tables = (GatewaySession, Authenticator, Verification, Result, User, Event)
    return repr([harbor.rows(sa.select(*table.__table__.columns)) for table in tables])


def is_out_of_date(browser: Browser, reply: Reply, why: str) -> None:
    assert reply.status == 400, why
    page = Page(reply.text)
    assert page.heading == "This form is out of date", why
    assert page.links[-1] == browser.address("resume"), why


def changed(token: str) -> str:
    """Return it with another mark, not at its end: of the last one not all bits count."""
    return f"{token[:-10]}{'B' if token[-10] == 'A' else 'A'}{token[-9:]}"


def ways_in(harbor: Harbor, browser: Browser) -> dict[str, dict[str, Any]]:
    """Return ways to send a form without being the page that it belongs to."""
    other = harbor.visits(harbor.ada)
    right, text = browser.form_token, {"Content-Type": "text/plain"}
    return {
        "no token": {"data": {}},
        "an empty one": {"data": {"csrf_token": ""}},
        "junk": {"data": {"csrf_token": "x"}},
        "a changed one": {"data": {"csrf_token": changed(right)}},
        "another browser's": {"data": {"csrf_token": other.form_token}},
        "in the address": {"data": {}, "query": f"?csrf_token={quote(right)}"},
        "as text": {"data": f"csrf_token={right}&kind=totp&code=123456".encode(), "headers": text},
        "as JSON": {"json": {"csrf_token": right, "kind": "totp", "code": "123456"}},
    }


@ONE_DATABASE
def test_a_form_counts_only_from_its_own_page(harbor: Harbor) -> None:
    harbor.enrolls()
    bobs = harbor.visits(harbor.person("bob@harbor.example"))
    for browser in (harbor.visits(harbor.ada), bobs):
        ways = ways_in(harbor, browser)
        before = state(harbor)
        for path in gateway_forms(harbor, browser.path.split("/")[2]):
            for why, sent in ways.items():
                sent = dict(sent)
                address = path + sent.pop("query", "")
                reply = asks(harbor, "POST", address, cookies=dict(browser.cookies), **sent)
                is_out_of_date(browser, reply, f"{path} {why}")
        assert state(harbor) == before
        turn = browser.path
        assert browser.goes_to(browser.address("resume")).status == 200
        assert browser.path == turn


@ONE_DATABASE
def test_over_tls_a_form_must_come_from_here(https_harbor: Harbor) -> None:
    harbor = https_harbor
    browser = harbor.visits(harbor.ada)
    before = state(harbor)
    sent = {"csrf_token": browser.form_token, "kind": "totp", "code": "123456"}
    origins = [
        {"Referer": f"https://{EVIL}/", "Origin": f"https://{EVIL}"},
        {"Referer": f"https://mfa.example.{EVIL}/"},
        {"Referer": f"https://{EVIL}/?https://mfa.example/"},
        {"Referer": "http://mfa.example/"},
        {"Referer": "https://mfa.example:444/"},
        {"Referer": "https://notes.example/"},
        {"Referer": "null", "Origin": "null"},
        {"Referer": f"https://{EVIL}/", "X-Forwarded-Proto": "http"},
        {"Origin": "https://mfa.example"},
        {},
    ]
    for path in gateway_forms(harbor, browser.path.split("/")[2]):
        for headers in origins:
            jar = dict(browser.cookies)
            reply = asks(harbor, "POST", path, headers=headers, data=sent, cookies=jar)
            is_out_of_date(browser, reply, f"{path} {headers}")
    assert state(harbor) == before
    browser.sets_up()


# No input becomes markup (F67)

PAYLOAD = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{8191*8191}}{%x%}"
BENIGN = "plain words"
Shape = list[tuple[str, list[str]]]


def shape(text: str) -> Shape:
    """Return which tags with which attributes stand on a page, whatever they say."""
    return [(tag, sorted(found)) for tag, found in Page(text).tags]


def named(harbor: Harbor, word: str, email: str) -> str:
    """Create a user whose profile holds a word, and return the id."""
    profile = {"locale": word, "given_name": word}
    body = {"email": email, "profile": profile, "external_id": word}
    created = harbor.backend.calls("POST", "/org/harbor/users", json=body)
    assert created.status == 201, created.text
    return str(created.json["id"])


def tour(harbor: Harbor, word: str, user: str) -> dict[str, tuple[Shape, str]]:
    """Have every page show a word wherever somebody else may choose it."""
    harbor.executes(sa.update(Organization).values(name=word, locale=word[:30]))
    harbor.executes(sa.update(Application).values(name=word))
    harbor.wire = harbor.notes.wire = Curious(harbor.wire, word)
    pages: dict[str, tuple[Shape, str]] = {}
    for mode in ("query", "form_post"):
        ask = {"state": word, "nonce": word, "locale": word[:35], "response_mode": mode}
        for name, reply in visit(harbor, user, word, ask):
            pages[f"{name}, {mode}"] = shape(reply.text), reply.text
        harbor.clock.advance(60)
    return pages


class Curious:
    """Carries requests that have a word wherever a browser may be made to put one."""

    def __init__(self, wire: Any, word: str) -> None:
        self.wire = wire
        self.word = word

    def request(self, method: str, path: str, **more: Any) -> Reply:
        headers = dict.fromkeys(("User-Agent", "Accept-Language", "X-Request-Id"), self.word)
        headers |= {"X-Forwarded-For": self.word, "Accept": self.word}
        more["headers"] = {**headers, **(more.get("headers") or {})}
        if method == "GET" and path.startswith("/gateway/"):
            names = ("error", "error_description", "code", "locale", "lang", "next", self.word)
            query = "&".join(f"{quote(name)}={quote(self.word)}" for name in names)
            path += ("&" if "?" in path else "?") + query
        return self.wire.request(method, path, **more)


def visit(harbor: Harbor, user: str, word: str, ask: dict[str, str]) -> Iterator[tuple[str, Reply]]:
    browser = harbor.visits(user, **ask)
    if browser.path.endswith("/set-up"):
        yield "set-up", browser.reply
        phone = browser.sets_up()
        yield "enroll", browser.reply
        yield "enroll, refused", browser.types(word)
        yield "codes", browser.types(harbor.code(phone))
        browser.saves_codes()
        yield "ended", browser.goes_to(browser.address("ended"))
        browser = harbor.visits(user, **ask)
    yield "verify", browser.reply
    yield "verify, short", browser.types(word)
    yield "verify, wrong", browser.types(f"{word} 123456")
    yield "form out of date", browser.sends("verify", csrf_token=word)
    yield "not found", browser.goes_to(f"/gateway/{quote(word)}")
    browser.path = browser.address("x").replace(quote(word), "x")
    yield from endings(harbor, user, ask)


def endings(harbor: Harbor, user: str, ask: dict[str, str]) -> Iterator[tuple[str, Reply]]:
    browser = harbor.visits(user, **ask)
    yield "other browser", harbor.browser().goes_to(browser.path)
    browser.submits(-1)
    yield "cancelled", browser.goes_to(browser.address("ended"))
    yield "back", browser.goes_to(browser.address("return"))
    browser = harbor.visits(user, **ask)
    harbor.executes(sa.update(GatewaySession).values(status="failed"))
    yield "failed", browser.goes_to(browser.path)
    browser = harbor.visits(user, **ask)
    harbor.clock.advance(1800)
    yield "expired", browser.goes_to(browser.path)


@ONE_DATABASE
def test_no_word_of_anybody_becomes_markup(harbor: Harbor) -> None:
    email = "{{8191*8191}}'onfocus=alert`1`&lt&#60/*@harbor.example"
    bob, eve = named(harbor, BENIGN, "bob@harbor.example"), named(harbor, PAYLOAD, email)
    wire = harbor.wire
    plain = tour(harbor, BENIGN, bob)
    harbor.wire = harbor.notes.wire = wire
    evil = tour(harbor, PAYLOAD, eve)
    assert evil.keys() == plain.keys()
    assert len(evil) > 20
    for name, (found, text) in evil.items():
        assert found == plain[name][0], name
        assert "<script>alert" not in text, name
        assert str(8191 * 8191) not in text, name
    shown = evil["verify, query"][1]
    assert Page(shown).text.count("<script>alert(1)</script>") >= 3
    assert email in Page(shown).text


# The secret stays in the house (F69)


def links(browser: Browser) -> list[str]:
    """Return every address on the page that a browser may open."""
    names = {"src", "href", "action", "formaction", "srcset", "poster", "data", "xlink:href"}
    found = [str(it[name]) for _, it in browser.page.tags for name in names & set(it)]
    return [link for link in found if link and not link.startswith("#")]


@ONE_DATABASE
def test_the_pages_ask_nobody_else_for_anything(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    visited = [browser.page]
    phone = browser.sets_up()
    visited.append(browser.page)
    assert phone.uri in links(browser)
    secret = {phone.key, phone.key.lower(), quote(phone.key), phone.secret.hex(), "otpauth"}
    for link in links(browser):
        if link != phone.uri:
            assert link.startswith("/") and not link.startswith("//"), link
            assert not [it for it in secret if it in link], link
    assert not [it for it in secret if it in browser.page.title + browser.path]
    assert not re.search(r"\bhttps?[:-]", browser.reply.text)
    assert "style=" not in browser.reply.text
    assert not [name for _, it in browser.page.tags for name in it if name.startswith("on")]
    for link in links(browser):
        if link.startswith("/static/"):
            assert asks(harbor, "GET", link).status == 200
            assert not [it for it in secret if it in asks(harbor, "GET", link).text]


def test_static_files_ask_nobody_else_for_anything() -> None:
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".css", ".js", ".svg"}
    for path in files:
        text = path.read_bytes().decode("latin-1").replace("http://www.w3.org/2000/svg", "")
        found = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]|@import|url\((?!['\"]?data:)", text)
        assert not found, path.name


# No path leads anywhere else (F74)


@ONE_DATABASE
@pytest.mark.parametrize(
    "climb",
    [
        "../../pyproject.toml",
        "css/../../../pyproject.toml",
        "%2e%2e/%2e%2e/pyproject.toml",
        "%2e%2e%2f%2e%2e%2fpyproject.toml",
        "..%5c..%5cpyproject.toml",
        "..\\..\\pyproject.toml",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "css/gatehouse.css%00.png",
        "....//....//pyproject.toml",
        "",
        "css",
    ],
)
def test_no_path_leads_out_of_the_static_files(harbor: Harbor, climb: str) -> None:
    reply = asks(harbor, "GET", f"/static/{climb}")
    assert reply.status in {400, 404}, climb
    assert "[project]" not in reply.text
    assert "root:" not in reply.text


@ONE_DATABASE
@pytest.mark.parametrize(
    "odd", ["../../etc/passwd", "..%2f..%2fmessages", "fr/../../x", "{{7*7}}", "a\\b"]
)
def test_no_name_of_a_language_is_a_path(harbor: Harbor, odd: str) -> None:
    asked = harbor.notes.asks(harbor.ada, locale=odd)
    assert asked.status in {201, 422}, odd
    harbor.executes(sa.update(User).values(profile={"locale": odd}))
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.path, headers={"Accept-Language": odd})
    assert browser.reply.status == 200
    assert browser.page.attribute("html", "lang") == "en"
    harbor.enrolls_on_the_pages()  # which writes a notice in the user's language
