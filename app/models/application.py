"""Application: a relying party that sends users to us."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.organization import Environment, Organization
from app.models.types import name_of

application_organizations = Table(
    "application_organizations",
    Base.metadata,
    Column("application_id", ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
)


class Door(StrEnum):
    """Through which protocol an application speaks with us."""

    REST = "rest"
    """Our own API."""
    OIDC = "oidc"
    """OpenID Connect."""
    DUO = "duo"
    """Duo Universal."""
    ENTRA = "entra"
    """Microsoft Entra external MFA."""
    CRYPTR = "cryptr"
    """Cryptr's gateway redirect."""


_WITHOUT_A_WORD = {Door.ENTRA: frozenset({"whatsapp", "dual", "email"})}
"""Methods of which a protocol can tell nothing that is true, so that nobody is let to try them."""


class Application(Base):
    """A relying party of one environment; its id is its `client_id`."""

    __tablename__ = "applications"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    environment: Mapped[Environment] = mapped_column(name_of(Environment))
    name: Mapped[str]
    secret_hash: Mapped[str]
    previous_secret_hash: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    """Until then the secret before this one is accepted, too."""
    redirect_uris: Mapped[list[str]]
    """Compared as exact strings."""
    vouches_for_first_factor: Mapped[bool] = mapped_column(default=False)
    """Whether its users proved a first factor to it before they are sent here, so that the one
    that is confirmed here is a second."""
    methods: Mapped[list[str]] = mapped_column(default=list)
    """Kinds of factor and channels that it takes of those that an organization offers; none means
    all."""
    door: Mapped[Door] = mapped_column(name_of(Door), default=Door.REST)
    creates_users: Mapped[bool] = mapped_column(default=False)
    """Whether somebody whom it names, and we don't know, becomes a user."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    """From then on it is found by no door; what it asked stays on record."""

    organizations: Mapped[list[Organization]] = relationship(
        secondary=application_organizations, lazy="selectin"
    )
    """Those that it serves; an empty list means all of its environment."""

    @property
    def client_id(self) -> str:
        """The id as it stands on the wire."""
        return str(self.id)

    @property
    def served_domains(self) -> list[str] | None:
        """Slugs of those that it serves, without deleted ones; None means all."""
        if not self.organizations:
            return None
        return sorted(one.domain for one in self.organizations if one.deleted_at is None)

    def takes(self, kind: str) -> bool:
        """Tell whether its users may confirm by this factor, or by codes that come this way."""
        if kind in _WITHOUT_A_WORD.get(self.door, ()):
            return False
        return not self.methods or kind in self.methods

    def serves(self, organization: Organization) -> bool:
        """Tell whether users of this organization may be sent by this application."""
        if self.environment != organization.environment:
            return False
        return not self.organizations or any(
            served.id == organization.id for served in self.organizations
        )
