"""Enrollment invitation: a link that lets a user set up a first authenticator."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class EnrollmentInvitation(Base):
    """Works once; it dies when the user has an authenticator."""

    __tablename__ = "enrollment_invitations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    """For which it is set up, as the page says."""
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    """When a newer one, or an administrator, put it out of use."""
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="SET NULL"), index=True
    )
    """The session that its use opened, in which the user may set up."""
