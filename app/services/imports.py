"""Bulk import: users of another system, with the TOTP seeds that they already have there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.errors import Refusal
from app.models import Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.import_batches import Batch, Tally
from app.services.import_notices import ImportNotices
from app.services.import_rows import BadRow, CheckedRow, Row, RowChecks

MOST_ROWS = 100_000
BATCH = 500
_TRIES = 5

Noted = Callable[[Session, Tally], object]
"""Called in the transaction of each batch, with all that became of the rows up to it."""


class Imports:
    """Takes rows over in batches, each in a transaction of its own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        notices: ImportNotices,
        audit: Audit,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._notices = notices
        self._audit = audit

    def run(
        self,
        actor: Actor,
        organization: Organization,
        rows: Iterable[Row | BadRow],
        *,
        notify: bool,
    ) -> Tally:
        """Create and update users row by row; the same rows again change nothing.

        What was taken over stays, even if a later row can't be read: the whole can be repeated.

        Args:
            rows: are read between the transactions, so a slow sender holds no lock.
            notify: see `ImportNotices.tell`.

        Raises:
            Refusal: `too_many_rows`; so many as may be are taken over.
        """
        tally, complete = Tally(), False
        try:
            self.take_over(actor, organization, rows, tally, notify=notify)
            complete = True
        finally:
            with self._database.writing() as tx:
                self.record(tx, actor, organization, tally, complete=complete)
        tally.errors.sort(key=lambda row: row.number)
        return tally

    def take_over(
        self,
        actor: Actor,
        organization: Organization,
        rows: Iterable[Row | BadRow],
        tally: Tally,
        noted: Noted | None = None,
        *,
        notify: bool,
    ) -> None:
        """Create and update users row by row, without the event that sums it up (`record`).

        Args:
            tally: what became of the rows, also while this goes on. Rows that it has counted
                already were taken over before: they are read again, only to know repeated ones.
            noted: see `Noted`; if it raises, its batch is undone, with its notices.
            notify: see `ImportNotices.tell`.

        Raises:
            Refusal: `too_many_rows`; so many as may be are taken over.
        """

        def tell(tx: Session, batch: Batch) -> int:
            return self._notices.tell(tx, actor, organization, batch.news, asked=notify)

        def finish(tx: Session, batch: Batch, after: Tally) -> None:
            for kind, details in batch.events.items():
                self._audit.record_each(
                    tx, kind, actor, organization_id=organization.id, details=details
                )
            if noted is not None:
                noted(tx, after)

        too_many = f"The first {MOST_ROWS} rows were imported. Send the rest in another file."
        for part in _parts(rows, tally.total, too_many):
            self._do(organization, part, tally, tell, finish)

    def try_out(
        self,
        organization: Organization,
        rows: Iterable[Row | BadRow],
        tally: Tally,
        noted: Noted | None = None,
    ) -> None:
        """Find out what would become of rows: each batch is taken over, counted, and undone.

        A row that another batch would prepare the ground for is judged without it.

        Args:
            tally: what would become of the rows.
            noted: see `Noted`; what it does is kept.

        Raises:
            Refusal: `too_many_rows`.
        """

        def count(tx: Session, batch: Batch) -> int:
            return self._notices.count(tx, organization, batch.news)

        def finish(tx: Session, _batch: Batch, after: Tally) -> None:
            tx.rollback()
            if noted is not None:
                noted(tx, after)

        for part in _parts(rows, 0, f"A file may have {MOST_ROWS:,} rows. Split it."):
            self._do(organization, part, tally, count, finish)

    def record(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        tally: Tally,
        *,
        complete: bool,
        file: str | None = None,
    ) -> None:
        """Record that users were imported, and what became of the rows."""
        self._audit.record(
            tx,
            EventKind.USERS_IMPORTED,
            actor,
            organization_id=organization.id,
            created=tally.created,
            updated=tally.updated,
            unchanged=tally.unchanged,
            failed=tally.failed,
            told=tally.told,
            complete=complete,
            **_named(file),
        )

    def _do(
        self,
        organization: Organization,
        part: _Part,
        tally: Tally,
        tell: Callable[[Session, Batch], int],
        finish: Callable[[Session, Batch, Tally], None],
    ) -> None:
        for left in reversed(range(_TRIES)):
            try:
                with self._database.writing() as tx:
                    batch = Batch(tx, organization.id, self._vault, self._clock.now())
                    batch.take(part.good)
                    batch.tally.told = tell(tx, batch)
                    after = replace(tally, errors=[*tally.errors])
                    after.add(part.refused)
                    after.add(batch.tally)
                    finish(tx, batch, after)
                tally.add(part.refused)
                tally.add(batch.tally)
                return
            except IntegrityError:  # somebody was faster to create one of them: look again
                if not left:
                    raise


def _named(file: str | None) -> dict[str, Any]:
    return {"file": file} if file else {}


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of one batch: those that can be taken over, and how many can't for themselves."""

    good: list[CheckedRow]
    refused: Tally


def _parts(rows: Iterable[Row | BadRow], done: int, too_many: str) -> Iterator[_Part]:
    """Yield the rows in batches.

    Raises:
        Refusal: `too_many_rows`, after so many as may be.
    """
    checks, waiting, room = RowChecks(), iter(rows), MOST_ROWS - done
    _part(checks, islice(waiting, done))
    while batch := list(islice(waiting, BATCH)):
        yield _part(checks, batch[:room])
        if len(batch) > room:
            raise Refusal("too_many_rows", too_many)
        room -= len(batch)


def _part(checks: RowChecks, rows: Iterable[Row | BadRow]) -> _Part:
    part = _Part(good=[], refused=Tally())
    for row in rows:
        found = checks.checked(row) if isinstance(row, Row) else row
        if isinstance(found, BadRow):
            part.refused.refuse(found)
        else:
            part.good.append(found)
    return part
