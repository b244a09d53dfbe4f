"""Sending a code: what every door asks for, so that none sends what another would refuse."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.clock import Clock
from app.factors.base import Reason, Refused
from app.models import Authenticator, GatewaySession, User
from app.services.audit import Actor
from app.services.challenges import Asked, Challenges, addresses
from app.services.limits import Answering, Limits
from app.services.method_settings import MethodSettings, Taker
from app.services.send_targets import Target
from app.services.sending_limits import SendingLimits

BY_PHONE = ("sms", "whatsapp", "voice")
"""The channels to a phone number, the usual one first."""


class MessageCodes:
    """Sends codes, as far as the organization, the limits and the budget allow it."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        limits: Limits,
        sending_limits: SendingLimits,
        challenges: Challenges,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._limits = limits
        self._sending_limits = sending_limits
        self._challenges = challenges

    def send(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        authenticator: Authenticator,
        *,
        channel: str,
        session: GatewaySession | None = None,
    ) -> Asked | Refused:
        """Make a code for an authenticator, and send it.

        Args:
            actor: whose address is counted, if a browser asks.
            authenticator: of a kind whose codes are sent, live or waiting for its first code.
            channel: one of `channels_of`; by which it goes.
            session: the one on whose pages alone the code will work; without it a backend asks.

        Returns:
            `Refused` if nothing is sent now, and until when: the channel is off, the number is
            refused, a limit or the budget is spent, the last code was a moment ago, or answers
            are not judged at this time anyway.
        """
        if channel not in self.channels_of(tx, user, authenticator, session):
            return Refused(reason=Reason.CHANNEL_OFF)
        now = self._clock.now()
        answering = Answering(authenticators=(authenticator,))
        if spent := self._limits.spent(user, answering, session=session, now=now):
            return Refused(reason=Reason.LOCKED, retry_at=spent.retry_at)
        targets = [
            Target(channel=each, recipient=recipient)
            for each, recipient in addresses(authenticator, channel)
        ]
        address = actor.address if session else None
        if refused := self._sending_limits.charge_all(
            tx, address, user.organization, user, targets, now=now
        ):
            return refused
        for target in targets:
            self._sending_limits.sent(
                tx, user.organization, target.channel, target.recipient, now=now
            )
        return self._challenges.send(
            tx, actor, user, authenticator, channel=channel, session=session
        )

    def channels_of(
        self,
        tx: Session,
        user: User,
        authenticator: Authenticator,
        application: Taker | None = None,
    ) -> list[str]:
        """Return the channels by which an authenticator's codes can go now, the usual one first.

        Args:
            application: whose user is asked, if one asks.
        """
        own = BY_PHONE if authenticator.kind == "sms" else (authenticator.kind,)
        usable = self._method_settings.channels(tx, user.organization, application)
        return [channel for channel in own if channel in usable]
