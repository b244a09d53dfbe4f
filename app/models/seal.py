"""Seal: what makes it show when an event was changed or taken away."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Seal(Base):
    """Covers some events of one chain; each builds on the one before it."""

    __tablename__ = "seals"
    __table_args__ = (UniqueConstraint("chain", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    chain: Mapped[str]
    """The id of an organization, or `deployment` for events of none."""
    number: Mapped[int] = mapped_column(BigInteger)
    """Within the chain, from 1."""
    event_ids: Mapped[str] = mapped_column(Text)
    """Those that it covers, as ranges such as `1-500,503`."""
    count: Mapped[int]
    previous_digest: Mapped[str]
    digest: Mapped[str]
    """Keyed hash of the previous digest, the ids and the content of the events."""
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]
    """When its events were deleted because they were old enough; the seal stays."""
    purge_proof: Mapped[str | None]
    """Keyed hash of that, so that nobody else can say that it was so."""
