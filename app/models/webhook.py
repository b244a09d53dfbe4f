"""Webhook: where an organization is told of events, and each event that goes there."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.organization import Environment, Organization
from app.models.types import name_of


class Webhook(Base):
    """An address that is told of events, by requests that are signed for it.

    Without an organization it hears of all of its environment, as an API key reaches them.
    """

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "organization_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """`webhook_<KSUID>`."""
    environment: Mapped[Environment] = mapped_column(name_of(Environment))
    organization_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    name: Mapped[str]
    target_url: Mapped[str]
    event_codes: Mapped[list[str]]
    """Kinds of event that it hears of; `*` stands for all, also those of later releases."""
    active: Mapped[bool]
    listens_from: Mapped[datetime]
    """It hears of what happens from then on: since it was made, or switched on again."""
    off_reason: Mapped[str | None]
    """Why Gatehouse itself switched it off: `gone` or `failing`; None if a person did."""
    off_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    """When the first of its tries failed after the last that did not."""
    secret: Mapped[str]
    """With which requests are signed, sealed for this row."""
    previous_secret: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    """Until then requests are signed with the secret before this one, too."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    organization: Mapped[Organization | None] = relationship(lazy="joined")


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"
    SENDING = "sending"
    """A worker has it; if it does not come back in time, another takes it."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """It was given up."""


PENDING = text("webhook_deliveries.status IN ('waiting', 'sending')")
"""Of what is not over; word for word the condition of its indexes."""
_OF_INDEX = text("status IN ('waiting', 'sending')")


class WebhookDelivery(Base):
    """One event on its way to one webhook.

    It is written together with the seal of its event, so there is one for each event, whatever
    is killed. A worker takes it by a conditional UPDATE.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "webhook_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(
            "ix_webhook_deliveries_pending",
            "webhook_id",
            "due_at",
            "event_id",
            "id",
            sqlite_where=_OF_INDEX,
            postgresql_where=_OF_INDEX,
        ),
        Index(
            "ix_webhook_deliveries_pending_of_user",
            "webhook_id",
            "ordered_user_id",
            "event_id",
            sqlite_where=_OF_INDEX,
            postgresql_where=_OF_INDEX,
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    """The same at each try and each replay: by it the other side knows what it had before."""
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    """None for a test."""
    kind: Mapped[str]
    user_id: Mapped[uuid.UUID | None]
    """Of the event; the user may be gone."""
    ordered_user_id: Mapped[uuid.UUID | None]
    """It waits for what is pending of earlier events of this user; None lets it wait for nothing.

    That is so for events of no user, for tests and for replays.
    """
    body: Mapped[str]
    """JSON, as each request carries it."""
    status: Mapped[DeliveryStatus] = mapped_column(name_of(DeliveryStatus))
    due_at: Mapped[datetime | None]
    """When it is to be tried, or, while a worker has it, from when on another may take it."""
    tries: Mapped[int] = mapped_column(default=0)
    first_tried_at: Mapped[datetime | None]
    answer_status: Mapped[int | None]
    """HTTP status of the last answer; None if the last try got none."""
    error: Mapped[str | None]
    """Why the last try failed: a stable code."""
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """What came of each try; see `app.services.webhook_log`."""
    is_replay: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
