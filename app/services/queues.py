"""Queues: how much waits for a worker, and for how long the oldest of it has been due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.clock import Clock
from app.db import Database
from app.models import Event, Message, Webhook, WebhookDelivery
from app.models.message import WAITING
from app.models.webhook import PENDING


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How one queue stands.

    Attributes:
        waiting: how much is in it, also what is due later.
        oldest_seconds: for how long the oldest has been due, and nobody took it; 0 if none is.
    """

    waiting: int
    oldest_seconds: float


class Queues:
    """Looks at what the workers share; each query reads what waits and nothing else."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def messages(self) -> Queue:
        """Return what waits to be sent to people."""
        return self._queue(sa.select(Message.id).where(WAITING), Message.due_at)

    def deliveries(self) -> Queue:
        """Return what waits to be sent to webhooks.

        Those of a webhook that fails may be due for long: they are tried one at a time, and in
        order for each user.
        """
        return self._queue(sa.select(WebhookDelivery.id).where(PENDING), WebhookDelivery.due_at)

    def deliverable(self) -> Queue:
        """Return what waits for webhooks that are on and take what they are sent."""
        well = sa.and_(Webhook.active, Webhook.failing_since.is_(None))
        chosen = sa.select(WebhookDelivery.id).join(
            Webhook, sa.and_(Webhook.id == WebhookDelivery.webhook_id, well)
        )
        return self._queue(chosen.where(PENDING), WebhookDelivery.due_at)

    def unsealed(self) -> Queue:
        """Return the events that wait for their seal."""
        return self._queue(sa.select(Event.id).where(Event.seal_id.is_(None)), Event.at)

    def _queue(
        self,
        chosen: sa.Select[object],
        due: InstrumentedAttribute[datetime | None] | sa.Column[datetime],
    ) -> Queue:
        now = self._clock.now()
        counted = chosen.with_only_columns(
            sa.func.count(), sa.func.min(sa.case((due <= now, due)), type_=due.type)
        )
        with self._database.reading() as tx:
            waiting, oldest = tx.execute(counted).one()
        seconds = (now - oldest).total_seconds() if oldest else 0.0
        return Queue(waiting=waiting, oldest_seconds=max(0.0, seconds))
