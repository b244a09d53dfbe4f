"""Files of users that administrators bring: checked, looked at, then started or discarded."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import Database, touched_one
from app.errors import Invalid, NotFound, Refusal
from app.models import ImportJob, ImportStatus, Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.import_files import rows_of
from app.services.import_rows import BadRow, Row
from app.services.import_work import (
    HELD,
    IN_LINE,
    KEPT,
    OPEN,
    SILENT,
    ZERO,
    Files,
    ImportWork,
    ended,
)

MOST_BYTES = 20 * 1024 * 1024
SHORT_BYTES = 64 * 1024
"""So long a file is checked while its sender waits."""
PATIENCE = timedelta(seconds=20)
"""So long a job may wait before we say that nobody seems to be there."""
_MOST_OPEN = 10
_NAME_LENGTH = 200
_SAMPLE = 5
_MAY_BE_DISCARDED = (*IN_LINE, ImportStatus.CHECKING, ImportStatus.CHECKED)


class ImportJobs:
    """Takes files in, and lets administrators decide about them."""

    def __init__(
        self, database: Database, clock: Clock, files: Files, work: ImportWork, audit: Audit
    ) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._work = work
        self._audit = audit

    def bring(
        self, actor: Actor, organization: Organization, filename: str, content: bytes
    ) -> ImportJob:
        """Keep a file, sealed, and check it: a short one at once, else a worker does.

        It opens transactions of its own.

        Args:
            filename: what the file is called where it comes from; only ever shown.

        Raises:
            Invalid: `file` can't be read at all.
            Refusal: `too_many_imports` are open.
        """
        lines = _refuse_unreadable(content)
        job_id, now = uuid.uuid4(), self._clock.now()
        job = ImportJob(
            id=job_id,
            organization_id=organization.id,
            actor=actor.name,
            actor_label=actor.label,
            filename=_plain_name(filename),
            content=self._files.seal(job_id, content),
            status=ImportStatus.BROUGHT,
            rows=lines,
            created_at=now,
            heartbeat_at=now,
            **ZERO,
        )
        with self._database.writing() as tx:
            self._refuse_many(tx, organization)
            tx.add(job)
            self._record(tx, EventKind.IMPORT_BROUGHT, actor, job)
        if len(content) <= SHORT_BYTES:
            self._work.work(job)
        return job

    def find(self, tx: Session, organization: Organization, job_id: uuid.UUID) -> ImportJob:
        """Return one of the organization's imports.

        Raises:
            NotFound: it has none with this id.
        """
        mine = sa.select(ImportJob).where(
            ImportJob.organization_id == organization.id, ImportJob.id == job_id
        )
        found = tx.scalar(mine)
        if found is None:
            raise NotFound("import")
        return found

    def recent(self, tx: Session, organization: Organization) -> Sequence[ImportJob]:
        """Return the organization's latest imports, newest first."""
        mine = sa.select(ImportJob).where(ImportJob.organization_id == organization.id)
        return tx.scalars(mine.order_by(ImportJob.created_at.desc()).limit(20)).all()

    def sample(self, tx: Session, job: ImportJob) -> list[Row | BadRow]:
        """Return the first rows of a file that is still here; their seeds can't be printed."""
        sealed = tx.scalar(sa.select(ImportJob.content).where(ImportJob.id == job.id))
        return (
            []
            if sealed is None
            else list(islice(rows_of(self._files.open(job.id, sealed)), _SAMPLE))
        )

    def start(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        job_id: uuid.UUID,
        *,
        notify: bool,
    ) -> None:
        """Put a checked file in line to be taken over.

        Args:
            notify: see `ImportNotices.tell`.

        Raises:
            NotFound: the organization has no such import.
            Refusal: `import_over`: it was started or given up before.
        """
        job, now = self.find(tx, organization, job_id), self._clock.now()
        checked = sa.update(ImportJob).where(
            ImportJob.id == job_id,
            ImportJob.status == ImportStatus.CHECKED,
            ImportJob.created_at > now - KEPT,
        )
        waiting = {
            "status": ImportStatus.WAITING,
            "heartbeat_at": now,
            "actor": actor.name,
            "actor_label": actor.label,
            "notifies": notify,
        }
        if not touched_one(tx, checked.values(**waiting, **ZERO)):
            raise _over()
        self._record(tx, EventKind.IMPORT_STARTED, actor, job, notify=notify)

    def discard(
        self, tx: Session, actor: Actor, organization: Organization, job_id: uuid.UUID
    ) -> None:
        """Give a file up that is not being taken over yet, and erase it.

        Raises:
            NotFound: the organization has no such import.
            Refusal: `import_over`: it is being taken over, or was, or was given up.
        """
        job = self.find(tx, organization, job_id)
        still = sa.update(ImportJob).where(
            ImportJob.id == job_id, ImportJob.status.in_(_MAY_BE_DISCARDED)
        )
        if not touched_one(tx, still.values(**ended(ImportStatus.DISCARDED, self._clock.now()))):
            raise _over()
        self._record(tx, EventKind.IMPORT_DISCARDED, actor, job)

    def lacks_worker(self, tx: Session, job: ImportJob) -> bool:
        """Tell whether a job waits although no worker is busy: none seems to be running."""
        now = self._clock.now()
        since = now - (job.heartbeat_at or job.created_at)
        if job.status in HELD:
            return since > SILENT
        if job.status not in IN_LINE or since <= PATIENCE:
            return False
        busy = sa.select(ImportJob.id).where(
            ImportJob.status.in_(HELD), ImportJob.heartbeat_at > now - SILENT
        )
        return tx.scalar(busy.limit(1)) is None

    def run_next(self) -> bool:
        """Work the next job off, whichever organization's it is, and tell whether there was one."""
        return self._work.run_next()

    def _record(
        self, tx: Session, kind: EventKind, actor: Actor, job: ImportJob, **more: Any
    ) -> None:
        owner = job.organization_id
        self._audit.record(tx, kind, actor, organization_id=owner, file=job.filename, **more)

    def _refuse_many(self, tx: Session, organization: Organization) -> None:
        mine = sa.select(sa.func.count()).where(
            ImportJob.organization_id == organization.id, ImportJob.status.in_(OPEN)
        )
        if (tx.scalar(mine) or 0) >= _MOST_OPEN:
            raise Refusal(
                "too_many_imports",
                f"{_MOST_OPEN} imports are open. Start or discard one of them first.",
                status=409,
            )


def _refuse_unreadable(content: bytes) -> int:
    """Return about how many rows a file has.

    Raises:
        Invalid: `file` has none that can be read.
    """
    if len(content) > MOST_BYTES:
        raise Invalid("file", f"it may have {MOST_BYTES // 1024**2} MB. Split it.")
    try:
        first = next(rows_of(content), None)
    except Invalid as error:
        raise Invalid("file", error.message.removeprefix(f"{error.field}: ")) from None
    if first is None:
        raise Invalid("file", "there is no row in it.")
    return max(1, content.count(b"\n"))


def _plain_name(filename: str) -> str:
    """Return what a file is called, without folders: a name is shown, never opened."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    plain = "".join(mark for mark in last if mark.isprintable()).strip()
    return plain[:_NAME_LENGTH] or "users"


def _over() -> Refusal:
    return Refusal(
        "import_over", "This import was started or discarded before. Look at it again.", status=409
    )
