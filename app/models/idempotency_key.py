"""Idempotency key: an answer that is kept, so that a repeated request changes nothing twice."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class IdempotencyKey(Base):
    """One request that a caller may repeat, and what it was answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("caller", "key_hash"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    caller: Mapped[str]
    """The `client_id` of the API key or application."""
    key_hash: Mapped[str]
    """Of the header, the method and the path."""
    body_hash: Mapped[str]
    status: Mapped[int | None]
    """None while the first request is being answered."""
    answer: Mapped[str | None]
    """The body of the answer, sealed for this row."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
