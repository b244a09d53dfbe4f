"""Challenge: one question waiting for one answer, which is a code that we made."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Challenge(Base):
    """A delivered code, kept only as a keyed hash; a new one replaces what is still open."""

    __tablename__ = "challenges"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`totp-challenge_<KSUID>`."""
    authenticator_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("authenticators.id", ondelete="CASCADE"), index=True
    )
    """Whose codes go where this one went."""
    code_hash: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    """When it was answered rightly, or replaced."""
