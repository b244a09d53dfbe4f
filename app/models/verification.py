"""Verification: one judged attempt, accepted or refused."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.types import name_of


class KeyStorage(StrEnum):
    """How the private key of a passkey is kept, as far as it is proved."""

    HARDWARE = "hardware"
    """In one device alone, as a verified attestation says."""
    SYNCED = "synced"
    """It may be copied to other devices of the user (WebAuthn's backup eligibility)."""
    UNPROVEN = "unproven"


class Purpose(StrEnum):
    """What it was for: confirming an authenticator, the user, a lost authenticator, or nothing."""

    ENROLLMENT = "enrollment"
    VERIFICATION = "verification"
    RECOVERY = "recovery"
    SKIP = "skip"
    """No attempt at all: a policy let the user go on with nothing confirmed."""
    TRUST = "trust"
    """None either: the browser is one that the user trusts."""
    RECALL = "recall"
    """None either: what this browser confirmed a moment ago counts once more."""


class Verification(Base):
    """The record without which no result is issued."""

    __tablename__ = "verifications"
    __table_args__ = (
        Index(None, "authenticator_id", "step"),
        Index(
            "ix_verifications_counted",
            "organization_id",
            "at",
            "purpose",
            "kind",
            "accepted",
            "application_id",
            "took_ms",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    """The user's, to be counted by."""
    gateway_session_id: Mapped[str | None] = mapped_column(
        ForeignKey("gateway_sessions.id", ondelete="CASCADE"), index=True
    )
    """None if a backend brought the answer without a session."""
    application_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("applications.id", ondelete="SET NULL")
    )
    """The session's, to be counted by."""
    challenge_id: Mapped[str | None]
    """What the backend was told as `request_id`."""
    authenticator_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("authenticators.id", ondelete="SET NULL")
    )
    kind: Mapped[str]
    """Of the factor."""
    purpose: Mapped[Purpose] = mapped_column(name_of(Purpose))
    accepted: Mapped[bool]
    reason: Mapped[str | None]
    """Why it was refused."""
    step: Mapped[int | None] = mapped_column(BigInteger)
    """The counter that an accepted one used, to know the same answer when it comes twice; or the
    one at which a refused one would be right, which was told and is never accepted."""
    user_verified: Mapped[bool] = mapped_column(default=False)
    """Whether the authenticator checked who holds it, and said so signed."""
    key: Mapped[KeyStorage | None] = mapped_column(name_of(KeyStorage))
    """How the key is kept that signed it, if one did."""
    took_ms: Mapped[int | None]
    """Milliseconds since the browser's session was opened."""
    browser_hash: Mapped[str | None] = mapped_column(index=True)
    """Of the secret in the cookie of the browser in which it was accepted."""
    confirmed_at: Mapped[datetime | None]
    """When the user really confirmed, if this rests on something earlier."""
    spent_at: Mapped[datetime | None]
    """When something was set up since, of a recovery code: it stands for one authenticator."""
    at: Mapped[datetime]
