"""Channels: by which an organization sends codes, and what these messages say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app import texts
from app.db import lock
from app.errors import Invalid
from app.factors.message_code import DIGITS, LONGEST, SHORTEST
from app.models import MethodSetting, Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.method_settings import DUAL, MESSAGE_KINDS, MethodSettings
from app.services.provider_accounts import ProviderAccounts

LONGEST_MINUTES = 10  # NIST SP 800-63B-4, 3.1.3.2
PLACEHOLDERS = ("code", "minutes", "organization", "reference")
_NEEDED = ("code", "minutes")
_TEXT_LENGTH = {"email": 2000, "sms": 300, "whatsapp": 600, "voice": 300}
_NUMBER = r"\+[1-9][0-9]{6,14}"
_SENDERS = {
    "sms": (rf"{_NUMBER}|[A-Za-z0-9 ]{{1,11}}", "a number, or up to 11 letters and digits"),
    "whatsapp": (_NUMBER, "a number such as +15005550006"),
    "voice": (_NUMBER, "a number such as +15005550006"),
}
_NAME = (r".{1,60}", "1 to 60 printable characters")
"""What may be the sender of a message, by channel, and how that is told; the last one of mail."""
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """How codes go by one channel.

    Attributes:
        digits: of a code.
        minutes: for which it works.
        sender: name or number in the message's From; None means the provider account's own.
        texts: what the message says, by language; without one of its own it is ours.
        strict: for `dual` alone: another code to each address, and both are needed.
    """

    digits: int = DIGITS
    minutes: int = LONGEST_MINUTES
    sender: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False


class Channels:
    """Reads and changes the channels of organizations."""

    def __init__(
        self, method_settings: MethodSettings, accounts: ProviderAccounts, audit: Audit
    ) -> None:
        self._method_settings = method_settings
        self._accounts = accounts
        self._audit = audit

    def is_active(self, tx: Session, organization: Organization, kind: str) -> bool:
        """Tell whether the organization switched a channel on, or dual."""
        return self._method_settings.find(tx, organization, kind).active

    def settings(self, tx: Session, organization: Organization, kind: str) -> ChannelSettings:
        """Return how codes go by a channel, or by dual."""
        return settings_of(self._method_settings.find(tx, organization, kind))

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        kind: str,
        *,
        active: bool | None = None,
        **changes: Any,
    ) -> MethodSetting:
        """Switch a channel on or off, or set how codes go by it.

        Args:
            kind: of `MESSAGE_KINDS`.
            active: None leaves it as it is.
            changes: fields of `ChannelSettings`.

        Raises:
            Invalid: a field can't have that value, or nobody carries the channel.
        """
        setting = self._method_settings.find(tx, organization, kind)
        before = (setting.active, settings_of(setting))
        after = self.proposed(tx, organization, kind, **changes)
        if active and not setting.active:
            self._demand_carrier(tx, organization, kind)
        setting.active = setting.active if active is None else active
        setting.strict = after.strict
        setting.parameters = _kept(after)
        if (setting.active, after) != before:
            self._audit.record(
                tx,
                EventKind.METHOD_SETTING_CHANGED,
                actor,
                organization_id=organization.id,
                kind=kind,
                active=setting.active,
                strict=setting.strict,
                changed=" ".join(sorted(changes)),
            )
        return setting

    def set_text(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        kind: str,
        language: str,
        text: str | None,
    ) -> bool:
        """Set what the messages of a channel say in one language; tell whether that is new.

        Args:
            text: None means ours.

        Raises:
            Invalid: `texts`; the text has not what it needs, or the language is none of ours.
        """
        lock(tx, Organization.id, organization.id)
        before = self.settings(tx, organization, kind).texts
        after = {name: one for name, one in before.items() if name != language}
        if text is not None:
            after[language] = text
        if after == before:
            return False
        self.change(tx, actor, organization, kind, texts=after)
        return True

    def proposed(
        self, tx: Session, organization: Organization, kind: str, **changes: Any
    ) -> ChannelSettings:
        """Return what the settings would be after a change, which is checked and not made.

        Raises:
            Invalid: a field can't have that value.
        """
        if kind not in MESSAGE_KINDS:
            raise Invalid("channel", f"use one of {', '.join(MESSAGE_KINDS)}.")
        for name, value in changes.items():
            _check(kind, name, value)
        return ChannelSettings(**{**asdict(self.settings(tx, organization, kind)), **changes})

    def _demand_carrier(self, tx: Session, organization: Organization, kind: str) -> None:
        carried = self._accounts.carried(tx, organization)
        missing = [
            one for one in (("email", "sms") if kind == DUAL else (kind,)) if one not in carried
        ]
        if missing:
            raise Invalid(
                "active", f"nobody carries {' and '.join(missing)} yet. Add a provider first."
            )


def settings_of(setting: MethodSetting) -> ChannelSettings:
    """Return what a row says, with what it leaves out as usual."""
    return ChannelSettings(**{**setting.parameters, "strict": setting.strict})


def longest_text(kind: str) -> int:
    """Return how many characters a text of a channel may have."""
    return _TEXT_LENGTH.get(kind, min(_TEXT_LENGTH.values()))


def filled(text: str, facts: Mapping[str, str]) -> str:
    """Return a text of an organization's own with its placeholders filled, each literally."""
    return _PLACEHOLDER.sub(lambda found: facts[found[1]], text)


def _kept(settings: ChannelSettings) -> dict[str, Any]:
    usual = asdict(ChannelSettings())
    return {
        name: value
        for name, value in asdict(settings).items()
        if name != "strict" and value != usual[name]
    }


def _check(kind: str, name: str, value: Any) -> None:
    if name == "digits" and value not in range(SHORTEST, LONGEST + 1):
        raise Invalid(name, f"use a number from {SHORTEST} to {LONGEST}.")
    if name == "minutes" and value not in range(1, LONGEST_MINUTES + 1):
        raise Invalid(name, f"use a number from 1 to {LONGEST_MINUTES}.")
    if name == "strict" and value and kind != DUAL:
        raise Invalid(name, "only dual asks for two codes.")
    if name == "sender" and value is not None:
        pattern, told = _SENDERS.get(kind, _NAME)
        if not (re.fullmatch(pattern, value.strip()) and value.isprintable()):
            raise Invalid(name, f"use {told}.")
    if name == "texts":
        for language, text in value.items():
            check_text(kind, language, text)


def check_text(kind: str, language: str, text: str) -> None:
    """Refuse a text without the code and its lifetime, or with what we can't fill in.

    Raises:
        Invalid: `texts`.
    """
    if language not in texts.LANGUAGES:
        raise Invalid("texts", f"use one of the languages {', '.join(texts.LANGUAGES)}.")
    longest = longest_text(kind)
    if len(text) > longest:
        raise Invalid("texts", f"the text may have {longest} characters.")
    if not all(one.isprintable() or one == "\n" for one in text):
        raise Invalid("texts", "use printable characters and line breaks alone.")
    found = _PLACEHOLDER.findall(text)
    for needed in _NEEDED:
        if needed not in found:
            raise Invalid("texts", f"the text must name {{{needed}}}.")
    for name in found:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            raise Invalid("texts", f"{{{name}}} is not known. Use {known}.")
