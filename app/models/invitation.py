"""Invitation: a link by which a person becomes an administrator of an organization."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.administrator import Role
from app.models.organization import Organization
from app.models.types import name_of


class Invitation(Base):
    """Works once, for one e-mail address and one role."""

    __tablename__ = "invitations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )
    email: Mapped[str]
    email_key: Mapped[str]
    role: Mapped[Role] = mapped_column(name_of(Role))
    renews_password: Mapped[bool] = mapped_column(default=False)
    """Whether somebody who is an administrator already may choose a new password by it."""
    forgets_authenticators: Mapped[bool] = mapped_column(default=False)
    """Whether the second factor is to be set up anew with it, too."""
    token_hash: Mapped[str] = mapped_column(unique=True)
    invited_by: Mapped[str | None]
    """What people call who invited."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    organization: Mapped[Organization] = relationship(lazy="raise_on_sql")
