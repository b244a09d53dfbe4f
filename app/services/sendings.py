"""Sending one message that is claimed: to the first provider that takes it, or again later."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta

import structlog

from app.clock import Clock
from app.config import Config
from app.logs import place_of
from app.models import MessageStatus
from app.providers.base import DeliveryError, Outgoing, Sent
from app.services.message_reports import reported_at
from app.services.provider_accounts import Carrier
from app.services.send_attempts import Attempt, attempts_of, kept
from app.services.send_claims import Claim, Claims
from app.services.send_course import Course, named
from app.services.send_jobs import BROKEN, EXPIRED, NO_PROVIDER, WITHDRAWN, Job, Jobs

DEADLINE = timedelta(seconds=10)
"""So long one provider has to take a message."""
_LONGEST_WAIT = timedelta(hours=1)
_WORDS = {
    NO_PROVIDER: "No provider carries this channel.",
    EXPIRED: "It was too old to be sent.",
    WITHDRAWN: "Nobody wanted it any more when its turn came.",
    BROKEN: "Gatehouse itself failed. The log of the worker tells where.",
}

log = structlog.get_logger("gatehouse.sender")


class Sendings:
    """Hands messages over.

    Args:
        stopped: once set, nothing more is handed over.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        jobs: Jobs,
        claims: Claims,
        stopped: threading.Event,
    ) -> None:
        self._config = config
        self._clock = clock
        self._jobs = jobs
        self._claims = claims
        self._stopped = stopped

    def loaded(self, claims: Sequence[Claim]) -> dict[uuid.UUID, Job | str]:
        """Return what is to be sent, or why it is not, of many messages at once.

        Where one can't be loaded, none is: `send` does that for each, and so finds out which.
        """
        try:
            return self._jobs.load(claims)
        except Exception as error:
            log.warning("loaded_one_by_one", problem=place_of(error))
            return {}

    def send(self, claim: Claim, job: Job | str | None = None) -> None:
        """Send the message of a claim, or say in its row why not, and when again.

        Args:
            job: as `loaded` a moment ago.
        """
        try:
            job = job or self._jobs.load([claim])[claim.message_id]
        except Exception as error:
            log.error("sending_failed", message=str(claim.message_id), problem=place_of(error))
            self._again(claim, **_why(BROKEN))
            return
        if isinstance(job, str):
            self._end(claim, MessageStatus.FAILED, **_why(job))
        elif not job.carriers:
            self._without_carrier(claim, job)
        else:
            self._try_each(claim, job)

    def _try_each(self, claim: Claim, job: Job) -> None:
        """Hand it to the first who takes it."""
        course = Course(claim, job.message.doubts, attempts_of(job.message))
        for carrier in job.carriers:
            if not self._may_go_on(course):
                return
            outcome = self._hand_over(job, carrier)
            if isinstance(outcome, Sent):
                self._sent(course, carrier, outcome)
                return
            course.failed(carrier, outcome, self._clock.now())
            if course.is_over:
                break
        if course.is_hopeless:
            self._end(course.claim, MessageStatus.FAILED, **course.last)
        else:
            self._again(course.claim, **course.last)

    def _may_go_on(self, course: Course) -> bool:
        """Tell whether the next provider may be asked; if not, the row says so."""
        now = self._clock.now()
        if self._stopped.is_set():
            self._end(course.claim, MessageStatus.QUEUED, due_at=now, **course.last)
            return False
        if self._jobs.is_late(course.claim):
            self._end(course.claim, MessageStatus.FAILED, **(course.last or _why(EXPIRED)))
            return False
        if not course.failures and now + DEADLINE <= course.claim.until:
            return True
        renewed = self._claims.renew(course.claim, **course.last)
        if renewed is None:
            _lost(course.claim)
            return False
        course.claim = renewed
        return True

    def _hand_over(self, job: Job, carrier: Carrier) -> Sent | DeliveryError:
        message, row = job.message, carrier.row
        reports = row is not None and self._config.https
        outgoing = Outgoing(
            id=str(message.id),
            channel=message.channel,
            recipient=message.recipient,
            sender=job.sender,
            subject=message.subject,
            text=job.letter.text,
            html=job.letter.html,
            language=message.language,
            variables=job.letter.variables,
            callback_url=reported_at(self._config, row.id, message.id) if row and reports else None,
        )
        seconds = DEADLINE.total_seconds()
        try:
            return carrier.provider.send(carrier.account, outgoing, seconds=seconds)
        except DeliveryError as error:
            told = error
        except Exception as error:
            log.error("sending_failed", message=str(message.id), problem=place_of(error))
            told = DeliveryError(BROKEN, _WORDS[BROKEN], maybe_sent=True)
        kind = carrier.provider.kind
        log.warning("provider_failed", message=str(message.id), provider=kind, error=told.code)
        return told

    def _sent(self, course: Course, carrier: Carrier, sent: Sent) -> None:
        now = self._clock.now()
        taken = Attempt(at=now, provider=carrier.name, detail=sent.detail)
        self._end(
            course.claim,
            MessageStatus.SENT,
            **named(carrier),
            provider_message_id=sent.provider_id,
            detail=sent.detail,
            error=None,
            doubts=course.doubts,
            attempts=kept([*course.attempts, taken]),
            cost=sent.cost,
            sent_at=now,
        )

    def _without_carrier(self, claim: Claim, job: Job) -> None:
        """A notice waits for a provider to be set up; a code would come too late."""
        if job.message.urgent:
            self._end(claim, MessageStatus.FAILED, **_why(NO_PROVIDER))
        else:
            self._again(claim, **_why(NO_PROVIDER))

    def _again(self, claim: Claim, **values: object) -> None:
        """Let it wait for another try, if it is worth sending by then."""
        due = self._clock.now() + _wait(claim.tries)
        if claim.expires_at is not None and due >= claim.expires_at:
            self._end(claim, MessageStatus.FAILED, **values)
        else:
            self._end(claim, MessageStatus.QUEUED, due_at=due, **values)

    def _end(self, claim: Claim, status: MessageStatus, **values: object) -> None:
        if not self._claims.settle(claim, status, **values):
            _lost(claim)


def _lost(claim: Claim) -> None:
    log.warning("claim_lost", message=str(claim.message_id))


def _why(code: str) -> dict[str, str]:
    return {"error": code, "detail": _WORDS[code]}


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=5 * 2 ** min(tries - 1, 10)), _LONGEST_WAIT)
