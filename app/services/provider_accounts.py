"""Provider accounts: by whom an organization has messages carried, in which order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock
from app.errors import Invalid, NotFound
from app.models import Environment, Organization, ProviderAccount
from app.providers.base import CHANNELS, Account, Provider
from app.services.audit import Actor, Audit, EventKind

MOST_ACCOUNTS = 10
_NAME_LENGTH = 60
_VALUE_LENGTH = 8192


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """Somebody who carries messages.

    Attributes:
        row: the organization's account; None for the deployment's own mail server.
        name: for people.
        account: its settings, with the secrets.
    """

    row: ProviderAccount | None
    name: str
    provider: Provider
    account: Account = field(repr=False)


class ProviderAccounts:
    """Keeps the accounts of each organization; their secrets are written, and never shown.

    Args:
        providers: by kind; `deployment` is the deployment's own mail server, for organizations
            without an e-mail account.
    """

    def __init__(
        self, clock: Clock, vault: Vault, audit: Audit, providers: Mapping[str, Provider]
    ) -> None:
        self._own = providers.get("deployment")
        self.providers = {kind: one for kind, one in providers.items() if one is not self._own}
        self._clock = clock
        self._vault = vault
        self._audit = audit

    # Who carries

    def carriers(self, tx: Session, organization_id: uuid.UUID, channel: str) -> list[Carrier]:
        """Return who carries a channel for an organization, in the order to be tried."""
        rows = [row for row in self._of(tx, organization_id) if row.active]
        found = [self._carrier(row) for row in rows if channel in row.channels]
        if not found and channel == "email" and self._own is not None:
            own = self._own
            return [Carrier(row=None, name=own.name, provider=own, account=Account())]
        return found

    def carried(self, tx: Session, organization: Organization) -> set[str]:
        """Return the channels on which the organization's messages get anywhere.

        In the sandbox that is all of them: they are captured.
        """
        if organization.environment is Environment.SANDBOX:
            return set(CHANNELS)
        own = {"email"} if self._own is not None else set()
        rows = self._of(tx, organization.id)
        return own.union(*(row.channels for row in rows if row.active))

    def reporter(self, tx: Session, account_id: uuid.UUID) -> Carrier | None:
        """Return the account that a vendor's callback names, switched off or not."""
        row = tx.get(ProviderAccount, account_id)
        return self._carrier(row) if row else None

    # What administrators set

    def all(self, tx: Session, organization: Organization) -> Sequence[ProviderAccount]:
        """Return the organization's accounts, first choice first."""
        return self._of(tx, organization.id)

    def find(
        self, tx: Session, organization: Organization, account_id: uuid.UUID
    ) -> ProviderAccount:
        """Return an account of the organization.

        Raises:
            NotFound: it has none with this id.
        """
        row = tx.get(ProviderAccount, account_id)
        if row is None or row.organization_id != organization.id:
            raise NotFound("provider")
        return row

    def create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        kind: str,
        name: str,
        channels: Collection[str],
        values: Mapping[str, str],
    ) -> ProviderAccount:
        """Add an account, as the last choice.

        Args:
            kind: of `providers`.
            values: of the provider's settings, secret ones among them, by name.

        Raises:
            Invalid: a field can't be used; `kind`, `name`, `channels`, or that of a setting.
        """
        if kind not in self.providers:
            raise Invalid("kind", f"use one of {', '.join(sorted(self.providers))}.")
        lock(tx, Organization.id, organization.id)
        others = self._of(tx, organization.id)
        if len(others) >= MOST_ACCOUNTS:
            raise Invalid("kind", f"there may be {MOST_ACCOUNTS}. Remove one that is not needed.")
        now = self._clock.now()
        row = ProviderAccount(
            id=uuid.uuid4(),
            organization_id=organization.id,
            kind=kind,
            position=max((one.position for one in others), default=0) + 1,
            active=True,
            created_at=now,
        )
        self._fill(row, name, channels, values, secrets={})
        tx.add(row)
        self._record(tx, EventKind.PROVIDER_CREATED, actor, row)
        return row

    def update(
        self,
        tx: Session,
        actor: Actor,
        row: ProviderAccount,
        *,
        name: str,
        channels: Collection[str],
        values: Mapping[str, str],
    ) -> None:
        """Change an account; a secret that is left empty stays as it is.

        Raises:
            Invalid: see `create`.
        """
        kept = {one: text for one, text in values.items() if text or not self._is_secret(row, one)}
        self._fill(row, name, channels, kept, secrets=self._secrets(row))
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row)

    def switch(self, tx: Session, actor: Actor, row: ProviderAccount, *, active: bool) -> None:
        """Let an account carry messages, or not."""
        if row.active is active:
            return
        row.active, row.updated_at = active, self._clock.now()
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row)

    def move_up(self, tx: Session, actor: Actor, row: ProviderAccount) -> None:
        """Let an account be tried before the one that is before it now."""
        lock(tx, Organization.id, row.organization_id)
        rows = self._of(tx, row.organization_id)
        index = rows.index(row)
        if index == 0:
            return
        rows.insert(index - 1, rows.pop(index))
        for position, one in enumerate(rows, start=1):
            one.position = position
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row)

    def remove(self, tx: Session, actor: Actor, row: ProviderAccount) -> None:
        """Forget an account and its secrets."""
        self._record(tx, EventKind.PROVIDER_REMOVED, actor, row)
        tx.delete(row)

    def _of(self, tx: Session, organization_id: uuid.UUID) -> list[ProviderAccount]:
        mine = sa.select(ProviderAccount).where(ProviderAccount.organization_id == organization_id)
        return list(tx.scalars(mine.order_by(ProviderAccount.position, ProviderAccount.id)))

    def _carrier(self, row: ProviderAccount) -> Carrier:
        account = Account(settings=row.settings, secrets=self._secrets(row))
        return Carrier(row=row, name=row.name, provider=self.providers[row.kind], account=account)

    def _secrets(self, row: ProviderAccount) -> dict[str, str]:
        opened: dict[str, str] = json.loads(self._vault.open(row.secrets, place=_place(row)))
        return opened

    def _is_secret(self, row: ProviderAccount, name: str) -> bool:
        return name in {one.name for one in self.providers[row.kind].settings if one.secret}

    def _fill(
        self,
        row: ProviderAccount,
        name: str,
        channels: Collection[str],
        values: Mapping[str, str],
        *,
        secrets: Mapping[str, str],
    ) -> None:
        provider = self.providers[row.kind]
        wanted = [one for one in CHANNELS if one in channels]
        if not wanted or not set(channels) <= provider.channels:
            offered = ", ".join(one for one in CHANNELS if one in provider.channels)
            raise Invalid("channels", f"{provider.name} carries {offered}. Choose at least one.")
        row.name = _checked_name(name or provider.name)
        fields = {one.name: one for one in provider.settings}
        for key, text in values.items():
            _check_value(key, text, known=key in fields)
        hidden = {**secrets, **{key: text for key, text in values.items() if fields[key].secret}}
        shown = {key: text.strip() for key, text in values.items() if not fields[key].secret}
        provider.check(Account(settings=shown, secrets=hidden), wanted)
        row.channels, row.settings, row.updated_at = wanted, shown, self._clock.now()
        row.secrets = self._vault.seal(json.dumps(hidden).encode(), place=_place(row))

    def _record(self, tx: Session, kind: EventKind, actor: Actor, row: ProviderAccount) -> None:
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=row.organization_id,
            provider=row.kind,
            name=row.name,
            channels=" ".join(row.channels),
            active=row.active,
        )


def _place(row: ProviderAccount) -> str:
    return f"provider_accounts.secrets:{row.id}"


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
