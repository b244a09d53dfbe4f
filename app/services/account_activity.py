"""What happened to a user lately, and how many recovery codes are left, as their own page tells."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Application, Event, Purpose, RecoveryCode, User
from app.services.audit import EventKind

_MOST_EVENTS = 10
TOLD = (
    EventKind.VERIFICATION_ACCEPTED,
    EventKind.VERIFICATION_REFUSED,
    EventKind.AUTHENTICATOR_CONFIRMED,
    EventKind.AUTHENTICATOR_REMOVED,
    EventKind.AUTHENTICATOR_RENAMED,
    EventKind.AUTHENTICATORS_RESET,
    EventKind.AUTHENTICATORS_SUSPENDED,
    EventKind.BYPASS_CODE_GIVEN,
    EventKind.PASSKEY_COUNTED_BACK,
    EventKind.RECOVERY_CODES_ISSUED,
    EventKind.RECOVERY_CODE_USED,
    EventKind.REENROLLMENT_APPROVED,
    EventKind.TRUSTED_BROWSER_ADDED,
    EventKind.TRUSTED_BROWSER_REVOKED,
    EventKind.USER_FREEZE_LIFTED,
    EventKind.USER_FROZEN,
    EventKind.USER_SUSPENDED,
    EventKind.USER_SUSPENSION_LIFTED,
    EventKind.USER_UNLOCKED,
)
"""What a user reads of; the page has words for each."""


@dataclass(frozen=True, kw_only=True)
class CodesLeft:
    """How many recovery codes a user has left.

    Attributes:
        left: of those that were made last.
        made: so many they were.
        used_at: when the last of them was used.
    """

    left: int
    made: int
    used_at: datetime | None


def codes_left(tx: Session, user: User) -> CodesLeft:
    """Return how many recovery codes a user has left."""
    counted = sa.select(
        sa.func.count(), sa.func.count(RecoveryCode.used_at), sa.func.max(RecoveryCode.used_at)
    ).where(RecoveryCode.user_id == user.id, RecoveryCode.authenticator_id.is_(None))
    made, used, used_at = tx.execute(counted).one()
    return CodesLeft(left=made - used, made=made, used_at=used_at)


def newest(tx: Session, user: User) -> tuple[Sequence[Event], Mapping[uuid.UUID, str]]:
    """Return what happened to a user lately, newest first, and what applications are called.

    A first code is left out: that the method was added is told by itself.
    """
    found = (
        sa.select(Event)
        .where(
            Event.organization_id == user.organization_id,
            Event.user_id == user.id,
            Event.kind.in_([kind.value for kind in TOLD]),
        )
        .order_by(Event.id.desc())
        .limit(3 * _MOST_EVENTS)
    )
    first = (EventKind.VERIFICATION_ACCEPTED.value, Purpose.ENROLLMENT.value)
    events = [one for one in tx.scalars(found) if (one.kind, one.detail.get("purpose")) != first]
    shown = events[:_MOST_EVENTS]
    named = sa.select(Application.id, Application.name).where(
        Application.id.in_({one.application_id for one in shown})
    )
    return shown, {row.id: row.name for row in tx.execute(named)}
