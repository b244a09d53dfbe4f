"""Trusted browser: where a user confirmed some days ago, and is not asked again for a while."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class TrustedBrowser(Base):
    """A browser that one user of one organization trusts; gone as soon as anything changes."""

    __tablename__ = "trusted_browsers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    application_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("applications.id", ondelete="SET NULL")
    )
    """On the way to which the user trusted it."""
    kind: Mapped[str]
    """With what the user confirmed there; an application may take only some methods."""
    secret_hash: Mapped[str]
    """Of the secret in the browser's cookie."""
    device: Mapped[str | None]
    """Browser and system in a few words, as it said itself."""
    address: Mapped[str | None]
    """From where it came then."""
    country: Mapped[str | None]
    created_at: Mapped[datetime]
    """When the user confirmed there."""
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
