"""Freeze link: by which a user says that a change to their account was not theirs."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class FreezeLink(Base):
    """Goes with the notice of one change; works once, for some days."""

    __tablename__ = "freeze_links"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(unique=True)
    notice: Mapped[str]
    """The text that tells of the change."""
    authenticator_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("authenticators.id", ondelete="CASCADE"), index=True
    )
    """What was added, which the link suspends."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
