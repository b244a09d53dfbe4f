"""Claims on messages: how any number of senders share the rows that wait.

A claim is a conditional UPDATE of a row, made for many rows in one statement. It holds until a
moment, by which it is also known: a sender that comes back later changes nothing, if another has
the message by then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa

from app import metrics
from app.clock import Clock
from app.db import Database
from app.models import Message, MessageStatus
from app.models.message import WAITING
from app.services.send_outcomes import Outcome, Outcomes
from app.services.send_turns import Waiting

HELD_FOR = timedelta(seconds=20)
"""So long a claim holds: one provider's time and as much again, for a slow machine or clock."""
_MESSAGES = cast(sa.Table, Message.__table__)


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
    """Finds, claims and changes the rows of messages, in short transactions.

    Args:
        gathers: see `Outcomes`.
    """

    def __init__(self, database: Database, clock: Clock, gathers: Callable[[], bool]) -> None:
        self._database = database
        self._clock = clock
        self._outcomes = Outcomes(database, gathers)

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
            connection = tx.connection()  # SQLite's one writer may be waited for, before it counts
            now = self._clock.now()
            until = now + HELD_FOR
            taken = connection.execute(_take([one.id for one in waiting], now, until)).all()
        return {
            row.id: Claim(
                message_id=row.id,
                until=until,
                tries=row.tries,
                expires_at=row.expires_at,
                channel=row.channel,
            )
            for row in taken
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
        return self._outcomes.write(Outcome(claim.message_id, claim.until, values))


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


def _take(ids: Collection[uuid.UUID], now: datetime, until: datetime) -> sa.Update:
    """Claim those that are still due; what another one is at is passed over, not waited for."""
    still = (_MESSAGES.c.id.in_(ids), WAITING, _MESSAGES.c.due_at <= now)
    free = sa.select(_MESSAGES.c.id).where(*still).with_for_update(skip_locked=True)
    return (
        sa.update(_MESSAGES)
        .where(*still, _MESSAGES.c.id.in_(free.correlate(None)))
        .values(status=MessageStatus.SENDING, due_at=until, tries=_MESSAGES.c.tries + 1)
        .returning(_MESSAGES.c.id, _MESSAGES.c.tries, _MESSAGES.c.expires_at, _MESSAGES.c.channel)
    )
