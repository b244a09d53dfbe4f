"""Query plans: which of the statements that a path sends would read a whole table.

PostgreSQL reads a small table whole for speed, so it is asked for the plan that it makes when it
may not: a scan that is left then has no index that fits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

Sent = dict[str, Any]
"""Statements with the parameters that each came with first."""
_FORGET_STATISTICS = (
    "DELETE FROM pg_statistic",
    "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relkind IN ('r', 'i')",
)
"""Whether a table of a few rows was counted lately must decide nothing."""
_PLANNED = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")


@contextmanager
def heard(engine: sa.Engine) -> Iterator[Sent]:
    """Collect what is sent while this is open."""
    sent: Sent = {}

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        many = isinstance(parameters, list)
        if statement.lstrip().upper().startswith(_PLANNED):
            sent.setdefault(statement, parameters[0] if many else parameters)

    sa.event.listen(engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", hear)


def scans(engine: sa.Engine, sent: Sent, *, may_scan: frozenset[str] = frozenset()) -> list[str]:
    """Return what reads a whole table or a whole index, with its statement.

    An index of a part of its table, such as what waits, may be read from end to end.

    Args:
        may_scan: tables that an installation has a handful of rows in.
    """
    partial = _partial_indexes(engine)
    of = _sqlite_scans if engine.dialect.name == "sqlite" else _postgresql_scans
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            for forget in _FORGET_STATISTICS:
                connection.exec_driver_sql(forget)
        found = [
            f"{what}: {' '.join(statement.split())}"
            for statement, parameters in sent.items()
            for what in of(connection, statement, parameters, partial)
            if what.split()[0] not in may_scan
        ]
        connection.rollback()
    return found


def _partial_indexes(engine: sa.Engine) -> set[str]:
    options = ("sqlite_where", "postgresql_where")
    found = sa.inspect(engine)
    return {
        str(index["name"])
        for table in found.get_table_names()
        for index in found.get_indexes(table)
        if index.get("dialect_options", {}).keys() & {*options}
    }


def _sqlite_scans(
    connection: sa.Connection, statement: str, parameters: Any, partial: set[str]
) -> Iterator[str]:
    tables = set(sa.inspect(connection).get_table_names())
    names = _aliases(statement, tables)
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    for *_, detail in rows:
        read = re.match(r"SCAN (\w+)(?:.* INDEX (\w+))?", detail)
        if read and (table := names.get(read[1])) and read[2] not in partial:
            yield f"{table} whole{' by ' + read[2] if read[2] else ''}"


def _aliases(statement: str, tables: set[str]) -> dict[str, str]:
    found = re.findall(r"\b(\w+)(?: AS)? (\w+)", statement)
    return {name: name for name in tables} | {to: one for one, to in found if one in tables}


def _postgresql_scans(
    connection: sa.Connection, statement: str, parameters: Any, partial: set[str]
) -> Iterator[str]:
    plan: Any = connection.exec_driver_sql(
        f"EXPLAIN (FORMAT JSON) {statement}", parameters
    ).scalar()
    plans: Any = json.loads(plan) if isinstance(plan, str) else plan
    for node in _nodes(plans[0]["Plan"]):
        kind, index = node["Node Type"], node.get("Index Name", "")
        if kind == "Seq Scan":
            yield f"{node['Relation Name']} whole"
        elif "Index" in kind and "Index Cond" not in node and index not in partial:
            yield f"{node.get('Relation Name', index)} whole by {index}"


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)
