"""Freezes: what was changed against a user's will is stopped, until an administrator has looked."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock, touched_one
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    FreezeLink,
    GatewaySession,
    Organization,
    SessionStatus,
    User,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.freeze_links import Found, FreezeLinks
from app.services.recovery import Recovery
from app.services.standing import settle
from app.services.trusted_browsers import TrustedBrowsers


class Freezes:
    """Freezes a user's account by such a link, and lifts that by an administrator's hand."""

    def __init__(
        self,
        clock: Clock,
        links: FreezeLinks,
        recovery: Recovery,
        trusted_browsers: TrustedBrowsers,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._links = links
        self._recovery = recovery
        self._trusted_browsers = trusted_browsers
        self._delivery = delivery
        self._audit = audit

    def find(self, tx: Session, token: str) -> Found | None:
        """Return the link with this token; looking at it changes nothing."""
        return self._links.find(tx, token)

    def is_open(self, found: Found) -> bool:
        """Tell whether the link still works."""
        return self._links.is_open(found)

    def freeze(self, tx: Session, actor: Actor, found: Found) -> bool:
        """Stop what the link is about, and lock all changes; tell whether it still could.

        What was added is suspended, new recovery codes die, and so do visits that are open and
        the trust in browsers.
        """
        user = found.user
        lock(tx, User.id, user.id)
        if not self._links.use(tx, found):
            return False
        now = self._clock.now()
        tx.execute(sa.update(User).where(User.id == user.id).values(frozen_at=now))
        tx.refresh(user, ["frozen_at"])
        self._suspend(tx, found)
        if found.row.notice == "recovery_codes_made":
            self._recovery.discard(tx, user)
        tx.execute(
            sa.update(GatewaySession)
            .where(
                GatewaySession.user_id == user.id, GatewaySession.status == SessionStatus.PENDING
            )
            .values(status=SessionStatus.CANCELLED, ended_at=now)
        )
        self._trusted_browsers.revoke_all(tx, actor, user)
        self._audit.record(tx, EventKind.USER_FROZEN, actor, user=user, notice=found.row.notice)
        return True

    def lift(self, tx: Session, actor: Actor, organization: Organization, user: User) -> bool:
        """Let a user change things again; what the freeze suspended is removed.

        Returns:
            Whether the account was frozen; then the user is told.
        """
        lift = sa.update(User).where(User.id == user.id, User.frozen_at.is_not(None))
        if not touched_one(tx, lift.values(frozen_at=None)):
            return False
        tx.refresh(user, ["frozen_at"])
        used = sa.select(FreezeLink.authenticator_id).where(
            FreezeLink.user_id == user.id, FreezeLink.used_at.is_not(None)
        )
        stopped = sa.update(Authenticator).where(
            Authenticator.id.in_(used), Authenticator.status == AuthenticatorStatus.SUSPENDED
        )
        gone = AuthenticatorStatus.REMOVED
        tx.execute(stopped.values(status=gone, removed_at=self._clock.now(), secret=None))
        settle(tx, user.id)
        self._audit.record(tx, EventKind.USER_FREEZE_LIFTED, actor, user=user)
        self._delivery.notify(tx, actor, organization, user, "user_freeze_lifted")
        return True

    def _suspend(self, tx: Session, found: Found) -> None:
        added = sa.update(Authenticator).where(
            Authenticator.id == found.row.authenticator_id,
            Authenticator.user_id == found.user.id,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
        )
        tx.execute(added.values(status=AuthenticatorStatus.SUSPENDED))
        settle(tx, found.user.id)
