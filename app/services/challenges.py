"""Delivered codes: made, sent or handed to the application, and used once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.factors import MESSAGE_CODES
from app.factors.base import Accepted, Reason, Refused
from app.factors.message_code import new_reference, split
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Challenge,
    GatewaySession,
    Message,
    Organization,
    Purpose,
    User,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.channels import Channels
from app.services.delivery import Delivery
from app.services.method_settings import DUAL
from app.services.sending_limits import SendingLimits

ID_PREFIX = "totp-challenge_"
ALIVE = 2
"""So many codes of one ask may work at the same time: the last one, and the one before it, which
may still be on its way."""
_PURPOSE = "challenge code"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A new challenge.

    Attributes:
        code: for the application to send; None if we send it.
        messages: by which we send it.
    """

    challenge: Challenge
    code: str | None = field(default=None, repr=False)
    messages: tuple[Message, ...] = ()


class Challenges:
    """Makes codes for authenticators whose codes are delivered, and uses them up."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        channels: Channels,
        delivery: Delivery,
        sending_limits: SendingLimits,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._channels = channels
        self._delivery = delivery
        self._sending_limits = sending_limits
        self._audit = audit

    def new_id(self) -> str:
        """Return a fresh `totp-challenge_<KSUID>`."""
        return ID_PREFIX + str(Ksuid(self._clock.now()))

    def hand_over(
        self, tx: Session, actor: Actor, user: User, authenticator: Authenticator
    ) -> Asked:
        """Make a code for a backend that sends it itself."""
        challenge, codes = self._create(tx, actor, user, authenticator, authenticator.kind, None)
        return Asked(challenge=challenge, code=codes[0])

    def send(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        authenticator: Authenticator,
        *,
        channel: str,
        session: GatewaySession | None = None,
    ) -> Asked:
        """Make a code for an authenticator, and send it to where it belongs.

        Args:
            channel: by which it goes: the authenticator's kind, or another one of its number.
            session: the one on whose pages alone it will work; without it a backend asks.
        """
        challenge, codes = self._create(tx, actor, user, authenticator, channel, session)
        messages = [
            self._delivery.send_code(
                tx, user, challenge, code=code, channel=each, recipient=recipient
            )
            for (each, recipient), code in zip(
                addresses(authenticator, channel), codes, strict=True
            )
        ]
        return Asked(challenge=challenge, messages=tuple(messages))

    def consume(
        self,
        tx: Session,
        authenticator: Authenticator,
        answer: str,
        *,
        purpose: Purpose,
        session: GatewaySession | None,
        now: datetime,
    ) -> Accepted | Refused:
        """Use up the code that this answer is, if it is still good; others of its ask die with it.

        Args:
            purpose: for which it was made.
            session: on whose pages it was given; there a code of a channel that was switched off
                since, or that the application takes no more, is none.
        """
        mine = sa.and_(
            Challenge.authenticator_id == authenticator.id,
            _of(session),
            Challenge.purpose == purpose,
        )
        # Of two alike the one that is alive.
        alive_first = (Challenge.used_at.is_not(None), Challenge.expires_at.desc())
        answered = sa.select(Challenge).where(mine, self._is_answered_by(answer))
        found = tx.scalar(answered.order_by(*alive_first).limit(1))
        organization = tx.get_one(User, authenticator.user_id).organization
        if found is None or (
            session and not self._is_usable(tx, organization, session, found.channel)
        ):
            return Refused(reason=Reason.WRONG)
        if found.used_at is None and found.expires_at <= now:
            return Refused(reason=Reason.EXPIRED)
        use = sa.update(Challenge).where(Challenge.id == found.id, Challenge.used_at.is_(None))
        if not touched_one(tx, use.values(used_at=now)):
            return Refused(reason=Reason.REPLAYED)
        tx.execute(
            sa.update(Challenge).where(mine, Challenge.used_at.is_(None)).values(used_at=now)
        )
        authenticator.last_used_at = now
        for channel, recipient in addresses(authenticator, found.channel):
            self._sending_limits.forgive(tx, organization, channel, recipient)
            self._sending_limits.confirmed(tx, organization, channel, recipient, now=now)
        return Accepted(step=0, kind=found.channel)

    def _is_usable(
        self, tx: Session, organization: Organization, session: GatewaySession, channel: str
    ) -> bool:
        on = self._channels.is_active(tx, organization, channel)
        return on and session.takes(channel)

    def was_used(self, tx: Session, session: GatewaySession, answer: str, *, at: datetime) -> bool:
        """Tell whether this answer is the code that was used up at a moment (a double tap)."""
        used = sa.select(Challenge.id).where(
            _of(session), Challenge.used_at == at, self._is_answered_by(answer)
        )
        return tx.scalar(used.limit(1)) is not None

    def open(
        self, tx: Session, authenticator: Authenticator, session: GatewaySession | None
    ) -> Challenge | None:
        """Return the newest challenge that can still be answered in a session."""
        return tx.scalar(
            sa.select(Challenge)
            .where(
                Challenge.authenticator_id == authenticator.id,
                _of(session),
                Challenge.used_at.is_(None),
                Challenge.expires_at > self._clock.now(),
            )
            .order_by(Challenge.created_at.desc(), Challenge.id.desc())
            .limit(1)
        )

    def messages(self, tx: Session, challenge: Challenge) -> Sequence[Message]:
        """Return the messages that carry a challenge's code."""
        carrying = sa.select(Message).where(Message.challenge_id == challenge.id)
        return tx.scalars(carrying.order_by(Message.channel)).all()

    def _create(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        authenticator: Authenticator,
        channel: str,
        session: GatewaySession | None,
    ) -> tuple[Challenge, list[str]]:
        """Return a new challenge, and its code for each address that it goes to."""
        now = self._clock.now()
        settings = self._channels.settings(tx, user.organization, channel)
        codes = [MESSAGE_CODES[channel].new_code(settings.digits)]
        if channel == DUAL:
            other = (
                MESSAGE_CODES[channel].new_code(settings.digits) if settings.strict else codes[0]
            )
            codes.append(other)
        pending = authenticator.status is AuthenticatorStatus.PENDING
        challenge = Challenge(
            id=self.new_id(),
            authenticator_id=authenticator.id,
            gateway_session_id=session.id if session else None,
            purpose=Purpose.ENROLLMENT if pending else Purpose.VERIFICATION,
            channel=channel,
            code_hash=self._vault.hash(codes[0], purpose=_PURPOSE),
            second_hash=self._vault.hash(codes[1], purpose=_PURPOSE) if settings.strict else None,
            reference=new_reference(),
            created_at=now,
            expires_at=now + timedelta(minutes=settings.minutes),
        )
        self._retire(tx, authenticator, session, now)
        tx.add(challenge)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.CHALLENGE_CREATED,
            actor,
            user=user,
            gateway_session=session,
            kind=channel,
        )
        return challenge, codes

    def _retire(
        self,
        tx: Session,
        authenticator: Authenticator,
        session: GatewaySession | None,
        now: datetime,
    ) -> None:
        """Let older codes of the same ask die, so that with the new one no more than two work."""
        lock(tx, Authenticator.id, authenticator.id)
        mine = sa.and_(
            Challenge.authenticator_id == authenticator.id,
            _of(session),
            Challenge.used_at.is_(None),
        )
        newest = (
            sa.select(Challenge.id)
            .where(mine)
            .order_by(Challenge.created_at.desc(), Challenge.id.desc())
        )
        old = tx.scalars(newest.offset(ALIVE - 1)).all()
        if old:
            tx.execute(sa.update(Challenge).where(Challenge.id.in_(old)).values(used_at=now))

    def _is_answered_by(self, answer: str) -> sa.ColumnElement[bool]:
        """Select by the code; where two are needed, by both, in either order."""
        codes = [self._vault.hashes(code, purpose=_PURPOSE) for code in split(answer)]
        if len(codes) == 1:
            return sa.and_(Challenge.code_hash.in_(codes[0]), Challenge.second_hash.is_(None))
        one, other = codes
        return sa.or_(
            sa.and_(Challenge.code_hash.in_(one), Challenge.second_hash.in_(other)),
            sa.and_(Challenge.code_hash.in_(other), Challenge.second_hash.in_(one)),
        )


def _of(session: GatewaySession | None) -> sa.ColumnElement[bool]:
    if session is None:
        return Challenge.gateway_session_id.is_(None)
    return Challenge.gateway_session_id == session.id


def addresses(authenticator: Authenticator, channel: str) -> list[tuple[str, str]]:
    """Return each channel by which a code goes, with the address there.

    A dual authenticator's recipient reads `<e-mail address>:<number>`.
    """
    recipient = authenticator.recipient or ""
    if channel != DUAL:
        return [(channel, recipient)]
    email, _, phone = recipient.rpartition(":")
    return [("email", email), ("sms", phone)]
