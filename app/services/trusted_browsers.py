"""Trusted browsers: made where a user confirmed, known again by a secret, and revoked.

Whatever changes what a user has makes all of theirs die: see `standing.forget_browsers`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.db import touched_one
from app.errors import NotFound
from app.models import GatewaySession, TrustedBrowser, User
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.trust_rules import TrustRules

MOST_PER_USER = 20
_SECRET = "trusted browser"  # noqa: S105 (what the key is for; not a secret)


class TrustedBrowsers:
    """Keeps the browsers of users."""

    def __init__(
        self, clock: Clock, vault: Vault, rules: TrustRules, delivery: Delivery, audit: Audit
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._rules = rules
        self._delivery = delivery
        self._audit = audit

    def trust(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        *,
        kind: str,
        days: int,
        secret: str,
    ) -> tuple[TrustedBrowser, str]:
        """Trust the browser of a session from now on; return it with the secret for its cookie.

        The user is told. What the same browser was trusted for before is replaced, and with too
        many the oldest one goes.

        Args:
            kind: of the factor or channel that the user has just confirmed with.
            secret: what the browser's cookie holds so far, if anything.
        """
        now, user = self._clock.now(), session.user
        self._make_room(tx, user, secret)
        fresh = new_token()
        row = TrustedBrowser(
            id=uuid.uuid4(),
            user_id=user.id,
            organization_id=user.organization_id,
            application_id=session.application_id,
            kind=kind,
            secret_hash=self._vault.hash(fresh, purpose=_SECRET),
            device=actor.device,
            address=actor.address,
            country=actor.country,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        tx.add(row)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.TRUSTED_BROWSER_ADDED,
            actor,
            user=user,
            gateway_session=session,
            browser=str(row.id),
            days=days,
        )
        self._delivery.notify(tx, actor, user.organization, user, "browser_trusted", days=days)
        return row, fresh

    def known(self, tx: Session, session: GatewaySession, secret: str) -> TrustedBrowser | None:
        """Return the trust that a browser's secret stands for, if it holds for this session.

        It is this user's, in this organization, and not older than the rule for the application
        allows by now, however long it was given for; and it was earned by a method that the
        application takes.
        """
        days = self._rules.days(tx, session.user.organization_id, session.application_id)
        now = self._clock.now()
        mine = sa.select(TrustedBrowser).where(
            TrustedBrowser.user_id == session.user_id,
            TrustedBrowser.organization_id == session.user.organization_id,
            TrustedBrowser.secret_hash.in_(self._vault.hashes(secret, purpose=_SECRET)),
            TrustedBrowser.expires_at > now,
            TrustedBrowser.created_at > now - timedelta(days=days),
        )
        found = tx.scalar(mine) if secret and days else None
        return found if found and session.takes(found.kind) else None

    def use(self, tx: Session, actor: Actor, session: GatewaySession, row: TrustedBrowser) -> bool:
        """Note that a trusted browser spared its user a challenge; tell whether it still is one."""
        use = sa.update(TrustedBrowser).where(TrustedBrowser.id == row.id)
        if not touched_one(tx, use.values(last_used_at=self._clock.now())):
            return False
        self._audit.record(
            tx,
            EventKind.TRUSTED_BROWSER_USED,
            actor,
            user=session.user,
            gateway_session=session,
            browser=str(row.id),
        )
        return True

    def of(self, tx: Session, user: User) -> Sequence[TrustedBrowser]:
        """Return the browsers that a user trusts, newest first."""
        mine = sa.select(TrustedBrowser).where(
            TrustedBrowser.user_id == user.id, TrustedBrowser.expires_at > self._clock.now()
        )
        newest = mine.order_by(TrustedBrowser.created_at.desc(), TrustedBrowser.id)
        return tx.scalars(newest).all()

    def find(self, tx: Session, user: User, browser_id: uuid.UUID) -> TrustedBrowser:
        """Return one of the browsers that a user trusts.

        Raises:
            NotFound: it is not among them.
        """
        found = next((one for one in self.of(tx, user) if one.id == browser_id), None)
        if found is None:
            raise NotFound("trusted browser")
        return found

    def is_one(self, row: TrustedBrowser, secret: str) -> bool:
        """Tell whether a browser with this secret is the one of a row."""
        return self._vault.matches(secret, row.secret_hash, purpose=_SECRET)

    def forget_one(self, tx: Session, actor: Actor, user: User, browser_id: uuid.UUID) -> None:
        """Trust one browser of a user no more, and tell the user.

        Raises:
            NotFound: the user trusts no such browser, or somebody revoked it first.
        """
        self.revoke(tx, actor, user, browser_id)
        self._tell(tx, actor, user, 1)

    def forget_all(self, tx: Session, actor: Actor, user: User) -> int:
        """Trust no browser of a user any more, and tell the user; return how many there were."""
        count = self.revoke_all(tx, actor, user)
        if count:
            self._tell(tx, actor, user, count)
        return count

    def revoke(self, tx: Session, actor: Actor, user: User, browser_id: uuid.UUID) -> None:
        """Trust one browser of a user no more.

        Raises:
            NotFound: the user trusts no such browser, or somebody revoked it first.
        """
        gone = sa.delete(TrustedBrowser).where(
            TrustedBrowser.id == browser_id, TrustedBrowser.user_id == user.id
        )
        if not touched_one(tx, gone):
            raise NotFound("trusted browser")
        self._audit.record(
            tx, EventKind.TRUSTED_BROWSER_REVOKED, actor, user=user, browser=str(browser_id)
        )

    def forget(self, tx: Session, actor: Actor, secrets: Sequence[str]) -> None:
        """Trust the browser no more that holds these secrets, whoever its users are."""
        hashes = [one for secret in secrets for one in self._vault.hashes(secret, purpose=_SECRET)]
        for row in tx.scalars(
            sa.select(TrustedBrowser).where(TrustedBrowser.secret_hash.in_(hashes))
        ).all():
            self.revoke(tx, actor, tx.get_one(User, row.user_id), row.id)

    def revoke_all(self, tx: Session, actor: Actor, user: User) -> int:
        """Trust no browser of a user any more; return how many there were."""
        theirs = self.of(tx, user)
        for one in theirs:
            self.revoke(tx, actor, user, one.id)
        return len(theirs)

    def _tell(self, tx: Session, actor: Actor, user: User, count: int) -> None:
        organization = user.organization
        self._delivery.notify(tx, actor, organization, user, "browsers_forgotten", count=count)

    def _make_room(self, tx: Session, user: User, secret: str) -> None:
        mine = TrustedBrowser.user_id == user.id
        hashes = self._vault.hashes(secret, purpose=_SECRET)
        same = TrustedBrowser.secret_hash.in_(hashes)
        over = TrustedBrowser.expires_at <= self._clock.now()
        tx.execute(sa.delete(TrustedBrowser).where(mine, sa.or_(same, over)))
        newest = sa.select(TrustedBrowser.id).where(mine)
        newest = newest.order_by(TrustedBrowser.created_at.desc(), TrustedBrowser.id)
        if old := tx.scalars(newest.offset(MOST_PER_USER - 1)).all():
            tx.execute(sa.delete(TrustedBrowser).where(TrustedBrowser.id.in_(old)))
