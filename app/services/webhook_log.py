"""The log of a webhook: what became of each event, and sending one again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import NotFound, Refusal
from app.models import DeliveryStatus, Webhook, WebhookDelivery
from app.services.audit import Actor, EventKind
from app.services.webhook_events import WebhookEvents
from app.services.webhook_fanout import new_message_id
from app.services.webhook_payloads import TEST, test_payload

MOST_KEPT = 30
"""So many of the newest tries are kept."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """What came of one try.

    Attributes:
        status: of the answer, by HTTP; None if there was none.
        error: a stable code; empty if it arrived.
        seconds: how long it took.
    """

    at: datetime
    status: int | None
    error: str
    seconds: float


class WebhookLog:
    """Finds deliveries of a webhook, and writes new ones that somebody asks for."""

    def __init__(self, clock: Clock, events: WebhookEvents) -> None:
        self._clock = clock
        self._events = events

    def page(
        self,
        tx: Session,
        webhook: Webhook,
        *,
        status: DeliveryStatus | None = None,
        page: int,
        per_page: int,
    ) -> tuple[list[WebhookDelivery], int]:
        """Return a page of what went to a webhook, newest first, and how much there is.

        Args:
            status: what alone is meant; `WAITING` stands for all that is not over.
        """
        chosen = WebhookDelivery.webhook_id == webhook.id
        if status is DeliveryStatus.WAITING:
            pending = (DeliveryStatus.WAITING, DeliveryStatus.SENDING)
            chosen = sa.and_(chosen, WebhookDelivery.status.in_(pending))
        elif status is not None:
            chosen = sa.and_(chosen, WebhookDelivery.status == status)
        total = tx.scalar(sa.select(sa.func.count()).where(chosen)) or 0
        newest = (
            sa.select(WebhookDelivery)
            .where(chosen)
            .order_by(
                WebhookDelivery.created_at.desc(),
                WebhookDelivery.event_id.desc(),
                WebhookDelivery.id,
            )
        )
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * per_page))
        return list(rows), total

    def find(self, tx: Session, webhook: Webhook, delivery_id: uuid.UUID) -> WebhookDelivery:
        """Return a delivery to a webhook.

        Raises:
            NotFound: there is none of this id.
        """
        found = tx.get(WebhookDelivery, delivery_id)
        if found is None or found.webhook_id != webhook.id:
            raise NotFound("delivery")
        return found

    def replay(
        self, tx: Session, actor: Actor, webhook: Webhook, delivery: WebhookDelivery
    ) -> WebhookDelivery:
        """Write a delivery that says the same once more, under the same id; it waits for nothing.

        Raises:
            Refusal: `webhook_off`, or `delivery_pending`, if the first is not over yet.
        """
        _demand_on(webhook)
        if delivery.status not in {DeliveryStatus.DELIVERED, DeliveryStatus.FAILED}:
            raise Refusal(
                "delivery_pending", "It is still on its way, and is tried again by itself."
            )
        again = self._write(
            tx,
            webhook,
            message_id=delivery.message_id,
            event_id=delivery.event_id,
            kind=delivery.kind,
            user_id=delivery.user_id,
            body=delivery.body,
            is_replay=True,
        )
        self._events.record(tx, EventKind.WEBHOOK_REPLAYED, actor, webhook, code=delivery.kind)
        return again

    def send_test(self, tx: Session, actor: Actor, webhook: Webhook) -> WebhookDelivery:
        """Write a delivery that tells of nothing, to see whether it arrives; it is tried once.

        Raises:
            Refusal: `webhook_off`.
        """
        _demand_on(webhook)
        domain = webhook.organization.domain if webhook.organization else None
        body = test_payload(webhook.environment, domain, self._clock.now())
        test = self._write(tx, webhook, message_id=new_message_id(), kind=TEST, body=body)
        self._events.record(tx, EventKind.WEBHOOK_TESTED, actor, webhook)
        return test

    def _write(self, tx: Session, webhook: Webhook, **values: Any) -> WebhookDelivery:
        now = self._clock.now()
        made = WebhookDelivery(
            id=uuid.uuid4(),
            webhook_id=webhook.id,
            status=DeliveryStatus.WAITING,
            due_at=now,
            created_at=now,
            **values,
        )
        tx.add(made)
        return made


def with_try(delivery: WebhookDelivery, one: Try) -> list[dict[str, Any]]:
    """Return what the row keeps of its tries, with one more."""
    kept = {
        "at": one.at.isoformat(),
        "status": one.status,
        "error": one.error,
        "seconds": round(one.seconds, 2),
    }
    return [*delivery.attempts, kept][-MOST_KEPT:]


def tries_of(delivery: WebhookDelivery) -> list[Try]:
    """Return the tries that the row keeps, oldest first."""
    return [Try(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in delivery.attempts]


def _demand_on(webhook: Webhook) -> None:
    if not webhook.active:
        raise Refusal("webhook_off", "The webhook is off. Switch it on first.", status=409)
