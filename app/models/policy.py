"""Policy: whether users have to confirm, from when on, and how often they may put it off."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class PolicyMode(StrEnum):
    """What is asked of a user who comes."""

    OFF = "off"
    """Nothing: everybody passes."""
    OPTIONAL = "optional"
    """Whoever has an authenticator verifies; the others may set one up, or go on."""
    REQUIRED = "required"


class Policy(Base):
    """The rule of an organization, or of one application within it, which goes before."""

    __tablename__ = "policies"
    __table_args__ = (
        UniqueConstraint("organization_id", "application_id"),
        Index(
            "uq_policies_of_organization",
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
    mode: Mapped[PolicyMode] = mapped_column(name_of(PolicyMode))
    required_from: Mapped[datetime | None]
    """Before it, whoever has nothing enrolled may put that off."""
    skips: Mapped[int | None]
    """So often, each user; None means as often as they like until then."""
    updated_at: Mapped[datetime]


class PolicySkip(Base):
    """How often a user put off what a policy will require."""

    __tablename__ = "policy_skips"

    policy_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    used: Mapped[int] = mapped_column(default=0)
