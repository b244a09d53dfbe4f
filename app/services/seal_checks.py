"""Checking the audit record against its seals, in constant memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database, hold_still
from app.models import Event, Organization, Seal
from app.services.seals import COLUMNS, DEPLOYMENT, Content, Seals, among, ids_of, in_groups

_SEALS_AT_ONCE = 50
_MOST_TOLD = 1000
"""So many breaks of one kind of check are told; a record that is broken further is no less so."""


class BreakKind(StrEnum):
    """What is wrong with the record."""

    EVENT_CHANGED = "event_changed"
    EVENT_REMOVED = "event_removed"
    EVENT_ADDED = "event_added"
    EVENT_DETACHED = "event_detached"
    SEAL_MISSING = "seal_missing"
    SEAL_CHANGED = "seal_changed"
    SEAL_OUT_OF_ORDER = "seal_out_of_order"
    PURGE_UNPROVED = "purge_unproved"
    PURGED_BUT_THERE = "purged_but_there"
    KEY_MISSING = "key_missing"
    NOT_FOUND = "expected_digest_not_found"


@dataclass(frozen=True, kw_only=True)
class Break:
    """One thing that is wrong.

    Attributes:
        seal: number of the seal in the chain, if it is about one.
        events: ids of the events that it is about, as ranges.
    """

    kind: BreakKind
    chain: str | None = None
    seal: int | None = None
    events: str | None = None


@dataclass(kw_only=True)
class Chain:
    """How one chain stands.

    Attributes:
        organization: its domain; None for the deployment's own, or if its row is gone.
        environment: of the organization.
        seals: how many there are, and how many of them were purged by the retention.
        events: how many sealed events are there.
        head: digest of the newest seal; whoever keeps it elsewhere sees when seals are cut off.
        unsealed: how many events wait for a seal, from which id and since when.
    """

    chain: str
    organization: str | None = None
    environment: str | None = None
    seals: int = 0
    purged: int = 0
    events: int = 0
    number: int = 0
    head: str | None = None
    unsealed: int = 0
    unsealed_from: int | None = None
    unsealed_since: datetime | None = None


@dataclass(kw_only=True)
class Report:
    """What a check found; `breaks` is empty if all is as it was written."""

    chains: list[Chain] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    breaks_untold: int = 0

    def tell(self, found: Iterable[Break]) -> None:
        """Take breaks in, as many as somebody will read."""
        for one in found:
            if len(self.breaks) < _MOST_TOLD:
                self.breaks.append(one)
            else:
                self.breaks_untold += 1


class SealChecks:
    """Walks the chains of seals and names every break."""

    def __init__(self, database: Database, seals: Seals) -> None:
        self._database = database
        self._seals = seals

    def check(
        self, organization: Organization | None = None, *, expected: Iterable[str] = ()
    ) -> Report:
        """Check one chain, or all.

        Args:
            organization: the one whose chain alone is meant.
            expected: digests that were kept elsewhere; each must be that of a seal.
        """
        report, missing = Report(), set(expected)
        with self._database.reading() as tx:
            hold_still(tx)
            only = str(organization.id) if organization else None
            for chain in _chains(tx, only):
                report.chains.append(chain)
                report.tell(self._walk(tx, chain, missing))
            report.tell(_miscounted(tx, only))
            report.tell(_orphans(tx, organization))
        report.tell(Break(kind=BreakKind.NOT_FOUND, events=one) for one in sorted(missing))
        return report

    def _walk(self, tx: Session, chain: Chain, missing: set[str]) -> Iterator[Break]:
        for seal in _seals(tx, chain.chain):
            if seal.number != chain.number + 1:
                for number in range(chain.number + 1, min(seal.number, chain.number + 11)):
                    yield Break(kind=BreakKind.SEAL_MISSING, chain=chain.chain, seal=number)
            elif seal.previous_digest != (chain.head or ""):
                yield _broken(BreakKind.SEAL_OUT_OF_ORDER, seal)
            chain.seals, chain.number, chain.head = chain.seals + 1, seal.number, seal.digest
            chain.purged += seal.purged_at is not None
            missing.discard(seal.digest)
            yield from self._judge(tx, seal, chain)

    def _judge(self, tx: Session, seal: Seal, chain: Chain) -> Iterator[Break]:
        if not self._seals.has_key(seal):
            yield _broken(BreakKind.KEY_MISSING, seal)
        elif not self._seals.is_ours(seal):
            yield _broken(BreakKind.SEAL_CHANGED, seal, seal.event_ids[:200])
        elif seal.purged_at is None:
            yield from self._compare(tx, seal, chain)
        elif not self._seals.was_purged(seal):
            yield _broken(BreakKind.PURGE_UNPROVED, seal, seal.event_ids[:200])

    def _compare(self, tx: Session, seal: Seal, chain: Chain) -> Iterator[Break]:
        content, whole = Content(), True
        for ids in in_groups(ids_of(seal.event_ids)):
            found = _events(tx, ids)
            chain.events += len(found)
            for event_id in ids:
                row = found.get(event_id)
                if row is None:
                    whole = False
                    yield _broken(BreakKind.EVENT_REMOVED, seal, str(event_id))
                    continue
                content.add(row)
                if row.seal_id != seal.id:
                    yield _broken(BreakKind.EVENT_DETACHED, seal, str(event_id))
        if whole and not self._seals.covers(seal, content):
            yield _broken(BreakKind.EVENT_CHANGED, seal, seal.event_ids)


def _broken(kind: BreakKind, seal: Seal, events: str | None = None) -> Break:
    return Break(kind=kind, chain=seal.chain, seal=seal.number, events=events)


def _chains(tx: Session, only: str | None) -> Iterator[Chain]:
    """Yield the chains that have a seal, or an event that waits for one."""
    waiting = {
        DEPLOYMENT if row.organization_id is None else str(row.organization_id): row
        for row in tx.execute(
            sa.select(
                Event.organization_id,
                sa.func.count().label("events"),
                sa.func.min(Event.id).label("first"),
                sa.func.min(Event.at).label("since"),
            )
            .where(Event.seal_id.is_(None))
            .group_by(Event.organization_id)
        )
    }
    names = {*tx.scalars(sa.select(Seal.chain).distinct()), *waiting}
    for name in sorted(names if only is None else names & {only}):
        chain, row = Chain(chain=name), waiting.get(name)
        owner = _owner(tx, name)
        if owner is not None:
            chain.organization, chain.environment = owner.domain, owner.environment.value
        if row is not None:
            chain.unsealed, chain.unsealed_from = row.events, row.first
            chain.unsealed_since = row.since
        yield chain


def _owner(tx: Session, chain: str) -> Organization | None:
    try:
        return tx.get(Organization, uuid.UUID(chain))
    except ValueError:  # the deployment's own, or a name that somebody wrote over
        return None


def _seals(tx: Session, chain: str) -> Iterator[Seal]:
    number = None
    while True:
        mine = sa.select(Seal).where(Seal.chain == chain).order_by(Seal.number)
        more = mine if number is None else mine.where(Seal.number > number)
        found = list(tx.scalars(more.limit(_SEALS_AT_ONCE)))
        yield from found
        if not found:
            return
        number = found[-1].number
        tx.expunge_all()


def _events(tx: Session, ids: list[int]) -> dict[int, sa.Row[*tuple[Any, ...]]]:
    rows = tx.execute(sa.select(*COLUMNS, Event.seal_id).where(among(ids)))
    return {row.id: row for row in rows}


def _miscounted(tx: Session, only: str | None) -> Iterator[Break]:
    """Yield seals that more events claim than they cover."""
    claims = (
        sa.select(Event.seal_id, sa.func.count().label("count"))
        .where(Event.seal_id.is_not(None))
        .group_by(Event.seal_id)
        .subquery()
    )
    covered = sa.case((Seal.purged_at.is_(None), Seal.count), else_=0)
    wrong = (
        sa.select(Seal).join(claims, claims.c.seal_id == Seal.id).where(claims.c.count > covered)
    )
    if only is not None:
        wrong = wrong.where(Seal.chain == only)
    for seal in tx.scalars(wrong.execution_options(yield_per=_SEALS_AT_ONCE)):
        purged = seal.purged_at is not None
        kind = BreakKind.PURGED_BUT_THERE if purged else BreakKind.EVENT_ADDED
        yield _broken(kind, seal)


def _orphans(tx: Session, organization: Organization | None) -> Iterator[Break]:
    """Yield events whose seal is not there at all."""
    known = sa.exists().where(Seal.id == Event.seal_id)
    lost = sa.select(Event.id, Event.organization_id).where(Event.seal_id.is_not(None), ~known)
    if organization is not None:
        lost = lost.where(Event.organization_id == organization.id)
    for row in tx.execute(lost.order_by(Event.id).execution_options(yield_per=1000)):
        owner = DEPLOYMENT if row.organization_id is None else str(row.organization_id)
        yield Break(kind=BreakKind.SEAL_MISSING, chain=owner, events=str(row.id))
