"""Whether and how an organization offers each method; for `totp` the API says TOTP connection."""

from __future__ import annotations

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
from app.services.audit import Actor, Audit, EventKind

METHODS = {"app": "totp", "sms": "sms"}
"""What the guides call a method of the TOTP connection, and our factor for it."""
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


class MethodSettings:
    """Reads and changes what organizations offer."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def create(self, tx: Session, organization: Organization) -> None:
        """Give a new organization every method, switched off."""
        tx.add_all(
            MethodSetting(organization_id=organization.id, kind=kind) for kind in SECRET_FACTORS
        )

    def find(self, tx: Session, organization: Organization, kind: str = Totp.kind) -> MethodSetting:
        """Return whether and how the organization offers a factor."""
        setting = tx.get(MethodSetting, (organization.id, kind))
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

    def of_user(self, tx: Session, user: User) -> TotpSettings:
        """Return the settings of the user's organization."""
        mine = sa.select(MethodSetting).where(
            MethodSetting.organization_id == user.organization_id, MethodSetting.kind == Totp.kind
        )
        setting = tx.scalar(mine)
        return settings_of(setting) if setting else TotpSettings()

    def offered(self, tx: Session, organization: Organization) -> set[str]:
        """Return the kinds of factor that the organization offers, by whichever door."""
        setting = self.find(tx, organization)
        if not setting.active:
            return set()
        return {METHODS[method] for method in settings_of(setting).methods}

    def hosted(self, tx: Session, organization: Organization) -> set[str]:
        """Return those of them that our pages can ask for."""
        return {kind for kind in self.offered(tx, organization) if FACTORS[kind].hosted}

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
