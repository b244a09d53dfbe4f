"""API key: how a backend proves itself to the REST API."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application
from app.models.organization import Environment, Organization
from app.models.types import name_of


class Api(StrEnum):
    """Which API a key opens."""

    V1 = "v1"
    """DevRIFT's: the secret itself is the bearer."""
    V2 = "v2"
    """Our own: id and secret are exchanged for a bearer token."""


class ApiKey(Base):
    """A credential of one environment; its id is its `client_id`.

    Without an organization it is account-wide: it creates and lists organizations, and reaches
    all of its environment. With one, it reaches that one alone, as each key of API v1 does.
    """

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    environment: Mapped[Environment] = mapped_column(name_of(Environment))
    name: Mapped[str]
    api: Mapped[Api] = mapped_column(name_of(Api), default=Api.V2)
    secret_hash: Mapped[str] = mapped_column(unique=True)
    """A key of API v1 is found by it."""
    previous_secret_hash: Mapped[str | None] = mapped_column(unique=True)
    previous_until: Mapped[datetime | None]
    """Until then the secret before this one is accepted, too."""
    permissions: Mapped[list[str] | None]
    """Of `app.services.api_keys.Permission`; None means all."""
    blocked_at: Mapped[datetime | None]
    """From then on neither its secret nor a token of its works."""
    organization_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    application_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    """The one on whose behalf a key of API v1 asks; its policy holds for the calls."""
    created_at: Mapped[datetime]

    organization: Mapped[Organization | None] = relationship(lazy="joined")
    application: Mapped[Application | None] = relationship()

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
