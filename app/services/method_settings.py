"""Whether and how an organization offers each method; for `totp` the API says TOTP connection."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.factors import FACTORS, SECRET_FACTORS
from app.factors.base import Tolerance
from app.factors.recovery_code import LENGTH, LONGEST
from app.factors.totp import ALGORITHMS, USUAL, Totp, unusual
from app.models import Environment, MethodSetting, Organization, User
from app.providers.base import CHANNELS
from app.services.audit import Actor, Audit, EventKind
from app.services.phone_numbers import PHONE_CHANNELS
from app.services.provider_accounts import ProviderAccounts
from app.services.sending_rules import Rulebook

METHODS = {"app": "totp", "sms": "sms"}
"""What the guides call a method of the TOTP connection, and our factor for it."""
DUAL = "dual"
MESSAGE_KINDS = (*CHANNELS, DUAL)
"""What sends codes, each switched on by itself; dual goes by e-mail and to the phone."""
APPLICATION, GATEWAY = "application", "gateway"
_RANGES = {
    "digits": range(6, 9),
    "period": range(15, 121),
    "window": range(6),
    "recovery_codes": range(1, 21),
    "recovery_code_length": range(LENGTH, LONGEST + 1),
}
_CHOICES = {"algorithm": set(ALGORITHMS), "sms_delivery": {APPLICATION, GATEWAY}}
_ISSUER_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class TotpSettings:
    """How an organization offers time-based codes and codes by SMS.

    Attributes:
        methods: of `METHODS`; the first one is meant if nobody says which.
        issuer: as authenticator apps show it; None means the organization's name.
        digits: of a new authenticator's codes.
        period: seconds for which a new authenticator's code is shown.
        algorithm: of a new authenticator.
        window: steps before and after now whose codes are accepted.
        strict: accept no code of a step after now.
        recovery_codes: how many come with a first enrollment.
        recovery_code_length: characters of five bits each.
        sms_delivery: `application` returns a code for the application to send, `gateway` sends it.
    """

    methods: tuple[str, ...] = ("app",)
    issuer: str | None = None
    digits: int = 6
    period: int = 30
    algorithm: str = "SHA1"
    window: int = 1
    strict: bool = False
    recovery_codes: int = 5
    recovery_code_length: int = LENGTH
    sms_delivery: str = APPLICATION

    @property
    def tolerance(self) -> Tolerance:
        """How far from the very moment a code may be."""
        return Tolerance(window=self.window, strict=self.strict)

    @property
    def parameters(self) -> dict[str, str | int]:
        """What a new authenticator has to keep, because it is not as usual."""
        return unusual({name: getattr(self, name) for name in USUAL})


_READ = "method settings"


class MethodSettings:
    """Reads and changes what organizations offer."""

    def __init__(self, accounts: ProviderAccounts, rules: Rulebook, audit: Audit) -> None:
        self._accounts = accounts
        self._rules = rules
        self._audit = audit

    def create(self, tx: Session, organization: Organization) -> None:
        """Give a new organization every method, switched off."""
        tx.add_all(
            MethodSetting(organization_id=organization.id, kind=kind) for kind in SECRET_FACTORS
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
        """Return what an organization set of a method, if it ever did.

        The transaction keeps what it read: it is asked for again and again.
        """
        setting = tx.get(MethodSetting, (organization_id, kind))
        if setting is not None:
            tx.info.setdefault(_READ, set()).add(setting)
        return setting

    def of_user(self, tx: Session, user: User) -> TotpSettings:
        """Return the settings of the user's organization."""
        setting = self.row(tx, user.organization_id)
        return settings_of(setting) if setting else TotpSettings()

    def offered(self, tx: Session, organization: Organization) -> set[str]:
        """Return the kinds of factor that the organization's TOTP connection offers."""
        setting = self.find(tx, organization)
        if not setting.active:
            return set()
        return {METHODS[method] for method in settings_of(setting).methods}

    def switched_on(self, tx: Session, organization: Organization) -> set[str]:
        """Return those of `MESSAGE_KINDS` that are on."""
        rows = sa.select(MethodSetting.kind).where(
            MethodSetting.organization_id == organization.id,
            MethodSetting.kind.in_(MESSAGE_KINDS),
            MethodSetting.active,
        )
        return set(tx.scalars(rows))

    def channels(self, tx: Session, organization: Organization) -> set[str]:
        """Return those of `MESSAGE_KINDS` that are on, and by which a message gets somewhere."""
        switched_on = self.switched_on(tx, organization)
        if not switched_on:
            return set()
        carried = self._accounts.carried(tx, organization)
        both = {DUAL} if {"email", "sms"} <= carried else set()
        return switched_on & (carried | both)

    def by_message(self, tx: Session, organization: Organization) -> set[str]:
        """Return the kinds of authenticator whose codes we send.

        A phone number has one authenticator, `sms`, whichever channel its codes come by.
        """
        channels = self.channels(tx, organization)
        phone = {"sms"} if channels & {*PHONE_CHANNELS} else set()
        if not self._may_be_called(tx, organization):
            return channels & {"email"}
        return (channels & {"email", DUAL}) | phone

    def has_stronger(self, tx: Session, organization: Organization) -> bool:
        """Tell whether something is offered beside which the phone network may be."""
        return bool(self.offered(tx, organization) & {*SECRET_FACTORS})

    def _may_be_called(self, tx: Session, organization: Organization) -> bool:
        """Tell whether the phone network is offered: beside something stronger, or on purpose.

        It is the one restricted way (NIST SP 800-63B-4, 3.2.9).
        """
        if self.has_stronger(tx, organization):
            return True
        return self._rules.of(tx, organization).risk_accepted

    def hosted(self, tx: Session, organization: Organization) -> set[str]:
        """Return the kinds of authenticator that our pages can ask for."""
        kinds = self.offered(tx, organization) & {*SECRET_FACTORS}
        kinds |= self.by_message(tx, organization)
        return {kind for kind in kinds if FACTORS[kind].hosted}

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
            Refusal: `channel_unavailable`, since nothing here sends an SMS yet.
        """
        setting = self.find(tx, organization)
        before = (setting.active, settings_of(setting))
        after = self.proposed(tx, organization, **changes)
        setting.active = setting.active if active is None else active
        setting.strict = after.strict
        setting.parameters = _kept(after)
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
            _check(name, value)
        if changes.get("sms_delivery") == GATEWAY:
            _demand_channel(organization)
        return TotpSettings(**{**asdict(settings_of(self.find(tx, organization))), **changes})

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


def settings_of(setting: MethodSetting) -> TotpSettings:
    """Return what a row says, with what it leaves out as usual."""
    kept = {**setting.parameters, "strict": setting.strict}
    if "methods" in kept:
        kept["methods"] = tuple(kept["methods"])
    return TotpSettings(**kept)


def _kept(settings: TotpSettings) -> dict[str, Any]:
    """Return what is not as usual, as the row keeps it."""
    usual = TotpSettings()
    changed = {
        field.name: getattr(settings, field.name)
        for field in fields(TotpSettings)
        if field.name != "strict" and getattr(settings, field.name) != getattr(usual, field.name)
    }
    if "methods" in changed:
        changed["methods"] = list(changed["methods"])
    return changed


def _check(name: str, value: Any) -> None:
    if name in _RANGES and value not in _RANGES[name]:
        span = _RANGES[name]
        raise Invalid(name, f"use a number from {span.start} to {span.stop - 1}.")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise Invalid(name, f"use one of {', '.join(sorted(_CHOICES[name]))}.")
    if name == "methods" and not (value and set(value) <= set(METHODS)):
        raise Invalid(name, "use app, sms, or both.")
    if name == "methods" and len(set(value)) != len(value):
        raise Invalid(name, "name each method once.")
    if name == "issuer" and value is not None and not _is_issuer(value):
        raise Invalid(name, f"use 1 to {_ISSUER_LENGTH} printable characters without a colon.")


def _is_issuer(value: str) -> bool:
    """A colon parts issuer and account in the label of an authenticator app."""
    return 0 < len(value.strip()) <= _ISSUER_LENGTH and value.isprintable() and ":" not in value


def _demand_channel(organization: Organization) -> None:
    if organization.environment is not Environment.SANDBOX:
        raise Refusal(
            "channel_unavailable",
            "sms_delivery: nothing here sends an SMS in production yet. Use application: the code "
            "is in the answer, and the application sends it.",
        )
