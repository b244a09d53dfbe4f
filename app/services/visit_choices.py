"""What a visit lets its user choose from: what to set up, and what to confirm with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.factors import FACTORS, MESSAGE_CODES
from app.models import Authenticator, GatewaySession, Organization, User
from app.services.challenges import addresses
from app.services.means import Means
from app.services.message_codes import BY_PHONE
from app.services.method_settings import DUAL, MethodSettings
from app.services.sending_rules import Rulebook
from app.services.verification import live
from app.services.visit_codes import EMAIL, SMS, VisitCodes
from app.services.visits import Visits


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A method that could be set up.

    Attributes:
        kind: of the factor.
        channels: by which the first code can go, the usual one first; none if no code is sent.
        email: the address that codes would go to.
        number: the number on record that they could go to.
    """

    kind: str
    channels: Sequence[str] = ()
    email: str | None = None
    number: str | None = None

    @property
    def by_message(self) -> bool:
        """Whether its codes are sent, which makes it a weaker one."""
        return self.kind in MESSAGE_CODES

    @property
    def takes_number(self) -> bool:
        """Whether the user has to say which number."""
        return self.kind in {SMS, DUAL}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to confirm.

    Attributes:
        channel: by which a code is sent; None if none is.
        recipients: where it goes.
        last_used: whether the user confirmed by it last.
    """

    authenticator: Authenticator
    channel: str | None = None
    recipients: Sequence[str] = ()
    last_used: bool = False


class VisitChoices:
    """Tells what works for a user now, the safest or the last used first."""

    def __init__(
        self,
        method_settings: MethodSettings,
        sending_rules: Rulebook,
        visits: Visits,
        means: Means,
        visit_codes: VisitCodes,
    ) -> None:
        self._method_settings = method_settings
        self._sending_rules = sending_rules
        self._visits = visits
        self._means = means
        self._visit_codes = visit_codes

    def offers(self, tx: Session, session: GatewaySession) -> list[Offer]:
        """Return what the user could set up, the safest first."""
        user = session.user
        hosted = self._means.kinds(tx, session)
        channels = self._method_settings.channels(tx, user.organization, session)
        found = [_offer(kind, user, channels) for kind in FACTORS if kind in hosted]
        mine = live(tx, user, {EMAIL}) if not session.force_enroll else []
        has_email = any(one.recipient == user.email for one in mine)
        return [one for one in found if one and not (has_email and one.kind == EMAIL)]

    def countries(self, tx: Session, organization: Organization) -> tuple[list[str], str | None]:
        """Return whose numbers are texted and called, and whose are the likeliest."""
        allowed = list(self._sending_rules.of(tx, organization).countries)
        home = next((one for one in self._sending_rules.home(organization) if one in allowed), None)
        return allowed, home

    def safest(self, tx: Session, session: GatewaySession) -> str | None:
        """Return the safest kind that is on offer and no message, if there is one."""
        hosted = self._means.hosted(tx, session)
        return next((kind for kind in FACTORS if kind in hosted - {*MESSAGE_CODES}), None)

    def ways(self, tx: Session, session: GatewaySession) -> list[Way]:
        """Return how the user could confirm, the last successful way first."""
        choices = self._visits.choices(tx, session)
        used = [one for one in choices if one.last_used_at]
        found = [way for one in choices for way in self._ways(tx, session, one)]
        if len(found) < 2 or not used:
            return found
        return [replace(found[0], last_used=True), *found[1:]]

    def _ways(self, tx: Session, session: GatewaySession, one: Authenticator) -> list[Way]:
        if one.kind not in MESSAGE_CODES:
            return [Way(authenticator=one)]
        return [
            Way(
                authenticator=one,
                channel=channel,
                recipients=[recipient for _, recipient in addresses(one, channel)],
            )
            for channel in self._visit_codes.channels(tx, session, one)
        ]


def _offer(kind: str, user: User, channels: set[str]) -> Offer | None:
    """Return a method as it can be offered to a user; None if it can't."""
    if kind not in MESSAGE_CODES:
        return Offer(kind=kind)
    email = user.email if kind in {EMAIL, DUAL} else None
    if kind in {EMAIL, DUAL} and not email:
        return None
    by = [one for one in BY_PHONE if one in channels] if kind == SMS else [kind]
    number = user.phone_number if kind in {SMS, DUAL} else None
    return Offer(kind=kind, channels=by, email=email, number=number)
