"""A browser's visit: who may walk it, in which order, for how long, and how it ends."""

from __future__ import annotations

import base64
import json
import re
import zlib
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Event, GatewaySession, Result, User
from tests.actors import Browser, Phone, keep_secret
from tests.conftest import ONE_DATABASE, Harbor, InProcess

OTHER_BROWSER = "This page belongs to another browser"
PAGES = (
    "",
    "resume",
    "set-up",
    "enroll",
    "recovery-codes",
    "verify",
    "blocked",
    "ended",
    "return",
)


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def forged(code: str) -> dict[str, dict[str, str]]:
    """Return every form of a visit but that for going back."""
    return {
        "set-up": {"kind": "totp"},
        "enroll": {"code": code},
        "recovery-codes": {},
        "recovery-codes/new": {},
        "recovery-codes/download": {},
        "verify": {"code": code},
    }


def rows(harbor: Harbor) -> list[object]:
    """Return everything that a visit may change."""
    return [
        harbor.rows(sa.select(*table.__table__.columns).order_by(*table.__table__.primary_key))
        for table in (GatewaySession, Authenticator, Result, User, Event)
    ]


# No step is skipped (F25)


def test_a_new_user_can_not_jump_over_a_step(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    before = rows(harbor)
    for page in PAGES:
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/set-up"), page
    for page, fields in forged("123456").items():
        if page != "set-up":
            browser.sends(page, **fields)
            assert browser.path.endswith("/set-up"), page
    assert rows(harbor) == before
    assert harbor.notes.redeems(opened["id"], "x.y.z").error == "result_invalid"
    browser.sends("set-up", kind="totp")
    before = rows(harbor)
    for page in set(PAGES) - {"set-up"}:
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/enroll"), page
    for page in set(forged("")) - {"set-up", "enroll"}:
        browser.sends(page, code=harbor.code(browser.scans()))
        assert browser.path.endswith("/enroll"), page
    assert rows(harbor) == before


def test_an_enrolled_user_can_not_jump_over_the_code(harbor: Harbor) -> None:
    harbor.enrolls()
    for intent in ("verify", "enroll"):
        browser = harbor.visits(harbor.ada, intent=intent)
        before = rows(harbor)
        for page in PAGES:
            browser.goes_to(browser.address(page))
            assert browser.path.endswith("/verify"), page
        for page, fields in forged("123").items():
            browser.sends(page, **fields)
            assert browser.path.endswith("/verify"), page
        assert rows(harbor) == before


def test_a_visit_that_is_over_changes_nothing_more(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.sends("cancel")
    before = rows(harbor)
    for page, fields in forged(harbor.code(phone)).items():
        browser.sends(page, **fields)
        assert browser.page.heading == "You went back", page
    for page in set(PAGES) - {"return"}:
        browser.goes_to(browser.address(page))
        assert browser.page.heading == "You went back", page
    browser.sends("cancel")
    assert browser.back["error"] == "access_denied"
    assert rows(harbor) == before


# One visit, one browser (F28, F29)


def is_refused(browser: Browser) -> None:
    assert browser.reply.status == 403
    assert browser.page.heading == OTHER_BROWSER
    assert "start again from Harbor Notes" in browser.page.text
    assert "ada@harbor.example" not in browser.reply.text


def test_another_browser_can_not_go_on(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    first, second = harbor.browser(), harbor.visits(harbor.person("bob@harbor.example"))
    first.goes_to(opened["url"])
    before = rows(harbor)
    second.goes_to(opened["url"])
    is_refused(second)
    for page in PAGES:
        second.goes_to(second.address(page))
        is_refused(second)
    for page, fields in {**forged(harbor.code(phone)), "cancel": {}}.items():
        second.sends(page, **fields)
        is_refused(second)
    assert rows(harbor) == before
    first.types(harbor.code(phone))
    assert "result" in first.back
    second.goes_to(second.address("return"))
    is_refused(second)


def test_the_cookie_of_one_visit_opens_no_other(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    mine = harbor.visits(harbor.person("bob@harbor.example"))
    target = harbor.visits(harbor.ada)
    [own], [wanted] = ([name for name in one.cookies if "visit" in name] for one in (mine, target))
    before = rows(harbor)
    for value in (mine.cookies[own], "", "x", target.cookies[wanted][:-1]):
        mine.cookies[wanted] = value
        mine.path = target.path
        mine.sends("verify", code=harbor.code(phone))
        is_refused(mine)
    del mine.cookies[wanted]
    mine.goes_to(target.path)
    is_refused(mine)
    assert rows(harbor) == before


def test_an_address_of_nobody_is_not_found(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    short = browser.path.split("/")[2]
    for visit_id in (short[:-1], short + "x", f"gateway-session_{short}", "x", "%00", "'", "%"):
        for page in ("", "/resume", "/verify", "/ended"):
            browser.goes_to(f"/gateway/{visit_id}{page}")
            assert browser.reply.status == 404, (visit_id, page)
            browser.goes_to(f"/gateway/{visit_id}{page}?token=x")
            assert browser.reply.status == 404, (visit_id, page)


def test_the_address_works_once_and_in_the_same_browser_again(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    given = dict(browser.cookies)
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/set-up")
    assert browser.cookies == given
    assert len(harbor.rows(sa.select(Event).where(Event.kind == "gateway_session:entered"))) == 1


def test_an_address_that_nobody_opened_in_time_says_so(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    harbor.clock.advance(31 * 60)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.reply.status == 403
    assert browser.page.heading == "This page has expired"
    assert "https://notes.example" in browser.page.links
    assert browser.cookies == {}


def test_a_wrong_token_binds_nobody(harbor: Harbor) -> None:
    opened, other = harbor.notes.opens(harbor.ada), harbor.notes.opens(harbor.ada)
    address, right = opened["url"].split("?")[0], token_of(opened["url"])
    stranger = harbor.browser()
    for token in ("", "x", right[:-1], right + "x", right.swapcase(), token_of(other["url"])):
        stranger.goes_to(f"{address}?token={token}")
        is_refused(stranger)
    for query in ("", f"?TOKEN={right}", f"?token[]={right}", f"?token=x&token={right}"):
        stranger.goes_to(address + query)
        is_refused(stranger)
    assert not [name for name in stranger.cookies if "visit" in name]
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/set-up")


@ONE_DATABASE
def test_a_look_ahead_binds_nobody(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    path = opened["url"].removeprefix(harbor.base_url)
    looks: list[tuple[str, dict[str, str]]] = [
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"Purpose": "prefetch"}),
    ]
    for method, headers in looks:
        jar: dict[str, str] = {}
        reply = harbor.wire.request(method, path, headers=headers, cookies=jar)
        assert reply.status == 503 if headers else reply.status < 400, method
        assert not jar, method
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/set-up")


@ONE_DATABASE
def test_the_token_leaves_the_address_at_once(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    token, jar = token_of(opened["url"]), dict[str, str]()
    assert len(base64.urlsafe_b64decode(token + "==")) == 16
    first = harbor.wire.request("GET", opened["url"].removeprefix(harbor.base_url), cookies=jar)
    assert first.status == 303
    assert token not in json.dumps([first.headers, first.text, jar])
    for again in (jar, dict[str, str]()):
        later = harbor.wire.request("GET", opened["url"].split("localhost")[1], cookies=again)
        assert later.status == 303
        assert token not in json.dumps([later.headers, later.text, again])
    browser = Browser(harbor.wire, harbor.base_url, jar)
    browser.goes_to(first.location)
    phone = browser.sets_up()
    assert token not in browser.reply.text
    browser.types(harbor.code(phone))
    assert token not in browser.reply.text
    browser.saves_codes()
    assert token not in json.dumps([browser.reply.headers, browser.path])


# Cookies


def walk(harbor: Harbor) -> tuple[Browser, Phone, list[str]]:
    """Enroll Ada, and return her browser, her phone, and every cookie that was set on the way."""
    assert isinstance(harbor.wire, InProcess)
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert "result" in browser.back
    return browser, phone, harbor.wire.cookies_set


@ONE_DATABASE
def test_cookies_are_for_this_host_and_no_script(harbor: Harbor) -> None:
    for header in walk(harbor)[2]:
        assert flags(header) >= {"httponly", "samesite=lax", "path=/"}, header
        assert not flags(header) & {"secure"}, header
        assert "domain" not in header.lower()


@ONE_DATABASE
def test_over_tls_cookies_are_bound_to_the_host(https_harbor: Harbor) -> None:
    _, _, headers = walk(https_harbor)
    assert {"visit", "codes"} <= {part for header in headers for part in header.split("-")}
    for header in headers:
        assert header.startswith("__Host-"), header
        assert flags(header) >= {"secure", "httponly", "samesite=lax", "path=/"}, header
        assert "domain" not in header.lower()


def flags(header: str) -> set[str]:
    return {part.strip().lower() for part in header.split(";")[1:]}


@ONE_DATABASE
def test_cookies_live_little_longer_than_the_visit(harbor: Harbor) -> None:
    for header in walk(harbor)[2]:
        for name, morsel in SimpleCookie(header).items():
            lasting = "visit" in name or "codes" in name
            assert bool(morsel["max-age"]) == lasting, header
            assert int(morsel["max-age"] or 0) <= 35 * 60, header


@ONE_DATABASE
def test_cookies_say_nothing_to_who_reads_them(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada, state="the state", nonce="the nonce")
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.page.area.split()
    told = " ".join(reading for value in browser.cookies.values() for reading in readings(value))
    hidden = ["ada@", "harbor", "Harbor", "notes", "the state", "the nonce", phone.key, harbor.ada]
    assert not [word for word in [*hidden, *codes, codes[0][:9]] if word in told]
    [form_cookie] = [value for name, value in browser.cookies.items() if name == "gatehouse"]
    assert list(json.loads(readings(form_cookie)[1])) == ["csrf_token"]


def readings(value: str) -> list[str]:
    """Return a cookie's value and whatever its parts hold, unpacked as far as anybody can."""
    found = [value]
    for part in re.split(r"[.:]", value):
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found.append(data.decode("latin-1"))
        try:
            found.append(zlib.decompress(data).decode("latin-1"))
        except zlib.error:
            continue
    return found


@ONE_DATABASE
def test_many_visits_do_not_pile_up_cookies(harbor: Harbor) -> None:
    browser = harbor.browser()
    paths = []
    for _ in range(12):
        harbor.clock.advance(1)
        browser.goes_to(harbor.notes.opens(harbor.ada)["url"])
        paths.append(browser.path)
    assert len(browser.cookies) <= 10
    assert sum(len(name) + len(value) for name, value in browser.cookies.items()) < 2000
    for path in paths[-8:]:
        browser.goes_to(path)
        assert browser.reply.status == 200
    browser.goes_to(paths[0])
    is_refused(browser)


# How long


@pytest.mark.parametrize(
    ("enrolled", "intent", "minutes"),
    [(True, "verify", 15), (True, "enroll", 30), (False, "verify", 30), (False, "enroll", 30)],
)
def test_a_visit_lasts_so_many_minutes(
    harbor: Harbor, enrolled: bool, intent: str, minutes: int
) -> None:
    if enrolled:
        harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada, intent=intent, state="s")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    turn = browser.path
    harbor.clock.advance(minutes * 60 - 1)
    assert browser.goes_to(turn).status == 200
    assert browser.path == turn
    harbor.clock.advance(1)
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "expired"
    for page in set(PAGES) - {"return"}:
        browser.goes_to(browser.address(page))
        assert browser.page.heading == "This page has expired", page
    assert "Start again from Harbor Notes." in browser.page.text
    browser.goes_to(browser.page.links[-1])
    assert browser.back == {
        "state": "s",
        "session_id": opened["id"],
        "error": "access_denied",
        "error_description": "The gateway session expired.",
    }


def test_an_expired_visit_accepts_nothing(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser, late = harbor.visits(harbor.ada), harbor.browser()
    opened = harbor.notes.opens(harbor.ada)
    harbor.clock.advance(15 * 60)
    before = rows(harbor)
    late.goes_to(opened["url"])
    assert late.reply.status == 403
    browser.types(harbor.code(phone))
    assert browser.page.heading == "This page has expired"
    browser.sends("cancel")
    assert browser.back["error"] == "access_denied"
    assert rows(harbor) == before


# How it ends


@ONE_DATABASE
def test_going_back_needs_a_form(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada, state="s")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    cancel = browser.address("cancel")
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert harbor.wire.request(method, cancel, cookies=browser.cookies).status == 405, method
    assert harbor.wire.request("POST", cancel, cookies=browser.cookies).status == 400
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "pending"
    browser.submits(-1)
    assert browser.reply.location.startswith("https://notes.example/callback?state=s&")
    assert browser.back == {
        "state": "s",
        "session_id": opened["id"],
        "error": "access_denied",
        "error_description": "The user went back without confirming.",
    }
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "cancelled"


def test_every_page_of_an_open_visit_leads_back(harbor: Harbor) -> None:
    harbor.enrolls()
    fresh = harbor.person("bob@harbor.example")
    for user, page in ((fresh, "set-up"), (fresh, "enroll"), (harbor.ada, "verify")):
        browser = harbor.visits(user)
        if page == "enroll":
            browser.sets_up()
        assert browser.path.endswith(page)
        browser.submits(-1)
        assert browser.back["error"] == "access_denied"
        assert "result" not in browser.back
    assert harbor.rows(sa.select(Result.id)) == []


def test_after_the_end_going_back_still_tells_the_truth(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    browser.sends("cancel")
    assert harbor.notes.checks(browser.back["result"])["status"] == "verified"


def test_the_result_can_be_fetched_again_until_it_is_used(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    browser.types(harbor.code(phone))
    first = harbor.notes.checks(browser.back["result"])
    harbor.clock.advance(119)
    browser.goes_to(browser.address("ended"))
    assert browser.page.heading == "You are confirmed"
    browser.goes_to(browser.page.links[-1])
    again = browser.back["result"]
    assert harbor.notes.checks(again) == first
    assert harbor.notes.redeems(opened["id"], again).status == 200
    used_or_old(browser, opened["id"])


def test_the_result_can_not_be_fetched_after_two_minutes(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    browser.types(harbor.code(phone))
    harbor.clock.advance(120)
    used_or_old(browser, opened["id"])
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "verified"


def used_or_old(browser: Browser, session_id: str) -> None:
    browser.goes_to(browser.address("return"))
    assert browser.back == {
        "session_id": session_id,
        "error": "access_denied",
        "error_description": "The result was used or is too old.",
    }


NASTY_STATES = [
    "",
    "séance 1",
    " two  spaces ",
    "a&b=c#d%20e%zz+f;g?h/i\\j",
    "\"'<>`{}|^[]",
    "https://evil.example/?state=x&result=y",
    "&result=forged&error=",
    '"><script>alert(1)</script>',
    "%0d%0aSet-Cookie: x=y",
    "日本語 🔑 e\N{COMBINING ACUTE ACCENT} \N{RIGHT-TO-LEFT OVERRIDE}x",
    "\N{NEXT LINE}\N{LINE SEPARATOR}\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\ufeff",
    "\U0010ffff\ue000",
    "x" * 1024,
    "é" * 512,
    "&" * 1024,
]


REDIRECT_URIS = [
    "https://notes.example/callback?next=%2Fa%20b&state=mine;x",
    "https://notes.example/?",
    "https://notes.example:8443",
    "http://localhost:5000/callback",
]


def test_the_state_comes_back_byte_for_byte(harbor: Harbor) -> None:
    cases = [(harbor.notes.redirect_uri, state) for state in NASTY_STATES]
    cases += [(redirect_uri, "a&b=c#d%20é") for redirect_uri in REDIRECT_URIS]
    for redirect_uri, state in cases:
        application = harbor.registers("Other", redirect_uri)
        browser = harbor.browser()
        browser.goes_to(application.opens(harbor.ada, state=state)["url"])
        browser.submits(-1)
        location = browser.reply.location
        assert location.isascii()
        mark = "&" if "?" in redirect_uri else "?"
        query = location.removeprefix(f"{redirect_uri}{mark}")
        assert query != location, location
        pairs = [pair.split("=") for pair in query.split("&")]
        assert [name for name, _ in pairs] == ["state", "session_id", "error", "error_description"]
        assert unquote_to_bytes(pairs[0][1]) == state.encode(), state


@ONE_DATABASE
def test_without_a_state_none_comes_back(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    browser.submits(-1)
    assert list(browser.back) == ["session_id", "error", "error_description"]


@ONE_DATABASE
def test_a_result_comes_back_beside_what_the_address_had(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    address = "https://notes.example/back?tenant=a%26b"
    application = harbor.registers("Other", address)
    browser = harbor.browser()
    browser.goes_to(application.opens(harbor.ada, state="a b")["url"])
    browser.types(harbor.code(phone))
    assert browser.reply.location.startswith(f"{address}&state=a%20b&session_id=")
    assert list(browser.back) == ["tenant", "state", "session_id", "result"]
    assert application.checks(browser.back["result"])["aud"] == application.client_id


# The way back as a form


@ONE_DATABASE
def test_a_form_brings_the_result_back(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for state in ('"><b>é&', "&amp;quot;", " x "):
        harbor.clock.advance(30)
        opened = harbor.notes.opens(harbor.ada, state=state, response_mode="form_post")
        browser = harbor.browser()
        browser.goes_to(opened["url"])
        browser.types(harbor.code(phone))
        assert browser.path.endswith("/return")
        [form] = browser.page.forms
        assert form["action"] == "https://notes.example/callback"
        assert list(form["fields"]) == ["state", "session_id", "result"]
        assert form["fields"]["state"] == state
        assert form["fields"]["session_id"] == opened["id"]
        claims = harbor.notes.checks(keep_secret(form["fields"]["result"]))
        assert claims["sid"] == opened["id"]
    policy = browser.reply.headers["content-security-policy"]
    assert "form-action 'self' https://notes.example" in policy.split("; ")
    [button] = [found for tag, found in browser.page.tags if tag == "button"]
    assert button.get("name") is None
    assert ("data-send" in dict(next(it for tag, it in browser.page.tags if tag == "form"))) is True
    assert harbor.notes.redeems(opened["id"], form["fields"]["result"]).status == 200
    browser.goes_to(browser.path)
    assert browser.page.forms[0]["fields"]["error"] == "access_denied"


@ONE_DATABASE
def test_a_form_brings_a_refusal_back(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada, state="s", response_mode="form_post")
    session_id = f"gateway-session_{browser.path.split('/')[2]}"
    browser.submits(-1)
    assert browser.path.endswith("/return")
    [form] = browser.page.forms
    assert form["fields"] == {
        "state": "s",
        "session_id": session_id,
        "error": "access_denied",
        "error_description": "The user went back without confirming.",
    }
