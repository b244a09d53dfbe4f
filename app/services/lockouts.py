"""Lockouts: who would be held up if a rule went for everybody today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Organization, Policy, PolicyMode, PolicySkip, User
from app.services.method_settings import MethodSettings
from app.services.policies import Rule, begins_anew, rule_of
from app.services.user_states import Standing, UserStates, UserStatus

SHOWN = 20
_FEW = 2_000

Condition = sa.ColumnElement[bool]


class Obstacle(StrEnum):
    """Why a user could not get in at all, however long they tried at the next visit."""

    SUSPENDED = "suspended"
    """By an administrator, whatever the rule."""
    LOCKED = "locked"
    """After too many wrong codes, for a while or until somebody unlocks."""
    CLOSED = "closed"
    """Nothing is enrolled, and setting up needs an invitation."""
    REENROLLMENT = "re-enrollment"
    """A recovery code was used: it takes another one, or somebody's approval."""
    NO_METHOD = "no_method"
    """The organization offers nothing to confirm with."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a rule would come to today.

    Attributes:
        users: all of the organization.
        set_up: those who would have to set up at their next visit.
        held: those who could not get in at all, by what is in their way; none twice.
        first: some of them, by name.
    """

    users: int
    set_up: int
    held: Mapping[Obstacle, int]
    first: Sequence[tuple[User, Obstacle]]

    @property
    def held_up(self) -> int:
        """How many could not get in at all."""
        return sum(self.held.values())


class Lockouts:
    """Counts, before a rule is saved, whom it would stop."""

    def __init__(self, clock: Clock, method_settings: MethodSettings, states: UserStates) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._states = states

    def preview(
        self, tx: Session, organization: Organization, rule: Rule, policy: Policy | None = None
    ) -> Preview:
        """Return what a rule would come to if every user came today.

        Args:
            policy: what stands in its place now, to know how often each has put it off.
        """
        standing = self._states.now(tx, organization)
        mine = User.organization_id == organization.id
        offered = bool(self._method_settings.hosted(tx, organization))
        conditions = _obstacles(standing, rule, offered)
        held = {obstacle: _count(tx, where) for obstacle, where in conditions.items()}
        demanded = self._demanded(rule, policy) if offered else None
        return Preview(
            users=_count(tx, mine),
            set_up=0 if demanded is None else _count(tx, mine, _open(standing), demanded),
            held=held,
            first=_first(tx, conditions, held),
        )

    def _demanded(self, rule: Rule, policy: Policy | None) -> Condition | None:
        """Return of which users without anything a set-up is demanded now; None for none."""
        if rule.requires(self._clock.now()):
            return sa.true()
        if rule.skips is None or policy is None or begins_anew(rule_of(policy), rule):
            return None
        spent = sa.select(PolicySkip.user_id).where(
            PolicySkip.policy_id == policy.id, PolicySkip.used >= rule.skips
        )
        return User.id.in_(spent)


def _obstacles(standing: Standing, rule: Rule, offered: bool) -> dict[Obstacle, Condition]:
    """Return what is in the way of whom, each user under one obstacle at most."""
    held = {Obstacle.SUSPENDED: standing.condition(UserStatus.SUSPENDED)}
    if rule.mode is PolicyMode.OFF:
        return held
    if not offered:
        mine = User.organization_id == standing.organization_id
        return {**held, Obstacle.NO_METHOD: sa.and_(mine, User.suspended_at.is_(None))}
    again = standing.condition(UserStatus.REENROLLMENT)
    return {
        **held,
        Obstacle.LOCKED: standing.condition(UserStatus.LOCKED),
        Obstacle.CLOSED: sa.and_(_bare(standing), User.enrollment_open == sa.false()),
        Obstacle.REENROLLMENT: sa.and_(again, User.reenrollment_approved == sa.false()),
    }


def _open(standing: Standing) -> Condition:
    """Return who has nothing enrolled and may set up without further proof."""
    return sa.and_(_bare(standing), User.enrollment_open == sa.true())


def _bare(standing: Standing) -> Condition:
    return standing.condition(UserStatus.OVERDUE if standing.requires else UserStatus.PENDING)


def _first(
    tx: Session, conditions: Mapping[Obstacle, Condition], held: Mapping[Obstacle, int]
) -> Sequence[tuple[User, Obstacle]]:
    """Return the first by name of all who are held up."""
    found = [
        (user, obstacle)
        for obstacle, where in conditions.items()
        if held[obstacle]
        for user in tx.scalars(
            sa.select(User)
            .where(where if held[obstacle] > _FEW else _by_id(where))
            .order_by(User.name_key, User.email_key, User.id)
            .limit(SHOWN)
        )
    ]
    return sorted(found, key=lambda one: (one[0].name_key, one[0].label))[:SHOWN]


def _by_id(where: Condition) -> Condition:
    """Return the same condition, for whom it is true of few.

    They are found first, then sorted: to walk everybody by name until a few are met takes longer.
    """
    return User.id.in_(sa.select(User.id).where(where).correlate(None))


def _count(tx: Session, *where: Condition) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(User).where(*where)) or 0
