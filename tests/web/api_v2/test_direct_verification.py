"""A code of the one app of a user: few statements judge it, and they judge as all others do."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.factors import SECRET_FACTORS
from app.models import (
    ApiKey,
    Authenticator,
    Event,
    KeyState,
    KeyUse,
    Message,
    Organization,
    SigningKey,
    User,
    Verification,
)
from app.services.audit import OPERATOR
from tests.actors import Phone, Reply
from tests.conftest import Harbor
from tests.web.api_v2.headless import PATH, connects, has_phone, verifies

FEW = {
    "sqlite": ["SELECT", "UPDATE", "UPDATE", "INSERT", "INSERT"],
    "postgresql": ["SELECT", "WITH"],
}
"""But how a writer on SQLite begins, which the driver is asked (`app.engines.begin_writing`)."""


def in_full(harbor: Harbor, code: str, user: str) -> Reply:
    """Have a code judged by the way of all other calls, which one that may come twice takes."""
    path = f"{PATH}/totp-challenge/validation/{user}"
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return harbor.backend.calls("POST", path, json={"code": code}, headers=headers)


@contextmanager
def heard(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Listen to what is asked of the database."""
    said: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", hear)


def left_behind(harbor: Harbor, user: str) -> list[Any]:
    """Return all that judging leaves, but for what is made by chance."""
    mine = uuid.UUID(user)

    def of(model: Any, owner: Any, *but: str) -> list[Any]:
        found = harbor.rows(sa.select(model).where(owner == mine).order_by(model.id))
        columns = [one for one in model.__table__.c if one.name not in but]
        return [{one.name: getattr(row, one.key) for one in columns} for (row,) in found]

    verifications = of(Verification, Verification.user_id, "id", "user_id", "authenticator_id")
    assert all(one.pop("challenge_id").startswith("totp-") for one in verifications)
    events = of(Event, Event.user_id, "id", "user_id")
    kept = ("failures", "recovery_failures", "last_verified_at", "enrolled", "suspended_at")
    counted = ("kind", "status", "last_step", "failures", "retry_at", "last_used_at")
    return [
        sorted(verifications, key=str),
        [one for one in events if one["kind"].startswith("verification:")],
        harbor.rows(sa.select(*(getattr(User, name) for name in kept)).where(User.id == mine)),
        harbor.rows(
            sa.select(*(getattr(Authenticator, name) for name in counted)).where(
                Authenticator.user_id == mine
            )
        ),
    ]


Answers = Callable[[Harbor, Phone], Iterator[str]]


def right_and_again(harbor: Harbor, phone: Phone) -> Iterator[str]:
    """Also the code before the one that was used, and the one after it."""
    for steps in (0, 0, -1, 1, 1):
        yield harbor.code(phone, steps)
    harbor.clock.advance(60)
    yield f" {harbor.code(phone)[:3]}-{harbor.code(phone)[3:]} "


def wrong_until_locked(harbor: Harbor, phone: Phone) -> Iterator[str]:
    for _ in range(6):
        yield harbor.wrong_codes(phone)[0]
    yield harbor.code(phone)
    harbor.clock.advance(31)
    yield harbor.code(phone)
    yield harbor.wrong_codes(phone)[0]


def of_another_time(harbor: Harbor, phone: Phone) -> Iterator[str]:
    for steps in (5, -9, 2, -2):
        yield harbor.code(phone, steps)


def no_codes(harbor: Harbor, phone: Phone) -> Iterator[str]:
    yield from ("", "abcdef", "12345", "1234567", "٠١٢٣٤٥", "0123-4567-89AB-CDEF", "123456 \ud800")


@pytest.mark.parametrize(
    "answers", [right_and_again, wrong_until_locked, of_another_time, no_codes]
)
def test_the_short_way_judges_as_the_long_one(harbor: Harbor, answers: Answers) -> None:
    ways = {verifies: harbor.ada, in_full: harbor.person("grace@harbor.example")}
    began = harbor.clock.now()
    told: dict[Any, list[Any]] = {}
    for way, user in ways.items():
        harbor.clock.advance((began - harbor.clock.now()).total_seconds())
        phone, _ = has_phone(harbor, user)
        replies = [way(harbor, code, user) for code in answers(harbor, phone)]
        told[way] = [
            (one.status, {k: v for k, v in one.json.items() if k not in {"request_id", "user_id"}})
            for one in replies
        ]
        told[way].append(left_behind(harbor, user))
    assert told[verifies] == told[in_full]


def test_a_user_who_guessed_for_long_is_locked_the_same_way(harbor: Harbor) -> None:
    others = harbor.person("grace@harbor.example")
    told = []
    for way, user in ((verifies, harbor.ada), (in_full, others)):
        phone, _ = has_phone(harbor, user)
        near = harbor.services.config.failures_per_user - 2
        failures = sa.update(User).where(User.id == uuid.UUID(user)).values(failures=near)
        harbor.executes(failures)
        wrong = harbor.wrong_codes(phone)[0]
        replies = [way(harbor, code, user) for code in (wrong, wrong, harbor.code(phone))]
        told.append([(one.status, one.json.get("attempts_remaining")) for one in replies])
    assert told[0] == told[1] == [(200, 1), (200, 0), (429, None)]


def test_a_user_is_told_of_ten_wrong_answers_by_either_way(harbor: Harbor) -> None:
    others = harbor.person("grace@harbor.example")
    for way, user in ((verifies, harbor.ada), (in_full, others)):
        phone, _ = has_phone(harbor, user)
        mine = uuid.UUID(user)
        harbor.executes(sa.update(User).where(User.id == mine).values(failures=8))
        told = sa.select(sa.func.count()).where(
            Message.user_id == mine, Message.name == "answers_refused"
        )
        for number in (0, 1, 1):
            assert way(harbor, harbor.wrong_codes(phone)[0], user).status == 200
            assert harbor.rows(told) == [(number,)]


def test_the_short_way_asks_the_database_for_little(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])  # proves the token
    database = harbor.services.database
    for code in (harbor.code(phone), harbor.wrong_codes(phone)[0]):
        with heard(database) as said:
            assert verifies(harbor, code).status == 200
        assert [one.split()[0] for one, _ in said] == FEW[database.engine.dialect.name]


def test_who_hammers_a_locked_user_keeps_nobody_from_writing(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    for _ in range(5):
        verifies(harbor, harbor.wrong_codes(phone)[0])
    database = harbor.services.database
    with heard(database) as said, somebody_writing(database.engine):
        for code in (harbor.wrong_codes(phone)[0], harbor.code(phone)):
            assert verifies(harbor, code).status == 429
    assert [one.split()[0] for one, _ in said] == ["SELECT", "SELECT"]


@contextmanager
def somebody_writing(engine: sa.Engine) -> Iterator[None]:
    """Hold the lock that SQLite has for all writers, if it is that."""
    if engine.dialect.name != "sqlite":
        yield
        return
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_nothing_is_scanned(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])
    database = harbor.services.database
    with heard(database) as said:
        verifies(harbor, harbor.wrong_codes(phone)[0])
        verifies(harbor, harbor.code(phone))
    sqlite = database.engine.dialect.name == "sqlite"
    plans = []
    with database.engine.connect() as connection:
        if not sqlite:  # tables of a few rows are scanned for good reason
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in said:
            if not statement.startswith("INSERT"):
                words = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
                rows = connection.exec_driver_sql(words + statement, parameters).all()
                plans.append("\n".join(str(row[-1]) for row in rows))
    assert len(plans) == (6 if sqlite else 4)
    assert not [plan for plan in plans if "SCAN " in plan or "Seq Scan" in plan]


# What the short way must not spare anybody


def test_a_factor_that_raises_is_charged_by_the_api_too(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])
    monkeypatch.setitem(SECRET_FACTORS, "totp", Meddling(_raise))  # type: ignore[arg-type]
    assert verifies(harbor, harbor.code(phone)).status == 500
    counts = sa.select(User.failures, Authenticator.failures).join_from(User, Authenticator)
    assert harbor.rows(counts) == [(2, 2)]


def test_what_happens_while_a_code_is_judged_counts(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])

    def suspend() -> None:
        harbor.executes(sa.update(User).values(suspended_at=harbor.clock.now()))

    monkeypatch.setitem(SECRET_FACTORS, "totp", Meddling(suspend))  # type: ignore[arg-type]
    reply = verifies(harbor, harbor.code(phone))
    assert reply.json["error"]["type"] == "user_suspended"
    assert harbor.rows(sa.select(sa.func.count()).where(Verification.accepted)) == [(1,)]


@pytest.mark.parametrize("what", ["failures", "last_step"])
def test_of_two_answers_at_once_the_second_is_judged_after_the_first(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As if another process had counted a wrong code, or taken this one."""
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])
    step = int(harbor.clock.now().timestamp()) // 30
    other = {"failures": {"failures": 3}, "last_step": {"last_step": step}}[what]

    def meddle() -> None:
        harbor.executes(sa.update(Authenticator).values(**other))

    monkeypatch.setitem(SECRET_FACTORS, "totp", Meddling(meddle))  # type: ignore[arg-type]
    code = harbor.wrong_codes(phone)[0] if what == "failures" else harbor.code(phone)
    reply = verifies(harbor, code)
    assert reply.json["success"] is False
    assert reply.json["reason"] == {"failures": "wrong", "last_step": "replayed"}[what]
    [(failures,)] = harbor.rows(sa.select(Authenticator.failures))
    assert failures == {"failures": 4, "last_step": 2}[what]


class Meddling:
    """A factor during whose first check something else happens."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._real, self._act = SECRET_FACTORS["totp"], act

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def check(self, *given: Any, **more: Any) -> object:
        act, self._act = self._act, lambda: None
        act()
        return self._real.check(*given, **more)


def _raise() -> None:
    raise RuntimeError("broken")


def _blocked(harbor: Harbor) -> sa.Update:
    return sa.update(ApiKey).values(blocked_at=harbor.clock.now())


def _without_permission(harbor: Harbor) -> sa.Update:
    return sa.update(ApiKey).values(permissions=["read:users"])


def _of_another_environment(harbor: Harbor) -> sa.Update:
    return sa.update(ApiKey).values(environment="production")


def _deleted(harbor: Harbor) -> sa.Update:
    return sa.update(Organization).values(deleted_at=harbor.clock.now())


def _suspended(harbor: Harbor) -> sa.Update:
    return sa.update(User).values(suspended_at=harbor.clock.now())


def _over(harbor: Harbor) -> sa.Update:
    gone = harbor.clock.now() - timedelta(hours=2)
    return (
        sa.update(SigningKey)
        .where(SigningKey.use == KeyUse.ACCESS, SigningKey.state == KeyState.ACTIVE)
        .values(state=KeyState.RETIRED, retired_at=gone)
    )


def _removed(harbor: Harbor) -> sa.Update:
    return sa.update(Authenticator).values(status="removed")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        (_blocked, 401, "unauthorized"),
        (_over, 401, "unauthorized"),
        (_without_permission, 403, "forbidden"),
        (_of_another_environment, 404, "not_found"),
        (_deleted, 404, "not_found"),
        (_suspended, 422, "user_suspended"),
        (_removed, 422, "not_enrolled"),
    ],
)
def test_a_token_that_was_good_a_moment_ago_opens_nothing_more(
    harbor: Harbor, change: Callable[[Harbor], sa.Update], status: int, error: str
) -> None:
    phone, _ = has_phone(harbor)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    harbor.executes(change(harbor))
    reply = verifies(harbor, harbor.code(phone))
    assert (reply.status, reply.json["error"]["type"]) == (status, error)


def test_a_token_that_is_over_opens_nothing_more(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(3600)
    assert verifies(harbor, harbor.code(phone)).status == 401


def test_a_method_that_is_switched_off_judges_nothing(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    assert verifies(harbor, harbor.code(phone)).json["error"]["type"] == "totp_connection_inactive"


def test_the_window_that_the_organization_set_holds(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    verifies(harbor, harbor.wrong_codes(phone)[0])
    assert connects(harbor, window=0).status == 200
    assert verifies(harbor, harbor.code(phone, 1)).json["success"] is False
    assert connects(harbor, window=1).status == 200
    assert verifies(harbor, harbor.code(phone, 1)).json["success"] is True


def test_a_key_of_another_organization_reaches_nobody(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    harbor.backend = harbor.key(only=True)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    with harbor.services.database.writing() as tx:
        other = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Quay"
        )
    mine = ApiKey.id == uuid.UUID(harbor.backend.client_id)
    harbor.executes(sa.update(ApiKey).where(mine).values(organization_id=other.id))
    assert verifies(harbor, harbor.code(phone)).status == 404
