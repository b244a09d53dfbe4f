"""Many at the same instant: two worker processes let exactly one through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier, Event
from typing import TypeVar

import pytest
import sqlalchemy as sa

from app.clock import SystemClock
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    GatewaySession,
    PolicySkip,
    Purpose,
    RecoveryCode,
    Result,
    Verification,
)
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Browser, Phone, Reply, keep_secret
from tests.conftest import PATIENCE, Harbor
from tests.outbox import ADA, Outbox, enroll, switch
from tests.web.api_v1.backend import Devrift

pytestmark = pytest.mark.both_databases

T = TypeVar("T")


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same instant."""
    gate = Barrier(len(calls))

    def make(call: Callable[[], T]) -> T:
        gate.wait(timeout=PATIENCE)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def twin(browser: Browser) -> Browser:
    """Return another window of the same browser, on the same page."""
    jar = dict(browser.cookies)
    return Browser(
        browser.wire, browser.base_url, jar, browser.reply, browser.path, browser.form_token
    )


def types(browser: Browser, code: str) -> Callable[[], Reply]:
    return lambda: browser.types(code)


def result_of(browser: Browser) -> str | None:
    return browser.back.get("result") if browser.reply.status == 303 else None


def count(harbor: Harbor, *where: sa.ColumnExpressionArgument[bool]) -> int:
    """Count verifications."""
    return len(harbor.rows(sa.select(Verification.id).where(*where)))


def of_visit(browser: Browser) -> sa.ColumnElement[bool]:
    return Verification.gateway_session_id == f"gateway-session_{browser.path.split('/')[2]}"


def someone(harbor: Harbor, name: str) -> tuple[str, Phone]:
    """Return a user who has just enrolled, with the phone."""
    harbor.clock.moment = SystemClock().now()  # the servers have the real time
    user = harbor.person(f"{name}@harbor.example")
    return user, harbor.enrolls(user)


def due(harbor: Harbor, phone: Phone) -> str:
    """Return the code that the phone shows now, or its next one if that was just used."""
    return phone.code(max(SystemClock().now(), harbor.clock.now()))


def test_of_many_at_once_one_is_confirmed(live_harbor: Harbor) -> None:
    harbor = live_harbor
    one_code_over_many_sessions(harbor)
    one_code_many_times_over_one_session(harbor)
    many_guesses_over_one_session(harbor)


def test_of_many_at_once_one_mailed_code_counts(live_harbor: Harbor) -> None:
    """F06, on the pages and by API v1."""
    live_harbor.clock.moment = SystemClock().now()  # the servers have the real time
    one_mailed_code_many_times(live_harbor)
    one_code_of_a_contact_many_times(live_harbor)


def one_mailed_code_many_times(harbor: Harbor) -> None:
    switch(harbor, "email")
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    code = Outbox(harbor).code(browser, to=ADA)
    windows = [twin(browser) for _ in range(50)]
    at_once([types(one, code) for one in windows])
    sent = {harbor.notes.checks(result)["jti"] for one in windows if (result := result_of(one))}
    assert len(sent) == 1
    assert count(harbor, of_visit(browser), Verification.accepted) == 1


def one_code_of_a_contact_many_times(harbor: Harbor) -> None:
    backend, eve = Devrift(harbor), "eve@harbor.example"
    code = backend.sends(eve, "EMAIL")
    found = at_once([lambda: backend.verifies(eve, "EMAIL", code).status] * 50)
    assert found.count(200) == 1
    assert set(found) <= {200, 401, 429}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_double_tap_never_sees_half_of_the_first(harbor: Harbor) -> None:
    """The first tap's commit falls between two reads of the second, where it can."""
    phone, browser = harbor.enrolls(), harbor.visits(harbor.ada)
    code, second = harbor.code(phone), twin(browser)
    reading, committed = Event(), Event()

    def wait_once(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM verifications" in statement and not reading.is_set():
            reading.set()
            committed.wait(5)

    app = harbor.wire.client.application  # type: ignore[attr-defined]
    engine = app.extensions["gatehouse"].database.engine
    sa.event.listen(engine, "before_cursor_execute", wait_once)
    with ThreadPoolExecutor(1) as pool:
        with harbor.services.database.writing() as tx:
            session_id = f"gateway-session_{browser.path.split('/')[2]}"
            session = harbor.services.gateway_sessions.find(tx, harbor.organization, session_id)
            [authenticator] = harbor.services.visits.choices(tx, session)
            harbor.services.visits.verify(tx, OPERATOR, session, authenticator, code)
            tapped = pool.submit(types(second, code))
            reading.wait(1)
        committed.set()
        tapped.result(timeout=PATIENCE)
    assert result_of(second), second.path


def one_code_over_many_sessions(harbor: Harbor) -> None:
    user, phone = someone(harbor, "grace")
    with ThreadPoolExecutor(8) as pool:
        browsers = list(pool.map(lambda _: harbor.visits(user), range(50)))
    code = due(harbor, phone)
    before = count(harbor)
    at_once([types(browser, code) for browser in browsers])
    winners = [browser for browser in browsers if result_of(browser)]
    assert len(winners) == 1
    refused = [browser for browser in browsers if browser is not winners[0]]
    assert {browser.reply.status for browser in refused} == {422}
    # The first of them are told that it was used; the fifth failure in a row starts a wait.
    used, wait = "That code was already used.", "There were too many wrong codes. Wait"
    told = Counter(used in browser.page.text for browser in refused)
    assert told[True] <= 5
    assert all(used in it.page.text or wait in it.page.text for it in refused)
    assert count(harbor) - before == 1 + 5
    assert count(harbor, of_visit(winners[0]), Verification.accepted) == 1


def one_code_many_times_over_one_session(harbor: Harbor) -> None:
    user, phone = someone(harbor, "joan")
    browser = harbor.visits(user)
    windows = [twin(browser) for _ in range(50)]
    code = due(harbor, phone)
    at_once([types(window, code) for window in windows])
    # A double tap gets the same way back, and all of them the same one result.
    ends = {(window.reply.status, window.path, window.page.heading) for window in windows}
    assert {status for status, _, _ in ends} == {303}, ends
    sent = [
        harbor.notes.checks(result)["jti"] for window in windows if (result := result_of(window))
    ]
    assert len(sent) == 50
    assert len(set(sent)) == 1
    assert count(harbor, of_visit(browser)) == 1


def many_guesses_over_one_session(harbor: Harbor) -> None:
    user, phone = someone(harbor, "radia")
    browser = harbor.visits(user)
    guesses = [*harbor.wrong_codes(phone, 29), due(harbor, phone)]
    windows = [twin(browser) for _ in guesses]
    at_once([types(*pair) for pair in zip(windows, guesses, strict=True)])
    assert count(harbor, of_visit(browser)) <= 5
    accepted = count(harbor, of_visit(browser), Verification.accepted)
    assert len([window for window in windows if result_of(window)]) == accepted
    [[judged, status]] = harbor.rows(
        sa.select(GatewaySession.judged, GatewaySession.status).where(
            GatewaySession.id == f"gateway-session_{browser.path.split('/')[2]}"
        )
    )
    assert judged == count(harbor, of_visit(browser))
    assert status == ("verified" if accepted else "failed")
    browser.types(due(harbor, phone))
    assert bool(result_of(browser)) == bool(accepted)  # after the end only the same answer counts


def test_of_many_browsers_one_is_bound_and_of_many_redemptions_one_counts(
    live_harbor: Harbor,
) -> None:
    harbor = live_harbor
    user, phone = someone(harbor, "grace")
    opened = harbor.notes.opens(user)
    browsers = [harbor.browser() for _ in range(10)]
    at_once([lambda it=it: it.goes_to(opened["url"]) for it in browsers])  # type: ignore[misc]
    assert Counter(browser.reply.status for browser in browsers) == {200: 1, 403: 9}
    [bound] = [browser for browser in browsers if browser.reply.status == 200]
    bound.types(due(harbor, phone))
    result = keep_secret(bound.back["result"])
    answers = at_once([lambda: harbor.notes.redeems(opened["id"], result)] * 50)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}


def test_of_many_first_enrollments_at_once_one_gets_through(live_harbor: Harbor) -> None:
    harbor = live_harbor
    browser = harbor.visits(harbor.ada)
    windows = [twin(browser) for _ in range(10)]
    at_once([lambda it=it: it.submits() for it in windows])  # type: ignore[misc]
    pending = sa.select(Authenticator).where(Authenticator.status == AuthenticatorStatus.PENDING)
    assert len(harbor.rows(pending)) == 1
    browsers = [harbor.visits(harbor.ada) for _ in range(8)]
    phones = [browser.sets_up() for browser in browsers]
    codes = [phone.code(SystemClock().now()) for phone in phones]
    at_once([types(*pair) for pair in zip(browsers, codes, strict=True)])
    headings = Counter(browser.page.heading for browser in browsers)
    assert headings == {
        "Save your recovery codes": 1,
        "Enter the code from your authenticator app": 7,
    }
    active = sa.select(Authenticator).where(Authenticator.status == AuthenticatorStatus.ACTIVE)
    assert len(harbor.rows(active)) == 1
    [winner] = [it for it in browsers if it.page.heading == "Save your recovery codes"]
    windows = [twin(winner) for _ in range(10)]
    at_once([lambda it=it: it.sends("recovery-codes/new") for it in windows])  # type: ignore[misc]
    assert len(harbor.rows(sa.select(RecoveryCode.id))) == 5
    at_once([lambda it=it: it.sends("recovery-codes") for it in windows])  # type: ignore[misc]
    assert len([window for window in windows if result_of(window)]) == 1
    others = Counter(window.page.heading for window in windows if not result_of(window))
    assert others == {"You are set up": 9}
    assert len(harbor.rows(sa.select(Result.id))) == 1


def test_of_many_at_once_no_more_put_it_off_than_may(live_harbor: Harbor) -> None:
    harbor, times = live_harbor, 3
    harbor.clock.moment = SystemClock().now()  # the servers have the real time
    user = harbor.person("eve@harbor.example")
    rule = Rule(required_from=harbor.clock.now() + timedelta(days=1), skips=times)
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.policies.change(tx, OPERATOR, organization, rule)
    visits = [harbor.visits(user) for _ in range(8)]
    replies = at_once([partial(browser.sends, "not-now") for browser in visits])
    assert [reply.status for reply in replies].count(303) == times
    results = [browser for browser in visits if result_of(browser)]
    assert len(results) == times
    assert harbor.rows(sa.select(PolicySkip.used)) == [(times,)]
    assert count(harbor, Verification.purpose == Purpose.SKIP) == times
    double = harbor.visits(harbor.person("bo@harbor.example"))
    taps = [double, *(twin(double) for _ in range(5))]
    replies = at_once([partial(browser.sends, "not-now") for browser in taps])
    assert {reply.status for reply in replies} == {303}
    assert len({harbor.notes.checks(browser.back["result"])["jti"] for browser in taps}) == 1
    assert (1,) in harbor.rows(sa.select(PolicySkip.used))
