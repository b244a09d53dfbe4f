"""One try: the request, and what its outcome changes, in one transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.addresses import NotAllowed
from app.clock import Clock
from app.db import Database, touched_one
from app.exchanges import CallFailed
from app.models import DeliveryStatus, Webhook, WebhookDelivery
from app.outbound import Outbound
from app.services.webhook_claims import Claim, followers, mine
from app.services.webhook_log import Try, with_try
from app.services.webhook_outages import GONE, WebhookOutages
from app.services.webhook_payloads import TEST
from app.services.webhook_schedule import next_try, retry_after
from app.services.webhook_signing import Signing

SECONDS = 15.0
"""So long one exchange may take, from the look-up of the name to the end of the answer."""
_GONE = 410


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    tried: Try
    later: timedelta | None = None
    """What Retry-After asks for."""


class WebhookSendings:
    """Tries deliveries."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        signing: Signing,
        outbound: Outbound,
        outages: WebhookOutages,
    ) -> None:
        self._database = database
        self._clock = clock
        self._signing = signing
        self._outbound = outbound
        self._outages = outages

    def send(self, claim: Claim) -> None:
        """Try a delivery that is claimed, and write down what came of it.

        Whatever happens in between, the claim runs out, and it is tried again with the same id.
        """
        with self._database.reading() as tx:
            found = _whole(tx, claim)
        if found is None or self._clock.now() > claim.until - timedelta(seconds=SECONDS):
            return  # deleted, or so late that another worker may have it before we are done
        outcome = self._call(*found)
        with self._database.writing() as tx:
            found = _whole(tx, claim)
            if found is not None:
                self._settle(tx, claim, *found, outcome)

    def _call(self, delivery: WebhookDelivery, webhook: Webhook) -> _Outcome:
        now, began = self._clock.now(), time.monotonic()
        tried = Try(at=now, status=None, error="", seconds=0)
        signed = self._signing.headers(webhook, delivery.message_id, delivery.body, now)
        try:
            answer = self._outbound.request(
                "POST",
                webhook.target_url,
                headers={"Content-Type": "application/json", **signed},
                body=delivery.body.encode(),
                seconds=SECONDS,
                most_bytes=0,  # who names the address must not read what is there
            )
        except NotAllowed:
            return _Outcome(tried=replace(tried, error="address_not_allowed"))
        except CallFailed as failed:
            return _Outcome(tried=replace(tried, error=failed.code, seconds=_since(began)))
        good = 200 <= answer.status < 300
        return _Outcome(
            tried=replace(
                tried,
                status=answer.status,
                error="" if good else f"http_{answer.status}",
                seconds=_since(began),
            ),
            later=None if good else retry_after(answer.headers.get("retry-after"), now),
        )

    def _settle(
        self,
        tx: Session,
        claim: Claim,
        delivery: WebhookDelivery,
        webhook: Webhook,
        outcome: _Outcome,
    ) -> None:
        now, tried = self._clock.now(), outcome.tried
        again = None
        if tried.error and tried.status != _GONE and delivery.kind != TEST:
            first = delivery.first_tried_at or tried.at
            again = next_try(delivery.tries, first, now, outcome.later)
        status = DeliveryStatus.FAILED if tried.error else DeliveryStatus.DELIVERED
        values = {
            "status": status if again is None else DeliveryStatus.WAITING,
            "due_at": again if webhook.active else None,
            "answer_status": tried.status,
            "error": tried.error or None,
            "attempts": with_try(delivery, tried),
            "ended_at": now if again is None else None,
        }
        if not touched_one(tx, mine(claim).values(**values)):
            return
        if again is not None:
            # Those behind it are not looked at again and again in the meantime.
            push = sa.update(WebhookDelivery).where(followers(delivery))
            push = push.where(WebhookDelivery.due_at < again).values(due_at=again)
            tx.execute(push.execution_options(synchronize_session=False))
        self._judge(tx, delivery, webhook, tried, over=again is None)

    def _judge(
        self, tx: Session, delivery: WebhookDelivery, webhook: Webhook, tried: Try, *, over: bool
    ) -> None:
        """Let the webhook bear what came of a try."""
        if not tried.error:
            self._outages.succeeded(tx, webhook)
        elif tried.status == _GONE:
            self._outages.end(tx, webhook, GONE)
        elif delivery.kind != TEST:
            self._outages.failed(tx, webhook)
            if over:
                self._outages.gave_up(tx, webhook)


def _whole(tx: Session, claim: Claim) -> tuple[WebhookDelivery, Webhook] | None:
    """Return a claimed delivery and its webhook; None if either is gone, or another has it."""
    row = tx.execute(
        sa.select(WebhookDelivery, Webhook)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(
            WebhookDelivery.id == claim.delivery_id,
            WebhookDelivery.status == DeliveryStatus.SENDING,
            WebhookDelivery.due_at == claim.until,
        )
    ).one_or_none()
    return (row[0], row[1]) if row else None


def _since(began: float) -> float:
    return time.monotonic() - began
