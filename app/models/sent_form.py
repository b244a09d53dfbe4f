"""Sent form: one that made something, so that it makes nothing when it is sent again."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class SentForm(Base):
    """A form of the admin area that shows a secret once."""

    __tablename__ = "sent_forms"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    """Given to the page with the form; unique, so of two sent at once one counts."""
    sent_at: Mapped[datetime] = mapped_column(index=True)
