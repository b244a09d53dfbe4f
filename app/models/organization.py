"""Organization: a customer of the deployment, with its own users."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class Environment(StrEnum):
    """Which world something belongs to; nothing crosses from one to another."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"
    ADMINISTRATION = "administration"
    """Where administrators themselves are users; no key and no application can be made in it."""


CUSTOMERS = (Environment.SANDBOX, Environment.PRODUCTION)
"""The two that organizations, applications and keys are made in."""


class Organization(Base):
    """A tenant, named in addresses by its domain slug, which never changes."""

    __tablename__ = "organizations"
    __table_args__ = (UniqueConstraint("environment", "domain"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    environment: Mapped[Environment] = mapped_column(name_of(Environment))
    domain: Mapped[str]
    name: Mapped[str]
    email_domains: Mapped[list[str]]
    locale: Mapped[str | None]
    audit_days: Mapped[int | None]
    """So many days its events are kept; None means for ever."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    """From then on it is found by no door, until an operator restores it."""
