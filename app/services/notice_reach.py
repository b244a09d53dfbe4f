"""Where users are told what happened to their account: by e-mail, or else at a number of theirs."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Authenticator, User
from app.services.method_settings import DUAL, MethodSettings
from app.services.sending_limits import SendingLimits

EMAIL, SMS = "email", "sms"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where a message goes.

    Attributes:
        channel: of the message's template.
        recipient: as the channel names them, such as an e-mail address.
    """

    channel: str
    recipient: str


class NoticeReach:
    """Finds a way to a user."""

    def __init__(self, method_settings: MethodSettings, sending_limits: SendingLimits) -> None:
        self._method_settings = method_settings
        self._sending_limits = sending_limits

    def of(self, tx: Session, user: User) -> Reach | None:
        """Return where a user is told what happens; None if nothing reaches the user.

        Who has no e-mail address is told by SMS, if the organization sends that, at the number on
        record, if its user showed once to read what is sent there.
        """
        return self.at(tx, user, user.email, user.phone_number)

    def at(self, tx: Session, user: User, email: str | None, number: str | None) -> Reach | None:
        """Return the same as if these were the user's address and number."""
        if email:
            return Reach(channel=EMAIL, recipient=email)
        organization = user.organization
        if number is None or not _is_confirmed(tx, user, number):
            return None
        if SMS not in self._method_settings.channels(tx, organization):
            return None
        if not self._sending_limits.takes_notices(tx, organization, number):
            return None
        return Reach(channel=SMS, recipient=number)


def _is_confirmed(tx: Session, user: User, number: str) -> bool:
    """Tell whether a code came back that went to a number; what was removed since counts, too."""
    there = sa.or_(
        sa.and_(Authenticator.kind == SMS, Authenticator.recipient == number),
        sa.and_(
            Authenticator.kind == DUAL,
            Authenticator.recipient.endswith(f":{number}", autoescape=True),
        ),
    )
    confirmed = sa.select(Authenticator.id).where(
        Authenticator.user_id == user.id, Authenticator.confirmed_at.is_not(None), there
    )
    return tx.scalar(confirmed.limit(1)) is not None
