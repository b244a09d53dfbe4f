"""Statements that are put together once, for where every microsecond counts."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from app.engines import begin_writing

Convert = Callable[[Any], Any] | None
"""What turns a value into what the driver takes, or back; None where they are the same."""


@dataclass(frozen=True)
class _Text:
    """A statement in the words of one database.

    Attributes:
        order: of the parameters, where the driver takes a sequence; None where it takes names.
        values: those that the statement has of its own, by name.
        conversions: what the driver takes for each of the others, by name.
        columns: what each column becomes that the driver returns, by name.
    """

    sql: str
    order: list[str] | None
    values: dict[str, Any]
    conversions: dict[str, Convert]
    columns: dict[str, Convert]


class _Prepared:
    """A statement of which SQLAlchemy makes the text once, instead of on every call."""

    def __init__(self, statement: sa.Select[Any] | sa.Update | sa.Insert) -> None:
        self._statement = statement
        self._texts: dict[str, _Text] = {}

    def _run(
        self, connection: sa.Connection, values: Mapping[str, Any]
    ) -> tuple[sa.CursorResult[Any], _Text]:
        text = self._texts.get(connection.dialect.name)
        if text is None:
            text = _put_together(self._statement, connection.dialect)
            self._texts[connection.dialect.name] = text
        row = {
            name: values[name] if convert is None else convert(values[name])
            for name, convert in text.conversions.items()
        } | text.values
        given = row if text.order is None else tuple([row[name] for name in text.order])
        return connection.exec_driver_sql(text.sql, given), text


class Query(_Prepared):
    """A select whose values are named parameters, and whose columns have names of their own."""

    def __init__(self, select: sa.Select[Any]) -> None:
        super().__init__(select)
        names = [column.name for column in select.selected_columns]
        self._row = cast(Any, namedtuple)("Row", names)  # mypy wants names that are known now

    def all(self, connection: sa.Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows, each with an attribute for each column."""
        result, text = self._run(connection, values)
        conversions = list(text.columns.values())
        return [
            self._row(
                *[
                    value if convert is None else convert(value)
                    for value, convert in zip(row, conversions, strict=True)
                ]
            )
            for row in result.all()
        ]


class Change(_Prepared):
    """An update or insert whose values are named parameters.

    An insert without any fills all columns that the database doesn't number itself.
    """

    def make(self, connection: sa.Connection, values: Mapping[str, Any]) -> int:
        """Make the change, and return how many rows it touched.

        Args:
            values: of the named parameters; what else it has is left unread.
        """
        return int(self._run(connection, values)[0].rowcount)


def all_or_none(connection: sa.Connection, *changes: tuple[Change, Mapping[str, Any]]) -> bool:
    """Make changes on a `direct` connection to SQLite, all of them or none.

    Args:
        changes: each with its values; if one touches no row, none is made.
    """
    begin_writing(connection)
    try:
        if all(change.make(connection, values) for change, values in changes):
            connection.commit()
            return True
    except Exception:
        connection.rollback()
        raise
    connection.rollback()
    return False


def _put_together(statement: sa.Select[Any] | sa.Update | sa.Insert, dialect: Dialect) -> _Text:
    filled = None
    if isinstance(statement, sa.Insert) and statement.select is None:
        filled = [one.name for one in statement.table.columns if one.autoincrement is not True]
    compiled: Any = statement.compile(dialect=dialect, column_keys=filled)
    own, conversions = {}, {}
    for parameter, name in compiled.bind_names.items():
        convert = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if parameter.required:
            conversions[name] = convert
        else:
            own[name] = convert(parameter.value) if convert else parameter.value
    columns: Iterable[sa.ColumnElement[Any]] = ()
    if isinstance(statement, sa.Select):
        columns = statement.selected_columns
    return _Text(
        sql=compiled.string,
        order=compiled.positiontup,
        values=own,
        conversions=conversions,
        columns={
            str(one.key): one.type.dialect_impl(dialect).result_processor(dialect, None)
            for one in columns
        },
    )
