"""Which tests a quick run does on both databases, which it does on one, and which it measures.

What a page says or a form takes doesn't depend on the database below it. So of such a test the
quick run does one of the two twins, picked by a hash of its name: half of each file's tests meet
SQLite, the others PostgreSQL, and always the same. Both twins run where SQL, locks or the schema
are the point.

Where both twins run, the branches of `app` are measured by the one on SQLite; nor are they where
real processes race or break, since all that those do is measured elsewhere.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable

import pytest

DATABASES = ("sqlite", "postgresql")
MARK = "both_databases"
"""Marks files where SQL, locks or the schema are the point."""
_PLACES = ("tests/services/", "tests/test_db.py", "tests/test_migrations.py")
_COMMANDS = "tests/cli/"
"""They share a process, which is measured from its start or never: tests/cli/warm.py."""
_FIXTURES = {"server", "live_harbor", "tls_server", "empty_database_url"}
"""Several processes that meet in the database, and a database without a schema."""
_PARAMETER = re.compile(rf"(?<=[\[-])({'|'.join(DATABASES)})(?=[\]-])")


def twins_to_skip(tests: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return the tests that a quick run leaves to their twin on the other database."""
    twins: dict[str, dict[str, pytest.Item]] = {}
    for test in tests:
        if (found := _PARAMETER.search(test.nodeid)) and not _needs_both(test):
            name = _PARAMETER.sub("", test.nodeid, count=1)
            twins.setdefault(name, {})[found[1]] = test
    return {
        pair[DATABASES[zlib.crc32(name.encode()) % 2]]
        for name, pair in twins.items()
        if len(pair) == len(DATABASES)
    }


def is_measured(test: pytest.Item, run: Collection[str]) -> bool:
    """Tell whether a test is one that branches are measured by.

    Args:
        run: the ids of all tests that run.
    """
    if any(test.iter_markers("soak")):
        return False
    twin = test.nodeid.replace("postgresql", "sqlite")
    return twin == test.nodeid or twin not in run or test.nodeid.startswith(_COMMANDS)


def _needs_both(test: pytest.Item) -> bool:
    return (
        test.nodeid.startswith(_PLACES)
        or not _FIXTURES.isdisjoint(getattr(test, "fixturenames", ()))
        or any(test.iter_markers(MARK))
        or any(test.iter_markers("browser"))  # they ask for a second one only where they want it
    )
