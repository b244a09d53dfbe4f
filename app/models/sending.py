"""Sending: what an organization allows of it, and how much was sent of late."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class SendingRules(Base):
    """What one organization allows of messages with codes; see `app.services.sending_rules`."""

    __tablename__ = "sending_rules"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What it set itself; the rest is as usual."""
    updated_at: Mapped[datetime]


class SendScope(StrEnum):
    """By what sends are counted."""

    NUMBER = "number"
    """A recipient: a phone number in all its spellings, or an e-mail address."""
    USER = "user"
    ADDRESS = "address"
    """Of the client."""
    PREFIX = "prefix"
    """Country and first digits of a phone number."""
    ORGANIZATION = "organization"
    """All of its messages by one kind of channel."""
    BUDGET = "budget"
    """Messages that somebody is paid for."""
    ALARM = "alarm"
    """There is one once most of the month's budget is spent."""
    SORT = "sort"
    """Of numbers that are never texted or called; only what was refused is counted."""
    COUNTRY = "country"
    """That is not allowed; only what was refused is counted."""
    SENT = "sent"
    """By country and channel."""
    CONFIRMED = "confirmed"
    """The same, of codes that came back right."""
    TEST = "test"
    """Messages by which administrators try providers: of one of them, or of all."""


class SendCount(Base):
    """How many messages there were of one scope and key in one window of time."""

    __tablename__ = "send_counts"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[SendScope] = mapped_column(name_of(SendScope), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    """Of the window."""
    key: Mapped[str] = mapped_column(primary_key=True)
    """A keyed hash, where it stands for a number or an address."""
    count: Mapped[int]
    refused: Mapped[int] = mapped_column(default=0)
    """How many more there would have been."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """From then on nobody asks for it."""


class SendCooldown(Base):
    """How long the next message to a recipient has to wait."""

    __tablename__ = "send_cooldowns"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    recipient_hash: Mapped[str] = mapped_column(primary_key=True)
    sends: Mapped[int]
    """One after another, without a right code and without a long rest."""
    retry_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """From then on the next message counts as the first."""
