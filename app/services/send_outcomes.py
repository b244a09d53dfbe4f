"""What became of messages, written down for many of them in one transaction.

Whoever has an outcome waits until it is kept. While one transaction ends, others gather for the
next, so a busy sender asks for the database's one writer some ten times a second and not hundreds.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import cast

import sqlalchemy as sa

from app.db import Database
from app.models import Message, MessageStatus, ProviderAccount

_GATHER_SECONDS = 0.02
"""So long an outcome waits for others. Whoever is killed in it has sent what another sends again,
so it is no longer than a transaction may take."""
_MESSAGES = cast(sa.Table, Message.__table__)


@dataclass
class Outcome:
    """A change of one row, as long as its claim holds.

    Attributes:
        until: of the claim, by which it is known.
        values: of the row, by name of the column.
        kept: whether it was made, once that is known.
        error: why that can't be known.
    """

    message_id: uuid.UUID
    until: datetime
    values: dict[str, object] = field(repr=False)
    kept: bool | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is no more to wait for."""
        return self.kept is not None or self.error is not None


class Outcomes:
    """Writes them down.

    Args:
        gathers: whether others are on their way, for which it is worth to wait a moment.
    """

    def __init__(self, database: Database, gathers: Callable[[], bool]) -> None:
        self._database = database
        self._gathers = gathers
        self._waiting: list[Outcome] = []
        self._adding = threading.Lock()
        self._writing = threading.Lock()

    def write(self, outcome: Outcome) -> bool:
        """Write one down, and return once it is kept; False if another sender has the message.

        An account is left out that somebody removed in the meantime.
        """
        with self._adding:
            self._waiting.append(outcome)
        with self._writing:
            if not outcome.is_over:
                self._write_waiting()
        if outcome.error is not None:
            raise outcome.error
        return bool(outcome.kept)

    def _write_waiting(self) -> None:
        if self._gathers():
            time.sleep(_GATHER_SECONDS)
        with self._adding:
            gathered, self._waiting = self._waiting, []
        self._write(gathered)

    def _write(self, gathered: Sequence[Outcome]) -> None:
        """Write all of them; where one can't be kept, it alone is not."""
        try:
            kept = self._changed(gathered)
        except Exception as error:
            if len(gathered) > 1 and not isinstance(error, sa.exc.OperationalError):
                for one in gathered:
                    self._write([one])
                return
            for one in gathered:
                one.error = error
        else:
            for one in gathered:
                one.kept = one.message_id in kept

    def _changed(self, gathered: Sequence[Outcome]) -> set[uuid.UUID]:
        """Change the rows whose claims hold, in one transaction, and return which these are."""
        with self._database.writing() as session:
            tx = session.connection()
            named = {one.values.get("provider_account_id") for one in gathered} - {None}
            there = set(tx.scalars(_still_there(named))) if named else set()
            ids = [one.message_id for one in gathered]
            held = {row.id: row.due_at for row in tx.execute(_held(ids))}
            mine = [one for one in gathered if held.get(one.message_id) == one.until]
            for columns, rows in _by_columns(mine, there).items():
                tx.execute(_change(columns), rows)
        return {one.message_id for one in mine}


def _by_columns(
    outcomes: Sequence[Outcome], accounts: Collection[object]
) -> dict[tuple[str, ...], list[dict[str, object]]]:
    """Return the parameters of `_change`, by the columns that it changes."""
    found: dict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for one in outcomes:
        values = dict(one.values)
        if "provider_account_id" in values and values["provider_account_id"] not in accounts:
            values["provider_account_id"] = None
        row = {f"new_{name}": value for name, value in values.items()}
        found[tuple(sorted(values))].append({"of": one.message_id, "until": one.until, **row})
    return found


@cache
def _change(columns: tuple[str, ...]) -> sa.Update:
    mine = sa.update(_MESSAGES).where(
        _MESSAGES.c.id == sa.bindparam("of"),
        _MESSAGES.c.status == MessageStatus.SENDING,
        _MESSAGES.c.due_at == sa.bindparam("until"),
    )
    return mine.values({name: sa.bindparam(f"new_{name}") for name in columns})


def _held(ids: Collection[uuid.UUID]) -> sa.Select[uuid.UUID, datetime | None]:
    """Select until when each is claimed, and keep it so."""
    claimed = sa.select(_MESSAGES.c.id, _MESSAGES.c.due_at).where(
        _MESSAGES.c.id.in_(ids), _MESSAGES.c.status == MessageStatus.SENDING
    )
    return claimed.order_by(_MESSAGES.c.id).with_for_update()


def _still_there(account_ids: Collection[object]) -> sa.Select[uuid.UUID]:
    """Select accounts and keep them from being removed; those that are gone are left out.

    They are locked before the messages, as by whoever removes one.
    """
    there = sa.select(ProviderAccount.id).where(ProviderAccount.id.in_(account_ids))
    return there.order_by(ProviderAccount.id).with_for_update(read=True, key_share=True)
