"""Recovery codes by message: to their user, and never to who asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.clock import Clock
from app.factors.base import Refused
from app.models import User
from app.services.audit import Actor
from app.services.delivery import Delivery
from app.services.method_settings import DUAL
from app.services.recovery import Recovery
from app.services.send_targets import Target
from app.services.sending_limits import SendingLimits


class RecoveryMessages:
    """Issues recovery codes and sends them."""

    def __init__(
        self, clock: Clock, recovery: Recovery, sending_limits: SendingLimits, delivery: Delivery
    ) -> None:
        self._clock = clock
        self._recovery = recovery
        self._sending_limits = sending_limits
        self._delivery = delivery

    def send(
        self, tx: Session, actor: Actor, user: User, targets: Sequence[Target]
    ) -> int | Refused:
        """Send a new set of recovery codes to their user, in place of the one before.

        Args:
            targets: where the key vouches that the user reads them.

        Returns:
            How many there are; `Refused` if nothing is sent now, and the old ones go on.
        """
        now, organization = self._clock.now(), user.organization
        if refused := self._sending_limits.charge_all(
            tx, None, organization, user, targets, now=now
        ):
            return refused
        codes = self._recovery.issue(tx, actor, user)
        for target in targets:
            self._delivery.send_recovery_codes(
                tx, user, codes, channel=target.channel, recipient=target.recipient
            )
        return len(codes)


def targets_of(channel: str, recipient: str) -> list[Target]:
    """Return where messages go: for dual to both, the address and the number."""
    if channel != DUAL:
        return [Target(channel=channel, recipient=recipient)]
    email, _, number = recipient.rpartition(":")
    return [Target(channel="email", recipient=email), Target(channel="sms", recipient=number)]
