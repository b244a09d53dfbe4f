"""Counted day: what the verifications of one finished day came to, counted once and kept."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class CountedDay(Base):
    """One day (UTC) of one organization; days are counted in their order, without a gap."""

    __tablename__ = "counted_days"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    tally: Mapped[dict[str, Any]]
    """As `app.services.tally.Tally` writes itself."""
    counted_at: Mapped[datetime]
