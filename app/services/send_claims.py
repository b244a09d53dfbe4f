"""Claims on messages: how any number of senders share the rows that wait.

A claim is a conditional UPDATE of one row. It holds until a moment, by which it is also known: a
sender that comes back later changes nothing, if another has the message by then.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import metrics
from app.clock import Clock
from app.db import Database, touched_one
from app.models import Message, MessageStatus, ProviderAccount
from app.models.message import WAITING
from app.services.send_turns import Waiting

HELD_FOR = timedelta(seconds=20)
"""So long a claim holds: one provider's time and as much again, for a slow machine or clock."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A message that one sender has to itself until a moment.

    Attributes:
        tries: with this one.
        expires_at: from then on the message is not worth sending.
    """

    message_id: uuid.UUID
    until: datetime
    tries: int
    expires_at: datetime | None
    channel: str


class Claims:
    """Finds, claims and changes the rows of messages, in one short transaction each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, *, limit: int) -> list[Waiting]:
        """Return what could be sent now, the oldest of each organization first.

        Args:
            limit: of codes, and of notices.
        """
        with self._database.reading() as tx:
            now = self._clock.now()
            rows = [
                row for urgent in (True, False) for row in tx.execute(_in_turn(urgent, now, limit))
            ]
        return [
            Waiting(id=row.id, organization_id=row.organization_id, urgent=row.urgent)
            for row in rows
        ]

    def take(self, waiting: Sequence[Waiting]) -> dict[uuid.UUID, Claim]:
        """Claim these, as far as no other sender was faster, and return the claims by message."""
        with self._database.writing() as tx:
            now = self._clock.now()
            until = now + HELD_FOR
            return {
                row.id: Claim(
                    message_id=row.id,
                    until=until,
                    tries=row.tries + 1,
                    expires_at=row.expires_at,
                    channel=row.channel,
                )
                for row in _nobody_s(tx, {one.id for one in waiting}, now)
                if touched_one(tx, _take(row.id, now, until))
            }

    def renew(self, claim: Claim, **values: object) -> Claim | None:
        """Hold a claim for longer, and write values down; None if another sender has the message.

        Args:
            values: of the row; see `settle`.
        """
        until = self._clock.now() + HELD_FOR
        kept = self._change(claim, {**values, "due_at": until})
        return replace(claim, until=until) if kept else None

    def settle(self, claim: Claim, status: MessageStatus, **values: object) -> bool:
        """End a claim with what became of the message; False if another sender has it.

        What the message says is erased, unless it goes on waiting.

        Args:
            values: of the row; without `due_at` it waits no more. An account is left out that
                somebody removed in the meantime.
        """
        if status is not MessageStatus.QUEUED:
            values = {"due_at": None, "body": None, **values}
        if not self._change(claim, {**values, "status": status}):
            return False
        again = status is MessageStatus.QUEUED
        metrics.count_message(claim.channel, "retried" if again else status.value)
        return True

    def _change(self, claim: Claim, values: dict[str, object]) -> bool:
        mine = sa.update(Message).where(
            Message.id == claim.message_id,
            Message.status == MessageStatus.SENDING,
            Message.due_at == claim.until,
        )
        with self._database.writing() as tx:
            if account_id := values.get("provider_account_id"):
                values["provider_account_id"] = tx.scalar(_still_there(account_id))
            return touched_one(tx, mine.values(**values))


def _in_turn(urgent: bool, now: datetime, limit: int) -> sa.Select[uuid.UUID, uuid.UUID, bool]:
    """Select what is due: each organization's oldest, then each one's second, and so on."""
    turn = sa.func.row_number().over(
        partition_by=Message.organization_id, order_by=(Message.due_at, Message.id)
    )
    due = (
        sa.select(
            Message.id, Message.organization_id, Message.urgent, Message.due_at, turn.label("turn")
        )
        .where(WAITING, Message.urgent.is_(urgent), Message.due_at <= now)
        .subquery()
    )
    return (
        sa.select(due.c.id, due.c.organization_id, due.c.urgent)
        .order_by(due.c.turn, due.c.due_at, due.c.id)
        .limit(limit)
    )


def _nobody_s(
    tx: Session, ids: Collection[uuid.UUID], now: datetime
) -> Sequence[sa.Row[uuid.UUID, int, datetime | None, str]]:
    """Lock those that are still due; what another one is at is passed over, not waited for."""
    still = sa.select(Message.id, Message.tries, Message.expires_at, Message.channel).where(
        Message.id.in_(ids), WAITING, Message.due_at <= now
    )
    return tx.execute(still.with_for_update(skip_locked=True)).all()


def _take(message_id: uuid.UUID, now: datetime, until: datetime) -> sa.Update:
    return (
        sa.update(Message)
        .where(Message.id == message_id, WAITING, Message.due_at <= now)
        .values(status=MessageStatus.SENDING, due_at=until, tries=Message.tries + 1)
    )


def _still_there(account_id: object) -> sa.Select[uuid.UUID]:
    """Select an account's id and keep it from being removed; none if it is gone."""
    there = sa.select(ProviderAccount.id).where(ProviderAccount.id == account_id)
    return there.with_for_update(read=True, key_share=True)
