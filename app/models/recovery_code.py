"""Recovery code: a saved single-use secret, kept only as a keyed hash."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class RecoveryCode(Base):
    """One of a user's set of codes."""

    __tablename__ = "recovery_codes"
    __table_args__ = (
        Index(None, "user_id", "code_hash", unique=True),
        # Most have none: an index of all would be taken for a way to them.
        Index(
            "ix_recovery_codes_pending",
            "authenticator_id",
            sqlite_where=text("authenticator_id IS NOT NULL"),
            postgresql_where=text("authenticator_id IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[str]
    length: Mapped[int]
    """Letters and digits; the setting may be another by now."""
    authenticator_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("authenticators.id", ondelete="CASCADE")
    )
    """The pending authenticator that they came with; none of them works before it is confirmed."""
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
