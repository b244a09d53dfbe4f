"""Sending one message that is claimed: to the first provider that takes it, or again later."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.db import Database
from app.logs import place_of
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Challenge,
    Message,
    MessageStatus,
    Organization,
    User,
)
from app.providers.base import DeliveryError, Outgoing, Sent
from app.services.channels import settings_of
from app.services.delivery import CODE
from app.services.letters import Letter, opened
from app.services.message_reports import reported_at
from app.services.method_settings import MethodSettings
from app.services.provider_accounts import Carrier, ProviderAccounts
from app.services.send_attempts import Attempt, attempts_of, kept
from app.services.send_claims import Claim, Claims
from app.services.send_course import Course, named

DEADLINE = timedelta(seconds=10)
"""So long one provider has to take a message."""
_LONGEST_WAIT = timedelta(hours=1)
NO_PROVIDER, EXPIRED, WITHDRAWN, BROKEN = "no_provider", "expired", "withdrawn", "internal_error"
_WORDS = {
    NO_PROVIDER: "No provider carries this channel.",
    EXPIRED: "It was too old to be sent.",
    WITHDRAWN: "Nobody wanted it any more when its turn came.",
    BROKEN: "Gatehouse itself failed. The log of the worker tells where.",
}

log = structlog.get_logger("gatehouse.sender")


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A message with all that it takes to send it."""

    message: Message
    letter: Letter = field(repr=False)
    carriers: list[Carrier]
    sender: str | None


class Sendings:
    """Hands messages over.

    Args:
        stopped: once set, nothing more is handed over.
    """

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        accounts: ProviderAccounts,
        claims: Claims,
        stopped: threading.Event,
    ) -> None:
        self._config = config
        self._database = database
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._accounts = accounts
        self._claims = claims
        self._stopped = stopped

    def send(self, claim: Claim) -> None:
        """Send the message of a claim, or say in its row why not, and when again."""
        try:
            job = self._load(claim)
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

    def _load(self, claim: Claim) -> _Job | str:
        """Return what is to be sent, or why it is not."""
        with self._database.reading() as tx:
            found = tx.execute(_with_withdrawal(claim)).one_or_none()
            if found is None or found.is_withdrawn:
                return WITHDRAWN
            letter = opened(self._vault, found.Message)
            if letter is None or self._is_late(claim):
                return EXPIRED
            return self._job(tx, found.Message, letter)

    def _job(self, tx: Session, message: Message, letter: Letter) -> _Job:
        channel = self._method_settings.row(tx, message.organization_id, message.channel)
        return _Job(
            message=message,
            letter=letter,
            carriers=self._accounts.carriers(tx, message.organization_id, message.channel),
            sender=settings_of(channel).sender if channel else None,
        )

    def _try_each(self, claim: Claim, job: _Job) -> None:
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
        if self._is_late(course.claim):
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

    def _hand_over(self, job: _Job, carrier: Carrier) -> Sent | DeliveryError:
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

    def _without_carrier(self, claim: Claim, job: _Job) -> None:
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

    def _is_late(self, claim: Claim) -> bool:
        return claim.expires_at is not None and claim.expires_at <= self._clock.now()


def _with_withdrawal(claim: Claim) -> sa.Select[Message, bool]:
    """Select a message, and whether it is not to be sent any more, for all that was since."""
    works = sa.and_(
        Challenge.id.is_not(None),
        Challenge.used_at.is_(None),
        Authenticator.status != AuthenticatorStatus.REMOVED,
    )
    is_withdrawn = sa.or_(
        Organization.deleted_at.is_not(None),
        sa.and_(Message.urgent, User.suspended_at.is_not(None)),
        sa.and_(Message.name == CODE, ~works),
    )
    return (
        sa.select(Message, is_withdrawn.label("is_withdrawn"))
        .join(Organization, Organization.id == Message.organization_id)
        .outerjoin(User, User.id == Message.user_id)
        .outerjoin(Challenge, Challenge.id == Message.challenge_id)
        .outerjoin(Authenticator, Authenticator.id == Challenge.authenticator_id)
        .where(Message.id == claim.message_id)
    )


def _lost(claim: Claim) -> None:
    log.warning("claim_lost", message=str(claim.message_id))


def _why(code: str) -> dict[str, str]:
    return {"error": code, "detail": _WORDS[code]}


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=5 * 2 ** min(tries - 1, 10)), _LONGEST_WAIT)
