"""Whether and how an organization offers each method; for `totp` the API says TOTP connection."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.errors import Refusal
from app.factors import FACTORS, PASSKEY, SECRET_FACTORS
from app.factors.totp import Totp
from app.models import MethodSetting, Organization, User
from app.providers.base import CHANNELS
from app.services.audit import Actor, Audit, EventKind
from app.services.method_rows import method_rows
from app.services.passkey_settings import PasskeyRules
from app.services.phone_numbers import PHONE_CHANNELS
from app.services.provider_accounts import ProviderAccounts
from app.services.sending_rules import Rulebook
from app.services.totp_settings import GATEWAY, METHODS, TotpSettings, check, kept, settings_of

DUAL = "dual"
MESSAGE_KINDS = (*CHANNELS, DUAL)
"""What sends codes, each switched on by itself; dual goes by e-mail and to the phone."""


class Taker(Protocol):
    """Who takes only some methods: an application, or one of its gateway sessions."""

    def takes(self, kind: str) -> bool:
        """Tell whether it takes a kind of factor, or codes that come by a channel."""
        ...


class MethodSettings:
    """Reads and changes what organizations offer."""

    def __init__(
        self,
        accounts: ProviderAccounts,
        rules: Rulebook,
        passkey_rules: PasskeyRules,
        audit: Audit,
    ) -> None:
        self._accounts = accounts
        self._rules = rules
        self._passkey_rules = passkey_rules
        self._audit = audit

    def create(self, tx: Session, organization: Organization) -> None:
        """Give a new organization passkeys, and the TOTP connection switched off."""
        tx.add_all(
            MethodSetting(organization_id=organization.id, kind=kind, active=kind == PASSKEY.kind)
            for kind in (PASSKEY.kind, *SECRET_FACTORS)
        )

    def find(self, tx: Session, organization: Organization, kind: str = Totp.kind) -> MethodSetting:
        """Return whether and how the organization offers a factor."""
        setting = self.row(tx, organization.id, kind)
        if setting is None:  # the factor is younger than the organization
            setting = MethodSetting(
                organization_id=organization.id,
                kind=kind,
                active=False,
                strict=False,
                parameters={},
            )
            tx.add(setting)
        return setting

    def row(
        self, tx: Session, organization_id: uuid.UUID, kind: str = Totp.kind
    ) -> MethodSetting | None:
        """Return what an organization set of a method, if it ever did."""
        return method_rows(tx, organization_id).get(kind)

    def of_user(self, tx: Session, user: User) -> TotpSettings:
        """Return the settings of the user's organization."""
        setting = self.row(tx, user.organization_id)
        return settings_of(setting) if setting else TotpSettings()

    # What is on, here and for an application that takes only some of it

    def offered(
        self, tx: Session, organization: Organization, application: Taker | None = None
    ) -> set[str]:
        """Return the kinds of factor that the organization's TOTP connection offers.

        Args:
            application: whose users are asked, here as below; None if none asks.
        """
        setting = self.find(tx, organization)
        if not setting.active:
            return set()
        return _taken({METHODS[method] for method in settings_of(setting).methods}, application)

    def switched_on(self, tx: Session, organization: Organization) -> set[str]:
        """Return those of `MESSAGE_KINDS` that are on."""
        rows = method_rows(tx, organization.id)
        return {kind for kind in MESSAGE_KINDS if kind in rows and rows[kind].active}

    def channels(
        self, tx: Session, organization: Organization, application: Taker | None = None
    ) -> set[str]:
        """Return those of `MESSAGE_KINDS` that are on, and by which a message gets somewhere."""
        switched_on = _taken(self.switched_on(tx, organization), application)
        if not switched_on:
            return set()
        carried = self._accounts.carried(tx, organization)
        both = {DUAL} if {"email", "sms"} <= carried else set()
        return switched_on & (carried | both)

    def by_message(
        self, tx: Session, organization: Organization, application: Taker | None = None
    ) -> set[str]:
        """Return the kinds of authenticator whose codes we send.

        A phone number has one authenticator, `sms`, whichever channel its codes come by.
        """
        channels = self.channels(tx, organization, application)
        phone = {"sms"} if channels & {*PHONE_CHANNELS} else set()
        if not self._may_be_called(tx, organization, application):
            return channels & {"email"}
        return (channels & {"email", DUAL}) | phone

    def has_stronger(
        self, tx: Session, organization: Organization, application: Taker | None = None
    ) -> bool:
        """Tell whether something is offered beside which the phone network may be."""
        return bool(self._without_messages(tx, organization, application))

    def _may_be_called(
        self, tx: Session, organization: Organization, application: Taker | None
    ) -> bool:
        """Tell whether the phone network is offered: beside something stronger, or on purpose.

        It is the one restricted way (NIST SP 800-63B-4, 3.2.9).
        """
        if self.has_stronger(tx, organization, application):
            return True
        return self._rules.of(tx, organization).risk_accepted

    def hosted(
        self, tx: Session, organization: Organization, application: Taker | None = None
    ) -> set[str]:
        """Return the kinds of authenticator that our pages can ask for."""
        kinds = self._without_messages(tx, organization, application)
        kinds |= self.by_message(tx, organization, application)
        return {kind for kind in kinds if FACTORS[kind].hosted}

    def _without_messages(
        self, tx: Session, organization: Organization, application: Taker | None
    ) -> set[str]:
        """Return the kinds for which nothing is sent."""
        passkeys = {PASSKEY.kind} if self._passkey_rules.offered(tx, organization) else set()
        shared = self.offered(tx, organization, application) & {*SECRET_FACTORS}
        return _taken(passkeys, application) | shared

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        active: bool | None = None,
        **changes: Any,
    ) -> MethodSetting:
        """Switch the TOTP connection on or off, or set how it works.

        Args:
            active: whether it is offered; None leaves that as it is.
            changes: fields of `TotpSettings`; existing authenticators keep what they were made
                with.

        Raises:
            Invalid: a field can't have that value.
            Refusal: `channel_unavailable`.
        """
        setting = self.find(tx, organization)
        before = (setting.active, settings_of(setting))
        after = self.proposed(tx, organization, **changes)
        if after.sms_delivery == GATEWAY != before[1].sms_delivery:
            self._switch_on(tx, actor, organization, "sms")
        setting.active = setting.active if active is None else active
        setting.strict = after.strict
        setting.parameters = kept(after)
        if (setting.active, after) != before:
            self._record(tx, actor, organization, setting, sorted(changes))
        return setting

    def proposed(self, tx: Session, organization: Organization, **changes: Any) -> TotpSettings:
        """Return what the settings would be after a change, which is checked and not made.

        Raises:
            Invalid: a field can't have that value.
            Refusal: `channel_unavailable`.
        """
        for name, value in changes.items():
            check(name, value)
        before = settings_of(self.find(tx, organization))
        after = TotpSettings(**{**asdict(before), **changes})
        if after.sms_delivery == GATEWAY != before.sms_delivery:
            self._demand_carrier(tx, organization)
        return after

    def _demand_carrier(self, tx: Session, organization: Organization) -> None:
        if "sms" not in self._accounts.carried(tx, organization):
            raise Refusal(
                "channel_unavailable",
                "sms_delivery: nobody carries text messages yet. Add a provider first, or use "
                "application: the code is in the answer, and the application sends it.",
            )

    def _switch_on(
        self, tx: Session, actor: Actor, organization: Organization, channel: str
    ) -> None:
        """Switch a channel on, which is meant where the gateway shall send by it."""
        setting = self.find(tx, organization, channel)
        if not setting.active:
            setting.active = True
            self._record(tx, actor, organization, setting, [])

    def _record(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        setting: MethodSetting,
        changed: list[str],
    ) -> None:
        self._audit.record(
            tx,
            EventKind.METHOD_SETTING_CHANGED,
            actor,
            organization_id=organization.id,
            kind=setting.kind,
            active=setting.active,
            strict=setting.strict,
            changed=" ".join(changed),
        )


def _taken(kinds: set[str], application: Taker | None) -> set[str]:
    return {kind for kind in kinds if application is None or application.takes(kind)}
