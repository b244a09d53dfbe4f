"""Encryption keys: what is sealed under an older one is sealed anew, while everything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.crypto import UnknownKey, Vault
from app.db import Database
from app.models import (
    ApiKey,
    Application,
    Authenticator,
    BypassCode,
    DuoClient,
    EnrollmentInvitation,
    FreezeLink,
    IdempotencyKey,
    ImportJob,
    Invitation,
    Message,
    ProviderAccount,
    RecoveryCode,
    Seal,
    SigningKey,
    TrustedBrowser,
    Webhook,
)

SEALED: tuple[InstrumentedAttribute[Any], ...] = (
    Authenticator.secret,
    DuoClient.secret,
    DuoClient.previous_secret,
    IdempotencyKey.answer,
    ImportJob.content,
    Message.body,
    ProviderAccount.secrets,
    SigningKey.private,
    Webhook.secret,
    Webhook.previous_secret,
)
"""Every column that holds what the vault sealed, for the place `table.column:id`."""

HASHED: tuple[InstrumentedAttribute[Any], ...] = (
    ApiKey.secret_hash,
    ApiKey.previous_secret_hash,
    Application.secret_hash,
    Application.previous_secret_hash,
    Authenticator.imported_hash,
    BypassCode.code_hash,
    EnrollmentInvitation.token_hash,
    FreezeLink.token_hash,
    Invitation.token_hash,
    RecoveryCode.code_hash,
    Seal.content_digest,
    Seal.digest,
    Seal.purge_proof,
    TrustedBrowser.secret_hash,
)
"""Columns that hold keyed hashes for more than a day. Nobody can make these anew: the secret that
was hashed is not kept, so a key stays as long as one of them needs it."""

_BATCH = 200

Row = tuple[Any, str]
"""An id, and what is sealed for it."""


@dataclass(frozen=True, kw_only=True)
class KeyUses:
    """What needs one encryption key.

    Attributes:
        known: whether the deployment has the key.
        writes: whether it is the one that seals and hashes now.
        sealed: how many values are sealed under it.
        hashed: how many values are hashed under it, by `table.column`.
    """

    key_id: str
    known: bool
    writes: bool
    sealed: int
    hashed: dict[str, int] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether nothing would be lost without it."""
        return not self.writes and not self.sealed and not self.hashed


@dataclass(frozen=True, kw_only=True)
class Resealed:
    """How a rotation went.

    Attributes:
        changed: how many values are sealed under the writing key now that were not before.
        unknown: how many stay as they are, since the deployment lacks their key.
    """

    changed: int
    unknown: int


class EncryptionKeys:
    """Seals under the writing key what is sealed under others, and tells what needs each key."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def rotate(self, said: Callable[[str, int], None] = lambda name, count: None) -> Resealed:
        """Seal anew whatever is not sealed under the writing key.

        A batch is one short transaction, and a value is replaced only if it is still the one that
        was read: whoever writes at the same moment wins, under the writing key. So it may run
        beside everything else, more than once, and be stopped at any time.

        Args:
            said: told of each column, when it is done, how many of its values changed.
        """
        changed = unknown = 0
        for column in SEALED:
            done = self._rotate_column(column)
            said(name_of(column), done.changed)
            changed, unknown = changed + done.changed, unknown + done.unknown
        return Resealed(changed=changed, unknown=unknown)

    def uses(self) -> list[KeyUses]:
        """Return what needs each key: those of the deployment in their order, then lost ones."""
        with self._database.reading() as tx:
            sealed = {column: _count(tx, column, _sealed_key) for column in SEALED}
            hashed = {column: _count(tx, column, _hash_key) for column in HASHED}
        found = {key_id for counts in (*sealed.values(), *hashed.values()) for key_id in counts}
        ours = self._vault.key_ids
        return [
            KeyUses(
                key_id=key_id,
                known=key_id in ours,
                writes=key_id == ours[0],
                sealed=sum(counts.get(key_id, 0) for counts in sealed.values()),
                hashed={
                    name_of(column): counts[key_id]
                    for column, counts in hashed.items()
                    if key_id in counts
                },
            )
            for key_id in [*ours, *sorted(found - set(ours))]
        ]

    def _rotate_column(self, column: InstrumentedAttribute[Any]) -> Resealed:
        changed = unknown = 0
        for batch in self._batches(column):
            with self._database.writing() as tx:
                for row in batch:
                    anew = self._anew(column, row)
                    unknown += anew is None
                    changed += anew is not None and _replace(tx, column, row, anew)
        return Resealed(changed=changed, unknown=unknown)

    def _batches(self, column: InstrumentedAttribute[Any]) -> Iterator[list[Row]]:
        """Yield what is sealed under another key, in the order of the ids."""
        key, last = _id_of(column), None
        ours = f"v1:{self._vault.key_ids[0]}:%"
        due = sa.and_(column.like("v1:%"), column.not_like(ours))
        while True:
            after = due if last is None else sa.and_(due, key > last)
            chosen = sa.select(key, column).where(after).order_by(key).limit(_BATCH)
            with self._database.reading() as tx:
                rows = [(row[0], row[1]) for row in tx.execute(chosen)]
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def _anew(self, column: InstrumentedAttribute[Any], row: Row) -> str | None:
        """Return the value sealed under the writing key; None if its own key is lost."""
        place = f"{name_of(column)}:{row[0]}"
        try:
            return self._vault.seal(self._vault.open(row[1], place=place), place=place)
        except UnknownKey:
            return None


def name_of(column: InstrumentedAttribute[Any]) -> str:
    """Return `table.column`, as in the place that a sealed value is bound to."""
    return f"{column.class_.__tablename__}.{column.key}"


def _replace(tx: Session, column: InstrumentedAttribute[Any], row: Row, anew: str) -> bool:
    model = column.class_
    replace = sa.update(model).where(_id_of(column) == row[0], column == row[1])
    done = tx.execute(
        replace.values({column.key: anew}), execution_options={"synchronize_session": False}
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _id_of(column: InstrumentedAttribute[Any]) -> sa.ColumnElement[Any]:
    key: sa.ColumnElement[Any] = sa.inspect(column.class_).primary_key[0]
    return key


def _count(
    tx: Session, column: InstrumentedAttribute[Any], key_of: Callable[[str], str]
) -> dict[str, int]:
    """Count the values of a column by their key; what is under none doesn't count."""
    start = sa.func.substr(column, 1, 80)
    counts: dict[str, int] = {}
    for value in tx.execute(sa.select(start).where(column.is_not(None))).yield_per(10_000):
        if key_id := key_of(value[0]):
            counts[key_id] = counts.get(key_id, 0) + 1
    return counts


def _sealed_key(value: str) -> str:
    return value.split(":", 2)[1] if value.startswith("v1:") else ""


def _hash_key(value: str) -> str:
    key_id, colon, _ = value.partition(":")
    return key_id if colon else ""
