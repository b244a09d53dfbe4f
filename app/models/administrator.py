"""Administrator: a person who runs the admin area, of one organization or several."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.organization import Organization
from app.models.types import name_of
from app.models.user import User


class Role(StrEnum):
    """What an administrator is in an organization; what each may do is in `services.roles`."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    HELPDESK = "helpdesk"
    AUDITOR = "auditor"


class Administrator(Base):
    """Known by an e-mail address; the second factor is that of a user in `administration`."""

    __tablename__ = "administrators"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), unique=True)
    """Whose authenticators prove the second factor."""
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    """The address in the one spelling that is compared."""
    name: Mapped[str]
    password_hash: Mapped[str]
    """By argon2id."""
    password_changed_at: Mapped[datetime]
    known_failures: Mapped[int] = mapped_column(default=0)
    """Consecutive wrong passwords from browsers that signed in here before. Those of strangers are
    a `PasswordGuess`, which can't lock the administrator out of these."""
    known_retry_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(lazy="raise_on_sql")


class AdministratorRole(Base):
    """What an administrator is in one organization."""

    __tablename__ = "administrator_roles"

    administrator_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("administrators.id", ondelete="CASCADE"), primary_key=True
    )
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[Role] = mapped_column(name_of(Role))
    created_at: Mapped[datetime]

    administrator: Mapped[Administrator] = relationship(lazy="raise_on_sql")
    organization: Mapped[Organization] = relationship(lazy="raise_on_sql")


class AdministratorSession(Base):
    """One sign-in in one browser, from the second factor to its end."""

    __tablename__ = "administrator_sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    administrator_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("administrators.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(unique=True)
    """Of the secret in the browser's cookie; a new one at every change of privilege."""
    organization_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("organizations.id", ondelete="SET NULL"), index=True
    )
    """The one that is shown now."""
    address: Mapped[str | None]
    device: Mapped[str | None]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    verified_at: Mapped[datetime]
    """When the second factor was last proved."""
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    administrator: Mapped[Administrator] = relationship(lazy="raise_on_sql")
