"""A database whose disk is full refuses, and goes on by itself once there is room."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Frail, can_mount
from tests.faults.load import Load

pytestmark = [pytest.mark.both_databases, pytest.mark.soak]
FILLED = 4
"""Times, in the long form."""


@can_mount
def test_a_full_disk_loses_nothing_and_lets_nobody_in(frail: Frail, soak: bool) -> None:
    with Load(frail.harbor, people=80 if soak else 30) as load:
        load.goes_on()
        for _ in range(FILLED if soak else 1):
            frail.database.disk.fill()
            load.notices()
            assert frail.harbor.wire.request("GET", "/healthz").status == 200
            frail.database.disk.empty()
            frail.database.starts()
            load.goes_on()
    print(f"\n{load.counts}")
    load.proves()
    assert frail.server.process.poll() is None
