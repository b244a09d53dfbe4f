"""What an organization's account at Twilio holds, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection

from app.errors import Invalid
from app.providers.base import Account, Setting
from app.providers.words import is_number, required

_SMS, _WHATSAPP, _VOICE = frozenset({"sms"}), frozenset({"whatsapp"}), frozenset({"voice"})

SETTINGS = (
    Setting(name="account_sid", label="Account SID", required=True, hint="It begins with AC."),
    Setting(
        name="auth_token",
        label="Auth token",
        secret=True,
        kind="password",
        hint="Twilio signs its reports with it. Without it, nobody learns what was delivered.",
    ),
    Setting(
        name="api_key_sid",
        label="API key SID",
        hint="It begins with SK. Leave it empty to sign in with the auth token.",
    ),
    Setting(name="api_key_secret", label="API key secret", secret=True, kind="password"),
    Setting(
        name="messaging_service_sid",
        label="Messaging Service SID",
        hint="It begins with MG, and picks the sender. Or name one below.",
        channels=_SMS | _WHATSAPP,
    ),
    Setting(
        name="sms_from",
        label="SMS sender",
        hint="A number such as +15005550006, or a name of up to 11 letters and digits.",
        channels=_SMS,
    ),
    Setting(
        name="whatsapp_from",
        label="WhatsApp sender",
        hint="A number such as +15005550006.",
        channels=_WHATSAPP,
    ),
    Setting(
        name="content_sids",
        label="WhatsApp templates",
        kind="textarea",
        hint="One a line: the language, =, and the Content SID, such as en=HX….",
        channels=_WHATSAPP,
    ),
    Setting(
        name="content_variables",
        label="Variables of the templates",
        kind="textarea",
        hint="One a line: the number in the template, =, and code, minutes or organization. "
        "If it is empty: 1=code.",
        channels=_WHATSAPP,
    ),
    Setting(
        name="voice_from",
        label="Calling number",
        hint="A number such as +15005550006.",
        channels=_VOICE,
    ),
)
_IDS = {
    "account_sid": re.compile(r"AC[0-9a-fA-F]{32}"),
    "api_key_sid": re.compile(r"SK[0-9a-fA-F]{32}"),
    "messaging_service_sid": re.compile(r"MG[0-9a-fA-F]{32}"),
}
_CONTENT = re.compile(r"([a-z]{2})\s*=\s*(HX[0-9a-fA-F]{32})")
_VARIABLE = re.compile(r"([A-Za-z0-9_]{1,20})\s*=\s*(code|minutes|organization)")


def check(account: Account, channels: Collection[str]) -> None:
    """See whether an account has what the channels need.

    Raises:
        Invalid: the value of one setting can't be used.
    """
    check_ids(account)
    if not account.value("auth_token"):
        required(account, "api_key_sid", "api_key_secret")
    if account.value("api_key_sid"):
        required(account, "api_key_secret")
    required(account, *_needed(account, channels))
    for name in ("whatsapp_from", "voice_from"):
        if account.value(name) and not is_number(account.value(name)):
            raise Invalid(name, "write a number such as +15005550006.")
    contents(account)
    variables(account)


def _needed(account: Account, channels: Collection[str]) -> list[str]:
    service = account.value("messaging_service_sid")
    needed = [("whatsapp", "content_sids"), ("voice", "voice_from")]
    if not service:
        needed += [("sms", "sms_from"), ("whatsapp", "whatsapp_from")]
    return [name for channel, name in needed if channel in channels]


def check_ids(account: Account) -> None:
    """See that the ids, of which one stands in the address that is called, are ids.

    Raises:
        Invalid: one is not.
    """
    required(account, "account_sid")
    for name, pattern in _IDS.items():
        if account.value(name) and not pattern.fullmatch(account.value(name)):
            raise Invalid(name, f"write {pattern.pattern[:2]} and 32 digits after it.")


def contents(account: Account) -> dict[str, str]:
    """Return the WhatsApp template of each language."""
    wrong = "write one a line, such as en=HX and 32 digits after it."
    return _pairs(account, "content_sids", _CONTENT, wrong)


def variables(account: Account) -> dict[str, str]:
    """Return which of our variables stands where in the templates."""
    wrong = "write one a line, such as 1=code. There are code, minutes and organization."
    return _pairs(account, "content_variables", _VARIABLE, wrong) or {"1": "code"}


def _pairs(account: Account, name: str, pattern: re.Pattern[str], wrong: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in filter(None, map(str.strip, account.value(name).splitlines())):
        found = pattern.fullmatch(line)
        if not found:
            raise Invalid(name, wrong)
        pairs[found[1]] = found[2]
    return pairs


def sender(account: Account, wish: str, own: str) -> tuple[str, str]:
    """Return the field that says whom it is from: a wish, else a service, else a sender."""
    if service := account.value("messaging_service_sid") if not wish else "":
        return "MessagingServiceSid", service
    named = wish or account.value(own)
    if not named:
        raise Invalid(own, "fill it in.")
    return "From", named
