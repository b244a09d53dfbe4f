"""The sender: takes messages that wait, and hands them to who carries them.

Any number of senders may run, in any number of processes: a message is claimed by a conditional
UPDATE, and a claim that is not kept in time is another's. So a killed sender loses nothing; a
message that it had handed over at that moment may arrive twice, with the same code.
"""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.db import Database, touched_one
from app.models import Message, MessageStatus
from app.providers.base import DeliveryError, Outgoing, Sent
from app.services.channels import settings_of
from app.services.letters import Letter, opened
from app.services.method_settings import MethodSettings
from app.services.provider_accounts import Carrier, ProviderAccounts

DEADLINE = 10.0
"""Seconds that one provider has to take a message."""
HELD_FOR = timedelta(seconds=60)
"""So long a sender has a message to itself."""
_LAST_START = timedelta(seconds=45)
"""After so long no further provider is asked, or the claim might run out on the way."""
_LONGEST_WAIT = timedelta(minutes=10)
NO_PROVIDER, EXPIRED = "no_provider", "expired"

log = structlog.get_logger("gatehouse.sender")


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A message that this sender has to itself until a moment."""

    message: Message
    letter: Letter | None
    carriers: list[Carrier]
    sender: str | None
    until: datetime


class Sender:
    """Sends what waits.

    Args:
        threads: so many messages are on their way at the same time.
    """

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        accounts: ProviderAccounts,
    ) -> None:
        self._base_url = config.base_url
        self._threads = config.sender_threads
        self._database = database
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._accounts = accounts
        self._slots = threading.BoundedSemaphore(self._threads)
        self._pool: ThreadPoolExecutor | None = None

    # For a worker

    def send_some(self) -> bool:
        """Begin to send as much as there are hands for; tell whether there was anything.

        It returns before all of it is sent, so that one slow provider holds up nothing else.
        """
        begun = False
        while self._slots.acquire(timeout=0.5):
            claim = self._claimed()
            if claim is None:
                self._slots.release()
                return begun
            begun = True
            self._hands().submit(self._carry, claim)
        return True

    def send_next(self) -> bool:
        """Send one message that waits, and tell whether there was one."""
        claim = self._claimed()
        if claim is not None:
            self._send(claim)
        return claim is not None

    def _hands(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="send")
        return self._pool

    def _carry(self, claim: _Claim) -> None:
        try:
            self._send(claim)
        except Exception:
            # Its claim runs out, and it is tried again.
            log.exception("sending_failed", message=str(claim.message.id))
        finally:
            self._slots.release()

    # One message

    def _claimed(self) -> _Claim | None:
        """Take the message that has waited longest, unless others are faster each time."""
        while (found := self._oldest()) is not None:
            with self._database.writing() as tx:
                claim = self._claim(tx, found)
            if claim is not None:
                return claim
        return None

    def _oldest(self) -> uuid.UUID | None:
        with self._database.reading() as tx:
            waiting = sa.select(Message.id).where(_is_due(self._clock.now()))
            return tx.scalar(waiting.order_by(Message.due_at, Message.id).limit(1))

    def _claim(self, tx: Session, message_id: uuid.UUID) -> _Claim | None:
        now = self._clock.now()
        until = now + HELD_FOR
        take = (
            sa.update(Message)
            .where(Message.id == message_id, _is_due(now))
            .values(status=MessageStatus.SENDING, due_at=until, tries=Message.tries + 1)
        )
        if not touched_one(tx, take):
            return None
        message = tx.get_one(Message, message_id)
        channel = self._method_settings.row(tx, message.organization_id, message.channel)
        return _Claim(
            message=message,
            letter=opened(self._vault, message),
            carriers=self._accounts.carriers(tx, message.organization_id, message.channel),
            sender=settings_of(channel).sender if channel else None,
            until=until,
        )

    def _send(self, claim: _Claim) -> None:
        if claim.letter is None or _is_over(claim.message, self._clock.now()):
            self._give_up(claim, error=EXPIRED, detail="It was too old to be sent.")
        elif not claim.carriers:
            self._without_carrier(claim)
        elif failures := self._try_each(claim, claim.letter):
            self._failed(claim, failures)

    def _try_each(self, claim: _Claim, letter: Letter) -> list[DeliveryError]:
        """Hand it to the first who takes it; return why the others did not, if nobody did."""
        failures: list[DeliveryError] = []
        for carrier in claim.carriers:
            if self._clock.now() > claim.until - HELD_FOR + _LAST_START:
                break
            outcome = self._hand_over(claim, letter, carrier)
            if isinstance(outcome, Sent):
                self._sent(claim, carrier, outcome)
                return []
            failures.append(outcome)
            self._note(claim, carrier, outcome)
            if outcome.undeliverable:
                break
        return failures

    def _hand_over(self, claim: _Claim, letter: Letter, carrier: Carrier) -> Sent | DeliveryError:
        message, row = claim.message, carrier.row
        callback = f"{self._base_url}/providers/{row.id}/{message.id}" if row else None
        outgoing = Outgoing(
            id=str(message.id),
            channel=message.channel,
            recipient=message.recipient,
            sender=claim.sender,
            subject=message.subject,
            text=letter.text,
            html=letter.html,
            language=message.language,
            variables=letter.variables,
            callback_url=callback,
        )
        try:
            return carrier.provider.send(carrier.account, outgoing, seconds=DEADLINE)
        except DeliveryError as error:
            return error

    def _sent(self, claim: _Claim, carrier: Carrier, sent: Sent) -> None:
        self._change(
            claim,
            status=MessageStatus.SENT,
            due_at=None,
            body=None,
            provider_account_id=carrier.row.id if carrier.row else None,
            provider=carrier.name,
            provider_message_id=sent.provider_id,
            detail=sent.detail,
            error=None,
            sent_at=self._clock.now(),
        )

    def _note(self, claim: _Claim, carrier: Carrier, error: DeliveryError) -> None:
        """Write down what one provider said, before the next is asked."""
        log.warning("provider_failed", message=str(claim.message.id), error=error.code)
        self._change(
            claim,
            provider_account_id=carrier.row.id if carrier.row else None,
            provider=carrier.name,
            detail=error.detail,
            error=error.code,
        )

    def _failed(self, claim: _Claim, failures: list[DeliveryError]) -> None:
        """Let it wait for another try if one may help, and time is left for it."""
        hopeless = failures[-1].undeliverable or all(one.permanent for one in failures)
        due = self._clock.now() + _wait(claim.message.tries)
        late = claim.message.expires_at is not None and due >= claim.message.expires_at
        if hopeless or late:
            self._give_up(claim)
        else:
            self._change(claim, status=MessageStatus.QUEUED, due_at=due)

    def _without_carrier(self, claim: _Claim) -> None:
        """A notice waits for a provider to be set up; a code would come too late."""
        why = {"error": NO_PROVIDER, "detail": "No provider carries this channel."}
        if claim.message.challenge_id is not None:
            self._give_up(claim, **why)
        else:
            due = self._clock.now() + _LONGEST_WAIT
            self._change(claim, status=MessageStatus.QUEUED, due_at=due, **why)

    def _give_up(self, claim: _Claim, **values: str) -> None:
        self._change(claim, status=MessageStatus.FAILED, due_at=None, body=None, **values)

    def _change(self, claim: _Claim, **values: object) -> None:
        """Change the row, unless the claim ran out and another sender has it."""
        mine = sa.update(Message).where(
            Message.id == claim.message.id,
            Message.status == MessageStatus.SENDING,
            Message.due_at == claim.until,
        )
        with self._database.writing() as tx:
            if not touched_one(tx, mine.values(**values)):
                log.warning("claim_lost", message=str(claim.message.id))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    waiting = sa.or_(
        Message.status == MessageStatus.QUEUED, Message.status == MessageStatus.SENDING
    )
    return sa.and_(waiting, Message.due_at <= now)


def _is_over(message: Message, now: datetime) -> bool:
    return message.expires_at is not None and message.expires_at <= now


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=5 * 2 ** min(tries - 1, 10)), _LONGEST_WAIT)
