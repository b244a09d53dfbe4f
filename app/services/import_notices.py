"""Telling users that a file of their organization brought them here, or their authenticator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Organization, User
from app.services.audit import SYSTEM, Actor, Audit, EventKind
from app.services.contact_notices import Before, ContactNotices
from app.services.delivery import Delivery

ADDED = "user_added"
BROUGHT = "authenticator_imported"


@dataclass(frozen=True, kw_only=True)
class News:
    """What a row of a file did to a user.

    Attributes:
        name: of the text that tells it; None if it changed a user that was known, and no more.
        before: how a user was reached who was known; None for a new one.
    """

    user: User
    name: str | None
    before: Before | None = None


class ImportNotices:
    """Writes one notice a user; in the transaction that does what it tells."""

    def __init__(self, delivery: Delivery, contact_notices: ContactNotices, audit: Audit) -> None:
        self._delivery = delivery
        self._contact_notices = contact_notices
        self._audit = audit

    def tell(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        news: Sequence[News],
        *,
        asked: bool,
    ) -> int:
        """Tell users what an import did.

        That the address or number of somebody who confirmed something with us was replaced is
        told in any case, as by every other way to change it. Texts stay within the budget of the
        month; that nobody could be told is an event.

        Args:
            asked: whether those are told, too, who are new or whose authenticator was brought.

        Returns:
            How many users were told.
        """
        mine = tx.get_one(Organization, organization.id)
        silent: list[User] = []
        told = 0
        for one in news:
            one.user.organization = mine
            if one.before and self._contact_notices.tell(tx, actor, mine, one.user, one.before):
                told += 1
            elif asked and one.name and _has_no_way(one):
                silent.append(one.user)
            elif asked and one.name:
                told += self._delivery.notify(
                    tx, actor, mine, one.user, one.name, within_budget=True
                )
        self._audit.record_each(
            tx,
            EventKind.NOTICE_NOT_SENT,
            SYSTEM,
            organization_id=organization.id,
            details=[(user.id, {"notice": ADDED}) for user in silent],
        )
        return told

    def count(self, tx: Session, organization: Organization, news: Sequence[News]) -> int:
        """Return how many users would be told, if it is asked for."""
        mine = tx.get_one(Organization, organization.id)
        told = 0
        for one in news:
            one.user.organization = mine
            if one.name and not _has_no_way(one):
                told += self._delivery.reach(tx, one.user) is not None
        return told


def _has_no_way(one: News) -> bool:
    """Tell, without a look at the database, that nothing reaches somebody."""
    return one.before is None and not one.user.email
