"""Policies: whether users have to confirm, from when on, and how often they may put it off."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock, touched_one
from app.errors import Invalid, NotFound
from app.models import (
    Application,
    Environment,
    Organization,
    Policy,
    PolicyMode,
    PolicySkip,
    User,
)
from app.services.audit import Actor, Audit, EventKind

MOST_SKIPS = 100
FURTHEST = timedelta(days=5 * 365)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a policy says; without one of its own an organization has this.

    Attributes:
        required_from: with the mode `required` alone; before it the user may put it off.
        skips: how often, with a date alone; None means as often as the user likes.
    """

    mode: PolicyMode = PolicyMode.REQUIRED
    required_from: datetime | None = None
    skips: int | None = None

    def requires(self, now: datetime) -> bool:
        """Tell whether nobody may go on without an authenticator."""
        passed = self.required_from is None or self.required_from <= now
        return self.mode is PolicyMode.REQUIRED and passed


@dataclass(frozen=True, kw_only=True)
class Postponement:
    """Not now: what a user who puts it off is told.

    Attributes:
        required_from: when it will be required; None if it will not.
        left: how often it may be put off; None means as often as the user likes.
    """

    required_from: datetime | None
    left: int | None


class Policies:
    """Keeps the rule of each organization and of applications in it, and counts skips."""

    def __init__(self, clock: Clock, audit: Audit) -> None:
        self._clock = clock
        self._audit = audit

    # What goes for a user

    def find(
        self, tx: Session, organization: Organization, application: Application | None = None
    ) -> Policy | None:
        """Return the rule of the organization, or that of one application in it, if it has one."""
        of = Policy.application_id == application.id if application else _OF_ORGANIZATION
        return tx.scalar(sa.select(Policy).where(Policy.organization_id == organization.id, of))

    def is_off(self, tx: Session, user: User, application_id: uuid.UUID) -> bool:
        """Tell whether everybody passes on the way to this application."""
        return rule_of(self._governing(tx, user, application_id)).mode is PolicyMode.OFF

    def demands(self, tx: Session, user: User, application_id: uuid.UUID) -> bool:
        """Tell whether the user has to have an authenticator by now.

        The organization's rule counts as well as the application's, which holds only there.
        """
        now, whole = self._clock.now(), self.find(tx, user.organization)
        here = self._governing(tx, user, application_id)
        return any(rule_of(one).requires(now) for one in (whole, here))

    def postponement(
        self, tx: Session, user: User, application_id: uuid.UUID
    ) -> Postponement | None:
        """Return what a user who has nothing enrolled may put off; None if it is due now."""
        policy = self._governing(tx, user, application_id)
        rule = rule_of(policy)
        if policy is None or rule.requires(self._clock.now()):
            return None
        if rule.skips is None:
            return Postponement(required_from=rule.required_from, left=None)
        left = rule.skips - self._used(tx, policy, user)
        return Postponement(required_from=rule.required_from, left=left) if left > 0 else None

    def put_off(self, tx: Session, user: User, application_id: uuid.UUID) -> bool:
        """Use up one time that the user may put it off, and tell whether there was one.

        One conditional change decides, so of several at the same instant no more get through
        than there were times left. The rule is held until then: whoever changes it waits.
        """
        policy = self._governing(tx, user, application_id, hold=True)
        rule = rule_of(policy)
        if policy is None or rule.requires(self._clock.now()):
            return False
        if rule.required_from is None:
            return True
        self._begin_count(tx, policy, user)
        count = sa.update(PolicySkip).where(
            PolicySkip.policy_id == policy.id, PolicySkip.user_id == user.id
        )
        if rule.skips is not None:
            count = count.where(PolicySkip.used < rule.skips)
        return touched_one(tx, count.values(used=PolicySkip.used + 1))

    # What administrators set

    def overrides(self, tx: Session, organization: Organization) -> Sequence[Policy]:
        """Return the rules of applications in the organization, by the applications' names."""
        return tx.scalars(
            sa.select(Policy)
            .join(Application, Application.id == Policy.application_id)
            .where(Policy.organization_id == organization.id, Application.deleted_at.is_(None))
            .order_by(sa.func.lower(Application.name), Application.id)
        ).all()

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        rule: Rule,
        application: Application | None = None,
    ) -> Policy:
        """Set the rule of the organization, or of one application, which goes before it.

        How often users have put it off goes on counting, unless the date moves later: then each
        user has all of `skips` anew.

        Raises:
            Invalid: `required_from` or `skips` can't be that.
        """
        rule = self.checked(organization, rule)
        lock(tx, Organization.id, organization.id)
        policy = self.find(tx, organization, application)
        before = rule_of(policy)
        if policy is not None and before == rule:
            return policy
        if policy is None:
            policy = Policy(
                id=uuid.uuid4(),
                organization_id=organization.id,
                application_id=application.id if application else None,
            )
            tx.add(policy)
        policy.mode, policy.required_from, policy.skips = rule.mode, rule.required_from, rule.skips
        policy.updated_at = self._clock.now()
        tx.flush()
        anew = begins_anew(before, rule)
        if anew:
            tx.execute(sa.delete(PolicySkip).where(PolicySkip.policy_id == policy.id))
        self._audit.record(
            tx,
            EventKind.POLICY_CHANGED,
            actor,
            organization_id=organization.id,
            application_id=policy.application_id,
            mode=rule.mode.value,
            required_from=rule.required_from.isoformat() if rule.required_from else None,
            skips=rule.skips,
            skips_anew=anew,
        )
        return policy

    def remove(
        self, tx: Session, actor: Actor, organization: Organization, application: Application
    ) -> None:
        """Take an application's own rule away: the organization's goes for it again.

        Raises:
            NotFound: it has none.
        """
        policy = self.find(tx, organization, application)
        if policy is None:
            raise NotFound("policy")
        tx.delete(policy)
        self._audit.record(
            tx,
            EventKind.POLICY_REMOVED,
            actor,
            organization_id=organization.id,
            application_id=application.id,
        )

    def checked(self, organization: Organization, rule: Rule) -> Rule:
        """Return a rule with nothing in it that its mode has no use for.

        Raises:
            Invalid: `required_from` or `skips` can't be that.
        """
        if organization.environment is Environment.ADMINISTRATION:
            raise Invalid("mode", "administrators always confirm.")
        if rule.mode is not PolicyMode.REQUIRED or rule.required_from is None:
            return Rule(mode=rule.mode)
        now = self._clock.now()
        if not now < rule.required_from <= now + FURTHEST:
            raise Invalid("required_from", "choose a day that is still to come, within 5 years.")
        if rule.skips is not None and not 1 <= rule.skips <= MOST_SKIPS:
            raise Invalid("skips", f"use a number from 1 to {MOST_SKIPS}, or leave it empty.")
        return rule

    def _governing(
        self, tx: Session, user: User, application_id: uuid.UUID, *, hold: bool = False
    ) -> Policy | None:
        """Return the application's rule in the user's organization, else the organization's."""
        found = (
            sa.select(Policy)
            .where(
                Policy.organization_id == user.organization_id,
                sa.or_(_OF_ORGANIZATION, Policy.application_id == application_id),
            )
            .order_by(_OF_ORGANIZATION)
            .limit(1)
        )
        if hold:
            found = found.with_for_update(read=True).execution_options(populate_existing=True)
        return tx.scalar(found)

    def _used(self, tx: Session, policy: Policy, user: User) -> int:
        skip = tx.get(PolicySkip, (policy.id, user.id))
        return skip.used if skip else 0

    def _begin_count(self, tx: Session, policy: Policy, user: User) -> None:
        dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
        row = dialect.insert(PolicySkip).values(policy_id=policy.id, user_id=user.id, used=0)
        tx.execute(row.on_conflict_do_nothing())


_OF_ORGANIZATION = Policy.application_id.is_(None)


def rule_of(policy: Policy | None) -> Rule:
    """Return what a policy says; without one, that it is required."""
    if policy is None:
        return Rule()
    return Rule(mode=policy.mode, required_from=policy.required_from, skips=policy.skips)


def begins_anew(before: Rule, after: Rule) -> bool:
    """Tell whether a change of the rule gives everybody all of its skips anew."""
    if after.required_from is None:
        return False
    return before.required_from is None or before.required_from < after.required_from


def is_stricter(before: Rule, after: Rule, now: datetime) -> bool:
    """Tell whether a rule asks more of anybody than the one before it."""
    return _strictness(before, now) < _strictness(after, now)


def _strictness(rule: Rule, now: datetime) -> tuple[int, float, float]:
    """Return something to compare: the mode, then the nearer date, then the fewer skips."""
    if rule.required_from is None or rule.requires(now):
        modes = {PolicyMode.OFF: 0, PolicyMode.OPTIONAL: 1, PolicyMode.REQUIRED: 3}
        return modes[rule.mode], 0, 0
    skips = float("inf") if rule.skips is None else rule.skips
    return 2, -rule.required_from.timestamp(), -skips
