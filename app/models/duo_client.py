"""Duo client: what an application that speaks Duo Universal is known by."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application


class DuoClient(Base):
    """The id and the secret of one application, in the form that its SDKs insist on."""

    __tablename__ = "duo_clients"

    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[str] = mapped_column(unique=True)
    """`DI` and 18 capital letters and digits."""
    secret: Mapped[str]
    """40 letters and digits, sealed for this row: both sides sign with it."""
    previous_secret: Mapped[str | None]
    """The one before it, sealed alike, while it still works."""

    application: Mapped[Application] = relationship(lazy="joined", innerjoin=True)
