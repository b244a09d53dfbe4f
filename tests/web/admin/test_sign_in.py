"""Signing in to the admin area, and what a session is worth."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from app import models
from app.models import AdministratorSession, Event, Role
from app.services import passwords
from tests.actors import Administrator, Browser, Reply
from tests.conftest import ONE_DATABASE, PASSWORD, Harbor

OTHER_WORDS = "another tram under the lighthouse"


def types_password(browser: Browser, email: str, password: str) -> Reply:
    browser.goes_to("/admin/sign-in")
    return browser.submits(email=email, password=password)


def admitted(harbor: Harbor) -> Administrator:
    """Return an administrator who came in by the pages."""
    nadia = harbor.administrator(signed_in=False)
    harbor.clock.advance(30)
    nadia.signs_in()
    assert nadia.browser.path == "/admin/sandbox/harbor/"
    harbor.clock.advance(30)
    return nadia


def events(harbor: Harbor, kind: str) -> list[Event]:
    rows = harbor.rows(sa.select(Event).where(Event.kind == kind).order_by(Event.id))
    return [row[0] for row in rows]


# The way in


def test_an_administrator_signs_in_with_a_password_and_a_code(harbor: Harbor) -> None:
    nadia = harbor.administrator(signed_in=False)
    assert nadia.at("/administrators").status == 200
    assert nadia.browser.path == "/admin/sign-in"
    harbor.clock.advance(30)
    nadia.signs_in()
    assert nadia.browser.path == "/admin/sandbox/harbor/administrators"
    assert "owner@gatehouse.example" in nadia.text
    [recorded] = [
        one for one in events(harbor, "administrator:signed_in") if one.detail.get("role")
    ]
    assert recorded.organization_id == harbor.organization.id
    assert recorded.actor_label == "owner@gatehouse.example"


def test_the_password_alone_opens_nothing(harbor: Harbor) -> None:
    """F25 and F26: no page before the second factor, by no address."""
    nadia = harbor.administrator(signed_in=False)
    types_password(nadia.browser, nadia.email, nadia.password)
    assert nadia.browser.path.endswith("/verify")
    for path in ("/admin/", "/admin/profile", "/admin/sandbox/harbor/administrators"):
        nadia.browser.goes_to(path)
        assert nadia.browser.path == "/admin/sign-in", path


def test_a_wrong_password_and_an_unknown_address_look_the_same(harbor: Harbor) -> None:
    """F55: nothing tells who is an administrator."""
    nadia = harbor.administrator(signed_in=False)
    pages = []
    for email in (nadia.email, "nobody@gatehouse.example", "no address"):
        reply = types_password(harbor.browser(), email, "wrong " + PASSWORD)
        text = re.sub(r'value="[^"]*"', "", reply.text).replace(email, "")
        pages.append((reply.status, text))
    assert pages[0][0] == 422
    assert len(set(pages)) == 1


@pytest.mark.parametrize("field", ["email", "password"])
def test_odd_input_at_the_sign_in_is_only_wrong(harbor: Harbor, field: str) -> None:
    """F20 and F23: no crash, and no hashing of a megabyte."""
    for odd in (
        "",
        "\0",
        "x" * 50_000,
        "{{ 7*7 }}",
        "' OR 1=1 --",
        "\ud800".encode("utf-8", "replace"),
    ):
        browser = harbor.browser()
        browser.goes_to("/admin/sign-in")
        fields: dict[str, Any] = {"email": "a@b.example", "password": "x", field: odd}
        reply = browser.submits(**fields)
        assert reply.status == 422, odd


def test_the_password_is_not_told_again(harbor: Harbor) -> None:
    nadia = harbor.administrator(signed_in=False)
    reply = types_password(nadia.browser, nadia.email, "wrong words that were typed")
    assert "wrong words" not in reply.text
    assert nadia.email in reply.text


def test_an_unknown_address_has_to_wait_as_a_known_one_does(harbor: Harbor) -> None:
    """F55: no number of tries, and no wait, tells who is an administrator."""
    nadia, told = harbor.administrator(signed_in=False), []
    stranger = harbor.browser()
    for number in range(14):
        pages = set()
        for address in (nadia.email, "nobody@gatehouse.example", "no address", "\0"):
            reply = types_password(stranger, address, "wrong " + PASSWORD)
            text = re.sub(r'value="[^"]*"', "", reply.text).replace(address, "")
            pages.add((reply.status, text))
        assert len(pages) == 1, number
        told.append("Too many wrong passwords" in stranger.page.text)
        harbor.clock.advance({5: 31, 7: 31, 9: 61, 11: 61}.get(number, 0))
    assert told == [n in {5, 7, 9, 11, 13} for n in range(14)]


@contextlib.contextmanager
def commits(harbor: Harbor) -> Iterator[list[bool]]:
    """Note of each transaction whether it wrote anything."""
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    engine = app.extensions["gatehouse"].database.engine
    statements, found = list[str](), list[bool]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement.split()[0])

    def end(_connection: Any) -> None:
        found.append(not {"INSERT", "UPDATE", "DELETE"}.isdisjoint(statements))
        statements.clear()

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", end)
    yield found
    sa.event.remove(engine, "before_cursor_execute", note)
    sa.event.remove(engine, "commit", end)


def test_no_work_tells_an_unknown_address_from_a_known_one(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F56: each is hashed once, and written about in two transactions; a long one is not hashed."""
    nadia, hashed = harbor.administrator(signed_in=False), list[str]()
    verify = passwords._hasher.verify

    def counted(kept: str, password: str) -> bool:
        hashed.append(password)
        return bool(verify(kept, password))

    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(verify=counted))
    for address in (nadia.email, "nobody@gatehouse.example", "no address"):
        for password in ("wrong " + PASSWORD, "x" * 50_000):
            browser = harbor.browser()
            browser.goes_to("/admin/sign-in")
            hashed.clear()
            with commits(harbor) as found:
                browser.submits(email=address, password=password)
            assert (len(hashed), found.count(True)) == (1, 2), address
            assert len(hashed[0]) < 200


def test_counts_of_passwords_are_forgotten_after_a_day(harbor: Harbor) -> None:
    for number in range(5):
        types_password(harbor.browser(), f"nobody{number % 2}@gatehouse.example", PASSWORD)
    counted = sa.select(models.PasswordGuess)
    assert sorted(row[0].failures for row in harbor.rows(counted)) == [2, 3]
    assert "nobody" not in repr([row[0].address_hash for row in harbor.rows(counted)])
    for hours, left in ((23, 2), (2, 0)):
        harbor.clock.advance(hours * 3600)
        harbor.services.retention.purge()
        assert len(harbor.rows(counted)) == left


def test_wrong_passwords_have_to_wait_and_no_longer_than_a_quarter_of_an_hour(
    harbor: Harbor,
) -> None:
    """F07, F13: guessing is slowed, and the wait of a stranger doesn't grow for ever."""
    nadia = harbor.administrator(signed_in=False)
    stranger = harbor.browser()
    for _ in range(5):
        assert types_password(stranger, nadia.email, OTHER_WORDS).status == 422
    assert "Too many wrong passwords" in types_password(stranger, nadia.email, PASSWORD).text
    harbor.clock.advance(31)
    assert types_password(stranger, nadia.email, PASSWORD).status == 200
    assert stranger.path.endswith("/verify")
    for _ in range(20):
        types_password(harbor.browser(), nadia.email, OTHER_WORDS)
        harbor.clock.advance(15 * 60 + 1)
    assert types_password(harbor.browser(), nadia.email, PASSWORD).status == 200


def test_a_stranger_s_guesses_do_not_lock_a_browser_that_was_here_before(harbor: Harbor) -> None:
    """F13: the lock is no weapon."""
    nadia = admitted(harbor)
    nadia.browser.goes_to("/admin/profile")
    nadia.browser.submits(0)  # sign out
    for _ in range(7):
        types_password(harbor.browser(), nadia.email, OTHER_WORDS)
    assert "Too many" in types_password(harbor.browser(), nadia.email, PASSWORD).text
    assert nadia.signs_in().status == 200
    assert nadia.browser.path.startswith("/admin/sandbox/harbor")


def test_parallel_guesses_are_each_counted(live_harbor: Harbor) -> None:
    """Counted before it is judged: ten at once are not one."""
    from concurrent.futures import ThreadPoolExecutor

    nadia = live_harbor.administrator(signed_in=False)
    browsers = [live_harbor.browser() for _ in range(10)]
    for browser in browsers:
        browser.goes_to("/admin/sign-in")
    with ThreadPoolExecutor(10) as pool:
        replies = list(
            pool.map(lambda one: one.submits(email=nadia.email, password=OTHER_WORDS), browsers)
        )
    assert {reply.status for reply in replies} == {422}
    [(failures,)] = live_harbor.rows(sa.select(models.PasswordGuess.failures))
    assert failures == 5


# The way back from the hosted pages


def asked(harbor: Harbor) -> tuple[Browser, str]:
    """Return a browser that typed password and code, and the address that it is sent to."""
    nadia = harbor.administrator(signed_in=False)
    types_password(nadia.browser, nadia.email, nadia.password)
    harbor.clock.advance(30)
    browser = nadia.browser
    form = browser.page.forms[0]
    reply = harbor.wire.request(
        "POST",
        browser.path,
        data={**form["fields"], "code": nadia.phone.code(harbor.clock.now())},
        cookies=browser.cookies,
    )
    assert reply.status == 303
    return browser, reply.location.removeprefix(harbor.base_url)


def test_a_result_admits_only_the_browser_that_asked(harbor: Harbor) -> None:
    """F29 and login CSRF: a link with somebody's result signs nobody else in."""
    browser, back = asked(harbor)
    stranger = harbor.browser()
    assert stranger.goes_to(back).status == 422
    assert "gatehouse-admin" not in stranger.cookies
    browser.goes_to(back)
    assert browser.path.startswith("/admin/sandbox/harbor")


def test_a_result_admits_once(harbor: Harbor) -> None:
    """F41."""
    browser, back = asked(harbor)
    kept = dict(browser.cookies)
    browser.goes_to(back)
    again = Browser(harbor.wire, harbor.base_url, kept)
    assert again.goes_to(back).status == 422


def test_a_result_of_another_application_admits_nobody(harbor: Harbor) -> None:
    """Of a customer's application, and one that was changed on its way."""
    browser, back = asked(harbor)
    harbor.enrolls()
    visit = harbor.visits(harbor.ada)
    del visit
    fields = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    for changed in (
        {**fields, "result": fields["result"][:-4] + "AAAA"},
        {**fields, "session_id": "gateway-session_x"},
        {**fields, "result": ""},
    ):
        query = "&".join(f"{name}={value}" for name, value in changed.items())
        assert browser.goes_to(f"/admin/sign-in/back?{query}").status == 422
    assert browser.goes_to("/admin/sign-in/back").status == 422


def test_going_back_from_the_hosted_page_signs_nobody_in(harbor: Harbor) -> None:
    nadia = harbor.administrator(signed_in=False)
    types_password(nadia.browser, nadia.email, nadia.password)
    reply = nadia.browser.submits(len(nadia.page.forms) - 1)
    assert reply.status == 200
    assert "You went back" in nadia.text
    assert nadia.browser.goes_to("/admin/profile").status == 200
    assert nadia.browser.path == "/admin/sign-in"


# What a session is worth


def test_each_change_of_privilege_brings_a_new_secret(harbor: Harbor) -> None:
    """F30: before signing in, after it, and after proving the second factor again."""
    nadia = harbor.administrator(signed_in=False)
    nadia.browser.goes_to("/admin/sign-in")
    before = dict(nadia.browser.cookies)
    harbor.clock.advance(30)
    nadia.signs_in()
    first = dict(nadia.browser.cookies)
    assert first["gatehouse"] != before["gatehouse"]
    harbor.clock.advance(11 * 60)
    nadia.at("/administrators/invite")
    nadia.browser.submits(0)
    nadia.proves()
    second = nadia.browser.cookies
    assert second["gatehouse-admin"] != first["gatehouse-admin"]
    old = Browser(harbor.wire, harbor.base_url, first)
    old.goes_to("/admin/profile")
    assert old.path == "/admin/sign-in"


def test_a_form_token_from_before_the_sign_in_is_void(harbor: Harbor) -> None:
    """F66: what was planted in the browser before does nothing after."""
    nadia = harbor.administrator(signed_in=False)
    nadia.browser.goes_to("/admin/sign-in")
    planted = nadia.browser.form_token
    harbor.clock.advance(30)
    nadia.signs_in()
    nadia.browser.goes_to("/admin/profile")
    data = {"csrf_token": planted, "name": "Planted"}
    assert nadia.browser.goes_to("/admin/profile/name", "POST", data=data).status == 400


def test_a_session_ends_when_idle_and_at_the_end_of_the_day(harbor: Harbor) -> None:
    nadia = admitted(harbor)
    for _ in range(3):
        harbor.clock.advance(50 * 60)
        nadia.browser.goes_to("/admin/profile")
        assert nadia.browser.path == "/admin/profile"
    harbor.clock.advance(61 * 60)
    nadia.browser.goes_to("/admin/profile")
    assert nadia.browser.path == "/admin/sign-in"
    nadia.signs_in()
    for _ in range(14):
        harbor.clock.advance(55 * 60)
        nadia.browser.goes_to("/admin/profile")
    assert nadia.browser.path == "/admin/sign-in"


def test_signing_out_ends_the_session_itself(harbor: Harbor) -> None:
    nadia = admitted(harbor)
    stolen = dict(nadia.browser.cookies)
    nadia.browser.goes_to("/admin/profile")
    nadia.browser.submits(0)
    assert nadia.browser.path == "/admin/sign-in"
    thief = Browser(harbor.wire, harbor.base_url, stolen)
    thief.goes_to("/admin/profile")
    assert thief.path == "/admin/sign-in"


def test_the_database_holds_no_session_that_can_be_used(harbor: Harbor) -> None:
    """F86."""
    nadia = admitted(harbor)
    secret = nadia.browser.cookies["gatehouse-admin"]
    assert secret not in harbor.dump()
    assert PASSWORD not in harbor.dump()
    assert harbor.rows(sa.select(AdministratorSession.id))


def test_the_cookies_are_for_this_host_over_tls_alone(https_harbor: Harbor) -> None:
    """F86: __Host-, Secure, HttpOnly, SameSite."""
    admitted(https_harbor)
    given = [
        cookie
        for cookie in https_harbor.wire.cookies_set  # type: ignore[attr-defined]
        if "gatehouse-admin" in cookie
    ]
    assert given
    for cookie in given:
        assert cookie.startswith("__Host-"), cookie
        for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert flag in cookie, cookie


def test_a_dangerous_page_wants_a_fresh_second_factor_and_then_opens(harbor: Harbor) -> None:
    nadia = admitted(harbor)
    assert nadia.at("/administrators/invite").status == 200
    assert nadia.browser.path.endswith("/invite")
    harbor.clock.advance(11 * 60)
    nadia.at("/administrators/invite")
    assert nadia.browser.path == "/admin/verify"
    nadia.browser.submits(0)
    nadia.proves()
    assert nadia.browser.path == "/admin/sandbox/harbor/administrators/invite"


def test_a_form_that_was_left_open_too_long_changes_nothing(harbor: Harbor) -> None:
    nadia = admitted(harbor)
    nadia.at("/administrators/invite")
    harbor.clock.advance(29 * 60)
    reply = nadia.does("/administrators/invite", email="not-an-address", role="auditor")
    assert reply.status == 422  # judged: a form may come back some time after it was opened
    harbor.clock.advance(2 * 60)
    nadia.does("/administrators/invite", email="bo@harbor.example", role="auditor")
    assert nadia.browser.path == "/admin/verify"
    assert events(harbor, "invitation:created") == []


# Where to after it


@ONE_DATABASE
def test_no_address_from_outside_becomes_the_way_on(harbor: Harbor) -> None:
    """F40: what follows a sign-in is what was asked for here, and nothing else."""
    nadia = harbor.administrator(signed_in=False)
    for path in (
        "/admin/sign-in?next=https://evil.example",
        "/admin/sign-in?next=//evil.example",
        "/admin/?next=javascript:alert(1)",
    ):
        nadia.browser = harbor.browser()
        nadia.browser.goes_to(path)
        harbor.clock.advance(30)
        nadia.signs_in()
        assert nadia.browser.path == "/admin/sandbox/harbor/", path
        assert "evil.example" not in nadia.browser.reply.text


def test_of_several_organizations_one_is_chosen(harbor: Harbor) -> None:
    from app.models import Environment
    from app.services.audit import OPERATOR

    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Pier"
        )
    harbor.administrator(Role.AUDITOR, "nadia@harbor.example", signed_in=False)
    nadia = harbor.administrator(
        Role.OWNER, "nadia@harbor.example", organization=pier, signed_in=False
    )
    harbor.clock.advance(30)
    nadia.signs_in()
    assert nadia.browser.path == "/admin/"
    assert "Harbor" in nadia.text
    assert "Pier" in nadia.text
    assert nadia.at("/administrators").status == 200
    assert nadia.browser.goes_to("/admin/production/harbor/").status == 404
    assert nadia.browser.goes_to("/admin/sandbox/harbor/administrators/invite").status == 403


def test_it_works_over_several_workers(live_harbor: Harbor) -> None:
    nadia = admitted(live_harbor)
    for _ in range(6):
        assert nadia.at("/administrators").status == 200
        assert nadia.browser.path.endswith("/administrators")
