"""Event: an append-only audit record."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Event(Base):
    """What happened, to whom, by whose hand; it outlives what it speaks of, so no foreign keys."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "organization_id", "id"),
        Index(None, "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    kind: Mapped[str]
    """`subject:action`, past tense, from `app.services.audit.EventKind`."""
    actor: Mapped[str]
    """`user`, `application:<id>`, `api_key:<id>` or `operator`."""
    organization_id: Mapped[uuid.UUID | None]
    user_id: Mapped[uuid.UUID | None]
    gateway_session_id: Mapped[str | None]
    address: Mapped[str | None]
    """Of the peer, as far as a trusted proxy tells."""
    detail: Mapped[dict[str, Any]]
