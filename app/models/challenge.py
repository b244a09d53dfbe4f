"""Challenge: one question waiting for one answer, which is a code that we made."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of
from app.models.verification import Purpose


class Challenge(Base):
    """A delivered code, kept only as a keyed hash.

    It answers for one authenticator, in one session (or for a backend, in none), for one purpose.
    Of several at most the two newest work, until one of them is used.
    """

    __tablename__ = "challenges"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`totp-challenge_<KSUID>`."""
    authenticator_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("authenticators.id", ondelete="CASCADE"), index=True
    )
    """Whose codes go where this one went."""
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), index=True
    )
    """The session on whose pages alone it works; none if a backend asked."""
    purpose: Mapped[Purpose] = mapped_column(name_of(Purpose))
    channel: Mapped[str]
    """By which it went: `sms`, `whatsapp`, `voice`, `email`, or `dual` by two."""
    code_hash: Mapped[str]
    second_hash: Mapped[str | None]
    """Of the other code, where both are needed: the first went by e-mail, this one to the phone."""
    reference: Mapped[str]
    """Stands in the message and on the page, so that a person knows which belongs to which."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    """When it was answered rightly, or replaced."""
