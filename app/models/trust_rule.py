"""Trust rule: for how many days at most users may trust a browser."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class TrustRule(Base):
    """The rule of an organization, or of one application within it, which goes before."""

    __tablename__ = "trust_rules"
    __table_args__ = (
        UniqueConstraint("organization_id", "application_id"),
        Index(
            "uq_trust_rules_of_organization",
            "organization_id",
            unique=True,
            sqlite_where=text("application_id IS NULL"),
            postgresql_where=text("application_id IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    application_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    """None for the rule of the whole organization."""
    days: Mapped[int]
    """0 means that no browser is trusted."""
    updated_at: Mapped[datetime]
