"""Seals: what makes it show when an event was changed or taken away.

Events are appended plain. A worker seals those that are committed, in batches: each seal names its
events, hashes their content under a key that is not in the database, and builds on the seal before
it. Each organization has a chain of its own.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.models import Event, Seal
from app.services.webhook_fanout import FanOut

DEPLOYMENT = "deployment"
"""The chain of events that belong to no organization."""

BATCH = 5000
"""So many events one seal covers at most."""

FEW = 500
"""So many ids one statement names."""

_CONTENT, _SEAL, _PURGE = "audit seal content", "audit seal", "audit seal purge"

COLUMNS = (
    Event.id,
    Event.at,
    Event.kind,
    Event.actor,
    Event.actor_label,
    Event.organization_id,
    Event.user_id,
    Event.application_id,
    Event.gateway_session_id,
    Event.address,
    Event.device,
    Event.country,
    Event.reason,
    Event.detail,
)
"""What an event says; all but the seal that covers it."""


class _Outrun(Exception):
    """Another worker sealed some of these events first."""


class Seals:
    """Seals committed events, and judges seals.

    Args:
        fan_out: is told of the events in the transaction that seals them.
    """

    def __init__(self, database: Database, clock: Clock, vault: Vault, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._database = database
        self._clock = clock
        self._vault = vault

    def seal(self, batch: int = BATCH) -> int:
        """Seal some of the events that have no seal yet, the oldest first.

        Any number of workers may do so at once: of those that want the same number in a chain, one
        gets it, and the others do nothing.

        Returns:
            How many events are sealed now that weren't.
        """
        with self._database.reading() as tx:
            made = self._make(tx, batch)
        if not made:
            return 0
        try:
            with self._database.writing() as tx:
                return sum(self._attach(tx, seal, ids) for seal, ids in made)
        except (IntegrityError, _Outrun):
            return 0

    def _make(self, tx: Session, batch: int) -> list[tuple[Seal, list[int]]]:
        unsealed = sa.select(*COLUMNS).where(Event.seal_id.is_(None))
        rows = tx.execute(unsealed.order_by(Event.id).limit(batch)).all()
        by_chain = sorted(rows, key=lambda row: (chain_of(row.organization_id), row.id))
        groups = groupby(by_chain, key=lambda row: chain_of(row.organization_id))
        return [self._seal_of(tx, chain, list(group)) for chain, group in groups]

    def _seal_of(
        self, tx: Session, chain: str, rows: Sequence[sa.Row[Any]]
    ) -> tuple[Seal, list[int]]:
        newest = sa.select(Seal.number, Seal.digest).where(Seal.chain == chain)
        before = tx.execute(newest.order_by(Seal.number.desc()).limit(1)).one_or_none()
        ids = [row.id for row in rows]
        content = Content()
        for row in rows:
            content.add(row)
        seal = Seal(
            id=uuid.uuid4(),
            chain=chain,
            number=before.number + 1 if before else 1,
            event_ids=ranges_of(ids),
            count=len(ids),
            content_digest=self._vault.hash(content.digest(), purpose=_CONTENT),
            previous_digest=before.digest if before else "",
            created_at=self._clock.now(),
        )
        seal.digest = self._vault.hash(_statement(seal), purpose=_SEAL)
        return seal, ids

    def _attach(self, tx: Session, seal: Seal, ids: list[int]) -> int:
        tx.add(seal)
        tx.flush()
        for group in in_groups(iter(ids)):
            mine = sa.update(Event).where(among(group), Event.seal_id.is_(None))
            attach = mine.values(seal_id=seal.id).execution_options(synchronize_session=False)
            if tx.execute(attach).rowcount != len(group):  # type: ignore[attr-defined]
                raise _Outrun
        self._fan_out.events(tx, None if seal.chain == DEPLOYMENT else uuid.UUID(seal.chain), ids)
        return len(ids)

    # Judging

    def is_ours(self, seal: Seal) -> bool:
        """Tell whether the seal says what it said when it was made."""
        return self._vault.matches(_statement(seal), seal.digest, purpose=_SEAL)

    def has_key(self, seal: Seal) -> bool:
        """Tell whether the deployment still has the keys that judge this seal."""
        proofs = (seal.digest, seal.content_digest, seal.purge_proof or seal.digest)
        return all(map(self._vault.has_key_of, proofs))

    def covers(self, seal: Seal, content: Content) -> bool:
        """Tell whether this is what the seal's events said when it was made."""
        return self._vault.matches(content.digest(), seal.content_digest, purpose=_CONTENT)

    def purge_proof(self, seal: Seal, purged_at: datetime) -> str:
        """Return what proves that Gatehouse itself deleted a seal's events at this moment."""
        return self._vault.hash(_purge_statement(seal, purged_at), purpose=_PURGE)

    def was_purged(self, seal: Seal) -> bool:
        """Tell whether Gatehouse itself deleted the events when the seal says so."""
        if seal.purged_at is None:
            return False
        told = _purge_statement(seal, seal.purged_at)
        return self._vault.matches(told, seal.purge_proof, purpose=_PURGE)


class Content:
    """Takes in what events say, one after the other, in constant memory."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, row: sa.Row[Any]) -> None:
        """Take in one event, of which `COLUMNS` were read."""
        said = [_plain(getattr(row, column.key)) for column in COLUMNS]
        self._hash.update(_canonical(said).encode())

    def digest(self) -> str:
        """Return what stands for all of it."""
        return self._hash.hexdigest()


def chain_of(organization_id: uuid.UUID | None) -> str:
    """Return the chain in which an event of this organization is sealed."""
    return DEPLOYMENT if organization_id is None else str(organization_id)


def ranges_of(ids: Sequence[int]) -> str:
    """Return ascending ids as ranges, such as `1-500,503`."""
    runs = groupby(enumerate(ids), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(group) for _, group in runs)]
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)


def ids_of(ranges: str) -> Iterator[int]:
    """Yield the ids that `ranges_of` wrote down.

    Raises:
        ValueError: nothing that it writes reads like this.
    """
    for part in ranges.split(","):
        first, dash, last = part.partition("-")
        yield from range(int(first), int(last if dash else first) + 1)


def in_groups(ids: Iterator[int]) -> Iterator[list[int]]:
    """Yield the ids, so many at once as one statement names."""
    while group := list(islice(ids, FEW)):
        yield group


def among(ids: list[int]) -> sa.ColumnElement[bool]:
    """Return that an event is one of these, in a statement of one of few lengths.

    SQLite's driver keeps each statement that it meets, on each connection: of any number of ids
    that is megabytes. So the last id is named again until there is a power of two of them.
    """
    length = 1 << (len(ids) - 1).bit_length()
    return Event.id.in_(ids + ids[-1:] * (length - len(ids)))


def _statement(seal: Seal) -> str:
    return _canonical(
        [
            str(seal.id),
            seal.chain,
            seal.number,
            seal.event_ids,
            seal.count,
            seal.content_digest,
            seal.previous_digest,
            _plain(seal.created_at),
        ]
    )


def _purge_statement(seal: Seal, purged_at: datetime) -> str:
    return _canonical([seal.digest, _plain(purged_at)])


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, uuid.UUID) else value


def _canonical(value: object) -> str:
    """Return the one way to write a value down, whichever database it was read from."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
