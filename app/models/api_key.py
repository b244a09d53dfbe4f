"""API key: how a backend proves itself to the REST API."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

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
    previous_secret_hash: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    """Until then the secret before this one is accepted, too."""
    permissions: Mapped[list[str] | None]
    """Of `app.services.api_keys.Permission`; None means all."""
    blocked_at: Mapped[datetime | None]
    """From then on neither its secret nor a token of its works."""
    organization_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    created_at: Mapped[datetime]

    organization: Mapped[Organization | None] = relationship(lazy="joined")

    @property
    def account_wide(self) -> bool:
        """Whether it may create and list organizations."""
        return self.organization_id is None

    def may(self, permission: str) -> bool:
        """Tell whether it has a permission."""
        return self.permissions is None or permission in self.permissions

    def reaches(self, organization: Organization) -> bool:
        """Tell whether it may act on this organization and all below it."""
        if self.environment != organization.environment:
            return False
        return self.account_wide or self.organization_id == organization.id
