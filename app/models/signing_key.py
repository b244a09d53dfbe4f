"""Signing key: a private key, sealed, with the public half that the world may see."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class KeyState(StrEnum):
    """A key is published before it signs, and stays published until its last token is over."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


class KeyUse(StrEnum):
    """What a key signs."""

    RESULT = "result"
    ACCESS = "access"
    """Bearer tokens of the REST API, in the algorithm that clients of the guides insist on."""
    ID_TOKEN = "id_token"  # noqa: S105
    """ID tokens of OpenID Connect, in the algorithm that every client takes."""
    ENTRA = "entra"
    """Answers to Microsoft Entra, which knows a key by its certificate, and reads keys daily."""


class SigningKey(Base):
    """One key of the deployment, known by its `kid`."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index(
            "uq_signing_keys_one_active",
            "use",
            "state",
            unique=True,
            sqlite_where=text("state <> 'retired'"),
            postgresql_where=text("state <> 'retired'"),
        ),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    use: Mapped[KeyUse] = mapped_column(name_of(KeyUse))
    algorithm: Mapped[str]
    state: Mapped[KeyState] = mapped_column(name_of(KeyState))
    public: Mapped[dict[str, Any]]
    """With its certificate, of a key that has one."""
    private: Mapped[str]
    """Sealed for this row."""
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
