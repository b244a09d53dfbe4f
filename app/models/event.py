"""Event: an append-only audit record."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Event(Base):
    """What happened, to whom, by whose hand; it outlives what it speaks of, so no foreign keys."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "organization_id", "id"),
        Index(None, "user_id", "id"),
        Index(None, "organization_id", "kind", "id"),
        Index(None, "organization_id", "application_id", "id"),
        Index(None, "organization_id", "address", "id"),
        Index(
            "ix_events_unsealed",
            "id",
            sqlite_where=text("seal_id IS NULL"),
            postgresql_where=text("seal_id IS NULL"),
        ),
        Index(
            "ix_events_organization_id_actor",
            "organization_id",
            "actor",
            "id",
            sqlite_where=text("actor <> 'user'"),
            postgresql_where=text("actor <> 'user'"),
        ),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    kind: Mapped[str]
    """`subject:action`, past tense, from `app.services.audit.EventKind`."""
    actor: Mapped[str]
    """`user`, `application:<id>`, `api_key:<id>`, `administrator:<id>`, `operator` or `system`."""
    actor_label: Mapped[str | None]
    """What people called the actor then, such as an administrator's e-mail address."""
    organization_id: Mapped[uuid.UUID | None]
    user_id: Mapped[uuid.UUID | None]
    application_id: Mapped[uuid.UUID | None]
    gateway_session_id: Mapped[str | None]
    address: Mapped[str | None]
    """Of the peer, as far as a trusted proxy tells."""
    device: Mapped[str | None]
    """The peer's browser and system in a few words, as it says."""
    country: Mapped[str | None]
    """Where the peer is (ISO 3166-1 alpha-2), if a trusted proxy tells."""
    reason: Mapped[str | None]
    """What the administrator gave as the reason."""
    detail: Mapped[dict[str, Any]]
    seal_id: Mapped[uuid.UUID | None]
    """The seal that covers it, once one does."""
