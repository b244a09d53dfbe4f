"""The sender of webhooks: takes deliveries that are due, and has them tried, many at a time.

Any number may run, in any number of processes.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from app.logs import place_of
from app.services.webhook_claims import Claim, Due, WebhookClaims
from app.services.webhook_sendings import WebhookSendings

HANDS = 16
"""So many tries are on their way at the same time in one process."""
_OF_ONE = 4
"""So many of them to one webhook, and one if its last try failed: the dead hold up nobody else."""
_WAIT = 0.5
"""Seconds to wait for a hand."""

log = structlog.get_logger("gatehouse.webhooks")


class WebhookSender:
    """Tries what is due."""

    def __init__(self, claims: WebhookClaims, sendings: WebhookSendings) -> None:
        self._claims = claims
        self._sendings = sendings
        self._on_way: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._stopped = False
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="webhook")

    def send_some(self) -> bool:
        """Begin to try as much as there are hands for; tell whether there may be more at once."""
        due = self._claims.due(limit=4 * HANDS)
        if not due:
            return False
        with self._changed:
            chosen = [] if self._stopped else self._choose(due)
            if not chosen:
                self._changed.wait(_WAIT)
                return not self._stopped
            self._on_way.update(one.webhook_id for one in chosen)
        self._begin(chosen)
        return True

    def send_next(self) -> bool:
        """Try one delivery that is due, and tell whether there was one."""
        while due := self._claims.due(limit=1):
            for claim in self._claims.take(due).values():
                self._sendings.send(claim)
                return True
        return False

    def finish(self, *, seconds: float) -> None:
        """Wait for what is on its way; nothing more begins, and the rest waits for others.

        Args:
            seconds: after which it is left to itself.
        """
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._on_way.total(), seconds)

    def _choose(self, due: Sequence[Due]) -> list[Due]:
        on_way, chosen = self._on_way.copy(), []
        for one in due:
            most = 1 if one.failing else _OF_ONE
            if on_way.total() < HANDS and on_way[one.webhook_id] < most:
                on_way[one.webhook_id] += 1
                chosen.append(one)
        return chosen

    def _begin(self, chosen: Sequence[Due]) -> None:
        claims: dict[uuid.UUID, Claim] = {}
        try:
            claims = self._claims.take(chosen)
        finally:
            for one in chosen:
                if one.id not in claims:
                    self._give_back(one)
        for one in chosen:
            if one.id in claims:
                self._hands.submit(self._carry, one, claims[one.id])

    def _carry(self, one: Due, claim: Claim) -> None:
        try:
            self._sendings.send(claim)
        except Exception as error:
            # The database, most likely: the claim runs out, and it is tried again.
            log.error("webhook_failed", delivery=str(one.id), problem=place_of(error))
        finally:
            self._give_back(one)

    def _give_back(self, one: Due) -> None:
        with self._changed:
            self._on_way[one.webhook_id] -= 1
            self._changed.notify_all()
