"""Brand: how the hosted pages of an organization look, and what they say."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Brand(Base):
    """Of one organization; without one, the pages look like Gatehouse."""

    __tablename__ = "brands"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    colour: Mapped[str | None]
    """`#rrggbb`, of what acts or moves."""
    dark_colour: Mapped[str | None]
    """The same on dark screens; None means that colour, too."""
    logo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """A PNG that we made."""
    logo_digest: Mapped[str | None]
    """Of its bytes; stands in its address."""
    texts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """By language: what pages say about help, and where help is."""
    updated_at: Mapped[datetime]
