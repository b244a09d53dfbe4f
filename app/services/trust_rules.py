"""Trust rules: whether users may trust a browser, and for how long at most."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock
from app.errors import Invalid, NotFound
from app.models import Application, Environment, Organization, TrustRule
from app.services.audit import Actor, Audit, EventKind

MOST_DAYS = 90
_OF_ORGANIZATION = TrustRule.application_id.is_(None)
_DAYS = (
    sa.select(TrustRule.days)
    .where(
        TrustRule.organization_id == sa.bindparam("organization_id"),
        sa.or_(_OF_ORGANIZATION, TrustRule.application_id == sa.bindparam("application_id")),
    )
    .order_by(_OF_ORGANIZATION)
    .limit(1)
)


class TrustRules:
    """Keeps the rule of each organization, and of applications in it; without one, none is."""

    def __init__(self, clock: Clock, audit: Audit) -> None:
        self._clock = clock
        self._audit = audit

    def days(self, tx: Session, organization_id: uuid.UUID, application_id: uuid.UUID) -> int:
        """Return for how many days a browser is trusted on the way to an application; 0: never."""
        values = {"organization_id": organization_id, "application_id": application_id}
        return tx.scalar(_DAYS, values) or 0

    def find(
        self, tx: Session, organization: Organization, application: Application | None = None
    ) -> TrustRule | None:
        """Return the rule of the organization, or that of one application in it, if it has one."""
        of = TrustRule.application_id == application.id if application else _OF_ORGANIZATION
        mine = sa.select(TrustRule).where(TrustRule.organization_id == organization.id, of)
        return tx.scalar(mine)

    def overrides(self, tx: Session, organization: Organization) -> Sequence[TrustRule]:
        """Return the rules of applications in the organization, by the applications' names."""
        return tx.scalars(
            sa.select(TrustRule)
            .join(Application, Application.id == TrustRule.application_id)
            .where(TrustRule.organization_id == organization.id, Application.deleted_at.is_(None))
            .order_by(sa.func.lower(Application.name), Application.id)
        ).all()

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        days: int,
        application: Application | None = None,
    ) -> TrustRule:
        """Set the rule of the organization, or of one application, which goes before it.

        It holds at once, also for browsers that are trusted already.

        Raises:
            Invalid: `days` can't be that.
        """
        if organization.environment is Environment.ADMINISTRATION:
            raise Invalid("days", "administrators always confirm.")
        if not 0 <= days <= MOST_DAYS:
            raise Invalid("days", f"use a number from 1 to {MOST_DAYS}, or 0 for never.")
        lock(tx, Organization.id, organization.id)
        rule = self.find(tx, organization, application)
        if rule is not None and rule.days == days:
            return rule
        if rule is None:
            rule = TrustRule(
                id=uuid.uuid4(),
                organization_id=organization.id,
                application_id=application.id if application else None,
            )
            tx.add(rule)
        rule.days, rule.updated_at = days, self._clock.now()
        tx.flush()
        self._audit.record(
            tx,
            EventKind.TRUST_RULE_CHANGED,
            actor,
            organization_id=organization.id,
            application_id=rule.application_id,
            days=days,
        )
        return rule

    def remove(
        self, tx: Session, actor: Actor, organization: Organization, application: Application
    ) -> None:
        """Take an application's own rule away: the organization's goes for it again.

        Raises:
            NotFound: it has none.
        """
        rule = self.find(tx, organization, application)
        if rule is None:
            raise NotFound("trust rule")
        tx.delete(rule)
        self._audit.record(
            tx,
            EventKind.TRUST_RULE_REMOVED,
            actor,
            organization_id=organization.id,
            application_id=application.id,
        )
