"""How users stand: kept in their own rows, so that many can be listed; asked at every door."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Purpose,
    TrustedBrowser,
    User,
    Verification,
)

_THEIRS: sa.BindParameter[Collection[uuid.UUID]] = sa.bindparam("user_ids", expanding=True)
_SETTLE = (
    sa.update(User)
    .where(User.id.in_(_THEIRS))
    .values(
        enrolled=sa.exists().where(
            Authenticator.user_id == User.id, Authenticator.status == AuthenticatorStatus.ACTIVE
        )
    )
    .execution_options(synchronize_session=False)
)
_FORGET = (
    sa.delete(TrustedBrowser)
    .where(TrustedBrowser.user_id.in_(_THEIRS))
    .execution_options(synchronize_session=False)
)
_SPEND = (
    sa.update(Verification)
    .where(
        Verification.user_id.in_(_THEIRS),
        Verification.purpose == Purpose.RECOVERY,
        Verification.accepted,
        Verification.spent_at.is_(None),
    )
    .values(spent_at=sa.bindparam("moment"))
    .execution_options(synchronize_session=False)
)


def settle(tx: Session, *user_ids: uuid.UUID) -> None:
    """Write down whether users have an active authenticator, after any of theirs changed.

    Browsers that they trust are trusted no more from then on.
    """
    settle_all(tx, user_ids)


def settle_all(tx: Session, user_ids: Collection[uuid.UUID]) -> None:
    """Do that for many users in one statement."""
    if not user_ids:
        return
    tx.execute(_SETTLE, {"user_ids": user_ids})
    forget_browsers(tx, user_ids)


def forget_browsers(tx: Session, user_ids: Collection[uuid.UUID]) -> None:
    """Trust no browser of these users any more, since something happened to their accounts."""
    tx.execute(_FORGET, {"user_ids": user_ids})


def spend_recoveries(tx: Session, user_ids: Collection[uuid.UUID], now: datetime) -> None:
    """Let no recovery code that was used before stand for a new authenticator any more.

    Each stands for one, whoever else let these users set something up in the meantime.
    """
    tx.execute(_SPEND, {"user_ids": user_ids, "moment": now})


def is_suspended(user: User) -> bool:
    """Tell whether the user is let in by no door until an administrator lifts it."""
    return user.suspended_at is not None


def is_frozen(user: User) -> bool:
    """Tell whether the user said that a change was not theirs, and no administrator has looked."""
    return user.frozen_at is not None


def demand_unsuspended(user: User) -> None:
    """Refuse at a door what is asked about a suspended user.

    Raises:
        Refusal: `user_suspended`.
    """
    if is_suspended(user):
        raise Refusal(
            "user_suspended",
            "An administrator suspended the user. Nobody is let in for this user before that is "
            "lifted in the admin area.",
        )


def demand_unfrozen(user: User) -> None:
    """Refuse what would add to a user's methods while a change of them is stopped.

    Raises:
        Refusal: `user_frozen`.
    """
    if is_frozen(user):
        raise Refusal(
            "user_frozen",
            "The user said that a change to the account was not theirs. Nothing can be set up "
            "before somebody has looked and unlocked the user.",
        )
