"""Means: with what a user may go on in a visit, so that it reaches what the application asked."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.factors import MESSAGE_CODES
from app.models import (
    Application,
    Authenticator,
    GatewaySession,
    Intent,
    MethodSetting,
    ProviderAccount,
    SendingRules,
)
from app.remembered import remembered
from app.services.assurance import suitable, suits
from app.services.enrollment import MOST_PER_USER
from app.services.method_settings import MethodSettings
from app.services.passkey_settings import PasskeyRules
from app.services.policies import Policies
from app.services.verification import live


class Means:
    """Tells them; whatever a browser posts, nothing else is taken."""

    def __init__(
        self, method_settings: MethodSettings, passkey_rules: PasskeyRules, policies: Policies
    ) -> None:
        self._method_settings = method_settings
        self._passkey_rules = passkey_rules
        self._policies = policies

    def kinds(self, tx: Session, session: GatewaySession) -> set[str]:
        """Return the kinds that may be set up: those that reach what is asked.

        Nothing, where it isn't sure who named the user. Where a policy lets everybody pass, nobody
        is made to set up anything because an application wants more.
        """
        if not session.subject_authenticated:
            return set()
        asks = session.intent is Intent.VERIFY and not session.force_enroll
        wants_more = asks and session.steps_up
        if wants_more and self._policies.is_off(tx, session.user, session.application_id):
            return set()
        attested = self._passkey_rules.of(tx, session.user.organization).demands.attested
        return suitable(self.hosted(tx, session), session.acr_values, attested=attested)

    def choices(self, tx: Session, session: GatewaySession) -> list[Authenticator]:
        """Return the authenticators that the user may verify with, last used first.

        Those that reach what is asked; if there is none, any that vouches for a new one which
        does (see `leads_to_more`). None that is sent, where it isn't sure who named the user.
        """
        kinds = self.hosted(tx, session)
        if not session.subject_authenticated:
            kinds -= {*MESSAGE_CODES}
        mine = live(tx, session.user, kinds)
        suiting = [one for one in mine if suits(one, session.acr_values)]
        if suiting or len(mine) >= MOST_PER_USER or not self.kinds(tx, session):
            return suiting
        return mine

    def leads_to_more(self, tx: Session, session: GatewaySession) -> bool:
        """Tell whether what the user verifies with only vouches for something to be set up."""
        return not any(suits(one, session.acr_values) for one in self.choices(tx, session))

    def hosted(self, tx: Session, session: GatewaySession) -> set[str]:
        """Return the kinds that the organization offers and the application takes."""

        def read() -> frozenset[str]:
            organization = session.user.organization
            return frozenset(self._method_settings.hosted(tx, organization, session))

        settings = [MethodSetting, ProviderAccount, SendingRules, Application, GatewaySession]
        return set(remembered(tx, ("hosted", session.id), read, of=settings))
