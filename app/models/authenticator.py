"""Authenticator: one user's enrolled factor."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of

_VOUCHED = text("vouched AND status = 'pending'")


class AuthenticatorStatus(StrEnum):
    """Where an authenticator is in its life; a removed one stays as a record."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """A recovery code was used instead of it; it dies when a new one is confirmed."""
    REMOVED = "removed"


class Authenticator(Base):
    """A factor bound to a user, or about to be."""

    __tablename__ = "authenticators"
    __table_args__ = (
        Index(None, "user_id", "status"),
        # Wrong codes of one contact count together, however often it is asked for.
        Index(
            "uq_authenticators_vouched",
            "user_id",
            "kind",
            "recipient",
            unique=True,
            sqlite_where=_VOUCHED,
            postgresql_where=_VOUCHED,
        ),
        Index(
            "ix_authenticators_refused",
            "retry_at",
            "user_id",
            sqlite_where=text("retry_at IS NOT NULL"),
            postgresql_where=text("retry_at IS NOT NULL"),
        ),
        Index(
            "ix_authenticators_suspended",
            "status",
            "user_id",
            sqlite_where=text("status = 'suspended'"),
            postgresql_where=text("status = 'suspended'"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="SET NULL"), index=True
    )
    """The session that began it, which alone may show its secret and confirm it; none if a backend
    did."""
    kind: Mapped[str]
    name: Mapped[str | None]
    """What the user calls it."""
    status: Mapped[AuthenticatorStatus] = mapped_column(name_of(AuthenticatorStatus))
    secret: Mapped[str | None]
    """Sealed for this row; gone once removed, and none where codes are delivered."""
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What its kind of factor has to know of it, such as the length of its codes."""
    imported_hash: Mapped[str | None]
    """Of a secret that came from another system: once removed, it does not come back by the same
    file."""
    credential_id: Mapped[str | None] = mapped_column(unique=True)
    """Of a passkey, in base64url; nobody else registers it, not even once it is removed."""
    recipient: Mapped[str | None]
    """Where its codes are delivered to, such as a phone number in E.164."""
    request_id: Mapped[str | None]
    """`totp-enrollment_<KSUID>`, what a backend that began it was told."""
    forced: Mapped[bool] = mapped_column(default=False)
    """Whether an API key began it without a session and vouches that a human looked."""
    vouched: Mapped[bool] = mapped_column(default=False)
    """Whether a key of API v1 vouches that the recipient is the user's: the first right code binds
    it, whatever else the user has."""
    last_step: Mapped[int] = mapped_column(BigInteger, default=-1)
    """The newest counter that was accepted; only a greater one is accepted after it. Of a passkey
    how often it was used, as it counts."""
    failures: Mapped[int] = mapped_column(default=0)
    """Consecutive refused answers."""
    retry_at: Mapped[datetime | None]
    """Until then no answer is judged."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """When an unconfirmed one dies."""
    confirmed_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
