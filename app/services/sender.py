"""The sender: takes messages that wait, and has them handed over, many at the same time.

Any number of senders may run, in any number of processes. The row of a message is the whole truth
about it: a queue beside it could lose what a killed process had taken (Huey, say, acknowledges
nothing), and would have to be swept after by this anyway.
"""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import structlog

from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.db import Database
from app.logs import place_of
from app.services.provider_accounts import ProviderAccounts
from app.services.send_claims import Claim, Claims
from app.services.send_jobs import Job, Jobs
from app.services.send_turns import Turns, Waiting
from app.services.sendings import Sendings

_LOOK_EVERY = 0.5
"""Seconds after which what waits is looked up again, and a wait for a free hand ends."""

_CLAIM_EVERY = 0.1
"""Seconds from one claim to the next, while more falls due: many at once cost little each."""

log = structlog.get_logger("gatehouse.sender")


class Sender:
    """Sends what waits."""

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Clock,
        vault: Vault,
        accounts: ProviderAccounts,
    ) -> None:
        self._stopped = threading.Event()
        self._turns = Turns(config.sender_threads)
        self._claims = Claims(database, clock, lambda: self._turns.on_way > 1)
        jobs = Jobs(database, clock, vault, accounts)
        self._sendings = Sendings(config, clock, jobs, self._claims, self._stopped)
        self._look_again = 0.0
        self._hands = ThreadPoolExecutor(self._turns.all_hands, thread_name_prefix="send")

    def send_some(self) -> bool:
        """Begin to send as much as there are hands for; tell whether there may be more at once.

        It returns before all of it is sent, so that one slow provider holds up nothing else.
        """
        self._turns.rest(seconds=_CLAIM_EVERY)
        if self._turns.is_empty or time.monotonic() >= self._look_again:
            self._turns.offer(self._claims.due(limit=4 * self._turns.all_hands))
            self._look_again = time.monotonic() + _LOOK_EVERY
        if self._turns.is_empty:
            return False
        if turns := self._turns.take(seconds=_LOOK_EVERY):
            self._begin(turns)
        return True

    def send_next(self) -> bool:
        """Send one message that waits, and tell whether there was one."""
        while waiting := self._claims.due(limit=1):
            for claim in self._claims.take(waiting[:1]).values():
                self._sendings.send(claim)
                return True
        return False

    def finish(self, *, seconds: float) -> None:
        """Wait for what is on its way; nothing more is handed over, and the rest waits for others.

        Args:
            seconds: after which it is left to itself.
        """
        self._stopped.set()
        self._turns.wait_until_idle(seconds=seconds)

    def _begin(self, turns: list[Waiting]) -> None:
        claims: dict[uuid.UUID, Claim] = {}
        try:
            claims = self._claims.take(turns)
        finally:
            for one in turns:
                if one.id not in claims:
                    self._turns.give_back(one)
        jobs = self._sendings.loaded(list(claims.values()))
        for one in turns:
            if one.id in claims:
                self._hands.submit(self._carry, one, claims[one.id], jobs.get(one.id))

    def _carry(self, waiting: Waiting, claim: Claim, job: Job | str | None) -> None:
        try:
            self._sendings.send(claim, job)
        except Exception as error:
            # The database, most likely: the claim runs out, and it is tried again.
            log.error("sending_failed", message=str(claim.message_id), problem=place_of(error))
        finally:
            self._turns.give_back(waiting)
