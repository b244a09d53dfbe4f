"""Seen token: a signed token of somebody else that counts once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class SeenToken(Base):
    """One token that was used, kept until it is too old to be taken anyway."""

    __tablename__ = "seen_tokens"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    """Whose token, and of what kind: what one issuer calls it, another may, too."""
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    """Of its `jti`, or of the token itself where it has none."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
