"""Two users of two organizations before all front doors, against a model (tests/machine/model.py).

Hypothesis walks: users come through any door and type right, used, foreign and made-up answers,
backends and administrators do what they may, clocks go on and back. After each step the record
must hold exactly what the model says, nothing less and nothing more.
"""

from __future__ import annotations

import io
import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.models import Event
from tests import actors
from tests.actors import Browser, Phone, Reply
from tests.conftest import START, FixedClock, InProcess, application, make_config
from tests.databases import Kept
from tests.machine.model import PENDING_FOR, Method, Person, Step, Verdict, Visit
from tests.machine.places import EMAIL, Handed, Place, newest_event, two_places

OPEN_TO = {
    "verify": {Step.VERIFY},
    "recover": {Step.VERIFY, Step.DUE},
    "bypass": {Step.VERIFY, Step.DUE, Step.BLOCKED, Step.SET_UP},
    "enroll": {Step.ENROLL},
}
"""Each page that takes an answer, and where a visit has to stand for it."""
SHAPES = {
    "verify": r"\d{6}",
    "enroll": r"\d{6}",
    "recover": r"(\w{4}-){3}\w{4}",
    "bypass": r"\w{5}-\w{5}",
}
WATCHED = {
    *(verdict.value for verdict in Verdict),
    "authenticator:confirmed",
    "authenticator:reset",
    "bypass_code:given",
    "gateway_session:failed",
    "recovery_codes:used",
    "reenrollment:approved",
    "result:issued",
    "result:redeemed",
    "user:suspended",
    "user:suspension_lifted",
    "user:unlocked",
}


def weighted(**weights: int) -> st.SearchStrategy[str]:
    """Return a strategy that picks each word so often."""
    return st.sampled_from([word for word, weight in weights.items() for _ in range(weight)])


DEEDS = weighted(
    arrive=1,
    arrive_and_type=10,
    type=4,
    guess=2,
    guess_by_v2=1,
    set_up=4,
    save_codes=2,
    look_after_methods=2,
    go_back=1,
    redeem=5,
    redeem_elsewhere=1,
    enroll_by_backend=1,
    confirm_by_backend=1,
    verify_by_v1=2,
    verify_by_v2=2,
    reset=1,
    unlock=1,
    approve=1,
    suspend=1,
    lift=2,
    give_bypass=1,
    wait=5,
    cross=1,
)
TIMES = [30, 30, 30, 30, 30, 60, 60, 300, 3600, 90_000, -30, -300]
"""Seconds by which the clock goes on, or back."""
ANSWERS = weighted(
    right=22,
    late=1,
    early=1,
    ahead=1,
    used=3,
    foreign=2,
    removed=1,
    pending=2,
    wrong=5,
    recovery=3,
    used_recovery=1,
    foreign_recovery=1,
    bypass=3,
    used_bypass=1,
    foreign_bypass=1,
)
PAGES = st.sampled_from(["fitting", "fitting", "fitting", "fitting", *OPEN_TO])


class Asked(Visit):
    """A visit as the machine follows it."""

    def __init__(self, door: Any, browser: Browser, **facts: Any) -> None:
        super().__init__(**facts)
        self.door = door
        self.browser = browser
        self.handed: Handed | None = None


class Side:
    """One user, as the model has them, and all that was ever theirs."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.person = Person()
        self.visits: list[Asked] = []
        self.handed: list[Handed] = []
        self.spent: set[str] = set()
        self.removed: list[Phone] = []
        self.used: list[str] = []
        self.used_bypass: list[str] = []


@dataclass
class Walked:
    """What all walks of a test came to."""

    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)


class Machine(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, opens: Callable[[], tuple[Place, Place]], walked: Walked) -> None:
        super().__init__()
        self.walked = walked
        self.places = opens()
        self.sides = [Side(place) for place in self.places]
        self.clock = self.places[0].clock
        self.seen = newest_event(self.places[0])
        self.expected: Counter[tuple[str, str]] = Counter()

    @initialize(enrolled=st.sampled_from([0, 1, 2, 2, 2]))
    def begins(self, enrolled: int) -> None:
        for side in self.sides[:enrolled]:
            self._begins_by_v2(side)
            phone = side.person.begun.phone  # type: ignore[union-attr]
            self._confirms_by_v2(side, phone.code(self.now))

    @property
    def now(self) -> Any:
        return self.clock.now()

    @rule(
        deed=DEEDS,
        of=st.sampled_from([0, 1]),
        door=st.sampled_from(["rest", "oidc", "duo", "entra", "cryptr"]),
        which=st.integers(0, 11),
        what=ANSWERS,
        page=PAGES,
        number=st.integers(0, 999_999),
    )
    def something_happens(self, deed: str, of: int, **how: Any) -> None:
        self.walked.steps += 1
        getattr(self, f"_{deed}")(self.sides[of], **how)

    # Users

    def _arrive(self, side: Side, door: str, **_: Any) -> None:
        self._arrives(side, door)

    def _arrive_and_type(self, side: Side, door: str, what: str, number: int, **_: Any) -> None:
        if visit := self._arrives(side, door):
            answer = self._answer(side, visit, what, number)
            self._types(side, visit, self._page(side, visit, "fitting", answer), answer)

    def _type(self, side: Side, which: int, what: str, page: str, number: int, **_: Any) -> None:
        if visit := self._goes_on(side, which):
            answer = self._answer(side, visit, what, number)
            self._types(side, visit, self._page(side, visit, page, answer), answer)

    def _guess(self, side: Side, which: int, page: str, number: int, **_: Any) -> None:
        page = page.replace("fitting", "verify")
        if visit := self._goes_on(side, which):
            for guess in range(number, number + 4):
                self._types(side, visit, page, _wrong(page, guess))

    def _set_up(self, side: Side, which: int, **_: Any) -> None:
        if visit := self._goes_on(side, which):
            visit.browser.sends("set-up", kind="totp")
            if self._step(side, visit) in {Step.SET_UP, Step.ENROLL}:
                visit.pending = self._scanned(visit)
                self._types(side, visit, "enroll", visit.pending.phone.code(self.now))

    def _save_codes(self, side: Side, which: int, **_: Any) -> None:
        if visit := self._goes_on(side, which):
            step = self._step(side, visit)
            visit.browser.sends("recovery-codes")
            if step is Step.SAVE_CODES:
                self._ends_well(side, visit)

    def _go_back(self, side: Side, which: int, **_: Any) -> None:
        if visit := self._goes_on(side, which):
            visit.browser.sends("cancel")
            visit.over = True
            self._hands_over_nothing_new(visit)

    def _look_after_methods(self, side: Side, what: str, number: int, **_: Any) -> None:
        if side.person.barred or side.person.method is None:
            return
        browser = side.place.browser()
        browser.goes_to(side.place.notes.opens(EMAIL, intent="manage")["url"])
        ends = side.place.ends_of(browser)
        visit = Asked(side.place.doors["rest"], browser, ends=ends, demands=True)
        answer = self._answer(side, visit, what, number)
        browser.sends("verify", code=answer)
        verdict = Verdict.UNJUDGED
        if _fits("verify", answer):
            verdict = self._answered(side, answer, visit)
        assert browser.path.endswith("/account") is (verdict is Verdict.ACCEPTED)
        if verdict is not Verdict.ACCEPTED:
            return
        if number % 2:
            browser.sends("account/recovery-codes")
            side.person.has_codes(browser.saves_codes())
        browser.sends("account")
        self._ends_well(side, visit)

    def _arrives(self, side: Side, door: str) -> Asked | None:
        """Have an application send the user; None if that leads nowhere."""
        self.clock.advance(1)
        through = side.place.doors[door]
        browser = through.opens()
        if side.person.barred:
            assert not re.search("/(verify|set-up|enroll)$", browser.path), browser.path
            return None
        if door == "cryptr" and browser.path.startswith("/a/"):
            return None  # a wait keeps the next link from being mailed
        assert browser.path.startswith("/gateway/"), (door, browser.page.text)
        ends = side.place.ends_of(browser)
        visit = Asked(through, browser, ends=ends, demands=through.demands)
        side.visits = [*side.visits[-3:], visit]
        side.person.visits = list(side.visits)
        assert browser.path.endswith(f"/{self._step(side, visit)}"), browser.path
        return visit

    def _goes_on(self, side: Side, which: int) -> Asked | None:
        """Return to a visit of before, if there is any."""
        if not side.visits:
            return None
        visit = side.visits[which % len(side.visits)]
        self._stands_where_it_should(side, visit)
        return visit

    def _page(self, side: Side, visit: Asked, page: str, answer: str) -> str:
        if page != "fitting":
            return page
        if self._step(side, visit) is Step.ENROLL and _fits("enroll", answer):
            return "enroll"
        return next(page for page in SHAPES if _fits(page, answer))

    # Applications and backends

    def _redeem(self, side: Side, which: int, **_: Any) -> None:
        self._redeems(side, which, side.place)

    def _redeem_elsewhere(self, side: Side, which: int, **_: Any) -> None:
        self._redeems(side, which, self._other(side).place)

    def _redeems(self, side: Side, which: int, place: Place) -> None:
        if not side.handed:
            return
        handed = side.handed[-1 - which % min(4, len(side.handed))]
        reply = handed.door.redeems(handed, place)
        in_time = self.now < handed.made_at + timedelta(seconds=handed.door.lasts)
        good = in_time and handed.value not in side.spent and not side.person.barred
        good = good and place is side.place
        assert (reply.status == 200) is good, (handed.door.name, reply.text)
        if good:
            side.spent.add(handed.value)
            self._expect(side, "result:redeemed")

    def _enroll_by_backend(self, side: Side, number: int, **_: Any) -> None:
        (self._begins_by_v1 if number % 2 else self._begins_by_v2)(side)

    def _confirm_by_backend(self, side: Side, number: int, **_: Any) -> None:
        self._confirms_by_v2(side, self._answer(side, None, "pending", number))

    def _guess_by_v2(self, side: Side, number: int, **_: Any) -> None:
        for guess in range(number, number + 4):
            self._verifies_by_v2(side, f"{guess % 1_000_000:06d}")

    def _verify_by_v1(self, side: Side, what: str, number: int, **_: Any) -> None:
        self._verifies_by_v1(side, self._answer(side, None, what, number))

    def _verify_by_v2(self, side: Side, what: str, number: int, **_: Any) -> None:
        self._verifies_by_v2(side, self._answer(side, None, what, number))

    # Administrators, time, and whoever is in the wrong place

    def _reset(self, side: Side, number: int, **_: Any) -> None:
        reopens = bool(number % 4)
        side.place.administers("reset", after="reopen" if reopens else "closed")
        for method in (side.person.method, side.person.lost):
            side.removed += [method.phone] if method else []
        side.person.is_reset(reopens=reopens)
        self._expect(side, "authenticator:reset")

    def _unlock(self, side: Side, **_: Any) -> None:
        side.place.administers("unlock")
        side.person.is_unlocked()
        self._expect(side, "user:unlocked")

    def _approve(self, side: Side, **_: Any) -> None:
        side.place.administers("approve")
        side.person.is_approved()
        self._expect(side, "reenrollment:approved")

    def _suspend(self, side: Side, **_: Any) -> None:
        if not side.person.barred:
            side.place.administers("suspend")
            side.person.is_barred()
            self._expect(side, "user:suspended")

    def _lift(self, side: Side, **_: Any) -> None:
        if side.person.barred:
            side.place.administers("lift-suspension")
            side.person.barred = False
            self._expect(side, "user:suspension_lifted")

    def _give_bypass(self, side: Side, **_: Any) -> None:
        person = side.person
        if not person.barred:
            side.used_bypass += [person.bypass] if person.bypass else []
            until = self.now + timedelta(minutes=30)
            person.is_given_bypass(side.place.gives_bypass_code(), until)
            self._expect(side, "bypass_code:given")

    def _wait(self, _: Side, which: int, **__: Any) -> None:
        self.clock.advance(TIMES[which])

    def _cross(self, side: Side, which: int, number: int, **_: Any) -> None:
        other = self._other(side)
        place, away = side.place, other.place
        right = self._answer(other, None, "right", number)
        match which % 3:
            case 0:
                place.signs_in()
                assert place.admin.at(f"/users/{away.ada}").status == 404
                assert place.admin.does(f"/users/{away.ada}/unlock").status == 404
                assert place.admin.browser.goes_to(f"{away.admin.place}/users").status == 404
            case 1:
                place.backend._token = ""
                for domain in (place.domain, away.domain):
                    path = f"/org/{domain}/totp-challenge/validation/{away.ada}"
                    reply = place.backend.calls("POST", path, json={"code": right})
                    assert reply.status in {403, 404}, reply.text
            case _ if other.visits and side.visits:
                mine, theirs = side.visits[-1].browser, other.visits[-1].browser
                stranger = Browser(mine.wire, mine.base_url, dict(mine.cookies))
                stranger.path, stranger.form_token = theirs.path, mine.form_token
                assert stranger.sends("verify", code=right).status == 403

    @invariant()
    def the_record_says_what_the_model_says(self) -> None:
        newer = sa.select(Event.id, Event.kind, Event.organization_id).where(Event.id > self.seen)
        rows = self.places[0].rows(newer.order_by(Event.id))
        told = Counter((row.kind, str(row.organization_id)) for row in rows if row.kind in WATCHED)
        assert told == self.expected
        self.seen = rows[-1].id if rows else self.seen
        self.walked.happened.update(kind for kind, _ in self.expected.elements())
        self.expected = Counter()

    def teardown(self) -> None:
        services = self.places[0].services
        while services.seals.seal():
            pass
        assert services.seal_checks.check().breaks == []

    # Pages

    def _step(self, side: Side, visit: Asked) -> Step:
        return side.person.step(visit, self.now)

    def _stands_where_it_should(self, side: Side, visit: Asked) -> None:
        """Ask which page is next."""
        browser = visit.browser
        place = browser.address("resume")
        reply = browser.wire.request("GET", place, cookies=browser.cookies)
        assert reply.location.endswith(f"/{self._step(side, visit)}"), reply.location

    def _types(self, side: Side, visit: Asked, page: str, answer: str) -> None:
        person, step, was_over = side.person, self._step(side, visit), visit.over
        ground = person.ground(visit)
        verdict = Verdict.UNJUDGED
        if step in OPEN_TO[page] and _fits(page, answer) and self._leads_on(side, visit, page):
            judge: Callable[..., Verdict] = {
                "verify": person.answers,
                "recover": person.recovers,
                "bypass": person.bypasses,
            }.get(page) or partial(person.confirms, visit.pending)  # type: ignore[arg-type]
            verdict = judge(answer, self.now, visit)
        visit.browser.sends(page, code=answer)
        self._expect(side, verdict.value)
        if visit.over and not was_over and verdict is not Verdict.ACCEPTED:
            self._expect(side, "gateway_session:failed")
        if verdict is not Verdict.ACCEPTED:
            self._hands_over_nothing_new(visit)
        elif page == "recover":
            self._expect(side, "recovery_codes:used")
            visit.pending = self._scanned(visit)
        elif page == "enroll":
            self._expect(side, "authenticator:confirmed")
            side.used.append(answer)
            if ground == "first":
                person.has_codes(self._codes_on(visit))
            else:
                self._ends_well(side, visit)
        else:
            (side.used_bypass if page == "bypass" else side.used).append(answer)
            self._ends_well(side, visit)

    def _leads_on(self, side: Side, visit: Asked, page: str) -> bool:
        return page != "bypass" or not (visit.demands or side.person.barred)

    def _codes_on(self, visit: Asked) -> list[str]:
        codes = visit.browser.page.area.split()
        assert len(codes) == 5
        return [actors.keep_secret(code) for code in codes]

    def _scanned(self, visit: Asked) -> Method:
        assert visit.browser.path.endswith("/enroll"), visit.browser.path
        return Method(visit.browser.scans(), min(self.now + PENDING_FOR, visit.ends))

    def _ends_well(self, side: Side, visit: Asked) -> None:
        visit.over = True
        self._expect(side, "result:issued")
        visit.handed = visit.door.collects(visit.browser)
        if visit.door.lasts:
            side.handed.append(visit.handed)

    def _hands_over_nothing_new(self, visit: Asked) -> None:
        """A double tap is answered as before; everything else brings nothing."""
        reply = visit.browser.reply
        told = reply.location + reply.text
        if visit.handed is None:
            assert not re.search(r"[?&](result|code|duo_code)=|name=\"id_token\"", told), told

    # Backends

    def _begins_by_v2(self, side: Side) -> None:
        reply = side.place.calls_v2("POST", f"/totp-enrollment/{side.place.ada}", json={})
        if self._begins(side, reply, 201):
            codes = (reply.json["recovery_codes"] or "").split()
            kept = frozenset(map(actors.keep_secret, codes)) if codes else None
            side.person.begun = Method(Phone(reply.json["otp_uri"]), self.now + PENDING_FOR, kept)

    def _begins_by_v1(self, side: Side) -> None:
        reply = side.place.calls_v1("/mfa", User=EMAIL, Type="APP")
        if self._begins(side, reply, 200):
            side.person.begun = Method(Phone(reply.json["otp_uri"]), self.now + PENDING_FOR)

    def _begins(self, side: Side, reply: Reply, status: int) -> bool:
        person, ground = side.person, side.person.ground(None)
        spent = ground == "recovered" and person.reenrollments >= 5
        may = bool(ground) and not spent and not person.barred
        assert (reply.status == status) is may, reply.text
        return may

    def _confirms_by_v2(self, side: Side, answer: str) -> None:
        path = f"/totp-enrollment/validation/{side.place.ada}"
        reply = side.place.calls_v2("PUT", path, json={"code": answer})
        verdict = self._confirmed(side, answer)
        assert (reply.status == 200 and reply.json["success"]) is (verdict is Verdict.ACCEPTED)

    def _confirmed(self, side: Side, answer: str) -> Verdict:
        person, verdict = side.person, Verdict.UNJUDGED
        begun = person.begun
        alive = begun is not None and self.now < begun.ends
        if begun and alive and person.ground(None) and not person.barred:
            verdict = person.confirms(begun, answer, self.now)
        self._expect(side, verdict.value)
        if verdict is Verdict.ACCEPTED:
            side.used.append(answer)
            self._expect(side, "authenticator:confirmed")
        return verdict

    def _verifies_by_v2(self, side: Side, answer: str) -> None:
        path = f"/totp-challenge/validation/{side.place.ada}"
        reply = side.place.calls_v2("POST", path, json={"code": answer})
        person, verdict = side.person, Verdict.UNJUDGED
        if _fits("recover", answer) and (person.method or person.lost):
            verdict = self._recovered(side, answer)
        elif _fits("verify", answer) and person.method:
            verdict = self._answered(side, answer)
        assert (reply.status == 200 and reply.json["success"]) is (verdict is Verdict.ACCEPTED)

    def _verifies_by_v1(self, side: Side, answer: str) -> None:
        reply = side.place.calls_v1("/mfa/verify", User=EMAIL, Type="APP", Code=answer)
        person, verdict = side.person, Verdict.UNJUDGED
        if _fits("recover", answer):
            verdict = self._recovered(side, answer)
        elif _fits("verify", answer):
            verdict = (self._answered if person.method else self._confirmed)(side, answer)
        assert (reply.status == 200) is (verdict is Verdict.ACCEPTED), reply.text

    def _answered(self, side: Side, answer: str, visit: Visit | None = None) -> Verdict:
        verdict = side.person.answers(answer, self.now, visit)
        self._expect(side, verdict.value)
        if verdict is Verdict.ACCEPTED:
            side.used.append(answer)
        return verdict

    def _recovered(self, side: Side, answer: str) -> Verdict:
        verdict = side.person.recovers(answer, self.now)
        self._expect(side, verdict.value)
        if verdict is Verdict.ACCEPTED:
            self._expect(side, "recovery_codes:used")
        return verdict

    # Answers

    def _answer(self, side: Side, visit: Asked | None, what: str, number: int) -> str:
        """Return something to type; what there is none of becomes a number."""
        found = self._known_answer(side, visit, what)
        return found or f"{number:06d}"

    def _known_answer(self, side: Side, visit: Asked | None, what: str) -> str | None:
        other, person = self._other(side), side.person
        steps = {"right": 0, "late": -1, "early": 1, "ahead": 6}
        if what in steps:
            return _code(person.method, self.now, steps[what])
        if what == "foreign":
            return _code(other.person.method, self.now)
        if what == "pending":
            return _code(visit.pending if visit else person.begun, self.now)
        if what == "removed":
            gone = [*side.removed, *([person.lost.phone] if person.lost else [])]
            return gone[-1].code(self.now) if gone else None
        kept: dict[str, Any] = {
            "used": side.used,
            "recovery": sorted(person.codes),
            "used_recovery": sorted(person.used_codes),
            "foreign_recovery": sorted(other.person.codes),
            "bypass": [person.bypass] if person.bypass else [],
            "used_bypass": side.used_bypass,
            "foreign_bypass": [other.person.bypass] if other.person.bypass else [],
        }
        return next(iter(reversed(kept.get(what) or [])), None)

    def _other(self, side: Side) -> Side:
        return self.sides[1 - self.sides.index(side)]

    def _expect(self, side: Side, kind: str) -> None:
        if kind:
            self.expected[kind, str(side.place.organization.id)] += 1


def _code(method: Method | None, now: Any, step: int = 0) -> str | None:
    return method.phone.code(now, step) if method else None


def _wrong(page: str, number: int) -> str:
    """Return a made-up answer that fits a page."""
    digits = f"{number % 1_000_000:06d}"
    if page == "recover":
        return f"AAAA-BBBB-CC{digits[:2]}-{digits[2:]}"
    return f"AAAA{digits[0]}-{digits[1:]}" if page == "bypass" else digits


def _fits(page: str, answer: str) -> bool:
    return re.fullmatch(SHAPES[page], answer) is not None


# Running it

SHORT, LONG = 100, 50_000
"""So many steps are walked on a database; both together come to 100,000 in the long form."""
SHORT_SEED = 9
EXPECTED = {"verification:accepted", "verification:refused", "result:issued"}
"""What must have happened at least, or the walk shows nothing."""
EVERY_RUN: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
    "report_multiple_bugs": False,
}


@pytest.fixture
def opens(
    request: pytest.FixtureRequest,
    database_url: str,
    tmp_path: Path,
    no_secret_in_logs: io.StringIO,
) -> Callable[[], tuple[Place, Place]]:
    """Opens both places anew, after a look whether the last run left a secret in the logs."""
    name = sa.make_url(database_url).get_backend_name()
    kept: Kept = request.getfixturevalue(f"{name}_kept")
    config = make_config(database_url, tmp_path, address_limit="99999 per second")

    def places() -> tuple[Place, Place]:
        told = [secret for secret in actors.SECRETS if secret in no_secret_in_logs.getvalue()]
        assert not told, "a secret stands in the logs"
        no_secret_in_logs.seek(0)
        no_secret_in_logs.truncate()
        actors.SECRETS.clear()
        kept.put_back()
        clock = FixedClock(START)
        app = application(config, clock)
        services = app.extensions["gatehouse"]
        with services.database.writing() as tx:
            services.signing_keys.ensure(tx)
        return two_places(InProcess(app.test_client(use_cookies=False)), services, clock)

    return places


@pytest.mark.soak
def test_who_may_pass_passes_and_nobody_else(
    opens: Callable[[], tuple[Place, Place]], soak: bool
) -> None:
    walks = settings(**EVERY_RUN, max_examples=5, stateful_step_count=22)
    if soak:
        walks = settings(walks, max_examples=50, stateful_step_count=100)
    walked, start = Walked(), secrets.randbits(32) if soak else SHORT_SEED
    for number in count(start):
        machine = seed(number)(lambda: Machine(opens, walked))
        run_state_machine_as_test(machine, settings=walks)  # type: ignore[arg-type]
        if walked.steps >= (LONG if soak else SHORT):
            break
    assert walked.happened.keys() >= EXPECTED, walked
