"""What administrators do about a user, each told to the user: unlock, suspend, delete."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import touched_one
from app.errors import Refusal
from app.models import Organization, User
from app.services.audit import Actor, Audit, EventKind
from app.services.bypass_codes import BypassCodes
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.enrollment_invitations import EnrollmentInvitations
from app.services.freezes import Freezes
from app.services.limits import Limits
from app.services.standing import forget_browsers


class UserCare:
    """Does them, in one transaction with the notice and the record."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        limits: Limits,
        freezes: Freezes,
        bypass_codes: BypassCodes,
        enrollment_invitations: EnrollmentInvitations,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._limits = limits
        self._freezes = freezes
        self._bypass_codes = bypass_codes
        self._enrollment_invitations = enrollment_invitations
        self._delivery = delivery
        self._audit = audit

    def unlock(self, tx: Session, actor: Actor, organization: Organization, user: User) -> None:
        """Start all of a user's counts anew, and let a user who froze everything go on."""
        self._limits.unlock(tx, actor, user)
        if self._freezes.lift(tx, actor, organization, user):
            return
        self._delivery.notify(tx, actor, organization, user, "user_unlocked")

    def suspend(
        self, tx: Session, actor: Actor, organization: Organization, user: User, *, why: str
    ) -> None:
        """Let a user in by no door from now on; codes and links that were given die.

        Raises:
            Refusal: `user_suspended`: somebody did it before.
        """
        suspend = sa.update(User).where(User.id == user.id, User.suspended_at.is_(None))
        if not touched_one(tx, suspend.values(suspended_at=self._clock.now())):
            raise Refusal("user_suspended", "The user is suspended already. Nothing was changed.")
        tx.refresh(user, ["suspended_at"])
        forget_browsers(tx, [user.id])
        self._bypass_codes.withdraw(tx, actor, user)
        self._enrollment_invitations.withdraw(tx, actor, user)
        self._audit.record(tx, EventKind.USER_SUSPENDED, actor, user=user, why=why)
        self._delivery.notify(tx, actor, organization, user, "user_suspended")

    def lift(
        self, tx: Session, actor: Actor, organization: Organization, user: User, *, why: str
    ) -> None:
        """Let a suspended user in again, with all that the user had.

        Raises:
            Refusal: `user_not_suspended`: somebody did it before.
        """
        lift = sa.update(User).where(User.id == user.id, User.suspended_at.is_not(None))
        if not touched_one(tx, lift.values(suspended_at=None)):
            raise Refusal("user_not_suspended", "The user is not suspended. Nothing was changed.")
        tx.refresh(user, ["suspended_at"])
        self._audit.record(tx, EventKind.USER_SUSPENSION_LIFTED, actor, user=user, why=why)
        self._delivery.notify(tx, actor, organization, user, "user_suspension_lifted")

    def delete(
        self, tx: Session, actor: Actor, organization: Organization, user: User, *, why: str
    ) -> None:
        """Delete a user, who is told at the address that we knew; only the events stay.

        Raises:
            NotFound: somebody else deleted the user first.
        """
        self._delivery.notify(tx, actor, organization, user, "user_deleted", outlives_user=True)
        self._directory.delete(tx, actor, organization, user, why=why)
