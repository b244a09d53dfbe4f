"""Codes that a visit sends: to set up what they go to, to confirm with it, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Invalid
from app.factors.base import Reason, Refused
from app.models import (
    Authenticator,
    Challenge,
    Environment,
    GatewaySession,
    Message,
    MessageStatus,
    User,
)
from app.services import phone_numbers
from app.services.audit import Actor
from app.services.challenges import Asked, Challenges, addresses
from app.services.channels import Channels
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.means import Means
from app.services.message_codes import MessageCodes
from app.services.method_settings import MethodSettings
from app.services.sending_limits import SendingLimits
from app.services.verification import last_kind, live
from app.services.visits import Step, Visits

EMAIL, SMS = "email", "sms"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a user wants codes to go to.

    Attributes:
        kind: of the authenticator: `email`, `sms` or `dual`.
        channel: by which the first code goes.
        number: as typed; None means the number on record.
        country: whose numbers may be written without a country code.
    """

    kind: str
    channel: str
    number: str | None = None
    country: str | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a page asks about codes that are sent, as it stands now.

    Attributes:
        challenge: the newest that can be answered; None before the first code, and after its time.
        channel: by which it went; without it, by which one goes as usual.
        messages: by which its code goes.
        recipients: where codes go.
        channels: by which one can go now, the last successful one first.
        retry_at: until when the next message has to wait.
        digits: of a code.
        minutes: for which one works.
    """

    challenge: Challenge | None
    channel: str
    messages: Sequence[Message]
    recipients: Sequence[str]
    channels: Sequence[str]
    retry_at: datetime | None
    digits: int
    minutes: int

    @property
    def failed(self) -> bool:
        """Whether none of its messages will arrive."""
        return bool(self.messages) and all(
            one.status is MessageStatus.FAILED for one in self.messages
        )

    @property
    def underway(self) -> bool:
        """Whether more is to be told of its messages in a moment."""
        ends = {MessageStatus.DELIVERED, MessageStatus.CAPTURED, MessageStatus.FAILED}
        return any(one.status not in ends for one in self.messages)


class VisitCodes:
    """Sends codes in visits; what one holds and whom it confirms is judged by `Visits`."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        channels: Channels,
        sending_limits: SendingLimits,
        challenges: Challenges,
        message_codes: MessageCodes,
        enrollment: Enrollment,
        gateway_sessions: GatewaySessions,
        visits: Visits,
        means: Means,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._channels = channels
        self._sending_limits = sending_limits
        self._challenges = challenges
        self._message_codes = message_codes
        self._enrollment = enrollment
        self._gateway_sessions = gateway_sessions
        self._visits = visits
        self._means = means

    def set_up(
        self, tx: Session, actor: Actor, session: GatewaySession, wanted: Wanted
    ) -> Asked | Refused:
        """Begin an authenticator whose codes are sent, and send the first one.

        What this session began before is given up for it, unless it is the same.

        Returns:
            `Refused` if nothing is sent now; then nothing is begun either.
        """
        recipient = self._recipient(tx, session, wanted)
        if isinstance(recipient, Refused):
            return recipient
        pending = self._visits.pending(tx, session)
        if pending is None or (pending.kind, pending.recipient) != (wanted.kind, recipient):
            pending = self._enrollment.begin(
                tx, actor, session.user, wanted.kind, session=session, recipient=recipient
            )
        asked = self.send(tx, actor, session, pending, channel=wanted.channel)
        if isinstance(asked, Refused) and self._challenges.open(tx, pending, session) is None:
            self._enrollment.give_up(tx, session.user, session)
        return asked

    def send(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator,
        *,
        channel: str,
    ) -> Asked | Refused:
        """Send a code for an authenticator that the user has, or is setting up.

        One that this visit sent a moment ago counts (a double tap, a second window).

        Args:
            channel: by which it goes.

        Returns:
            `Refused` if nothing is sent now, and until when.
        """
        asked = self.send_again(tx, actor, session, authenticator, channel=channel)
        if isinstance(asked, Refused) and asked.reason is Reason.COOLDOWN:
            sent = self._challenges.open(tx, authenticator, session)
            if sent is not None and sent.channel == channel:
                return Asked(challenge=sent)
        return asked

    def send_again(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator,
        *,
        channel: str,
    ) -> Asked | Refused:
        """Send another code; see `send`."""
        if not self._is_vouched(session):
            return Refused(reason=Reason.NOT_VOUCHED)
        last = self.question(tx, session, authenticator)
        if last.failed and last.challenge and last.challenge.channel != channel:
            self._wait_no_more(tx, session.user, authenticator, channel)
        return self._message_codes.send(
            tx, actor, session.user, authenticator, channel=channel, session=session
        )

    def question(
        self, tx: Session, session: GatewaySession, authenticator: Authenticator
    ) -> Question:
        """Return how codes for an authenticator stand in this visit."""
        user = session.user
        challenge = self._challenges.open(tx, authenticator, session)
        channels = self.channels(tx, session, authenticator)
        channel = challenge.channel if challenge else next(iter(channels), authenticator.kind)
        settings = self._channels.settings(tx, user.organization, channel)
        places = addresses(authenticator, channel)
        waits = [
            self._sending_limits.retry_at(
                tx, user.organization, one, recipient, now=self._clock.now()
            )
            for one, recipient in places
        ]
        return Question(
            challenge=challenge,
            channel=channel,
            messages=self._challenges.messages(tx, challenge) if challenge else (),
            recipients=[recipient for _, recipient in places],
            channels=channels,
            retry_at=max(filter(None, waits), default=None),
            digits=settings.digits,
            minutes=settings.minutes,
        )

    def channels(
        self, tx: Session, session: GatewaySession, authenticator: Authenticator
    ) -> list[str]:
        """Return by which channels codes can go now, the last successful one first."""
        usable = self._message_codes.channels_of(tx, session.user, authenticator, session)
        last = last_kind(tx, authenticator)
        return sorted(usable, key=lambda channel: channel != last)

    def _recipient(self, tx: Session, session: GatewaySession, wanted: Wanted) -> str | Refused:
        """Return where codes would go, or why that can't be set up."""
        user = session.user
        if self._visits.step(tx, session) not in {Step.SET_UP, Step.ENROLL}:
            return Refused(reason=Reason.EXPIRED)
        sent = self._method_settings.by_message(tx, user.organization, session)
        if wanted.kind not in self._means.kinds(tx, session) & {*sent}:
            return Refused(reason=Reason.CHANNEL_OFF)
        parts: list[str | None] = [] if wanted.kind == SMS else [user.email]
        parts += [] if wanted.kind == EMAIL else [_number(user, wanted)]
        if not all(parts):
            return Refused(reason=Reason.MALFORMED)
        recipient = ":".join(filter(None, parts))
        theirs = [] if session.force_enroll else live(tx, user, {wanted.kind})
        if any(one.recipient == recipient for one in theirs):
            return Refused(reason=Reason.ALREADY_ENROLLED)
        return recipient

    def _is_vouched(self, session: GatewaySession) -> bool:
        """Tell whether an application says that the user is there, and not an administrator who
        tries it (in the sandbox nobody is reached), or whoever holds the browser."""
        if not session.subject_authenticated:
            return False
        sandbox = session.user.organization.environment is Environment.SANDBOX
        return sandbox or not self._gateway_sessions.is_trial(session)

    def _wait_no_more(
        self, tx: Session, user: User, authenticator: Authenticator, channel: str
    ) -> None:
        """Let another channel be tried at once where the last message is known to be lost."""
        for one, recipient in addresses(authenticator, channel):
            self._sending_limits.forgive(tx, user.organization, one, recipient)


def _number(user: User, wanted: Wanted) -> str | None:
    """Return the number in E.164, if it is one."""
    if wanted.number is None:
        return user.phone_number
    try:
        return phone_numbers.parse(wanted.number, country=wanted.country).e164
    except Invalid:
        return None
