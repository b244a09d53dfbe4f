"""Entra connection: through which Microsoft Entra sends the users of one organization."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application
from app.models.types import name_of
from app.models.user import User


class EntraCloud(StrEnum):
    """Which of Microsoft's clouds a tenant is in."""

    GLOBAL = "global"
    US = "us"
    """For the government of the United States."""
    CN = "cn"
    """Operated by 21Vianet in China."""


class EntraConnection(Base):
    """What an application of `Door.ENTRA` has beside the rest; its id stands in our issuer."""

    __tablename__ = "entra_connections"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), unique=True
    )
    app_id: Mapped[str]
    """Of the app registration, which Entra names as the audience of what it sends."""
    tenant_ids: Mapped[list[str]]
    """Directories whose users may be sent; all others are refused."""
    cloud: Mapped[EntraCloud] = mapped_column(name_of(EntraCloud))
    pinned_keys: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    """Public keys of Microsoft's; None means that they are fetched from it."""
    links_by_name: Mapped[bool]
    """Whether somebody who is new is the user whose e-mail address Entra names, if there is one."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    application: Mapped[Application] = relationship(lazy="joined")


class EntraAccount(Base):
    """An account of Entra, by the one name of it that never changes, and whose it is."""

    __tablename__ = "entra_accounts"
    __table_args__ = (
        UniqueConstraint("connection_id", "tenant_id", "object_id"),
        UniqueConstraint("connection_id", "user_id", "tenant_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    connection_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("entra_connections.id", ondelete="CASCADE")
    )
    tenant_id: Mapped[str]
    """`tid`."""
    object_id: Mapped[str]
    """`oid`."""
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(lazy="raise_on_sql")


class EntraHint(Base):
    """A hint that came: it opens one gateway session, and leads back to it when it comes again."""

    __tablename__ = "entra_hints"
    __table_args__ = (UniqueConstraint("connection_id", "hint_hash"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    connection_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("entra_connections.id", ondelete="CASCADE")
    )
    hint_hash: Mapped[str]
    gateway_session_id: Mapped[str] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
