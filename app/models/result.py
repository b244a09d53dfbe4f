"""Result: the signed statement at the end of a gateway session, kept so that it works once."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Result(Base):
    """What was stated; the signature is made anew whenever the same statement is delivered."""

    __tablename__ = "results"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    """The `jti`."""
    gateway_session_id: Mapped[str] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), unique=True
    )
    verification_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("verifications.id", ondelete="CASCADE")
    )
    claims: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime]
    redeemed_at: Mapped[datetime | None]
