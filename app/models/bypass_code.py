"""Bypass code: a one-time way in, given to a user by an administrator."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class BypassCode(Base):
    """Works once and not for long; an administrator read it to the user."""

    __tablename__ = "bypass_codes"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    code_hash: Mapped[str]
    failures: Mapped[int] = mapped_column(default=0)
    """Wrong answers while it was good; too many put it out of use, and nothing else."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    """When a newer one, an administrator, or too many wrong answers put it out of use."""
