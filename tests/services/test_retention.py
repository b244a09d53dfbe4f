"""How long events are kept: whole seals go, from the oldest on, and the chain stays checkable."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.errors import Invalid
from app.models import Environment, Event, Organization, Seal
from app.services.audit import OPERATOR, EventKind
from app.services.seal_checks import BreakKind
from app.wiring import Services
from tests.conftest import FixedClock

DAY = 86400


class Archive:
    """An organization whose events lie in seals of one day each."""

    def __init__(self, services: Services, clock: FixedClock, name: str) -> None:
        self.services = services
        self.clock = clock
        with services.database.writing() as tx:
            self.organization = services.organizations.create(
                tx, OPERATOR, environment=Environment.SANDBOX, name=name
            )

    def lives(self, days: int, of: int = 3) -> None:
        for _ in range(days):
            with self.services.database.writing() as tx:
                for _ in range(of):
                    self.services.audit.record(
                        tx, EventKind.USER_UPDATED, OPERATOR, organization_id=self.organization.id
                    )
            self.services.seals.seal()
            self.clock.advance(DAY)

    def keeps(self, days: int | None, why: str | None = None) -> bool:
        with self.services.database.writing() as tx:
            owner = tx.get_one(Organization, self.organization.id)
            return self.services.retention.change(tx, OPERATOR, owner, days, why=why)

    def purges(self) -> int:
        rounds = 0
        while self.services.retention.purge():
            rounds += 1
        return rounds

    def events(self, kind: EventKind = EventKind.USER_UPDATED) -> list[Event]:
        with self.services.database.reading() as tx:
            mine = sa.select(Event).where(
                Event.organization_id == self.organization.id, Event.kind == kind.value
            )
            return list(tx.scalars(mine.order_by(Event.id)))

    def seals(self) -> list[Seal]:
        with self.services.database.reading() as tx:
            mine = sa.select(Seal).where(Seal.chain == str(self.organization.id))
            return list(tx.scalars(mine.order_by(Seal.number)))


@pytest.fixture
def archive(services: Services, clock: FixedClock) -> Archive:
    return Archive(services, clock, "Harbor")


def test_without_a_limit_events_are_kept_for_ever(archive: Archive) -> None:
    archive.lives(3)
    archive.clock.advance(5000 * DAY)
    assert archive.purges() == 0
    assert len(archive.events()) == 9


def test_whole_seals_go_from_the_oldest_on_and_the_record_stays_good(archive: Archive) -> None:
    archive.lives(40)
    archive.keeps(30)
    archive.purges()
    left = archive.events()
    assert len(left) == 30 * 3
    assert min(event.at for event in left) >= archive.clock.now() - timedelta(days=30)
    seals = archive.seals()
    assert [seal.purged_at is not None for seal in seals] == [True] * 10 + [False] * 30
    report = archive.services.seal_checks.check(archive.organization)
    assert report.breaks == []
    assert (report.chains[0].seals, report.chains[0].purged) == (40, 10)


def test_a_purge_is_on_record(archive: Archive) -> None:
    archive.lives(40)
    archive.keeps(30, why="Our privacy notice says so")
    archive.purges()
    changed = archive.events(EventKind.AUDIT_RETENTION_CHANGED)
    assert [(one.reason, one.detail) for one in changed] == [
        ("Our privacy notice says so", {"kept": "30 days", "before": "for ever"})
    ]
    purged = archive.events(EventKind.AUDIT_PURGED)
    assert [(one.actor, one.detail) for one in purged] == [
        ("system", {"events": 31, "days": 30, "first_seal": 1, "last_seal": 10})
    ]


def test_the_same_answer_twice_is_one_change(archive: Archive) -> None:
    assert archive.keeps(90)
    assert not archive.keeps(90)
    assert archive.keeps(None)
    assert len(archive.events(EventKind.AUDIT_RETENTION_CHANGED)) == 2


@pytest.mark.parametrize("days", [29, 0, -1, 3651])
def test_too_few_days_and_too_many_are_refused(archive: Archive, days: int) -> None:
    with pytest.raises(Invalid):
        archive.keeps(days)
    assert archive.events(EventKind.AUDIT_RETENTION_CHANGED) == []


def test_a_limit_written_into_the_database_still_keeps_a_month(archive: Archive) -> None:
    archive.lives(40)
    with archive.services.database.writing() as tx:
        tx.execute(sa.update(Organization).values(audit_days=1))
    archive.purges()
    assert len(archive.events()) == 90


def test_what_has_no_seal_yet_is_not_deleted(archive: Archive) -> None:
    with archive.services.database.writing() as tx:
        archive.services.audit.record(
            tx, EventKind.USER_UPDATED, OPERATOR, organization_id=archive.organization.id
        )
    archive.clock.advance(100 * DAY)
    archive.keeps(30)
    assert archive.purges() == 0
    assert len(archive.events()) == 1


def test_a_younger_seal_is_not_reached_over_an_older_one(archive: Archive) -> None:
    archive.lives(5)
    young = {"created_at": archive.clock.now()}
    with archive.services.database.writing() as tx:
        tx.execute(sa.update(Seal).where(Seal.number == 2).values(**young))
    archive.clock.advance(29 * DAY)
    archive.keeps(30)
    archive.purges()
    assert [seal.purged_at is not None for seal in archive.seals()] == [True] + [False] * 4


def test_another_organization_s_events_are_left_alone(
    archive: Archive, services: Services, clock: FixedClock
) -> None:
    pier = Archive(services, clock, "Pier")
    archive.lives(3)
    pier.lives(3)
    clock.advance(100 * DAY)
    archive.keeps(30)
    archive.purges()
    assert archive.events() == []
    assert len(pier.events()) == 9
    assert services.seal_checks.check().breaks == []


def test_much_is_deleted_in_parts(archive: Archive) -> None:
    archive.lives(3, of=2500)
    archive.clock.advance(100 * DAY)
    archive.keeps(30)
    assert archive.purges() == 2
    assert archive.events() == []
    assert archive.services.seal_checks.check().breaks == []


def test_events_that_come_back_after_their_purge_show(archive: Archive) -> None:
    archive.lives(1)
    kept = archive.events()[0]
    archive.clock.advance(100 * DAY)
    archive.keeps(30)
    archive.purges()
    row = {column.key: getattr(kept, column.key) for column in Event.__table__.columns}
    with archive.services.database.writing() as tx:
        tx.execute(sa.insert(Event).values(**row))
    found = archive.services.seal_checks.check(archive.organization).breaks
    assert [(one.kind, one.seal) for one in found] == [(BreakKind.PURGED_BUT_THERE, 1)]


def test_what_a_change_would_delete_is_told_before(archive: Archive) -> None:
    archive.lives(40)
    with archive.services.database.reading() as tx:
        due = archive.services.retention.due
        assert due(tx, archive.organization, 30) == 31
        assert due(tx, archive.organization, 3650) == 0
        assert due(tx, archive.organization, None) == 0
