"""API key: how a backend proves itself to the REST API."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.organization import Environment, Organization
from app.models.types import name_of


class ApiKey(Base):
    """A credential of one environment; its id is its `client_id`.

    Without an organization it is account-wide: it creates and lists organizations, and reaches
    all of its environment. With one, it reaches that one alone.
    """

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    environment: Mapped[Environment] = mapped_column(name_of(Environment))
    name: Mapped[str]
    secret_hash: Mapped[str]
    organization_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    created_at: Mapped[datetime]

    @property
    def account_wide(self) -> bool:
        """Whether it may create and list organizations."""
        return self.organization_id is None

    def reaches(self, organization: Organization) -> bool:
        """Tell whether it may act on this organization and all below it."""
        if self.environment != organization.environment:
            return False
        return self.account_wide or self.organization_id == organization.id
