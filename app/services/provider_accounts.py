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
from app.errors import Invalid, NotFound, Refusal
from app.models import Environment, Organization, ProviderAccount
from app.providers.base import CHANNELS, Account, Provider
from app.services.audit import Actor, Audit, EventKind
from app.services.provider_drafts import Draft, drafted

MOST_ACCOUNTS = 10


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
            without an e-mail account; it is `own`.
    """

    def __init__(
        self, clock: Clock, vault: Vault, audit: Audit, providers: Mapping[str, Provider]
    ) -> None:
        self.own = providers.get("deployment")
        self.providers = {kind: one for kind, one in providers.items() if one is not self.own}
        self._clock = clock
        self._vault = vault
        self._audit = audit

    # Who carries

    def carriers(
        self,
        tx: Session,
        organization_id: uuid.UUID,
        channel: str,
        *,
        without: ProviderAccount | None = None,
    ) -> list[Carrier]:
        """Return who carries a channel for an organization, in the order to be tried.

        Args:
            without: as if this one were not there.
        """
        rows = [row for row in self._of(tx, organization_id) if row is not without]
        return self._carriers(rows, channel)

    def carriers_of(
        self, tx: Session, wanted: Collection[tuple[uuid.UUID, str]]
    ) -> dict[tuple[uuid.UUID, str], list[Carrier]]:
        """Return the same for many organizations and their channels, read at once."""
        rows: dict[uuid.UUID, list[ProviderAccount]] = {one: [] for one, _ in wanted}
        theirs = sa.select(ProviderAccount).where(ProviderAccount.organization_id.in_(rows))
        for row in tx.scalars(theirs.order_by(ProviderAccount.position, ProviderAccount.id)):
            rows[row.organization_id].append(row)
        return {(one, channel): self._carriers(rows[one], channel) for one, channel in wanted}

    def carried(self, tx: Session, organization: Organization) -> set[str]:
        """Return the channels on which the organization's messages get anywhere.

        In the sandbox that is all of them: they are captured.
        """
        if organization.environment is Environment.SANDBOX:
            return set(CHANNELS)
        own = {"email"} if self.own is not None else set()
        rows = self._of(tx, organization.id)
        return own.union(*(row.channels for row in rows if row.active))

    def reporter(self, tx: Session, account_id: uuid.UUID) -> Carrier | None:
        """Return the account that a vendor's callback names, switched off or not."""
        row = tx.get(ProviderAccount, account_id)
        return self._carrier(row) if row else None

    # What administrators set

    def carrier(
        self, tx: Session, organization: Organization, account_id: uuid.UUID | None
    ) -> Carrier:
        """Return one who carries messages, switched off or not.

        Args:
            account_id: None means the deployment's own mail server.

        Raises:
            NotFound: the organization has no such account, or the deployment no mail server.
        """
        if account_id is not None:
            return self._carrier(self.find(tx, organization, account_id))
        if self.own is None:
            raise NotFound("provider")
        return Carrier(row=None, name=self.own.name, provider=self.own, account=Account())

    def kept_secrets(self, row: ProviderAccount) -> set[str]:
        """Return the names of the secrets that an account has; what they are is told to nobody."""
        return {name for name, value in self._secrets(row).items() if value}

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

    def draft(
        self,
        kind: str,
        *,
        name: str,
        channels: Collection[str],
        values: Mapping[str, str],
        row: ProviderAccount | None = None,
        dropped: Collection[str] = (),
    ) -> Draft:
        """Return an account as it would be kept; see `provider_drafts.drafted`.

        It may take seconds, since names are looked up: call it outside of any transaction.

        Args:
            kind: of `providers`.
            row: what is to be changed.

        Raises:
            Invalid: a field can't be used; `kind`, `name`, `channels`, or that of a setting.
        """
        if kind not in self.providers:
            raise Invalid("kind", f"use one of {', '.join(sorted(self.providers))}.")
        return drafted(
            self.providers[kind],
            name=name,
            channels=channels,
            values=values,
            before=self._carrier(row).account if row else None,
            instead_of=row.updated_at if row else None,
            dropped=dropped,
        )

    def create(
        self, tx: Session, actor: Actor, organization: Organization, draft: Draft
    ) -> ProviderAccount:
        """Add an account, as the last choice.

        Raises:
            Invalid: `kind`; there are as many as there may be.
        """
        lock(tx, Organization.id, organization.id)
        others = self._of(tx, organization.id)
        if len(others) >= MOST_ACCOUNTS:
            raise Invalid("kind", f"there may be {MOST_ACCOUNTS}. Remove one that is not needed.")
        row = ProviderAccount(
            id=uuid.uuid4(),
            organization_id=organization.id,
            kind=draft.kind,
            position=max((one.position for one in others), default=0) + 1,
            active=True,
            created_at=self._clock.now(),
        )
        self._fill(row, draft)
        tx.add(row)
        self._record(tx, EventKind.PROVIDER_CREATED, actor, row)
        return row

    def update(self, tx: Session, actor: Actor, row: ProviderAccount, draft: Draft) -> None:
        """Change an account.

        Raises:
            Refusal: `provider_changed`; somebody else changed it since it was looked at, and the
                draft may hold a secret that they replaced.
        """
        lock(tx, ProviderAccount.id, row.id)
        tx.refresh(row)
        if row.updated_at != draft.instead_of:
            raise Refusal(
                "provider_changed",
                f"Somebody else changed {row.name} at this moment. Look at it again.",
                status=409,
            )
        changed = _differences(row, self._secrets(row), draft)
        self._fill(row, draft)
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row, changed)

    def switch(self, tx: Session, actor: Actor, row: ProviderAccount, *, active: bool) -> None:
        """Let an account carry messages, or not."""
        if row.active is active:
            return
        row.active, row.updated_at = active, self._clock.now()
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row, ["on" if active else "off"])

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
        self._record(tx, EventKind.PROVIDER_CHANGED, actor, row, ["order"])

    def remove(self, tx: Session, actor: Actor, row: ProviderAccount) -> None:
        """Forget an account and its secrets."""
        self._record(tx, EventKind.PROVIDER_REMOVED, actor, row)
        tx.delete(row)

    def _of(self, tx: Session, organization_id: uuid.UUID) -> list[ProviderAccount]:
        mine = sa.select(ProviderAccount).where(ProviderAccount.organization_id == organization_id)
        return list(tx.scalars(mine.order_by(ProviderAccount.position, ProviderAccount.id)))

    def _carriers(self, rows: Sequence[ProviderAccount], channel: str) -> list[Carrier]:
        found = [self._carrier(row) for row in rows if row.active and channel in row.channels]
        if not found and channel == "email" and self.own is not None:
            return [Carrier(row=None, name=self.own.name, provider=self.own, account=Account())]
        return found

    def _carrier(self, row: ProviderAccount) -> Carrier:
        account = Account(settings=row.settings, secrets=self._secrets(row))
        return Carrier(row=row, name=row.name, provider=self.providers[row.kind], account=account)

    def _secrets(self, row: ProviderAccount) -> dict[str, str]:
        opened: dict[str, str] = json.loads(self._vault.open(row.secrets, place=_place(row)))
        return opened

    def _fill(self, row: ProviderAccount, draft: Draft) -> None:
        row.name, row.channels = draft.name, list(draft.channels)
        row.settings, row.updated_at = dict(draft.account.settings), self._clock.now()
        hidden = json.dumps(dict(draft.account.secrets)).encode()
        row.secrets = self._vault.seal(hidden, place=_place(row))

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        row: ProviderAccount,
        changed: Sequence[str] = (),
    ) -> None:
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=row.organization_id,
            provider=row.kind,
            name=row.name,
            channels=" ".join(row.channels),
            active=row.active,
            changed=" ".join(changed) or None,
        )


def _place(row: ProviderAccount) -> str:
    return f"provider_accounts.secrets:{row.id}"


def _differences(row: ProviderAccount, secrets: Mapping[str, str], draft: Draft) -> list[str]:
    """Return the names of what a draft changes, secrets among them, without their values."""
    now, then = {**row.settings, **secrets}, draft.account
    named = sorted({*now, *then.settings, *then.secrets})
    changed = [one for one in named if now.get(one, "").strip() != then.value(one)]
    heads = {"name": row.name != draft.name, "channels": row.channels != list(draft.channels)}
    return [*(name for name, differs in heads.items() if differs), *changed]
