"""A guesser: how often an answer is judged, how long to wait, and who is not hurt by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from time import process_time
from typing import Any

import pytest
import sqlalchemy as sa

from app import create_app
from app.config import WAITS
from app.factors import SECRET_FACTORS
from app.models import Authenticator, Event, GatewaySession, Message, User, Verification
from app.services.audit import OPERATOR
from tests import actors
from tests.conftest import PATIENCE, FixedClock, Harbor, InProcess, Server, make_config, stage

pytestmark = pytest.mark.both_databases

WRONG = "000000"


def wrong_code(harbor: Harbor, phone: actors.Phone) -> str:
    """Return a code that is right at no time near now."""
    near = {harbor.code(phone, steps) for steps in range(-25, 26)}
    return next(code for code in map("{:06d}".format, range(100)) if code not in near)


def guesses(harbor: Harbor, code: str, times: int = 1) -> actors.Browser:
    """Type wrong codes, four to a visit at most."""
    browser = harbor.visits(harbor.ada)
    for number in range(times):
        if number and number % 4 == 0:
            browser = harbor.visits(harbor.ada)
        browser.types(code)
    return browser


def counts(harbor: Harbor) -> tuple[int, int]:
    """Return the consecutive failures of the authenticator and of the user."""
    statement = sa.select(Authenticator.failures, User.failures).join(
        User, User.id == Authenticator.user_id
    )
    return tuple(harbor.rows(statement.where(Authenticator.status == "active"))[0])  # type: ignore


def judged(harbor: Harbor) -> int:
    return int(harbor.rows(sa.select(sa.func.count()).select_from(Verification))[0][0])


def test_the_waits_are_as_documented(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    code = wrong_code(harbor, phone)
    for failure in range(1, 26):
        browser = guesses(harbor, code)
        least = max((least for least in WAITS if least <= failure), default=None)
        assert counts(harbor) == (failure, failure)
        retry_at = harbor.rows(sa.select(Authenticator.retry_at))[0][0]
        if least is None:
            assert retry_at is None
            continue
        assert retry_at - harbor.clock.now() == WAITS[least], failure
        before = judged(harbor)
        browser = harbor.visits(harbor.ada)
        assert "There were too many wrong codes. Wait" in browser.page.text
        browser.types(harbor.code(phone))
        assert "There were too many wrong codes. Wait" in browser.page.text
        assert "result" not in browser.reply.location
        assert judged(harbor) == before, "a locked authenticator judges nothing"
        harbor.clock.advance(WAITS[least].total_seconds())
        code = wrong_code(harbor, phone)
    assert timedelta(hours=24) in WAITS.values() and counts(harbor)[0] == 25


def test_success_starts_the_count_anew(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    guesses(harbor, wrong_code(harbor, phone), 4)
    assert counts(harbor) == (4, 4)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    assert counts(harbor) == (0, 0)


def test_new_sessions_from_new_addresses_do_not_reset_the_count(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    code = wrong_code(harbor, phone)
    for _ in range(12):
        guesses(harbor, code, 4)
    assert counts(harbor)[0] == 5, "the wait begins with the fifth failure and is not charged"


def test_a_hundred_failures_in_a_row_need_an_administrator(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    with harbor.services.database.writing() as tx:
        tx.execute(sa.update(User).values(failures=99))
    guesses(harbor, wrong_code(harbor, phone))
    harbor.clock.advance(7 * 24 * 3600)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "Ask an administrator to unlock your account" in browser.page.text
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.limits.unlock(tx, OPERATOR, person)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


def test_ten_wrong_answers_in_a_row_are_told_to_the_user_once(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.executes(sa.delete(Message))
    code = wrong_code(harbor, phone)
    for number in range(1, 13):
        harbor.executes(sa.update(Authenticator).values(retry_at=None))
        guesses(harbor, code)
        assert counts(harbor)[0] == number
        assert len(harbor.rows(sa.select(Message.id))) == (number >= 10), number
    [[told]] = harbor.rows(sa.select(Message))
    assert (told.name, told.recipient) == ("answers_refused", "ada@harbor.example")
    text = harbor.text_of(told)
    assert "10 wrong answers in a row were given for ada@harbor.example at Harbor." in text
    assert "the next ones have to wait" in text
    assert "Where from: 127.0.0.1" in text
    assert "If this was not you" in text
    assert code not in text
    harbor.executes(sa.update(User).values(failures=99))
    harbor.executes(sa.update(Authenticator).values(retry_at=None))
    guesses(harbor, code)
    newest = sa.select(Message).where(Message.id != told.id)
    [[locked]] = harbor.rows(newest)
    assert "until an administrator unlocks the account" in harbor.text_of(locked)


def test_locking_one_authenticator_leaves_the_others_open(harbor: Harbor) -> None:
    first = harbor.enrolls()
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.types(harbor.code(first))
    harbor.clock.advance(30)
    second = adding.sets_up()
    adding.types(harbor.code(second))
    assert "result" in adding.back
    harbor.clock.advance(30)
    guesses(harbor, wrong_code(harbor, second), 5)
    locked = harbor.rows(sa.select(Authenticator.failures).order_by(Authenticator.created_at))
    assert [row[0] for row in locked] == [0, 5], "only the one that was answered for is charged"
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(first))
    assert "result" in browser.back, "the page offers the one that is open"


def test_another_authenticator_is_chosen_by_name_and_never_somebody_elses(harbor: Harbor) -> None:
    first = harbor.enrolls()
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.types(harbor.code(first))
    harbor.clock.advance(30)
    adding.types(harbor.code(adding.sets_up()))
    harbor.clock.advance(30)
    bob = harbor.person("bob@harbor.example")
    harbor.enrolls(bob)
    browser = harbor.visits(harbor.ada)
    browser.goes_to(next(link for link in browser.page.links if link.endswith("/choose")))
    ways = [link for link in browser.page.links if "/verify/" in link]
    assert len(ways) == 2
    browser.goes_to(ways[1])
    browser.types(harbor.code(first))
    assert "result" in browser.back
    theirs = harbor.rows(sa.select(Authenticator.id).join(User).where(User.email.like("bob%")))
    browser = harbor.visits(harbor.ada)
    page = f"{browser.path}/{theirs[0][0]}"
    browser.goes_to(page)
    assert browser.path == page.rsplit("/", 1)[0], "sent back to the user's own"


def test_opening_asking_and_cancelling_charge_nothing(harbor: Harbor) -> None:
    harbor.enrolls()
    for _ in range(10):
        browser = harbor.visits(harbor.ada)
        browser.goes_to(browser.path)
        browser.submits()  # the empty form
        browser.submits(-1)
    assert counts(harbor) == (0, 0)


def test_a_stranger_without_the_applications_word_charges_nobody(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    session = harbor.notes.opens(harbor.ada)["id"].removeprefix("gateway-session_")
    stranger = harbor.visits(harbor.person("eve@harbor.example"))
    for _ in range(10):
        stranger.submits_to(f"/gateway/{session}/verify", code=wrong_code(harbor, phone))
        assert stranger.reply.status in {303, 403}
        stranger.goes_to(stranger.path)
        stranger = harbor.visits(harbor.person(f"eve{_}@harbor.example"))
    assert counts(harbor) == (0, 0)


def test_a_replay_is_charged_but_a_double_tap_is_not(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, state="s")
    form, code = browser.page.forms[0], harbor.code(phone)
    browser.types(code)
    first = browser.back
    again = {**form["fields"], "code": code}
    browser.goes_to(browser.path, "POST", data=again)
    second = browser.back
    assert (second["state"], second["session_id"]) == (first["state"], first["session_id"])
    assert (
        harbor.notes.checks(second["result"])["jti"] == harbor.notes.checks(first["result"])["jti"]
    )
    assert counts(harbor) == (0, 0)
    browser.goes_to(browser.path, "POST", data={**again, "code": wrong_code(harbor, phone)})
    assert browser.path.endswith("/ended")
    other = harbor.visits(harbor.ada)
    other.types(code)
    assert "already used" in other.page.text
    assert counts(harbor) == (1, 1)


def test_a_double_tap_on_the_first_code_and_on_saved_codes(harbor: Harbor) -> None:
    first = harbor.enrolls()
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.types(harbor.code(first))
    phone = adding.sets_up()
    form, path = adding.page.forms[0], adding.path
    adding.types(harbor.code(phone))
    one = adding.back
    adding.goes_to(path, "POST", data={**form["fields"], "code": harbor.code(phone)})
    assert adding.back["session_id"] == one["session_id"]
    assert "result" in adding.back


class Broken:
    """A factor that judges by falling over."""

    def __init__(self, kind: str) -> None:
        self._real = SECRET_FACTORS[kind]

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def check(self, *_: object, **__: object) -> object:
        raise RuntimeError("broken")


def test_a_factor_that_raises_twenty_times_ends_locked(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = harbor.enrolls()
    monkeypatch.setitem(SECRET_FACTORS, "totp", Broken("totp"))  # type: ignore[arg-type]
    for failure in range(1, 21):
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone))
        assert browser.reply.status == 500
        assert counts(harbor) == (failure, failure)
        session = sa.select(GatewaySession.judged).order_by(GatewaySession.created_at.desc())
        assert harbor.rows(session.limit(1))[0][0] == 1
        wait = harbor.rows(sa.select(Authenticator.retry_at))[0][0]
        if failure < 20 and wait:
            harbor.clock.advance((wait - harbor.clock.now()).total_seconds())
    monkeypatch.undo()
    harbor.clock.advance(24 * 3600 - 1)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "There were too many wrong codes" in browser.page.text


def test_a_session_opened_before_the_lock_can_not_finish_with_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    early = harbor.visits(harbor.ada)
    guesses(harbor, wrong_code(harbor, phone), 5)
    early.types(harbor.code(phone))
    assert "Wait 30 seconds" in early.page.text
    assert "result" not in early.reply.location


def test_the_offset_that_is_accepted_never_walks(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.clock.advance(300)
    for drift in range(1, 21):
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone, drift))
        assert ("result" in browser.reply.location) == (drift == 1)
        if 1 < drift < 6:
            assert f"about {drift * 30} seconds fast" in browser.page.text
        harbor.clock.advance(3700)


def test_a_code_of_which_the_time_was_told_is_never_accepted(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.clock.advance(300)
    told = harbor.code(phone, 10)
    browser = harbor.visits(harbor.ada)
    browser.types(told)
    assert "about 300 seconds fast" in browser.page.text
    harbor.clock.advance(300)
    browser = harbor.visits(harbor.ada)
    browser.types(told)
    assert "That code was already used. Type the next one" in browser.page.text
    browser.types(harbor.code(phone, 1))
    assert "result" in browser.back


def test_an_application_can_ask_until_when_its_user_must_wait(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    assert opened["retry_at"] is None
    guesses(harbor, wrong_code(harbor, phone), 5)
    until = (harbor.clock.now() + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert harbor.notes.looks_at(opened["id"]).json["retry_at"] == until
    harbor.clock.advance(30)
    assert harbor.notes.looks_at(opened["id"]).json["retry_at"] is None


def test_the_strict_setting_refuses_a_code_of_the_future(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    answer = harbor.backend.calls("PUT", "/org/harbor/totp-connection", json={"strict": True})
    assert answer.json["strict"] is True and answer.json["active"] is True
    harbor.clock.advance(300)
    for steps, accepted in ((1, False), (-2, False), (-1, True), (0, True)):
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone, steps))
        assert ("result" in browser.reply.location) == accepted, steps
        harbor.clock.advance(60)


def test_a_long_answer_costs_nothing(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.submits(code="1" * 900_000)
    assert browser.reply.status in {413, 422}
    browser = harbor.visits(harbor.ada)
    many: dict[str, Any] = {f"f{number}": "x" for number in range(400)}
    browser.submits(0, **many, code="1")
    assert browser.reply.status in {400, 413, 422}


def test_long_texts_beside_a_code_cost_nothing(harbor: Harbor) -> None:
    """F23: names, states and browsers of ten thousand letters, and a thousand nested lists."""
    phone, long, began = harbor.enrolls(), "x" * 10_000, process_time()
    for field in ("state", "nonce", "locale", "user_id"):
        assert harbor.notes.asks(**{"user": harbor.ada, field: long}).status == 422, field
    path, deep = "/org/harbor/users", b"[" * 1000 + b"]" * 1000
    for body in (f'{{"email": "{long}@harbor.example"}}'.encode(), b'{"profile": %s}' % deep):
        headers = {"Content-Type": "application/json"}
        reply = harbor.backend.calls("POST", path, data=body, headers=headers)
        assert reply.status in {400, 422}
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.path, headers={"User-Agent": long})
    browser.submits(code=long)
    assert browser.reply.status == 422
    assert process_time() - began < 5
    form = browser.page.forms[0]["fields"]
    data = {**form, "code": harbor.code(phone)}
    browser.goes_to(browser.path, "POST", data=data, headers={"User-Agent": long})
    assert "result" in browser.back
    kept = harbor.rows(sa.select(sa.func.max(sa.func.length(Event.device))))[0][0]
    assert (kept or 0) <= 200


@pytest.mark.parametrize("server", [{"waits": "5:86400"}], indirect=True)
def test_parallel_guesses_are_judged_up_to_the_limit_and_no_further(
    server: Server, live_harbor: Harbor
) -> None:
    """The wait outlasts the guesses, however slow the machine is."""
    harbor = live_harbor
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    before = judged(harbor)
    visitors = [harbor.visits(harbor.ada) for _ in range(20)]
    code = wrong_code(harbor, phone)
    barrier = Barrier(20)

    def guess(visitor: actors.Browser) -> None:
        form, path = visitor.page.forms[0], visitor.path
        barrier.wait(timeout=PATIENCE)
        for _ in range(10):
            visitor.wire.request(
                "POST", path, data={**form["fields"], "code": code}, cookies=visitor.cookies
            )

    with ThreadPoolExecutor(20) as crowd:
        list(crowd.map(guess, visitors))
    assert judged(harbor) - before == 5
    assert counts(harbor)[0] == 5
    most = harbor.rows(sa.select(sa.func.max(GatewaySession.judged)))[0][0]
    assert most <= 5


def test_strangers_are_limited_by_address_and_callers_by_key(
    harbor: Harbor, clock: FixedClock
) -> None:
    url = harbor.services.config.database
    config = make_config(
        url,
        harbor.services.config.data_dir,
        encryption_keys=harbor.services.config.encryption_keys,
        address_limit="5 per minute",
        key_limit="20 per minute",
        trusted_proxies="127.0.0.1",
    )
    app = create_app(config, clock=clock)
    wire = InProcess(app.test_client(use_cookies=False))
    backend = actors.Backend(wire, harbor.backend.client_id, "wrong")
    from_ = {"X-Forwarded-For": "2001:db8:1:2::1"}
    statuses = [
        wire.request(
            "POST",
            "/oauth/token",
            headers={"X-Forwarded-For": f"2001:db8:1:2::{number}"},
            json={"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"},
        ).status
        for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    refused = wire.request("GET", "/gateway/x/verify", headers=from_)
    assert refused.status == 429 and "Too many requests" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 60
    # The same address with a valid secret is not a stranger.
    backend = actors.Backend(wire, harbor.backend.client_id, harbor.backend.client_secret)
    allowed = [backend.calls("GET", "/organizations", headers=from_).status for _ in range(25)]
    assert allowed[:19] == [200] * 19 and allowed[-1] == 429
    last = backend.calls("GET", "/organizations", headers=from_)
    assert last.error == "rate_limited" and last.json["error"]["retry_at"].endswith("Z")
    # Junk in the header is no way around: the peer itself is counted then.
    junk = [
        wire.request("GET", "/gateway/x/verify", headers={"X-Forwarded-For": text}).status
        for text in ("a", "", "1.2.3.4.5", "%", "a, b", "\u00e9")
    ]
    assert junk.count(429) == 1
    app.extensions["gatehouse"].database.engine.dispose()


def test_an_operator_can_set_the_limits(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    limits = {"attempts_per_session": 2, "waits": "3:60"}
    with stage(database_url, tmp_path, clock, **limits) as harbor:
        phone = harbor.enrolls()
        code = wrong_code(harbor, phone)
        browser = harbor.visits(harbor.ada)
        browser.types(code)
        browser.types(code)
        assert browser.page.heading == "Too many wrong codes"
        browser = guesses(harbor, code)
        assert "Wait 60 seconds" in browser.page.text
