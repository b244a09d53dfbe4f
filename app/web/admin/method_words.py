"""Settings of methods in words: what each is called, how it reads, what its change comes to."""

from __future__ import annotations

from collections.abc import Collection

from app.factors.totp import ALGORITHMS as _ALGORITHMS
from app.services.totp_settings import APPLICATION, GATEWAY, TotpSettings

NUMERIC = {"inputmode": "numeric", "autocomplete": "off"}
ALGORITHMS = tuple(_ALGORITHMS)
WINDOWS = {
    "0": "None",
    "1": "One before, one after",
    **{str(steps): f"{steps} before, {steps} after" for steps in range(2, 6)},
}
DELIVERIES = {APPLICATION: "Your application", GATEWAY: "Gatehouse, by the channel SMS"}
_METHODS = {"app": "authenticator app", "sms": "text message"}
KINDS = {"totp": "an authenticator app", "sms": "text messages"}
_NAMES = {
    "methods": "Methods",
    "issuer": "Name in authenticator apps",
    "digits": "Digits",
    "period": "Seconds",
    "algorithm": "Algorithm",
    "window": "Codes beside the current one",
    "strict": "Strict",
    "recovery_codes": "Recovery codes",
    "recovery_code_length": "Characters of each",
    "sms_delivery": "Who sends text messages",
}
_NEW_ONES = {"issuer", "digits", "period", "algorithm"}
_AT_ONCE = {"window", "strict"}
_RECOVERY = {"recovery_codes", "recovery_code_length"}


def lines(settings: TotpSettings, organization: str) -> list[tuple[str, str]]:
    """Return each setting with its name, as a list reads."""
    return [(_NAMES[name], _value(settings, name, organization)) for name in _shown(settings)]


def differences(
    before: TotpSettings, after: TotpSettings, changed: Collection[str], organization: str
) -> list[tuple[str, str, str]]:
    """Return each setting that changes: its name, how it is, how it would be."""
    return [
        (_NAMES[name], _value(before, name, organization), _value(after, name, organization))
        for name in _NAMES
        if name in changed
    ]


def preset_lines(settings: TotpSettings) -> list[tuple[str, str]]:
    """Return what a preset sets."""
    left = {"issuer", "sms_delivery"}
    return [(_NAMES[name], _value(settings, name, "")) for name in _NAMES if name not in left]


def consequences(changed: Collection[str]) -> list[str]:
    """Return what a change comes to for what is there already."""
    told = []
    if _NEW_ONES & set(changed):
        told.append(
            "Authenticators that are there keep what they were made with. New ones get the new "
            "settings."
        )
    if _AT_ONCE & set(changed):
        told.append("How many codes are accepted changes for every authenticator at once.")
    if _RECOVERY & set(changed):
        told.append(
            "Recovery codes that users have keep working. The next set that a user gets has the "
            "new number and length."
        )
    return told


def users(number: int) -> str:
    """Return a number of users in words."""
    return "1 user" if number == 1 else f"{number:,} users"


def _shown(settings: TotpSettings) -> list[str]:
    sends = "sms" in settings.methods
    return [name for name in _NAMES if sends or name != "sms_delivery"]


def _value(settings: TotpSettings, name: str, organization: str) -> str:
    value = getattr(settings, name)
    if name == "methods":
        return ", ".join(_METHODS[method] for method in value).capitalize()
    if name == "issuer":
        return value or organization
    if name == "strict":
        return "Yes, none after it" if value else "No"
    if name == "window":
        return WINDOWS[str(value)]
    if name == "sms_delivery":
        return DELIVERIES[value]
    return str(value)
