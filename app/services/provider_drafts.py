"""Drafts of provider accounts: what was typed, looked at by the provider, and not kept yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.errors import Invalid
from app.providers.base import CHANNELS, Account, Provider

_NAME_LENGTH = 60
_VALUE_LENGTH = 8192


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An account as it would be kept.

    Attributes:
        account: its settings, with the secrets.
        instead_of: when what it is to change was changed last; None for a new one.
    """

    kind: str
    name: str
    channels: Sequence[str]
    account: Account = field(repr=False)
    instead_of: datetime | None


def drafted(
    provider: Provider,
    *,
    name: str,
    channels: Collection[str],
    values: Mapping[str, str],
    before: Account | None = None,
    instead_of: datetime | None = None,
    dropped: Collection[str] = (),
) -> Draft:
    """Return an account as it would be kept; its provider has looked at it.

    Args:
        values: of the provider's settings, secret ones among them, by name.
        before: what is to be changed; a secret of it that is left empty stays.
        dropped: secrets of it that are not to stay.

    Raises:
        Invalid: a field can't be used; `name`, `channels`, or that of a setting.
    """
    fields = {one.name: one for one in provider.settings}
    for key, text in values.items():
        _check_value(key, text, known=key in fields)
    shown = {key: text.strip() for key, text in values.items() if not fields[key].secret}
    typed = {key: text for key, text in values.items() if fields[key].secret and text}
    kept = {key: text for key, text in _secrets(before).items() if key not in {*dropped, *typed}}
    wanted = _checked_channels(provider, channels)
    if before is not None and _goes_elsewhere(provider, before, shown):
        _refuse_kept(kept)
    account = Account(settings=shown, secrets={**kept, **typed})
    provider.check(account, wanted)
    return Draft(
        kind=provider.kind,
        name=_checked_name(name) or provider.name,
        channels=wanted,
        account=account,
        instead_of=instead_of,
    )


def _secrets(account: Account | None) -> Mapping[str, str]:
    return account.secrets if account else {}


def _goes_elsewhere(provider: Provider, before: Account, shown: Mapping[str, str]) -> bool:
    """Tell whether the secrets would be told to somebody else than before."""
    return any(
        one.addressee and shown.get(one.name, "") != before.value(one.name)
        for one in provider.settings
    )


def _refuse_kept(kept: Mapping[str, str]) -> None:
    """Demand secrets anew: else whoever may write an address could have them told to it."""
    for name, text in kept.items():
        if text:
            raise Invalid(name, "type it again: it would go to another address.")


def _checked_channels(provider: Provider, channels: Collection[str]) -> list[str]:
    wanted = [one for one in CHANNELS if one in channels]
    if not wanted or not set(channels) <= provider.channels:
        offered = ", ".join(one for one in CHANNELS if one in provider.channels)
        raise Invalid("channels", f"{provider.name} carries {offered}. Choose at least one.")
    return wanted


def _checked_name(name: str) -> str:
    plain = name.strip()
    if not plain.isprintable() or len(plain) > _NAME_LENGTH:
        raise Invalid("name", f"use at most {_NAME_LENGTH} printable characters.")
    return plain


def _check_value(key: str, text: str, *, known: bool) -> None:
    if not known:
        raise Invalid(key, "this provider has no such setting.")
    if len(text) > _VALUE_LENGTH or "\0" in text:
        raise Invalid(key, f"use at most {_VALUE_LENGTH} characters.")
