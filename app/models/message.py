"""Message: what is sent to a person, a row before it is anything else."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Message(Base):
    """A message to a user, written in the transaction that causes it.

    Until there are channels, every message stays here, captured, and leaves by none.
    """

    __tablename__ = "messages"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
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
