"""Bulk import: users of another system, with the TOTP seeds that they already have there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy.exc import IntegrityError

from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.errors import Refusal
from app.models import Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.import_batches import Batch, Tally
from app.services.import_rows import BadRow, CheckedRow, Row, RowChecks

MOST_ROWS = 100_000
BATCH = 500
_TRIES = 5


class Imports:
    """Takes rows over in batches, each in a transaction of its own."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._audit = audit

    def run(self, actor: Actor, organization: Organization, rows: Iterable[Row | BadRow]) -> Tally:
        """Create and update users row by row; the same rows again change nothing.

        What was taken over stays, even if a later row can't be read: the whole can be repeated.

        Args:
            rows: are read between the transactions, so a slow sender holds no lock.

        Raises:
            Refusal: `too_many_rows`; so many as may be are taken over.
        """
        tally, complete = Tally(), False
        try:
            self._run(actor, organization, rows, tally)
            complete = True
        finally:
            with self._database.writing() as tx:
                self._audit.record(
                    tx,
                    EventKind.USERS_IMPORTED,
                    actor,
                    organization_id=organization.id,
                    created=tally.created,
                    updated=tally.updated,
                    unchanged=tally.unchanged,
                    failed=tally.failed,
                    complete=complete,
                )
        tally.errors.sort(key=lambda row: row.number)
        return tally

    def _run(
        self,
        actor: Actor,
        organization: Organization,
        rows: Iterable[Row | BadRow],
        tally: Tally,
    ) -> None:
        checks = RowChecks()
        for batch in _batches(rows):
            room = MOST_ROWS - tally.total
            good = []
            for row in batch[:room]:
                found = checks.checked(row) if isinstance(row, Row) else row
                if isinstance(found, BadRow):
                    tally.refuse(found)
                else:
                    good.append(found)
            tally.add(self._keep(actor, organization, good))
            if len(batch) > room:
                raise Refusal(
                    "too_many_rows",
                    f"The first {MOST_ROWS} rows were imported. Send the rest in another file.",
                )

    def _keep(self, actor: Actor, organization: Organization, rows: list[CheckedRow]) -> Tally:
        for left in reversed(range(_TRIES)):
            try:
                with self._database.writing() as tx:
                    batch = Batch(tx, organization.id, self._vault, self._clock.now())
                    batch.take(rows)
                    for kind, details in batch.events.items():
                        self._audit.record_each(
                            tx, kind, actor, organization_id=organization.id, details=details
                        )
                return batch.tally
            except IntegrityError:  # somebody was faster to create one of them: look again
                if not left:
                    raise
        raise AssertionError


def _batches(rows: Iterable[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        yield batch
