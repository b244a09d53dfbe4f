"""Claims on deliveries: how any number of workers share those that wait, in order for each user.

A claim is a conditional UPDATE of one row. It holds until a moment, by which it is also known.
Nothing is claimed while an earlier event of the same user is pending for the same webhook; what is
over never becomes pending again, so that can't change between a look and a claim.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, zip_longest

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.clock import Clock
from app.db import Database, touched_one
from app.models import DeliveryStatus, Webhook, WebhookDelivery
from app.models.webhook import PENDING

HELD_FOR = timedelta(seconds=60)
"""So long a claim holds: one exchange, and time for a slow machine or clock."""
_OF_ONE = 8
"""So much of one webhook is looked at."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery that could be tried now.

    Attributes:
        failing: whether the last try of its webhook failed.
    """

    id: uuid.UUID
    webhook_id: str
    failing: bool


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A delivery that one worker has to itself until a moment."""

    delivery_id: uuid.UUID
    until: datetime


class WebhookClaims:
    """Finds and claims deliveries, in one short transaction each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, *, limit: int) -> list[Due]:
        """Return some of what could be tried now: each webhook's first, then each one's second…"""
        with self._database.reading() as tx:
            now = self._clock.now()
            queues = [
                [
                    Due(id=one, webhook_id=webhook.id, failing=webhook.failing_since is not None)
                    for one in tx.scalars(_first(webhook.id, now))
                ]
                for webhook in tx.execute(_busy(now, limit))
            ]
        in_turn = (one for turn in zip_longest(*queues) for one in turn if one is not None)
        return list(islice(in_turn, limit))

    def take(self, chosen: Sequence[Due]) -> dict[uuid.UUID, Claim]:
        """Claim these, as far as no other worker was faster; return the claims by delivery."""
        with self._database.writing() as tx:
            now = self._clock.now()
            until = now + HELD_FOR
            return {
                delivery_id: Claim(delivery_id=delivery_id, until=until)
                for delivery_id in _nobody_s(tx, [one.id for one in chosen], now)
                if touched_one(tx, _take(delivery_id, now, until))
            }


def mine(claim: Claim) -> sa.Update:
    """Return a change of the delivery that touches nothing if another worker has it by now."""
    return sa.update(WebhookDelivery).where(
        WebhookDelivery.id == claim.delivery_id,
        WebhookDelivery.status == DeliveryStatus.SENDING,
        WebhookDelivery.due_at == claim.until,
    )


def followers(delivery: WebhookDelivery) -> sa.ColumnElement[bool]:
    """Return what is true of the deliveries that wait for this one."""
    return sa.and_(
        WebhookDelivery.webhook_id == delivery.webhook_id,
        WebhookDelivery.ordered_user_id == delivery.ordered_user_id,
        WebhookDelivery.event_id > delivery.event_id,
        WebhookDelivery.status == DeliveryStatus.WAITING,
        PENDING,
    )


def _can_go(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(PENDING, WebhookDelivery.due_at <= now, ~_comes_before())


def _comes_before() -> sa.Exists:
    """Return whether an earlier event of the same user is pending for the same webhook."""
    earlier = aliased(WebhookDelivery, name="earlier")
    return (
        sa.exists()
        .where(
            earlier.webhook_id == WebhookDelivery.webhook_id,
            earlier.ordered_user_id == WebhookDelivery.ordered_user_id,
            earlier.event_id < WebhookDelivery.event_id,
            sa.text("earlier.status IN ('waiting', 'sending')"),
        )
        .correlate(WebhookDelivery)
    )


def _busy(now: datetime, limit: int) -> sa.Select[str, datetime | None]:
    """Select webhooks that are on and have something due, any of them first."""
    something = sa.exists().where(
        WebhookDelivery.webhook_id == Webhook.id, PENDING, WebhookDelivery.due_at <= now
    )
    busy = sa.select(Webhook.id, Webhook.failing_since).where(Webhook.active, something)
    return busy.order_by(sa.func.random()).limit(limit)


def _first(webhook_id: str, now: datetime) -> sa.Select[uuid.UUID]:
    """Select what can go to a webhook; of a long queue only its beginning is read."""
    can = sa.select(WebhookDelivery.id).where(
        WebhookDelivery.webhook_id == webhook_id, _can_go(now)
    )
    in_order = (WebhookDelivery.due_at, WebhookDelivery.event_id, WebhookDelivery.id)
    return can.order_by(*in_order).limit(_OF_ONE)


def _nobody_s(tx: Session, ids: Sequence[uuid.UUID], now: datetime) -> Sequence[uuid.UUID]:
    """Lock those that are still due; what another one is at is passed over, not waited for."""
    still = sa.select(WebhookDelivery.id).where(
        WebhookDelivery.id.in_(ids), PENDING, WebhookDelivery.due_at <= now
    )
    return tx.scalars(still.with_for_update(skip_locked=True)).all()


def _take(delivery_id: uuid.UUID, now: datetime, until: datetime) -> sa.Update:
    return (
        sa.update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id, _can_go(now))
        .values(
            status=DeliveryStatus.SENDING,
            due_at=until,
            tries=WebhookDelivery.tries + 1,
            first_tried_at=sa.func.coalesce(WebhookDelivery.first_tried_at, now),
        )
    )
