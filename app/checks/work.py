"""Whether a worker does what is due, and whether what it tells webhooks is heard."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from app.checks.findings import Finding, fine, problem, warning
from app.models import Webhook
from app.services.queues import Queue
from app.wiring import Services

LATE, VERY_LATE = 30.0, 300.0
"""Seconds: workers look twice a second."""


def check_worker(services: Services) -> Iterator[Finding]:
    """See whether somebody sends what waits and seals what happened."""
    queues = services.queues
    works = [
        ("sender", "messages to people", queues.messages()),
        ("webhook_sender", "events for webhooks", queues.deliverable()),
        ("seals", "events that wait for their seal", queues.unsealed()),
    ]
    for check, what, queue in works:
        yield _judged(check, what, queue)


def check_webhooks(services: Services) -> Iterator[Finding]:
    """See which webhooks fail, and which were given up."""
    troubled = sa.or_(Webhook.off_reason.is_not(None), Webhook.failing_since.is_not(None))
    given_up = sa.and_(Webhook.active.is_(False), Webhook.off_reason.is_(None))
    chosen = sa.select(Webhook).where(troubled, ~given_up).order_by(Webhook.created_at)
    with services.database.reading() as tx:
        found = tx.scalars(chosen).all()
    for one in found:
        yield _failing(one)
    if not found:
        yield fine("webhooks", "None fails.")


def _judged(check: str, what: str, queue: Queue) -> Finding:
    told = f"{queue.waiting} {what}"
    if queue.oldest_seconds < LATE:
        return fine(check, f"{told}; none is late.")
    state = problem if queue.oldest_seconds >= VERY_LATE else warning
    return state(
        check,
        f"{told}; the oldest has been due for {queue.oldest_seconds:.0f} seconds.",
        "See that gatehouse worker runs, or serve without --no-worker and --no-sender, and what "
        "its log says. If it can't keep up, start more.",
    )


def _failing(webhook: Webhook) -> Finding:
    domain = webhook.organization.domain if webhook.organization else "all organizations"
    name = f"The webhook {webhook.id} of {domain} ({webhook.environment})"
    if webhook.off_reason:
        says = f"{name} was switched off: {webhook.off_reason}."
        remedy = "Have its owner repair the receiver, and switch it on again."
        return warning("webhooks", says, remedy)
    since = f"{webhook.failing_since:%Y-%m-%d %H:%M} UTC"
    remedy = "Its log of deliveries says why. After a day of this it is switched off."
    return warning("webhooks", f"{name} has failed since {since}.", remedy)
