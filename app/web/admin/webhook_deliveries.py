"""What went to a webhook, and sending it again; the views stand on the blueprint of `webhooks`."""

from __future__ import annotations

import json
import uuid

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import DeliveryStatus, User, WebhookDelivery
from app.services.roles import Action
from app.web.admin import recipes
from app.web.admin import webhook_words as words
from app.web.admin.desk import Seat, done, page, render
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.webhook_form import event_name, in_words
from app.web.admin.webhooks import SHOW, blueprint, find
from app.web.support import services

_DELIVERY = "admin_webhooks.show_delivery"
FILTERS = {
    "": "All",
    DeliveryStatus.WAITING.value: "Waiting",
    DeliveryStatus.DELIVERED.value: "Delivered",
    DeliveryStatus.FAILED.value: "Given up",
}


@blueprint.get("/<webhook_id>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Show a webhook with what went there, newest first."""
    webhook, at = find(tx, seat, webhook_id), number()
    asked = request.args.get("state", "")
    chosen = asked if asked in FILTERS else ""
    found, total = services().webhook_log.page(
        tx,
        webhook,
        status=DeliveryStatus(chosen) if chosen else None,
        page=at,
        per_page=PER_PAGE,
    )
    kept = {"webhook_id": webhook.id, **({"state": chosen} if chosen else {})}
    return render(
        "admin/webhooks/show.html",
        seat,
        webhook=webhook,
        state=words.state(webhook),
        hears_of=in_words(webhook.event_codes),
        overlaps_until=services().webhooks.overlaps_until(webhook),
        deliveries=found,
        statuses=words.STATUSES,
        why=words.why,
        event_name=event_name,
        filters=FILTERS,
        chosen=chosen,
        pages=pages(SHOW, at, shown=len(found), total=total, **kept),
        verify=recipes.verify_event(),
        days=services().config.message_days,
    )


@blueprint.post("/<webhook_id>/test")
@page(Action.CHANGE_WEBHOOKS)
def send_test(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Send something that tells of nothing."""
    webhook = find(tx, seat, webhook_id)
    test = services().webhook_log.send_test(tx, seat.actor, webhook)
    return _to(seat, test, "The test is on its way. Reload this page to see what came of it.")


@blueprint.get("/<webhook_id>/deliveries/<uuid:delivery_id>")
@page(Action.SEE_SETTINGS)
def show_delivery(
    tx: Session, seat: Seat, webhook_id: str, delivery_id: uuid.UUID
) -> ResponseReturnValue:
    """Show what happened to one delivery, and what it says."""
    webhook = find(tx, seat, webhook_id)
    delivery = services().webhook_log.find(tx, webhook, delivery_id)
    user = tx.get(User, delivery.user_id) if delivery.user_id else None
    return render(
        "admin/webhooks/delivery.html",
        seat,
        webhook=webhook,
        delivery=delivery,
        name=event_name(delivery.kind),
        user=user if user and user.organization_id == seat.organization.id else None,
        state=words.STATUSES[delivery.status],
        means=words.MEANS[delivery.status],
        why=words.why(delivery.error),
        steps=words.steps(delivery),
        is_shortened=words.is_shortened(delivery),
        is_over=delivery.ended_at is not None,
        body=json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False),
    )


@blueprint.post("/<webhook_id>/deliveries/<uuid:delivery_id>/replay")
@page(Action.CHANGE_WEBHOOKS)
def replay(tx: Session, seat: Seat, webhook_id: str, delivery_id: uuid.UUID) -> ResponseReturnValue:
    """Send the same once more."""
    webhook = find(tx, seat, webhook_id)
    delivery = services().webhook_log.find(tx, webhook, delivery_id)
    again = services().webhook_log.replay(tx, seat.actor, webhook, delivery)
    return _to(seat, again, "It is on its way again. Reload this page to see what came of it.")


def _to(seat: Seat, delivery: WebhookDelivery, notice: str) -> ResponseReturnValue:
    values = {"webhook_id": delivery.webhook_id, "delivery_id": delivery.id}
    return done(seat, notice, _DELIVERY, **values)
