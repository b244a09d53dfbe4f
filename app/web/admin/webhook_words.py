"""Webhooks in words: how one stands, what became of a delivery, and why a try failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from app.models import DeliveryStatus, Webhook, WebhookDelivery
from app.services.webhook_log import MOST_KEPT, tries_of

STATUSES = {
    DeliveryStatus.WAITING: ("Waiting", ""),
    DeliveryStatus.SENDING: ("Sending", ""),
    DeliveryStatus.DELIVERED: ("Delivered", "ok"),
    DeliveryStatus.FAILED: ("Given up", "bad"),
}
"""What each is called, and its tone."""

MEANS = {
    DeliveryStatus.WAITING: "It waits for its turn, or for another try.",
    DeliveryStatus.SENDING: "It is being sent at this moment.",
    DeliveryStatus.DELIVERED: "The address took it.",
    DeliveryStatus.FAILED: "It is not tried again by itself.",
}

WHY = {
    "timeout": "no answer in time",
    "unresolvable": "its name is unknown",
    "unreachable": "it could not be reached, or hung up",
    "certificate": "its certificate is not right",
    "address_not_allowed": "its address may not be called",
    "answer_too_large": "its answer is too long",
    "malformed_request": "its address can’t be called",
}
"""Codes of tries that got no answer."""

_NO_REDIRECT = range(300, 400)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of what happened to a delivery."""

    at: datetime
    text: str
    tone: str = ""
    more: str = ""


def state(webhook: Webhook) -> tuple[str, str]:
    """Return how a webhook stands in a word, and its tone."""
    if not webhook.active:
        return ("Off", "bad" if webhook.off_reason else "")
    return ("Failing", "warn") if webhook.failing_since else ("On", "ok")


def why(error: str | None) -> str:
    """Return in a few words why a try failed; empty if it did not."""
    code = error or ""
    if not code.startswith("http_"):
        return WHY.get(code, code)
    status = int(code.removeprefix("http_"))
    told = f"it answered {status}"
    if status in _NO_REDIRECT:
        return f"{told}; redirects are not followed"
    named = status in {one.value for one in HTTPStatus}
    return f"{told} {HTTPStatus(status).phrase}" if named else told


def steps(delivery: WebhookDelivery) -> list[Step]:
    """Return what happened to a delivery, the newest first."""
    return [*_steps(delivery)][::-1]


def is_shortened(delivery: WebhookDelivery) -> bool:
    """Tell whether only the newest tries were kept."""
    return len(delivery.attempts) >= MOST_KEPT


def _steps(delivery: WebhookDelivery) -> Iterator[Step]:
    yield Step(at=delivery.created_at, text="Replayed" if delivery.is_replay else "Written")
    for one in tries_of(delivery):
        took = "at once" if one.seconds < 0.05 else f"after {one.seconds:.1f} s"
        if one.error:
            reason = why(one.error)
            yield Step(at=one.at, text=reason[:1].upper() + reason[1:], tone="bad", more=took)
        else:
            yield Step(at=one.at, text=f"It answered {one.status}", tone="ok", more=took)
