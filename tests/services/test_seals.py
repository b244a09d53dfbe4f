"""The audit record shows whatever was done to it behind Gatehouse's back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Organization, Seal
from app.services.audit import OPERATOR, EventKind
from app.services.seal_checks import BreakKind, Chain, Report
from app.services.seals import ids_of, ranges_of
from app.wiring import Services, wire
from tests.conftest import ENCRYPTION_KEYS, make_config


@dataclass
class Record:
    """The audit record of an organization, and a hand in its database."""

    services: Services
    organization: Organization

    @property
    def chain(self) -> str:
        return str(self.organization.id)

    def writes(self, count: int, organization: Organization | None = None) -> None:
        owner = organization or self.organization
        with self.services.database.writing() as tx:
            for number in range(count):
                self.services.audit.record(
                    tx,
                    EventKind.USER_UPDATED,
                    OPERATOR,
                    organization_id=owner.id,
                    why="Ünïcode \U0001f512",
                    number=number,
                    label="x",
                    flag=True,
                    nothing=None,
                )

    def seals(self, times: int = 1, of: int = 5) -> None:
        """Let so many seals be made, each of so many events."""
        for _ in range(times):
            self.writes(of)
            while self.services.seals.seal():
                pass

    def does(self, statement: sa.Executable) -> int:
        """Do something to the database that Gatehouse never does."""
        with self.services.database.writing() as tx:
            return int(tx.execute(statement).rowcount)  # type: ignore[attr-defined]

    def asks(self, statement: sa.Select) -> list:
        with self.services.database.reading() as tx:
            return list(tx.execute(statement).all())

    def checks(self, *expected: str) -> Report:
        return self.services.seal_checks.check(expected=expected)

    def breaks(self, *expected: str) -> set[tuple[BreakKind, int | None]]:
        return {(one.kind, one.seal) for one in self.checks(*expected).breaks}

    def event_of(self, number: int, place: int = 2) -> int:
        """Return the id of an event that a seal covers."""
        ranges = self.asks(
            sa.select(Seal.event_ids).where(Seal.chain == self.chain, Seal.number == number)
        )[0][0]
        return list(ids_of(ranges))[place]

    def seal(self, number: int) -> sa.ColumnElement[bool]:
        return sa.and_(Seal.chain == self.chain, Seal.number == number)

    def head(self) -> str:
        return str(chain_of(self.checks(), self.chain).head)


def chain_of(report: Report, name: str) -> Chain:
    return next(chain for chain in report.chains if chain.chain == name)


@pytest.fixture
def record(services: Services) -> Iterator[Record]:
    """Four seals: the organization's own first event, then three of five events."""
    with services.database.writing() as tx:
        made = services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Harbor"
        )
        services.signing_keys.rotate(tx, OPERATOR, at_once=True)
    while services.seals.seal():
        pass
    found = Record(services, made)
    found.seals(3)
    assert found.checks().breaks == []
    yield found


# Sealing


def test_many_sizes_of_a_seal_take_few_statements(record: Record) -> None:
    """A driver keeps each statement; one for each number of events would fill the memory."""
    engine, sent = record.services.database.engine, set[str]()

    def hear(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "seal_id" in statement and statement.startswith(("UPDATE", "DELETE", "SELECT")):
            sent.add(" ".join(statement.split()))

    sa.event.listen(engine, "before_cursor_execute", hear)
    try:
        for number in range(9, 25):
            record.seals(of=number)
        assert record.breaks() == set()
    finally:
        sa.event.remove(engine, "before_cursor_execute", hear)
    lengths = {one.split(" IN (")[1].count(",") + 1 for one in sent if " IN (" in one}
    assert {16, 32} <= lengths <= {1, 2, 4, 8, 16, 32}


def test_what_is_committed_is_sealed_and_the_rest_waits(record: Record) -> None:
    report = record.checks()
    mine = chain_of(report, record.chain)
    assert (mine.organization, mine.environment) == ("harbor", "sandbox")
    assert (mine.seals, mine.events, mine.unsealed) == (4, 16, 0)
    record.writes(3)
    mine = chain_of(record.checks(), record.chain)
    waiting = record.asks(sa.select(Event.id, Event.at).where(Event.seal_id.is_(None)))
    assert (mine.unsealed, mine.unsealed_from) == (3, waiting[0].id)
    assert mine.unsealed_since == waiting[0].at
    assert record.services.seals.seal() == 3
    assert record.services.seals.seal() == 0


def test_events_of_no_organization_have_a_chain_of_their_own(record: Record) -> None:
    own = chain_of(record.checks(), "deployment")
    assert own.seals == 1
    assert own.events >= 1
    assert own.organization is None


def test_a_batch_holds_so_many_events_of_any_organizations(record: Record) -> None:
    with record.services.database.writing() as tx:
        pier = record.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Pier"
        )
    for _ in range(3):
        record.writes(2)
        record.writes(2, pier)
    assert [record.services.seals.seal(5) for _ in range(4)] == [5, 5, 3, 0]
    assert record.breaks() == set()
    mine = record.asks(sa.select(Seal.event_ids).where(Seal.chain == str(pier.id)))
    assert any("," in ranges for (ranges,) in mine)


def test_an_event_that_commits_late_gets_into_a_later_seal(record: Record) -> None:
    """Its id is smaller than those that are sealed already."""
    late = record.event_of(2, 1)
    values = record.asks(sa.select(Event.__table__).where(Event.id == late))[0]._mapping
    record.services.seals.seal()
    before = record.asks(sa.select(sa.func.max(Event.id)))[0][0]
    row = {**values, "id": before + 10, "seal_id": None}
    record.does(sa.insert(Event).values({**row, "id": before + 20}))
    record.services.seals.seal()
    record.does(sa.insert(Event).values(row))
    assert record.services.seals.seal() == 1
    assert record.breaks() == set()


def test_what_is_not_committed_is_not_sealed(record: Record) -> None:
    if record.services.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's writers queue, so nobody seals while another one writes")
    with record.services.database.writing() as tx:
        record.services.audit.record(
            tx, EventKind.USER_UPDATED, OPERATOR, organization_id=record.organization.id
        )
        tx.flush()
        record.writes(1)
        assert record.services.seals.seal() == 1
    assert record.services.seals.seal() == 1
    assert record.breaks() == set()


def test_several_workers_at_once_seal_each_event_once(record: Record) -> None:
    record.writes(200)
    with ThreadPoolExecutor(6) as pool:
        sealed = sum(pool.map(lambda _: record.services.seals.seal(20), range(60)))
    while more := record.services.seals.seal():
        sealed += more
    assert sealed == 200
    assert record.breaks() == set()


def test_a_new_encryption_key_leaves_old_seals_good(record: Record, tmp_path: Path) -> None:
    old = record.services.config
    assert old.database_url is not None
    keys = "next:" + "A" * 43 + "=," + ENCRYPTION_KEYS
    config = make_config(old.database_url.get_secret_value(), tmp_path, encryption_keys=keys)
    rotated = Record(wire(config, record.services.clock), record.organization)
    rotated.seals()
    assert rotated.breaks() == set()
    config = make_config(
        old.database_url.get_secret_value(), tmp_path, encryption_keys="next:" + "A" * 43 + "="
    )
    without = Record(wire(config, record.services.clock), record.organization)
    assert without.breaks() >= {(BreakKind.KEY_MISSING, number) for number in (1, 2, 3, 4)}
    assert (BreakKind.KEY_MISSING, 5) not in without.breaks()
    for one in (rotated, without):
        one.services.database.engine.dispose()


def test_ids_are_kept_as_ranges() -> None:
    for ids, ranges in (
        ([1], "1"),
        ([1, 2, 3], "1-3"),
        ([1, 2, 4, 6, 7], "1-2,4,6-7"),
        ([5, 900], "5,900"),
    ):
        assert ranges_of(ids) == ranges
        assert list(ids_of(ranges)) == ids


# Tampering


def changed(**values: object) -> Callable[[Record], object]:
    return lambda record: record.does(
        sa.update(Event).where(Event.id == record.event_of(3)).values(**values)
    )


def event(act: Callable[[], sa.Update | sa.Delete], place: int = 2) -> Callable[[Record], object]:
    return lambda record: record.does(act().where(Event.id == record.event_of(3, place)))


def seal_values(number: int, **values: object) -> Callable[[Record], object]:
    return lambda record: record.does(sa.update(Seal).where(record.seal(number)).values(**values))


def drop_seal(record: Record) -> None:
    record.does(sa.delete(Seal).where(record.seal(3)))


def drop_seal_and_free_its_events(record: Record) -> None:
    ids = list(ids_of(record.asks(sa.select(Seal.event_ids).where(record.seal(3)))[0][0]))
    record.does(sa.delete(Seal).where(record.seal(3)))
    record.does(sa.update(Event).where(Event.id.in_(ids)).values(seal_id=None))
    record.services.seals.seal()


def close_the_gap(record: Record) -> None:
    drop_seal_and_free_its_events(record)
    record.does(sa.update(Seal).where(record.seal(4)).values(number=3))
    record.does(sa.update(Seal).where(record.seal(5)).values(number=4))


def swap_seals(record: Record) -> None:
    for before, after in ((3, 99), (4, 3), (99, 4)):
        record.does(sa.update(Seal).where(record.seal(before)).values(number=after))


def add_event(record: Record) -> None:
    row = record.asks(sa.select(Event.__table__).where(Event.id == record.event_of(3)))[0]._mapping
    newest = record.asks(sa.select(sa.func.max(Event.id)))[0][0]
    record.does(sa.insert(Event).values({**row, "id": newest + 1}))


def add_event_in_the_gap(record: Record) -> None:
    """Where one was removed, with the seal's ranges made to fit."""
    victim = record.event_of(3)
    record.does(sa.delete(Event).where(Event.id == victim))
    ids = list(ids_of(record.asks(sa.select(Seal.event_ids).where(record.seal(3)))[0][0]))
    ids.remove(victim)
    values = {"event_ids": ranges_of(ids), "count": len(ids)}
    record.does(sa.update(Seal).where(record.seal(3)).values(**values))


def free_event(record: Record) -> None:
    record.does(sa.update(Event).where(Event.id == record.event_of(3)).values(seal_id=None))


def free_event_and_seal_anew(record: Record) -> None:
    free_event(record)
    assert record.services.seals.seal() == 1


def pretend_purge(record: Record) -> None:
    ids = list(ids_of(record.asks(sa.select(Seal.event_ids).where(record.seal(3)))[0][0]))
    record.does(sa.delete(Event).where(Event.id.in_(ids)))
    seal_values(3, purged_at=record.services.clock.now(), purge_proof="test:00")(record)


def forge_seal(record: Record) -> None:
    row = record.asks(sa.select(Seal.__table__).where(record.seal(4)))[0]._mapping
    forged = {**row, "id": uuid.uuid4(), "number": 5, "previous_digest": row["digest"]}
    record.does(sa.insert(Seal).values(forged))


K = BreakKind
TAMPERED = [
    ("reason", changed(reason="He asked for it"), {(K.EVENT_CHANGED, 3)}),
    ("no reason", changed(reason=None), {(K.EVENT_CHANGED, 3)}),
    ("address", changed(address="192.0.2.1"), {(K.EVENT_CHANGED, 3)}),
    ("actor", changed(actor="user"), {(K.EVENT_CHANGED, 3)}),
    ("label", changed(actor_label="Bo"), {(K.EVENT_CHANGED, 3)}),
    ("kind", changed(kind="user:created"), {(K.EVENT_CHANGED, 3)}),
    ("detail", changed(detail={"number": 7}), {(K.EVENT_CHANGED, 3)}),
    ("user", changed(user_id=uuid.uuid4()), {(K.EVENT_CHANGED, 3)}),
    ("application", changed(application_id=uuid.uuid4()), {(K.EVENT_CHANGED, 3)}),
    ("session", changed(gateway_session_id="gateway-session_x"), {(K.EVENT_CHANGED, 3)}),
    ("organization", changed(organization_id=None), {(K.EVENT_CHANGED, 3)}),
    ("an event removed", event(lambda: sa.delete(Event)), {(K.EVENT_REMOVED, 3)}),
    ("the first removed", event(lambda: sa.delete(Event), 0), {(K.EVENT_REMOVED, 3)}),
    ("an event added", add_event, {(K.EVENT_ADDED, 3)}),
    ("ranges made to fit", add_event_in_the_gap, {(K.SEAL_CHANGED, 3)}),
    ("an event freed", free_event, {(K.EVENT_DETACHED, 3)}),
    ("an event sealed anew", free_event_and_seal_anew, {(K.EVENT_DETACHED, 3)}),
    ("a seal removed", drop_seal, {(K.SEAL_MISSING, 3), (K.SEAL_MISSING, None)}),
    ("a seal and its traces removed", drop_seal_and_free_its_events, {(K.SEAL_MISSING, 3)}),
    ("numbers made to fit", close_the_gap, {(K.SEAL_OUT_OF_ORDER, 3), (K.SEAL_CHANGED, 3)}),
    ("seals swapped", swap_seals, {(K.SEAL_OUT_OF_ORDER, 3), (K.SEAL_CHANGED, 3)}),
    ("a digest changed", seal_values(3, digest="test:00"), {(K.SEAL_CHANGED, 3)}),
    ("a content digest", seal_values(3, content_digest="test:00"), {(K.SEAL_CHANGED, 3)}),
    ("a count", seal_values(3, count=4), {(K.SEAL_CHANGED, 3), (K.EVENT_ADDED, 3)}),
    ("ids", seal_values(3, event_ids="1-999999999999"), {(K.SEAL_CHANGED, 3)}),
    ("ids that are none", seal_values(3, event_ids="x'--"), {(K.SEAL_CHANGED, 3)}),
    ("another chain", seal_values(3, chain="nonsense"), {(K.SEAL_MISSING, 3)}),
    ("a purge that was none", pretend_purge, {(K.PURGE_UNPROVED, 3)}),
    ("a forged seal", forge_seal, {(K.SEAL_CHANGED, 5)}),
]


@pytest.mark.parametrize(
    ("act", "expected"), [row[1:] for row in TAMPERED], ids=[r[0] for r in TAMPERED]
)
def test_whatever_is_done_to_the_record_shows(
    record: Record, act: Callable[[Record], object], expected: set[tuple[BreakKind, int | None]]
) -> None:
    act(record)
    assert record.breaks() >= expected


def test_a_change_that_is_undone_leaves_no_break(record: Record) -> None:
    event_id = record.event_of(3)
    before = record.asks(sa.select(Event.detail).where(Event.id == event_id))[0][0]
    changed(detail={})(record)
    assert record.breaks() == {(K.EVENT_CHANGED, 3)}
    changed(detail=before)(record)
    assert record.breaks() == set()


def test_seals_that_are_cut_off_show_only_by_a_digest_that_was_kept(record: Record) -> None:
    """The limit that the documentation tells."""
    head = record.head()
    record.seals()
    assert record.breaks(head) == set()
    ids = [
        one
        for (ranges,) in record.asks(
            sa.select(Seal.event_ids).where(Seal.chain == record.chain, Seal.number >= 4)
        )
        for one in ids_of(ranges)
    ]
    record.does(sa.delete(Event).where(Event.id.in_(ids)))
    record.does(sa.delete(Seal).where(Seal.chain == record.chain, Seal.number >= 4))
    assert record.breaks() == set()
    assert record.breaks(head) == {(K.NOT_FOUND, None)}


def test_of_one_organization_only_its_own_chain_is_checked(record: Record) -> None:
    with record.services.database.writing() as tx:
        pier = record.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    record.services.seals.seal()
    changed(reason="x")(record)
    assert record.services.seal_checks.check(pier).breaks == []
    mine = record.services.seal_checks.check(record.organization)
    assert [one.kind for one in mine.breaks] == [K.EVENT_CHANGED]
    assert [chain.chain for chain in mine.chains] == [record.chain]


def test_only_so_many_breaks_are_told_one_by_one(record: Record) -> None:
    record.writes(1200)
    record.services.seals.seal()
    record.does(
        sa.delete(Event).where(
            Event.organization_id == record.organization.id, Event.kind == "user:updated"
        )
    )
    report = record.checks()
    assert len(report.breaks) == 1000
    assert report.breaks_untold == 215
