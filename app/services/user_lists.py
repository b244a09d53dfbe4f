"""The list of an organization's users: searched, filtered, sorted, a page at a time.

Whatever is asked, an index is walked, at most the organization's own part of it: no page reads the
whole table of users or authenticators.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import unindexed
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    EnrollmentInvitation,
    Organization,
    RecoveryCode,
    User,
)
from app.services.user_fields import full_name
from app.services.user_orders import ORDERS, Part, Sort
from app.services.user_search import matching
from app.services.user_states import UserStates, UserStatus

PER_PAGE = 25


@dataclass(frozen=True, kw_only=True)
class UserFilter:
    """Which users; nothing given means all of the organization.

    Attributes:
        search: what was typed; see `user_search.matching`.
        method: kind of an active authenticator.
    """

    search: str = ""
    status: UserStatus | None = None
    method: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.search.strip() or self.status or self.method)


@dataclass(frozen=True, kw_only=True)
class ListedUser:
    """A user with what a list says of them.

    Attributes:
        methods: kinds of the active authenticators, each once.
        codes_left: recovery codes that were not used, of `codes`.
        invited_at: when an invitation to enroll was sent that is still open.
    """

    user: User
    status: UserStatus
    methods: list[str]
    codes_left: int
    codes: int
    invited_at: datetime | None

    @property
    def name(self) -> str:
        """Given and family name, as far as they are known."""
        return full_name(self.user.profile)


@dataclass(frozen=True, kw_only=True)
class UserPage:
    """A page of a list.

    Attributes:
        number: of this page, from 1; the last one if a later one was asked for.
        total: users on all pages.
    """

    rows: list[ListedUser]
    number: int
    total: int

    @property
    def first(self) -> int:
        """Place of the first row in the whole list, from 1."""
        return (self.number - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        """Place of the last row."""
        return self.first + len(self.rows) - 1


class UserLists:
    """Reads lists of users."""

    def __init__(self, clock: Clock, states: UserStates) -> None:
        self._clock = clock
        self._states = states

    def page(
        self,
        tx: Session,
        organization: Organization,
        wanted: UserFilter,
        *,
        sort: Sort = Sort.LAST_VERIFIED,
        descending: bool = True,
        number: int = 1,
    ) -> UserPage:
        """Return a page of the users who are wanted."""
        where = self.conditions(tx, organization, wanted)
        total = _count(tx, where)
        number = max(1, min(number, -(-total // PER_PAGE)))
        skip = (number - 1) * PER_PAGE
        ids = _ids(tx, where, ORDERS[sort], descending, skip) if total else []
        return UserPage(rows=self.listed(tx, organization, ids), number=number, total=total)

    def count(
        self, tx: Session, organization: Organization, status: UserStatus | None = None
    ) -> int:
        """Return how many users the organization has, or has who stand so."""
        return self.total(tx, organization, UserFilter(status=status))

    def total(self, tx: Session, organization: Organization, wanted: UserFilter) -> int:
        """Return how many users are wanted."""
        return _count(tx, self.conditions(tx, organization, wanted))

    def conditions(
        self, tx: Session, organization: Organization, wanted: UserFilter
    ) -> list[sa.ColumnElement[bool]]:
        """Return, as SQL over `User`, who is wanted of the organization."""
        found = bool(wanted.search.strip())
        place = unindexed(User.organization_id) if found else User.organization_id
        where: list[sa.ColumnElement[bool]] = []
        if wanted.status is not None:
            where.append(self._states.now(tx, organization).condition(wanted.status))
        if found or not where:
            where.append(place == organization.id)
        if found:
            where.append(User.id.in_(matching(tx, organization, wanted.search)))
        if wanted.method is not None:
            where += [User.enrolled == sa.true(), _has(wanted.method)]
        return where

    def listed(
        self, tx: Session, organization: Organization, ids: Collection[uuid.UUID]
    ) -> list[ListedUser]:
        """Return users of the organization with what a list says of them, in the order given."""
        mine = sa.select(User).where(User.organization_id == organization.id, User.id.in_(ids))
        users = {user.id: user for user in tx.scalars(mine)}
        authenticators = _authenticators(tx, users)
        left, issued = _codes(tx, users)
        invited = self._invited(tx, users)
        standing = self._states.now(tx, organization)
        return [
            ListedUser(
                user=users[one],
                status=standing.of(users[one], authenticators[one]),
                methods=_kinds(authenticators[one]),
                codes_left=left[one],
                codes=issued[one],
                invited_at=invited.get(one),
            )
            for one in ids
            if one in users
        ]

    def _invited(self, tx: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, datetime]:
        still_open = (
            sa.select(EnrollmentInvitation.user_id, sa.func.max(EnrollmentInvitation.created_at))
            .where(
                EnrollmentInvitation.user_id.in_(ids),
                EnrollmentInvitation.used_at.is_(None),
                EnrollmentInvitation.revoked_at.is_(None),
                EnrollmentInvitation.expires_at > self._clock.now(),
            )
            .group_by(EnrollmentInvitation.user_id)
        )
        return dict(tx.execute(still_open).all())


def _count(tx: Session, where: list[sa.ColumnElement[bool]]) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(User).where(*where)) or 0


def _ids(
    tx: Session,
    where: list[sa.ColumnElement[bool]],
    parts: tuple[Part, ...],
    descending: bool,
    skip: int,
) -> list[uuid.UUID]:
    """Return the ids of a page: first of those who have what is sorted by, then of the others."""
    ids: list[uuid.UUID] = []
    for part in parts:
        columns = [one.desc() if descending else one.asc() for one in part.columns]
        mine = [*where, *part.where]
        some = sa.select(User.id).where(*mine).order_by(*columns)
        found = tx.scalars(some.offset(skip).limit(PER_PAGE - len(ids))).all()
        ids += found
        if len(ids) == PER_PAGE:
            break
        skip = 0 if found else max(0, skip - _count(tx, mine))
    return ids


def _has(kind: str) -> sa.ColumnElement[bool]:
    """Return, as SQL, whether a user has an active authenticator of a kind.

    One look-up for each user: as a plain EXISTS PostgreSQL may read everybody's authenticators.
    """
    one = (
        sa.select(Authenticator.user_id)
        .where(
            Authenticator.user_id == User.id,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
            Authenticator.kind == kind,
        )
        .limit(1)
        .scalar_subquery()
    )
    return one.is_not(None)


def _authenticators(tx: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Authenticator]]:
    theirs: dict[uuid.UUID, list[Authenticator]] = defaultdict(list)
    live = sa.select(Authenticator).where(
        Authenticator.user_id.in_(ids),
        Authenticator.status.in_((AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)),
    )
    for one in tx.scalars(
        live.order_by(Authenticator.created_at, Authenticator.kind, Authenticator.id)
    ):
        theirs[one.user_id].append(one)
    return theirs


def _kinds(authenticators: Iterable[Authenticator]) -> list[str]:
    active = (one.kind for one in authenticators if one.status is AuthenticatorStatus.ACTIVE)
    return list(dict.fromkeys(active))


def _codes(tx: Session, ids: Iterable[uuid.UUID]) -> tuple[Counter[uuid.UUID], Counter[uuid.UUID]]:
    """Return how many recovery codes users have left, and how many they were given."""
    rows = tx.execute(
        sa.select(
            RecoveryCode.user_id,
            sa.func.count(),
            sa.func.count(RecoveryCode.used_at),
        )
        .where(RecoveryCode.user_id.in_(ids), RecoveryCode.authenticator_id.is_(None))
        .group_by(RecoveryCode.user_id)
    ).all()
    given = Counter({user_id: count for user_id, count, _ in rows})
    left = Counter({user_id: count - used for user_id, count, used in rows})
    return left, given
