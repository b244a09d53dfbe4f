"""User: the person who is verified."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.organization import Organization
from app.models.types import SEARCHED


class User(Base):
    """A person of one organization, known by a UUID, a contact, or an external id.

    The contact is an e-mail address, a phone number, or both; one whom an application named by a
    name of its own may have none.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("organization_id", "email_key"),
        UniqueConstraint("organization_id", "external_id"),
        CheckConstraint("coalesce(email_key, phone_number, external_id) IS NOT NULL", name="named"),
        # Of those who share a number, one at most is known by it alone.
        Index(
            "uq_users_phone_number_alone",
            "organization_id",
            "phone_number",
            unique=True,
            sqlite_where=text("email_key IS NULL"),
            postgresql_where=text("email_key IS NULL"),
        ),
        Index(None, "organization_id", "created_at", "id"),
        Index("ix_users_by_name", "organization_id", "name_key", "email_key", "id"),
        Index(None, "organization_id", "family_name_key"),
        Index(None, "organization_id", "phone_number"),
        Index(None, "organization_id", "enrolled", "suspended_at"),
        Index(None, "organization_id", "last_verified_at", "created_at", "id"),
        Index(
            "ix_users_refused",
            "organization_id",
            "failures",
            sqlite_where=text("failures > 0"),
            postgresql_where=text("failures > 0"),
        ),
        Index(
            "ix_users_frozen",
            "organization_id",
            "frozen_at",
            sqlite_where=text("frozen_at IS NOT NULL"),
            postgresql_where=text("frozen_at IS NOT NULL"),
        ),
        Index(
            "ix_users_recovery_refused",
            "organization_id",
            "recovery_retry_at",
            sqlite_where=text("recovery_retry_at IS NOT NULL"),
            postgresql_where=text("recovery_retry_at IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE")
    )
    email: Mapped[str | None]
    """None for a user who is known by the phone number alone."""
    email_key: Mapped[str | None] = mapped_column(SEARCHED)
    """The address in the one spelling that is compared."""
    phone_number: Mapped[str | None] = mapped_column(SEARCHED)
    """In E.164."""
    external_id: Mapped[str | None] = mapped_column(SEARCHED)
    profile: Mapped[dict[str, Any]]
    name_key: Mapped[str] = mapped_column(SEARCHED, default="")
    """Given and family name of the profile in plain letters, to be searched and sorted by."""
    family_name_key: Mapped[str] = mapped_column(SEARCHED, default="")
    enrolled: Mapped[bool] = mapped_column(default=False)
    """Whether the user has an active authenticator: what their rows say, kept here to be listed."""
    last_verified_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    """From then on the user is let in by no door, until an administrator lifts it."""
    frozen_at: Mapped[datetime | None]
    """From then on nothing that the user confirms with is changed by their hand: a change was not
    theirs, they say. An administrator lifts it."""
    enrollment_open: Mapped[bool] = mapped_column(default=True)
    """Whether the next confirmed authenticator needs no earlier one to vouch for it.

    True until the first is confirmed, and again after an administrator reset the last one while
    reopening enrollment. Closed by a conditional UPDATE, so two first enrollments can't both pass.
    """
    recovery_used_at: Mapped[datetime | None]
    """When a recovery code was last accepted; the next is not before a day later."""
    reenrollments: Mapped[int] = mapped_column(default=0)
    """Plain ones confirmed since a human last verified the user."""
    reenrollment_approved: Mapped[bool] = mapped_column(default=False)
    """Whether an administrator lets a suspended user enroll anew at the next visit."""
    failures: Mapped[int] = mapped_column(default=0)
    """Consecutive refused answers over everything that the user has."""
    recovery_failures: Mapped[int] = mapped_column(default=0)
    recovery_retry_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    organization: Mapped[Organization] = relationship(lazy="raise_on_sql")

    @property
    def label(self) -> str:
        """What names the user to people: the e-mail address, else the number or external id."""
        return self.email or self.phone_number or self.external_id or ""
