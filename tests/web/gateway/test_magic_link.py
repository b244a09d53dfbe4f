"""A magic link in the browser: followed by a person, looked at by scanners, opened elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.models import Event, GatewaySession, MagicLink, Result, User, Verification
from tests.actors import Browser, holds, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, FixedClock, Harbor, stage
from tests.web.gateway.test_parallel import at_once, twin

EMAIL = "ada@harbor.example"
CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{3}\b")
SCANNERS = [
    {"User-Agent": "Mozilla/5.0 (compatible; SafeLinks/1.0)"},
    {"User-Agent": "HeadlessChrome/126.0"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
]


def asks(harbor: Harbor, **more: object) -> dict[str, str]:
    reply = harbor.backend.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor", **more)
    assert reply.status == 200, reply.text
    return dict(reply.json)


def opens(harbor: Harbor, address: str, browser: Browser | None = None) -> Browser:
    browser = browser or harbor.browser()
    browser.goes_to(address)
    return browser


def waits(harbor: Harbor, asked: dict[str, str]) -> Browser:
    """Send the browser that asked to the page that waits."""
    return opens(harbor, asked["waiting_url"])


def code_told(harbor: Harbor, asked: dict[str, str]) -> str:
    """Open the link elsewhere, press its button, and read the short code."""
    elsewhere = opens(harbor, asked["magic_link"])
    elsewhere.submits()
    assert elsewhere.reply.status == 200
    found = CODE.search(elsewhere.page.text)
    assert found, elsewhere.page.text
    return keep_secret(found[0])


def state_of(harbor: Harbor) -> tuple[object, ...]:
    """Return all that following a link may change."""
    [link] = harbor.rows(sa.select(MagicLink.used_at, MagicLink.code_hash))
    [session] = harbor.rows(
        sa.select(GatewaySession.status, GatewaySession.browser_hash, GatewaySession.judged)
    )
    events = harbor.rows(sa.select(sa.func.count()).select_from(Event))
    return (*link, *session, *events[0])


# Followed


def test_a_link_is_followed_with_one_press(harbor: Harbor) -> None:
    asked = asks(harbor, state="s")
    browser = opens(harbor, asked["magic_link"])
    assert browser.page.heading == "Sign in to Harbor Notes"
    browser.submits()
    assert browser.reply.location.startswith(REDIRECT_URI + "?")
    assert browser.back["state"] == "s"
    claims = harbor.notes.exchanges(browser.back["code"]).json["claims"]
    assert (claims["acr"], claims["amr"]) == ("urn:gatehouse:acr:email", ["otp"])
    [verification] = [row.Verification for row in harbor.rows(sa.select(Verification))]
    assert verification.accepted
    assert (verification.kind, verification.challenge_id) == ("magic_link", asked["request_id"])


def test_a_link_works_once(harbor: Harbor) -> None:
    asked = asks(harbor)
    opens(harbor, asked["magic_link"]).submits()
    another = opens(harbor, asked["magic_link"])
    assert another.reply.status == 410
    assert another.page.heading == "This link was already used"
    late = opens(harbor, asks(harbor)["magic_link"])
    late.goes_to(asked["magic_link"], "POST", data={"csrf_token": late.form_token})
    assert late.reply.status == 410
    assert len(harbor.rows(sa.select(Result.id))) == 1


def test_the_browser_that_used_it_is_sent_on_when_it_comes_again(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = opens(harbor, asked["magic_link"])
    again = twin(browser)
    browser.submits()
    code = browser.back["code"]
    again.cookies.update(browser.cookies)
    again.submits()  # a double tap
    assert again.page.heading == "You are confirmed"
    again.goes_to(again.page.links[-1])
    assert again.back["code"] == code  # the same way back, which works once
    assert harbor.notes.exchanges(code).status == 200
    opens(harbor, asked["magic_link"], again)
    again.goes_to(again.page.links[-1])
    assert again.back["error"] == "access_denied"
    assert again.back["request_id"] == asked["request_id"]


def test_a_link_works_for_ten_minutes(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = opens(harbor, asked["magic_link"])
    harbor.clock.advance(599)
    opens(harbor, asked["magic_link"], browser)
    assert browser.reply.status == 200
    harbor.clock.advance(1)
    browser.submits()
    assert browser.reply.status == 410
    assert browser.page.heading == "This link no longer works"
    assert opens(harbor, asked["magic_link"]).page.heading == "This link no longer works"
    assert harbor.rows(sa.select(Verification.id)) == []


@ONE_DATABASE
def test_a_user_whom_only_an_administrator_unlocks_gets_in_by_no_link(harbor: Harbor) -> None:
    """F12: neither by a new one, nor by one from before the lock."""
    before = opens(harbor, asks(harbor)["magic_link"])
    harbor.executes(sa.update(User).values(failures=100))
    reply = harbor.backend.asks_link(EMAIL, REDIRECT_URI, org_domain="harbor")
    assert (reply.status, reply.error) == (429, "locked")
    before.submits()
    assert before.reply.status == 410
    assert harbor.rows(sa.select(Result.id)) == []


def test_a_link_that_never_was_is_no_page(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = opens(harbor, asked["magic_link"])
    for token in ("nonsense", "x" * 4000, "%C3%A9", asked["magic_link"].rpartition("/")[2][:-1]):
        browser.goes_to(f"/magic-link/{token}")
        assert browser.reply.status == 404
        browser.goes_to(f"/magic-link/{token}", "POST", data={"csrf_token": browser.form_token})
        assert browser.reply.status == 404


# Looked at


@ONE_DATABASE
def test_a_scanner_uses_nothing_up_and_learns_nothing(harbor: Harbor) -> None:
    """F50: whatever looks at the link, the user's own press still works."""
    asked = asks(harbor)
    path, before = asked["magic_link"].removeprefix(harbor.base_url), state_of(harbor)
    for headers in ({}, *SCANNERS):
        for method in ("HEAD", "GET", "OPTIONS", "GET", "GET", "GET", "GET"):
            jar: dict[str, str] = {}
            reply = harbor.wire.request(method, path, headers=headers, cookies=jar)
            assert reply.status == 200, (method, headers)
            assert not [name for name in jar if "visit" in name]
            assert EMAIL not in reply.text.lower()
            assert not set(reply.headers) & {"location"}
    # A form without this browser's own token, with and without one of another browser's cookies.
    other = opens(harbor, asked["magic_link"])
    for jar, form in (({}, {}), ({}, {"csrf_token": other.form_token}), (dict(other.cookies), {})):
        assert harbor.wire.request("POST", path, cookies=jar, data=form).status == 400
    assert state_of(harbor) == before
    browser = opens(harbor, asked["magic_link"])
    browser.submits()
    assert "code" in browser.back


@ONE_DATABASE
def test_the_page_of_a_link_names_the_application_and_not_the_user(harbor: Harbor) -> None:
    asked = asks(harbor)
    waits(harbor, asked)
    for browser in (opens(harbor, asked["magic_link"]), opens(harbor, asked["magic_link"])):
        assert "Harbor Notes" in browser.page.text
        assert EMAIL not in browser.reply.text
        browser.submits()  # the code to type elsewhere
        assert EMAIL not in browser.reply.text
    harbor.clock.advance(600)
    assert EMAIL not in opens(harbor, asked["magic_link"]).reply.text


@ONE_DATABASE
def test_the_pages_of_a_link_are_counted_against_the_address(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock, address_limit="3/minute") as harbor:
        asked = asks(harbor)
        statuses = [opens(harbor, asked["magic_link"]).reply.status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


# Opened in another browser than the one that asked


def test_in_the_browser_that_asked_it_completes(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = waits(harbor, asked)
    assert browser.page.heading == "Check your email"
    assert EMAIL in browser.page.text
    opens(harbor, asked["magic_link"], browser)
    browser.submits()
    assert "code" in browser.back


def test_elsewhere_it_tells_a_code_to_type_where_it_was_asked_for(harbor: Harbor) -> None:
    asked = asks(harbor, state="s")
    browser = waits(harbor, asked)
    code = code_told(harbor, asked)
    assert harbor.rows(sa.select(Result.id)) == []
    assert harbor.rows(sa.select(MagicLink.used_at)) == [(None,)]
    browser.types(code)
    assert browser.back["state"] == "s"
    assert harbor.notes.exchanges(browser.back["code"]).status == 200
    assert opens(harbor, asked["magic_link"]).page.heading == "This link was already used"


@ONE_DATABASE
def test_the_code_may_be_typed_as_people_type(harbor: Harbor) -> None:
    for way in (str.lower, lambda code: code.replace("-", " "), lambda code: f" {code} "):
        asked = asks(harbor)
        browser = waits(harbor, asked)
        browser.types(way(code_told(harbor, asked)))
        assert "code" in browser.back


@ONE_DATABASE
def test_opened_twice_elsewhere_it_tells_the_same_code(harbor: Harbor) -> None:
    asked = asks(harbor)
    waits(harbor, asked)
    assert code_told(harbor, asked) == code_told(harbor, asked)
    shown = harbor.rows(sa.select(Event).where(Event.kind == "magic_link:code_shown"))
    assert len(shown) == 1
    other = asks(harbor)
    waits(harbor, other)
    assert code_told(harbor, other) != code_told(harbor, asked)


@ONE_DATABASE
def test_a_code_is_never_digits_alone_and_stands_in_no_database(harbor: Harbor) -> None:
    for _ in range(5):
        asked = asks(harbor)
        waits(harbor, asked)
        code = code_told(harbor, asked).replace("-", "")
        assert not code.isdigit()
        assert not holds(harbor.dump(), code)


@ONE_DATABASE
def test_a_code_that_was_not_told_is_right_nowhere(harbor: Harbor) -> None:
    asked, other = asks(harbor), asks(harbor)
    browser = waits(harbor, asked)
    waits(harbor, other)
    browser.types(code_told(harbor, other))
    assert browser.reply.status == 422
    assert "That code is not right." in browser.page.text


def test_five_wrong_codes_end_the_session_and_the_link(harbor: Harbor) -> None:
    """F12: each is counted before it is judged."""
    asked = asks(harbor)
    browser = waits(harbor, asked)
    code = code_told(harbor, asked)
    for left in (4, 3, 2, 1):
        browser.types("AAA-AAA")
        assert browser.reply.status == 422
        assert f"{left} tr{'y' if left == 1 else 'ies'} left" in browser.page.text
    browser.types("AAA-AAA")
    assert browser.page.heading == "Too many wrong codes"
    assert "phone" not in browser.page.text
    browser.sends("link", code=code)
    assert browser.page.heading == "Too many wrong codes"
    assert opens(harbor, asked["magic_link"]).page.heading == "This link no longer works"
    opens(harbor, asked["magic_link"], browser)
    assert browser.page.heading == "Too many wrong codes"
    assert harbor.rows(sa.select(Result.id)) == []
    verdicts = harbor.rows(sa.select(Verification.reason, Verification.accepted))
    assert verdicts == [("wrong", False)] * 5
    kinds = Counter(row[0] for row in harbor.rows(sa.select(Event.kind)))
    assert kinds["gateway_session:failed"] == 1
    assert kinds["verification:refused"] == 5


@ONE_DATABASE
def test_wrong_codes_of_a_link_lock_nothing_else_of_the_user(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for _ in range(3):
        browser = waits(harbor, asks(harbor))
        for _ in range(5):
            browser.types("AAA-AAA")
    assert harbor.rows(sa.select(User.failures, User.recovery_failures)) == [(0, 0)]
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


@ONE_DATABASE
def test_what_can_be_no_code_is_not_counted(harbor: Harbor) -> None:
    browser = waits(harbor, asks(harbor))
    for typed, told in (("", "Type the code"), ("A1", "6 letters and digits"), ("123456", "6 l")):
        browser.types(typed)
        assert browser.reply.status == 422
        assert told in browser.page.text
    assert harbor.rows(sa.select(GatewaySession.judged)) == [(0,)]


@ONE_DATABASE
def test_a_session_of_a_link_has_no_other_page(harbor: Harbor) -> None:
    """Nobody enrolls, or verifies otherwise, in a session that was opened for the mailbox."""
    harbor.enrolls()
    browser = waits(harbor, asks(harbor))
    pages = ("set-up", "enroll", "verify", "choose", "recover", "due", "blocked", "return", "ended")
    for name in (*pages, "recovery-codes"):
        browser.goes_to(browser.address(name))
        assert browser.path.endswith("/link"), name
    for name in ("set-up", "enroll", "verify", "recover", "recovery-codes"):
        browser.sends(name, kind="totp", code="123456")
        assert browser.path.endswith("/link"), name


@ONE_DATABASE
def test_another_session_has_no_page_for_a_code(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("link"))
    assert browser.path.endswith("/verify")
    browser.sends("link", code="AAA-AAA")
    assert browser.path.endswith("/verify")


@ONE_DATABASE
def test_who_goes_back_ends_the_link(harbor: Harbor) -> None:
    asked = asks(harbor, state="s")
    browser = waits(harbor, asked)
    browser.sends("cancel")
    assert browser.back["error"] == "access_denied"
    assert browser.back["state"] == "s"
    assert opens(harbor, asked["magic_link"]).page.heading == "This link no longer works"


@ONE_DATABASE
def test_another_browser_s_cookie_of_another_session_counts_for_nothing(harbor: Harbor) -> None:
    """F29: the browser is bound by this session's cookie and by no other."""
    asked, mine = asks(harbor), asks(harbor)
    waits(harbor, asked)
    thief = waits(harbor, mine)
    [own] = [name for name in thief.cookies if "visit" in name]
    [session_id] = re.findall(r"/gateway/(\w+)", asked["waiting_url"])
    thief.cookies[own.rpartition("-")[0] + "-" + session_id] = thief.cookies[own]
    opens(harbor, asked["magic_link"], thief)
    thief.submits()
    assert CODE.search(thief.page.text)
    assert harbor.rows(sa.select(Result.id)) == []


@pytest.fixture
def secure(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with stage(database_url, tmp_path, clock, base_url="https://mfa.example") as harbor:
        yield harbor


@ONE_DATABASE
def test_the_browser_that_follows_first_is_bound_by_a_host_cookie(secure: Harbor) -> None:
    browser = opens(secure, asks(secure)["magic_link"])
    browser.submits()
    assert "code" in browser.back
    [cookie] = [it for it in secure.wire.cookies_set if "-visit-" in it]  # type: ignore[attr-defined]
    assert cookie.startswith("__Host-gatehouse-visit-")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


# Many at the same instant, before real server processes


def test_of_many_that_follow_a_link_at_once_one_gets_through(live_harbor: Harbor) -> None:
    """F06: followed, typed and exchanged fifty times each, by two worker processes."""
    harbor = live_harbor
    harbor.clock.moment = SystemClock().now()
    asked = asks(harbor)
    with ThreadPoolExecutor(8) as pool:
        browsers = list(pool.map(lambda _: opens(harbor, asked["magic_link"]), range(50)))
    at_once([lambda it=it: it.submits() for it in browsers])  # type: ignore[misc]
    assert Counter(it.reply.status for it in browsers) == {303: 1, 410: 49}
    assert harbor.rows(sa.select(Verification.accepted)) == [(True,)]
    assert len(harbor.rows(sa.select(Result.id))) == 1
    [winner] = [it for it in browsers if it.reply.status == 303]
    code = winner.back["code"]
    answers = at_once([lambda: harbor.notes.exchanges(code)] * 50)
    assert Counter(answer.status for answer in answers) == {200: 1, 422: 49}
    one_link_in_many_windows(harbor)
    one_code_in_many_windows(harbor)
    many_guesses_in_many_windows(harbor)


def one_link_in_many_windows(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = opens(harbor, asked["magic_link"], waits(harbor, asked))
    windows = [twin(browser) for _ in range(20)]
    at_once([lambda it=it: it.submits() for it in windows])  # type: ignore[misc]
    assert Counter(it.reply.status for it in windows) == {303: 1, 200: 19}
    assert {it.page.heading for it in windows if it.reply.status == 200} == {"You are confirmed"}
    assert len(harbor.rows(sa.select(Result.id))) == 2


def one_code_in_many_windows(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = waits(harbor, asked)
    code = code_told(harbor, asked)
    windows = [twin(browser) for _ in range(20)]
    at_once([lambda it=it: it.types(code) for it in windows])  # type: ignore[misc]
    assert Counter(it.reply.status for it in windows) == {303: 1, 200: 19}
    assert len(harbor.rows(sa.select(Result.id))) == 3


def many_guesses_in_many_windows(harbor: Harbor) -> None:
    asked = asks(harbor)
    browser = waits(harbor, asked)
    code_told(harbor, asked)
    windows = [twin(browser) for _ in range(30)]
    at_once([lambda it=it: it.types("AAA-AAA") for it in windows])  # type: ignore[misc]
    refused = sa.select(Verification.id).where(sa.not_(Verification.accepted))
    assert len(harbor.rows(refused)) == 5
