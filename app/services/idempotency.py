"""Idempotency keys: a request that is sent again changes nothing again, and is answered alike."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import touched_one
from app.errors import Invalid, Refusal
from app.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)
ABANDONED_AFTER = timedelta(minutes=5)
"""A claim whose request was not answered by then was left by a process that is gone."""
_KEY = re.compile(r"[ -~]{1,255}")
_KEY_PURPOSE, _CONTENT_PURPOSE = "idempotency key", "idempotency content"
_SWEPT = 100
_WAIT = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request that its sender may send again.

    Attributes:
        caller: the `client_id` by which the caller proved itself.
        key: as the caller made it up.
        call: the method and the path.
        content: everything else that the request says.
    """

    caller: str
    key: str
    call: str
    content: bytes

    def names(self) -> str:
        """Return what tells this request from others of the caller."""
        return f"{self.call}\n{self.key}"

    def says(self) -> str:
        """Return a short stand-in for the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Claim:
    """The right to answer a request: whoever holds it is the first."""

    id: uuid.UUID


@dataclass(frozen=True)
class Kept:
    """What the first request was answered."""

    status: int
    body: bytes


class Idempotency:
    """Sees to it that each request with a key is worked on once, in whichever process."""

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    def claim(self, tx: Session, ask: Ask) -> Claim | Kept:
        """Claim a request, in a transaction of its own that commits before the work begins.

        Returns:
            The claim if this is the first such request, otherwise the answer of the first.

        Raises:
            Invalid: `idempotency_key_invalid`.
            Refusal: `idempotency_key_reused`, `idempotency_in_flight`.
        """
        if not _KEY.fullmatch(ask.key):
            raise Invalid(
                "Idempotency-Key",
                "send 1 to 255 printable ASCII characters, such as a UUID.",
                code="idempotency_key_invalid",
            )
        self._sweep(tx, ask)
        row = self._find(tx, ask)
        if row is None:
            claim = self._insert(tx, ask)
            if claim is not None:
                return claim
            row = self._find(tx, ask)
        return self._earlier(ask, row)

    def keep(self, tx: Session, claim: Claim, status: int, body: bytes) -> None:
        """Keep an answer, in the transaction of the work; one that may change frees the key.

        Raises:
            Refusal: `idempotency_in_flight`: the claim has lapsed, so the work must be undone.
        """
        if status == 429 or status >= 500:
            self.release(tx, claim)
            return
        kept = (
            sa.update(IdempotencyKey)
            .where(*_held(claim))
            .values(
                status=status,
                answer=self._vault.seal(body, place=_place(claim.id)),
                expires_at=self._clock.now() + KEPT_FOR,
            )
        )
        if not touched_one(tx, kept):
            raise self._in_flight()

    def release(self, tx: Session, claim: Claim) -> None:
        """Free the key of a request that failed; an answer that was kept after all stays."""
        touched_one(tx, sa.delete(IdempotencyKey).where(*_held(claim)))

    def _sweep(self, tx: Session, ask: Ask) -> None:
        """Delete what is over: this very request's, and some of everybody's."""
        over = IdempotencyKey.expires_at <= self._clock.now()
        some = sa.select(IdempotencyKey.id).where(over).limit(_SWEPT)
        some = some.with_for_update(skip_locked=True)  # who sweeps waits for nobody
        for which in (sa.and_(over, *self._same(ask)), IdempotencyKey.id.in_(some)):
            statement = sa.delete(IdempotencyKey).where(which)
            tx.execute(statement, execution_options={"synchronize_session": False})

    def _insert(self, tx: Session, ask: Ask) -> Claim | None:
        now = self._clock.now()
        row = IdempotencyKey(
            id=uuid.uuid4(),
            caller=ask.caller,
            key_hash=self._vault.hash(ask.names(), purpose=_KEY_PURPOSE),
            body_hash=self._vault.hash(ask.says(), purpose=_CONTENT_PURPOSE),
            created_at=now,
            expires_at=now + ABANDONED_AFTER,
        )
        try:
            with tx.begin_nested():  # the unique constraint decides who is first
                tx.add(row)
        except IntegrityError:
            return None
        return Claim(row.id)

    def _earlier(self, ask: Ask, row: IdempotencyKey | None) -> Kept:
        if row is not None and not self._vault.matches(
            ask.says(), row.body_hash, purpose=_CONTENT_PURPOSE
        ):
            raise Refusal(
                "idempotency_key_reused",
                "Idempotency-Key: it came with another body before. Make up a new one.",
            )
        if row is None or row.status is None or row.answer is None:
            raise self._in_flight()
        return Kept(row.status, self._vault.open(row.answer, place=_place(row.id)))

    def _in_flight(self) -> Refusal:
        return Refusal(
            "idempotency_in_flight",
            "The first request with this Idempotency-Key is still being answered. Wait until "
            "retry_at.",
            status=409,
            retry_at=self._clock.now() + _WAIT,
        )

    def _find(self, tx: Session, ask: Ask) -> IdempotencyKey | None:
        return tx.scalar(sa.select(IdempotencyKey).where(*self._same(ask)))

    def _same(self, ask: Ask) -> tuple[sa.ColumnElement[bool], ...]:
        hashes = self._vault.hashes(ask.names(), purpose=_KEY_PURPOSE)
        return IdempotencyKey.caller == ask.caller, IdempotencyKey.key_hash.in_(hashes)


def _held(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return IdempotencyKey.id == claim.id, IdempotencyKey.status.is_(None)


def _place(row_id: uuid.UUID) -> str:
    return f"idempotency_keys.answer:{row_id}"
