"""What API v1 may use for a user: as the organization and the application have it."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from app.errors import Refusal
from app.factors.totp import Totp
from app.models import Application, User
from app.services.method_settings import MethodSettings
from app.services.phone_numbers import PHONE_CHANNELS
from app.services.policies import Policies
from app.services.standing import demand_unsuspended

APP = Totp.kind


class ContactMethods:
    """Tells what is switched on, to every call alike."""

    def __init__(self, method_settings: MethodSettings, policies: Policies) -> None:
        self._method_settings = method_settings
        self._policies = policies

    def demand(
        self, tx: Session, user: User, channel: str, application_id: uuid.UUID | None
    ) -> None:
        """Refuse what the organization or the application does not use.

        Args:
            channel: `email`, `sms`, `whatsapp`, `voice`, `dual`, or `totp` for an app.
            application_id: the one on whose behalf the backend asks, if it says.

        Raises:
            Refusal: `method_disabled`; `user_suspended`.
        """
        demand_unsuspended(user)
        if application_id is not None and self._policies.is_off(tx, user, application_id):
            raise _disabled("The policy of the application asks its users for nothing.")
        organization, application = user.organization, _application(tx, application_id)
        if channel == APP:
            offered = APP in self._method_settings.offered(tx, organization, application)
        else:
            usable = self._method_settings.channels(tx, organization, application)
            kinds = self._method_settings.by_message(tx, organization, application)
            offered = channel in usable and kind_of(channel) in kinds
        if not offered:
            which = application.name if application and not application.takes(channel) else None
            who = f"application {which}" if which else f"organization {organization.domain}"
            raise _disabled(f"The {who} does not use this method.")

    def to_phone(self, tx: Session, user: User, application_id: uuid.UUID | None) -> str:
        """Return a channel to the phone that is on, for codes that came by any of them."""
        application = _application(tx, application_id)
        usable = self._method_settings.channels(tx, user.organization, application)
        usable &= {*PHONE_CHANNELS}
        return min(usable, default="sms")


def kind_of(channel: str) -> str:
    """Return the kind of authenticator whose codes go by a channel: a number has one for all."""
    return "sms" if channel in PHONE_CHANNELS else channel


def _application(tx: Session, application_id: uuid.UUID | None) -> Application | None:
    return tx.get(Application, application_id) if application_id else None


def _disabled(why: str) -> Refusal:
    return Refusal("method_disabled", f"{why} An administrator can change that.", status=403)
