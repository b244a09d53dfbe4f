"""Passkey challenge: random bytes that one passkey of one user signs, once."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of
from app.models.verification import Purpose


class PasskeyChallenge(Base):
    """What a passkey was asked to sign, in one session (or for a backend, in none)."""

    __tablename__ = "passkey_challenges"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`passkey-challenge_<KSUID>`, what a backend is told."""
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), index=True
    )
    """The session on whose pages alone it can be answered; none if a backend asked."""
    purpose: Mapped[Purpose] = mapped_column(name_of(Purpose))
    challenge_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    """When it was answered, rightly or not."""
