"""From events to webhooks: a delivery for each event and each webhook that hears of it.

That is done in the transaction that seals the events, where each event comes by exactly once after
its own transaction was committed, however late that was: an order of ids or moments is not one of
commits, and a cursor over it would miss some. What records an event pays nothing for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import (
    ApiKey,
    Application,
    DeliveryStatus,
    Environment,
    Event,
    Organization,
    Webhook,
    WebhookDelivery,
)
from app.services.webhook_payloads import payload

ALL = "*"
_FEW = 500
"""So many rows one statement writes, and so many ids it names."""


class FanOut:
    """Writes down what goes to which webhook."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def events(
        self, tx: Session, organization_id: uuid.UUID | None, event_ids: Sequence[int]
    ) -> None:
        """Write the deliveries of events of one organization, or of those that belong to none."""
        organization = tx.get(Organization, organization_id) if organization_id else None
        listening = tx.scalars(_listening(organization_id, organization)).all()
        if not listening:
            return
        for start in range(0, len(event_ids), _FEW):
            few = sa.select(Event).where(Event.id.in_(event_ids[start : start + _FEW]))
            for event in tx.scalars(few.order_by(Event.id)):
                rows = list(self._deliveries(tx, event, organization, listening))
                if rows:
                    tx.execute(sa.insert(WebhookDelivery), rows)

    def _deliveries(
        self,
        tx: Session,
        event: Event,
        organization: Organization | None,
        listening: Sequence[Webhook],
    ) -> Iterator[dict[str, object]]:
        now = self._clock.now()
        environment = organization.environment if organization else _environment(tx, event)
        for webhook in listening:
            if not hears(webhook, event) or environment not in {None, webhook.environment}:
                continue
            domain = organization.domain if organization else None
            yield {
                "id": uuid.uuid4(),
                "webhook_id": webhook.id,
                "message_id": new_message_id(),
                "event_id": event.id,
                "kind": event.kind,
                "user_id": event.user_id,
                "ordered_user_id": event.user_id,
                "body": payload(event, webhook.environment, domain),
                "status": DeliveryStatus.WAITING,
                "due_at": now,
                "created_at": now,
            }


def hears(webhook: Webhook, event: Event) -> bool:
    """Tell whether a webhook that is on is told of an event."""
    subject = event.kind.partition(":")[0]
    wanted = {ALL, f"{subject}:{ALL}", event.kind}
    return event.at >= webhook.listens_from and not wanted.isdisjoint(webhook.event_codes)


def new_message_id() -> str:
    """Return a fresh id by which the other side knows what it had before."""
    return f"msg_{uuid.uuid4().hex}"


def _listening(
    organization_id: uuid.UUID | None, organization: Organization | None
) -> sa.Select[Webhook]:
    of_all: sa.ColumnElement[bool] = Webhook.organization_id.is_(None)
    if organization is not None:
        of_all = sa.and_(of_all, Webhook.environment == organization.environment)
    own = Webhook.organization_id == organization_id if organization_id else sa.false()
    return sa.select(Webhook).where(Webhook.active, sa.or_(own, of_all)).order_by(Webhook.id)


def _environment(tx: Session, event: Event) -> Environment | None:
    """Return where an event of no organization belongs; None if it is the deployment's own."""
    if event.application_id is not None:
        application = tx.get(Application, event.application_id)
        return application.environment if application else None
    if named := event.detail.get("environment"):
        return Environment(named)
    if event.kind.startswith("api_key:"):
        key = tx.get(ApiKey, uuid.UUID(event.detail["client_id"]))
        return key.environment if key else None
    return None
