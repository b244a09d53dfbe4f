"""Arrival: a browser that came from an application and has yet to show whose it is."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application
from app.models.organization import Organization
from app.models.user import User


class Arrival(Base):
    """One typed address and the link that was mailed to it, if it is a user's.

    There is a row for every address, so that a stranger can't tell users from others.
    """

    __tablename__ = "arrivals"

    id: Mapped[str] = mapped_column(primary_key=True)
    """A KSUID."""
    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    """None if nobody has the address."""
    email: Mapped[str]
    """As it was typed."""
    redirect_uri: Mapped[str]
    state: Mapped[str]
    locale: Mapped[str | None]
    asked: Mapped[dict[str, Any]]
    """What the door needs for its answer."""
    browser_hash: Mapped[str]
    """Of the secret in the cookie of the browser that came."""
    token_hash: Mapped[str | None] = mapped_column(unique=True)
    """Of the token in the link."""
    code_hash: Mapped[str | None]
    """Of the short code to type where the address was typed, once the link was opened elsewhere."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Codes that were judged."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]

    application: Mapped[Application] = relationship(lazy="raise_on_sql")
    organization: Mapped[Organization] = relationship(lazy="raise_on_sql")
    user: Mapped[User | None] = relationship(lazy="raise_on_sql")
