"""OIDC client: what an application that speaks OpenID Connect is held to."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application
from app.models.types import name_of


class ClientAuth(StrEnum):
    """How a client proves itself at our endpoints (OpenID Connect Core section 9)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    KEY = "private_key_jwt"


class OidcClient(Base):
    """The settings of one application's OpenID Connect, beside those that every door has."""

    __tablename__ = "oidc_clients"

    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True
    )
    auth: Mapped[ClientAuth] = mapped_column(name_of(ClientAuth), default=ClientAuth.BASIC)
    keys: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Its public keys (RFC 7517), with which it signs assertions and requests."""
    algorithm: Mapped[str] = mapped_column(default="ES256")
    """The only one in which it signs them."""
    requires_pushed: Mapped[bool] = mapped_column(default=True)
    """Whether it has to push its requests (RFC 9126)."""
    requires_signed: Mapped[bool] = mapped_column(default=False)
    """Whether it has to sign its requests (RFC 9101)."""
    requires_pkce: Mapped[bool] = mapped_column(default=True)
    """Whether its requests need a code challenge (RFC 7636)."""
    takes_unauthenticated: Mapped[bool] = mapped_column(default=False)
    """Whether a user may be named by whoever holds the browser: such a one never enrolls, and is
    sent nothing."""
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(default=list)
    """Where a browser may go after it was forgotten, compared as exact strings."""

    application: Mapped[Application] = relationship(lazy="joined", innerjoin=True)
