"""How an organization offers time-based codes, and codes by SMS to a backend: fields and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.errors import Invalid
from app.factors.base import Tolerance
from app.factors.recovery_code import LENGTH, LONGEST
from app.factors.totp import ALGORITHMS, USUAL, unusual
from app.models import MethodSetting

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
        sms_delivery: `application` returns a code for the application to send, `gateway` sends it
            by the channel `sms`, as far as what limits every code lets it.
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


def settings_of(setting: MethodSetting) -> TotpSettings:
    """Return what a row says, with what it leaves out as usual."""
    return read_settings(setting.parameters, strict=setting.strict)


def read_settings(parameters: Mapping[str, Any], *, strict: bool = False) -> TotpSettings:
    """Return what the columns of a row say."""
    kept = {**parameters, "strict": strict}
    if "methods" in kept:
        kept["methods"] = tuple(kept["methods"])
    return TotpSettings(**kept)


def kept(settings: TotpSettings) -> dict[str, Any]:
    """Return what is not as usual, as a row keeps it."""
    usual = TotpSettings()
    changed = {
        field.name: getattr(settings, field.name)
        for field in fields(TotpSettings)
        if field.name != "strict" and getattr(settings, field.name) != getattr(usual, field.name)
    }
    if "methods" in changed:
        changed["methods"] = list(changed["methods"])
    return changed


def check(name: str, value: Any) -> None:
    """See whether a field can have a value.

    Raises:
        Invalid: it can't.
    """
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
