"""A PostgreSQL that crashes and comes back is found again, and nothing acknowledged is lost."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.conftest import Frail
from tests.faults.load import Load

TIMES = 10
"""In the long form."""


@pytest.mark.soak
def test_a_restarted_postgresql_loses_nothing_and_lets_nobody_in(
    kept_frail: Callable[[str], Frail], soak: bool
) -> None:
    frail = kept_frail("postgresql")
    with Load(frail.harbor, people=80 if soak else 30) as load:
        load.goes_on()
        for number in range(TIMES if soak else 1):
            frail.database.ends("fast" if number % 2 else "immediate")
            load.notices()
            time.sleep(1)
            assert frail.harbor.wire.request("GET", "/readyz").status == 503
            frail.database.starts()
            load.goes_on()
    print(f"\n{load.counts}")
    load.proves()
    assert frail.server.process.poll() is None
