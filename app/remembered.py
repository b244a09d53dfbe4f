"""What a transaction has read: told again without asking, until it may have become otherwise.

One request comes to the same questions again and again: what an organization offers, what a user
has. The database is asked once, and once more as soon as the transaction changes a table that the
answer came from, or holds a row, since others may have changed it until then. Nothing outlives the
transaction, so there is nothing that another worker or host would have to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from app.db import Base

T = TypeVar("T")
_ANSWERS = "remembered"


def remembered(
    tx: Session,
    question: Hashable,
    read: Callable[[], T],
    *,
    of: Iterable[type[Base]],
) -> T:
    """Return what `read` returns, or did earlier in this transaction.

    Args:
        question: what is asked.
        read: asks the database.
        of: all the models that the answer comes from.
    """
    if tx.autoflush and (tx.new or tx.dirty or tx.deleted):
        tx.flush()
    answers = tx.info.setdefault(_ANSWERS, {})
    if question not in answers:
        remember(tx, question, read(), of=of)
    answer: T = answers[question][0]
    return answer


def remember(tx: Session, question: Hashable, answer: object, *, of: Iterable[type[Base]]) -> None:
    """Keep an answer that came along with another one."""
    answers = tx.info.setdefault(_ANSWERS, {})
    answers[question] = answer, frozenset(one.__tablename__ for one in of)


def _forget(session: Session, changed: Collection[str] | None = None) -> None:
    """Forget what came from these tables; None means all."""
    answers = session.info.get(_ANSWERS, {})
    for question, (_, of) in [*answers.items()]:
        if changed is None or not of.isdisjoint(changed):
            del answers[question]


def _after_statement(state: ORMExecuteState) -> None:
    statement: Any = state.statement
    if isinstance(statement, sa.Select):
        if statement._for_update_arg is not None:
            _forget(state.session)
        return
    if not isinstance(statement, sa.Insert | sa.Update | sa.Delete) or statement._independent_ctes:
        _forget(state.session)
        return
    name = cast(sa.Table, statement.table).name
    _forget(state.session, _fallen_with(name) if statement.is_delete else [name])


def _after_flush(session: Session, _context: object) -> None:
    changed = {one.__tablename__ for one in (*session.new, *session.dirty)}
    _forget(session, changed.union(*(_fallen_with(one.__tablename__) for one in session.deleted)))


@cache
def _fallen_with(name: str) -> frozenset[str]:
    """Return the tables in which the database deletes or changes rows, when one of this goes."""
    fallen, found = set[str](), [name]
    while found:
        if (name := found.pop()) not in fallen:
            fallen.add(name)
            found += [one.name for one in Base.metadata.tables.values() if _follows(one, name)]
    return frozenset(fallen)


def _follows(table: sa.Table, other: str) -> bool:
    return any(one.ondelete and one.column.table.name == other for one in table.foreign_keys)


def _after_rollback(session: Session, _before: SessionTransaction) -> None:
    _forget(session)


event.listen(Session, "do_orm_execute", _after_statement)
event.listen(Session, "after_flush", _after_flush)
event.listen(Session, "after_soft_rollback", _after_rollback)
