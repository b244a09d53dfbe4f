"""Import job: a file of users that an administrator brought, and how far it is taken over."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class ImportStatus(StrEnum):
    """Where a file is on its way."""

    BROUGHT = "brought"
    """It waits for a worker to check it; a short one is checked as it comes."""
    CHECKING = "checking"
    CHECKED = "checked"
    """Its preview is shown; nothing was taken over."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DISCARDED = "discarded"


class ImportJob(Base):
    """One file; its content is erased once it was taken over or given up."""

    __tablename__ = "import_jobs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )
    actor: Mapped[str]
    actor_label: Mapped[str | None]
    filename: Mapped[str]
    content: Mapped[str | None] = mapped_column(Text, deferred=True)
    """Sealed for this row, since it may hold seeds."""
    status: Mapped[ImportStatus] = mapped_column(name_of(ImportStatus), index=True)
    rows: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    """Of those that are being checked, or taken over."""
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    told: Mapped[int] = mapped_column(default=0)
    """So many users were told, or, before it is started, would be."""
    notifies: Mapped[bool] = mapped_column(default=False)
    """Whether users are told who are new or whose authenticator it brings."""
    errors: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What could not be taken over, by the number of its row."""
    created_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime | None]
    """When it was last put in line, or the worker that has it last said so; a silent one's job is
    taken over by another."""
    finished_at: Mapped[datetime | None]
