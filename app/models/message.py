"""Message: what is sent to a person, a row before it is anything else."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class MessageStatus(StrEnum):
    """What became of a message."""

    CAPTURED = "captured"
    """In the sandbox: it leaves by no channel, and can be read."""
    QUEUED = "queued"
    SENDING = "sending"
    """A sender has it; if it does not come back in time, another takes it."""
    SENT = "sent"
    """A provider took it."""
    DELIVERED = "delivered"
    """The provider says that it arrived."""
    FAILED = "failed"


WAITING = text("messages.status IN ('queued', 'sending')")
"""Of what a sender may take, once it is due; word for word the condition of its index."""
_OF_INDEX = text("status IN ('queued', 'sending')")


class Message(Base):
    """A message to a user, written in the transaction that causes it.

    A sender takes it by a conditional UPDATE, so any number of senders is safe, and one that is
    killed loses nothing. What it says is erased once it was sent.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(None, "organization_id", "created_at", "id"),
        Index(None, "organization_id", "channel", "created_at", "id"),
        Index(None, "organization_id", "status", "created_at", "id"),
        Index(None, "user_id", "channel", "created_at", "id"),
        Index(
            "ix_messages_waiting",
            "urgent",
            "due_at",
            "organization_id",
            "id",
            sqlite_where=_OF_INDEX,
            postgresql_where=_OF_INDEX,
        ),
        Index(None, "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    """Of the user."""
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """None for the one that tells of the user's deletion, which it outlives."""
    challenge_id: Mapped[str | None] = mapped_column(
        ForeignKey("challenges.id", ondelete="SET NULL"), index=True
    )
    """Whose code it carries."""
    channel: Mapped[str]
    recipient: Mapped[str]
    """The address as it stood when the message was caused."""
    country: Mapped[str] = mapped_column(default="")
    """Of the number, by its code of ISO 3166; empty for e-mail."""
    name: Mapped[str]
    """Of its template in `templates/messages`."""
    language: Mapped[str] = mapped_column(default="en")
    subject: Mapped[str]
    body: Mapped[str | None]
    """What it says (see `app.services.letters`), sealed for this row; None once it was sent."""
    status: Mapped[MessageStatus] = mapped_column(name_of(MessageStatus))
    urgent: Mapped[bool] = mapped_column(default=False)
    """Whether a person waits for it, as for a code; all of these go before the others."""
    due_at: Mapped[datetime | None]
    """When it is to be sent, or, while a sender has it, from when on another may take it."""
    expires_at: Mapped[datetime | None]
    """From then on it is not worth sending."""
    tries: Mapped[int] = mapped_column(default=0)
    """How often a sender took it."""
    doubts: Mapped[int] = mapped_column(default=0)
    """How often a provider may have taken it without saying so."""
    provider_account_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("provider_accounts.id", ondelete="SET NULL"), index=True
    )
    """The last one that was asked to carry it; none for the deployment's own mail server."""
    provider: Mapped[str | None]
    """What that is called."""
    provider_message_id: Mapped[str | None]
    """What the provider calls the message."""
    detail: Mapped[str | None]
    """The provider's last word on it."""
    error: Mapped[str | None]
    """Why it was not sent, or did not arrive: a stable code."""
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """What each provider said that was asked; see `app.services.send_attempts`."""
    cost: Mapped[str | None]
    """What the provider takes for it, as far as it says so, such as `0.0333`."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
