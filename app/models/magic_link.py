"""Magic link: an address that was mailed, and proves that the mailbox is read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.gateway_session import GatewaySession


class MagicLink(Base):
    """One link of one gateway session; it works once."""

    __tablename__ = "magic_links"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`magic-link-challenge_<KSUID>`."""
    gateway_session_id: Mapped[str] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), unique=True
    )
    token_hash: Mapped[str] = mapped_column(unique=True)
    """Of the token in the link."""
    code_hash: Mapped[str | None]
    """Of the short code to type where the link was asked for, once it was opened elsewhere."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    gateway_session: Mapped[GatewaySession] = relationship(lazy="raise_on_sql")
