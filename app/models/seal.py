"""Seal: what makes it show when an event was changed or taken away."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Seal(Base):
    """Covers some events of one chain; each builds on the one before it."""

    __tablename__ = "seals"
    __table_args__ = (
        UniqueConstraint("chain", "number"),
        Index(
            "ix_seals_kept",
            "chain",
            "number",
            sqlite_where=text("purged_at IS NULL"),
            postgresql_where=text("purged_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    chain: Mapped[str]
    """The id of an organization, or `deployment` for events of none."""
    number: Mapped[int] = mapped_column(BigInteger)
    """Within the chain, from 1."""
    event_ids: Mapped[str] = mapped_column(Text)
    """Those that it covers, as ranges such as `1-500,503`."""
    count: Mapped[int]
    content_digest: Mapped[str]
    """Keyed hash of the content of all these events."""
    previous_digest: Mapped[str]
    """That of the seal before it; empty at the first."""
    digest: Mapped[str]
    """Keyed hash of all that stands above, so it vouches for everything before it, too."""
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]
    """When its events were deleted because they were old enough; the seal stays."""
    purge_proof: Mapped[str | None]
    """Keyed hash of that, so that nobody else can say that it was so."""
