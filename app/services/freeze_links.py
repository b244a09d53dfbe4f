"""Freeze links: made with each notice of a change by the user's hand, told only in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import touched_one
from app.models import CUSTOMERS, FreezeLink, Organization, User

LASTS = timedelta(days=7)
TOKEN_BITS = 192
STOPPED = frozenset(
    {
        "authenticator_added",
        "authenticator_removed",
        "authenticator_renamed",
        "authenticators_reset",
        "browser_trusted",
        "recovery_code_used",
        "recovery_codes_made",
    }
)
"""Notices of changes that a user can stop."""

_TOKEN = "freeze link"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Found:
    """A link, whose it is, and where."""

    row: FreezeLink
    user: User
    organization: Organization


class FreezeLinks:
    """Makes them, knows them again, and uses them up."""

    def __init__(self, config: Config, clock: Clock, vault: Vault) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._vault = vault

    def make(
        self,
        tx: Session,
        organization: Organization,
        user: User,
        notice: str,
        added: uuid.UUID | None,
    ) -> str | None:
        """Return the address for a notice; None if nobody could undo what it would stop.

        Args:
            notice: of what.
            added: the authenticator that was added, if one was.
        """
        if notice not in STOPPED or organization.environment not in CUSTOMERS:
            return None
        now, token = self._clock.now(), new_token(TOKEN_BITS)
        tx.add(
            FreezeLink(
                id=uuid.uuid4(),
                user_id=user.id,
                token_hash=self._vault.hash(token, purpose=_TOKEN),
                notice=notice,
                authenticator_id=added,
                created_at=now,
                expires_at=now + LASTS,
            )
        )
        return f"{self._base_url}/stop/{token}"

    def find(self, tx: Session, token: str) -> Found | None:
        """Return the link with this token; looking at it changes nothing."""
        hashes = self._vault.hashes(token, purpose=_TOKEN)
        row = tx.execute(
            sa.select(FreezeLink, User, Organization)
            .join(User, User.id == FreezeLink.user_id)
            .join(Organization, Organization.id == User.organization_id)
            .where(FreezeLink.token_hash.in_(hashes), Organization.deleted_at.is_(None))
        ).first()
        if row is None:
            return None
        row.User.organization = row.Organization
        return Found(row=row.FreezeLink, user=row.User, organization=row.Organization)

    def is_open(self, found: Found) -> bool:
        """Tell whether the link still works."""
        return found.row.used_at is None and self._clock.now() < found.row.expires_at

    def use(self, tx: Session, found: Found) -> bool:
        """Use a link up; tell whether it was not before."""
        now = self._clock.now()
        use = sa.update(FreezeLink).where(
            FreezeLink.id == found.row.id,
            FreezeLink.used_at.is_(None),
            FreezeLink.expires_at > now,
        )
        return touched_one(tx, use.values(used_at=now))
