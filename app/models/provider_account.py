"""Provider account: by whom an organization has its messages carried."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class ProviderAccount(Base):
    """An account at one provider; of several that carry a channel, the first in order goes first.

    The next one is taken when it fails.
    """

    __tablename__ = "provider_accounts"
    __table_args__ = (Index(None, "organization_id", "position"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    kind: Mapped[str]
    """Of `app.providers.PROVIDERS`."""
    name: Mapped[str]
    channels: Mapped[list[str]]
    position: Mapped[int]
    active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]]
    """What may be shown."""
    secrets: Mapped[str]
    """What may not, as JSON, sealed for this row."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
