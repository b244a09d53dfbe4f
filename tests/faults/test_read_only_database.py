"""A database that may only be read refuses, and goes on by itself once it may be written."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.test_worker import needs_proc
from tests.faults.conftest import Frail
from tests.faults.load import Load
from tests.faults.test_killed_web_workers import web_workers

pytestmark = [pytest.mark.both_databases, pytest.mark.soak]
TIMES = 4
"""In the long form."""


@needs_proc
def test_a_read_only_database_loses_nothing_and_lets_nobody_in(frail: Frail, soak: bool) -> None:
    """PostgreSQL turns into a standby; SQLite's files lose their right before workers start."""
    with Load(frail.harbor, people=80 if soak else 30) as load:
        load.goes_on()
        for _ in range(TIMES if soak else 1):
            frail.database.forbids_writing()
            for pid in web_workers(frail.server):  # they would go on with a file that is open
                os.kill(pid, signal.SIGKILL)
            load.notices(10)
            frail.database.allows_writing()
            load.goes_on()
    print(f"\n{load.counts}")
    load.proves()
    assert frail.server.process.poll() is None
