"""Pushed request: an authorization request that waits here for its browser (RFC 9126)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class PushedRequest(Base):
    """A request that a client pushed, or one of a browser that has yet to name its user."""

    __tablename__ = "pushed_requests"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    reference_hash: Mapped[str] = mapped_column(unique=True)
    """Of the secret in its `request_uri`."""
    parameters: Mapped[dict[str, Any]]
    """As they were asked, checked."""
    browser_hash: Mapped[str | None]
    """Of the secret in the cookie of the browser that came first; none other may go on."""
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE")
    )
    """The session that it opened; with its end the request is over, too."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    """Until then a browser may come with it."""
