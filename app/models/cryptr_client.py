"""Cryptr client: what holds for an application that comes through Cryptr's gateway redirect."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class CryptrClient(Base):
    """The settings of one application of this door; its `client_id` is the application's."""

    __tablename__ = "cryptr_clients"

    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True
    )
    identifies_by_link: Mapped[bool] = mapped_column(default=True)
    """Whether a link to the mailbox tells who comes. Else the address that is typed has to do: it
    proves nothing, so nothing is set up, and nothing sent, in the visit."""
