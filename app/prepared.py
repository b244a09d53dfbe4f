"""Changes of rows that are put together once, for where every microsecond counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect


@dataclass(frozen=True)
class _Text:
    """A change in the words of one database.

    Attributes:
        order: of the parameters, where the driver takes a sequence; None where it takes names.
        values: those that the change has of its own, by name.
        conversions: what the driver takes for each of the others, by name.
    """

    sql: str
    order: list[str] | None
    values: dict[str, Any]
    conversions: dict[str, Callable[[Any], Any] | None]


class Prepared:
    """An update or insert of which SQLAlchemy makes the text once, instead of on every call.

    Args:
        change: its values are named parameters; an insert without any fills all columns that the
            database doesn't number itself.
    """

    def __init__(self, change: sa.Update | sa.Insert) -> None:
        self._change = change
        self._texts: dict[str, _Text] = {}

    def make(self, connection: sa.Connection, values: Mapping[str, Any]) -> int:
        """Make the change, and return how many rows it touched.

        Args:
            values: of the named parameters; what else it has is left unread.
        """
        text = self._texts.get(connection.dialect.name)
        if text is None:
            text = self._texts[connection.dialect.name] = _put_together(
                self._change, connection.dialect
            )
        row = {
            name: values[name] if convert is None else convert(values[name])
            for name, convert in text.conversions.items()
        } | text.values
        given = row if text.order is None else tuple([row[name] for name in text.order])
        return int(connection.exec_driver_sql(text.sql, given).rowcount)


def all_or_none(connection: sa.Connection, *changes: tuple[Prepared, Mapping[str, Any]]) -> bool:
    """Make changes on a `direct` connection to SQLite, all of them or none.

    Args:
        changes: each with its values; if one touches no row, none is made.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        if all(change.make(connection, values) for change, values in changes):
            connection.commit()
            return True
    except Exception:
        connection.rollback()
        raise
    connection.rollback()
    return False


def _put_together(change: sa.Update | sa.Insert, dialect: Dialect) -> _Text:
    columns = None
    if isinstance(change, sa.Insert) and change.select is None:
        columns = [one.name for one in change.table.columns if one.autoincrement is not True]
    compiled: Any = change.compile(dialect=dialect, column_keys=columns)
    own, conversions = {}, {}
    for parameter, name in compiled.bind_names.items():
        convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if parameter.required:
            conversions[name] = convert
        else:
            own[name] = convert(parameter.value) if convert else parameter.value
    return _Text(compiled.string, compiled.positiontup, own, conversions)
