"""Password guess: wrong passwords in a row for one address, whether anybody has it or not."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class PasswordGuess(Base):
    """A count of strangers' wrong passwords; of an address that nobody has, so that none shows."""

    __tablename__ = "password_guesses"

    address_hash: Mapped[str] = mapped_column(primary_key=True)
    """Keyed, of the address in the spelling that is compared."""
    failures: Mapped[int]
    retry_at: Mapped[datetime | None]
    """When the next is judged, if not at once."""
    tried_at: Mapped[datetime] = mapped_column(index=True)
