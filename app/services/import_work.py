"""Working off files of users: a worker checks each without a trace, and later takes it over.

A worker holds a job by its heartbeat, which every batch moves on in its own transaction: a worker
that went silent is replaced, and if it wakes up again, its next batch is undone.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, undefer

from app.clock import Clock
from app.crypto import Vault
from app.db import Database, touched_one
from app.errors import Refusal
from app.models import ImportJob, ImportStatus, Organization
from app.services.audit import Actor
from app.services.import_batches import Tally
from app.services.import_files import rows_of
from app.services.import_rows import BadRow
from app.services.imports import Imports

SILENT = timedelta(seconds=60)
"""After it a worker that says nothing has lost its job."""
KEPT = timedelta(days=1)
"""So long a file lies here before it is taken over."""

IN_LINE = (ImportStatus.BROUGHT, ImportStatus.WAITING)
HELD = (ImportStatus.CHECKING, ImportStatus.RUNNING)
OPEN = (*IN_LINE, *HELD, ImportStatus.CHECKED)
ZERO: dict[str, Any] = {
    "rows_done": 0,
    "created": 0,
    "updated": 0,
    "unchanged": 0,
    "failed": 0,
    "told": 0,
    "errors": {},
}
_WHEN_CLAIMED = {
    ImportStatus.BROUGHT: ImportStatus.CHECKING,
    ImportStatus.CHECKING: ImportStatus.CHECKING,
    ImportStatus.WAITING: ImportStatus.RUNNING,
    ImportStatus.RUNNING: ImportStatus.RUNNING,
}
_log = structlog.get_logger("gatehouse")


class _Lost(Exception):
    """The job was discarded, or another worker has it now."""


@dataclass
class _Claim:
    """A worker's hold on a job: what its row must still say for the worker to go on."""

    job_id: uuid.UUID
    status: ImportStatus
    heartbeat_at: datetime

    def change(self, tx: Session, **values: Any) -> None:
        """Change the row of the job.

        Raises:
            _Lost: it is no longer held.
        """
        mine = sa.update(ImportJob).where(
            ImportJob.id == self.job_id,
            ImportJob.status == self.status,
            ImportJob.heartbeat_at == self.heartbeat_at,
        )
        if not touched_one(tx, mine.values(**values)):
            raise _Lost
        self.heartbeat_at = values.get("heartbeat_at", self.heartbeat_at)


class ImportWork:
    """What a worker does."""

    def __init__(self, database: Database, clock: Clock, files: Files, imports: Imports) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._imports = imports

    def run_next(self) -> bool:
        """Work the next job off, whichever organization's it is, and tell whether there was one."""
        self._give_up_old()
        job = self._next()
        return job is not None and self.work(job)

    def _next(self) -> ImportJob | None:
        silent = sa.and_(
            ImportJob.status.in_(HELD), ImportJob.heartbeat_at < self._clock.now() - SILENT
        )
        ready = sa.select(ImportJob).where(sa.or_(ImportJob.status.in_(IN_LINE), silent))
        with self._database.reading() as tx:
            return tx.scalar(ready.order_by(ImportJob.created_at).limit(1))

    def work(self, job: ImportJob) -> bool:
        """Check a file, or take it over, unless somebody else was faster to begin."""
        claim = self._claim(job)
        if claim is None:
            return False
        try:
            if claim.status is ImportStatus.CHECKING:
                self._check(claim)
            else:
                self._take_over(claim)
        except _Lost:
            _log.warning("import lost to another worker", job=str(claim.job_id))
        except Refusal as refusal:
            self._fail(claim, refusal.message)
        except Exception:
            self._fail(claim, "It stopped because of a fault of ours. Bring the file again.")
            raise
        return True

    def _claim(self, job: ImportJob) -> _Claim | None:
        held = _Claim(job.id, job.status, job.heartbeat_at or job.created_at)
        status, now = _WHEN_CLAIMED[job.status], self._clock.now()
        try:
            with self._database.writing() as tx:
                held.change(tx, status=status, heartbeat_at=now)
        except _Lost:
            return None
        return _Claim(job.id, status, now)

    def _check(self, claim: _Claim) -> None:
        tally = Tally()
        _job, organization, content = self._load(claim)
        self._imports.try_out(organization, rows_of(content), tally, self._note(claim))
        with self._database.writing() as tx:
            claim.change(tx, status=ImportStatus.CHECKED, rows=tally.total, **_counts(tally))

    def _take_over(self, claim: _Claim) -> None:
        job, organization, content = self._load(claim)
        actor, tally = Actor(name=job.actor, label=job.actor_label), _tally(job)
        self._imports.take_over(
            actor,
            organization,
            rows_of(content),
            tally,
            self._note(claim),
            notify=job.notifies,
        )
        with self._database.writing() as tx:
            claim.change(tx, **ended(ImportStatus.DONE, self._clock.now()), **_counts(tally))
            self._imports.record(tx, actor, organization, tally, complete=True, file=job.filename)

    def _load(self, claim: _Claim) -> tuple[ImportJob, Organization, bytes]:
        with self._database.reading() as tx:
            job = tx.get_one(ImportJob, claim.job_id, options=[undefer(ImportJob.content)])
            organization = tx.get_one(Organization, job.organization_id)
        if job.content is None:
            raise _Lost
        return job, organization, self._files.open(job.id, job.content)

    def _note(self, claim: _Claim) -> Callable[[Session, Tally], None]:
        """Return what writes down how far it is, with a new heartbeat."""

        def note(tx: Session, tally: Tally) -> None:
            claim.change(tx, heartbeat_at=self._clock.now(), **_counts(tally))

        return note

    def _fail(self, claim: _Claim, why: str) -> None:
        with self._database.writing() as tx:
            job = tx.get_one(ImportJob, claim.job_id)
            errors = {**job.errors, "stopped": why}
            mine = sa.update(ImportJob).where(
                ImportJob.id == claim.job_id, ImportJob.status == claim.status
            )
            touched_one(
                tx, mine.values(**ended(ImportStatus.FAILED, self._clock.now()), errors=errors)
            )

    def _give_up_old(self) -> None:
        """Erase files that lay here too long; a worker that still has one loses it."""
        old = sa.and_(ImportJob.status.in_(OPEN), ImportJob.created_at < self._clock.now() - KEPT)
        with self._database.reading() as tx:
            ids = tx.scalars(sa.select(ImportJob.id).where(old)).all()
        if not ids:
            return
        with self._database.writing() as tx:
            over = ended(ImportStatus.DISCARDED, self._clock.now())
            tx.execute(sa.update(ImportJob).where(ImportJob.id.in_(ids), old).values(**over))


class Files:
    """Seals what was brought for the row of its job, since it may hold seeds."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, job_id: uuid.UUID, content: bytes) -> str:
        """Return a file as it is kept."""
        return self._vault.seal(zlib.compress(content), place=_place(job_id))

    def open(self, job_id: uuid.UUID, sealed: str) -> bytes:
        """Return a file as it was brought."""
        return zlib.decompress(self._vault.open(sealed, place=_place(job_id)))


def ended(status: ImportStatus, now: datetime) -> dict[str, Any]:
    """Return what becomes of the row of a job that is over: its file is erased."""
    return {"status": status, "content": None, "finished_at": now}


def errors_of(job: ImportJob) -> list[BadRow]:
    """Return the rows that could not be taken over, as far as they are kept, in their order."""
    kept = (
        BadRow(number=number, code=code, message=message, field=field)
        for number, code, message, field in job.errors.get("rows", ())
    )
    return sorted(kept, key=lambda row: row.number)


def _counts(tally: Tally) -> dict[str, Any]:
    rows = [[bad.number, bad.code, bad.message, bad.field] for bad in tally.errors]
    return {
        "rows_done": tally.total,
        "created": tally.created,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "failed": tally.failed,
        "told": tally.told,
        "errors": {"rows": rows},
    }


def _tally(job: ImportJob) -> Tally:
    return Tally(
        created=job.created,
        updated=job.updated,
        unchanged=job.unchanged,
        failed=job.failed,
        told=job.told,
        errors=errors_of(job),
    )


def _place(job_id: uuid.UUID) -> str:
    return f"import_jobs.content:{job_id}"
