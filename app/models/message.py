"""Message: what is sent to a person, a row before it is anything else."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Message(Base):
    """A message to a user, written in the transaction that causes it.

    Until there are channels, every message stays here, captured, and leaves by none.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "organization_id", "channel", "created_at", "id"),
        Index(None, "user_id", "channel", "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    """Of the user."""
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """None for the one that tells of the user's deletion, which it outlives."""
    channel: Mapped[str]
    recipient: Mapped[str]
    """The address as it stood when the message was caused."""
    name: Mapped[str]
    """Of its template in `templates/messages`."""
    subject: Mapped[str]
    body: Mapped[str]
    """Sealed for this row."""
    status: Mapped[str] = mapped_column(default="captured")
    created_at: Mapped[datetime]
