"""How a user stands, in one word: told of those who are loaded, and as conditions to find them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.clock import Clock
from app.config import Config
from app.db import unindexed
from app.models import Authenticator, AuthenticatorStatus, Organization, User
from app.services.policies import Policies, rule_of


class UserStatus(StrEnum):
    """What matters most of a user: the first that is true."""

    SUSPENDED = "suspended"
    """By an administrator."""
    LOCKED = "locked"
    """After too many wrong codes, for a while or until an administrator unlocks."""
    ENROLLED = "enrolled"
    REENROLLMENT = "re-enrollment"
    """A recovery code was used, and no new authenticator was confirmed yet."""
    OVERDUE = "overdue"
    """Nothing is enrolled, and the policy demands it by now."""
    PENDING = "pending"
    """Nothing is enrolled, and that may wait."""


class UserStates:
    """Knows what it takes to tell how users stand."""

    def __init__(self, config: Config, clock: Clock, policies: Policies) -> None:
        self._most_failures = config.failures_per_user
        self._clock = clock
        self._policies = policies

    def now(self, tx: Session, organization: Organization) -> Standing:
        """Return how the users of an organization stand at this moment."""
        now = self._clock.now()
        return Standing(
            organization_id=organization.id,
            at=now,
            most_failures=self._most_failures,
            requires=rule_of(self._policies.find(tx, organization)).requires(now),
        )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the users of one organization stand at one moment.

    Attributes:
        most_failures: so many consecutive refusals lock a user until somebody unlocks.
        requires: whether the organization's policy demands an authenticator of everybody.
    """

    organization_id: uuid.UUID
    at: datetime
    most_failures: int
    requires: bool

    def of(self, user: User, theirs: Sequence[Authenticator]) -> UserStatus:
        """Return how a user stands.

        Args:
            theirs: the user's authenticators, as far as they are not removed.
        """
        if user.suspended_at is not None:
            return UserStatus.SUSPENDED
        if self.is_locked(user, theirs):
            return UserStatus.LOCKED
        if user.enrolled:
            return UserStatus.ENROLLED
        if any(one.status is AuthenticatorStatus.SUSPENDED for one in theirs):
            return UserStatus.REENROLLMENT
        return UserStatus.OVERDUE if self.requires else UserStatus.PENDING

    def is_locked(self, user: User, theirs: Sequence[Authenticator]) -> bool:
        """Tell whether wrong codes hold up the user, or any method of theirs."""
        waits = [one.retry_at for one in theirs if one.status is AuthenticatorStatus.ACTIVE]
        return user.failures >= self.most_failures or any(
            wait is not None and wait > self.at for wait in (user.recovery_retry_at, *waits)
        )

    def condition(self, status: UserStatus) -> sa.ColumnElement[bool]:
        """Return, as SQL over `User`, who of the organization stands so, as `of` says."""
        few = status in {UserStatus.LOCKED, UserStatus.REENROLLMENT}
        place = unindexed(User.organization_id) if few else User.organization_id
        return sa.and_(place == self.organization_id, self._stands(status))

    def _stands(self, status: UserStatus) -> sa.ColumnElement[bool]:
        if status is UserStatus.SUSPENDED:
            return User.suspended_at.is_not(None)
        present, locked = User.suspended_at.is_(None), User.id.in_(self._locked())
        if status is UserStatus.LOCKED:
            return sa.and_(present, locked)
        if status is UserStatus.ENROLLED:
            return sa.and_(present, User.enrolled == sa.true(), ~locked)
        bare = sa.and_(present, User.enrolled == sa.false(), ~locked)
        due = User.id.in_(_REENROLLING)
        if status is UserStatus.REENROLLMENT:
            return sa.and_(bare, due)
        demanded = status is UserStatus.OVERDUE
        return sa.and_(bare, ~due) if demanded is self.requires else sa.false()

    def _locked(self) -> sa.CompoundSelect[tuple[uuid.UUID]]:
        """Return the ids of locked users; each part reads an index that holds only refusals."""
        one = aliased(User)
        mine = sa.select(one.id).where(one.organization_id == self.organization_id)
        refused = sa.and_(
            one.failures > sa.literal_column("0"),  # as the index has it, to be known as its part
            one.failures >= self.most_failures,
        )
        waiting = sa.and_(one.recovery_retry_at.is_not(None), one.recovery_retry_at > self.at)
        held = sa.select(Authenticator.user_id).where(
            Authenticator.retry_at.is_not(None),
            Authenticator.retry_at > self.at,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
        )
        return sa.union(mine.where(refused), mine.where(waiting), held)


_SUSPENDED: sa.ColumnElement[str] = sa.literal_column(f"'{AuthenticatorStatus.SUSPENDED.value}'")
"""As the index has it, to be known as its part."""

_REENROLLING = sa.select(Authenticator.user_id).where(Authenticator.status == _SUSPENDED)
"""Of whom a recovery code suspended an authenticator: few, so whose they are is asked outside."""
