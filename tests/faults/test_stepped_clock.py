"""A clock that is set forward, and back again, makes nothing count twice."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.wiring import wire
from tests.conftest import (
    FixedClock,
    Harbor,
    OverHttp,
    make_config,
    serving,
)
from tests.faults.load import Load, code_of
from tests.faults.stepped import OFFSET
from tests.ports import free_port

pytestmark = [pytest.mark.both_databases, pytest.mark.soak]
FORWARD, BACK = 1800, -45
"""Seconds: gateway sessions last 15 minutes, and a code about one."""
TIMES = 5
"""In the long form."""


class Stepped:
    """The clock of the machine that the server runs on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.to(0)

    def to(self, offset: int) -> None:
        """Set it, so many seconds off."""
        draft = self._file.with_suffix(".new")
        draft.write_text(str(offset))
        draft.replace(self._file)
        self.offset = offset

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(seconds=self.offset)


def test_a_clock_that_is_set_either_way_makes_nothing_count_twice(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soak: bool
) -> None:
    monkeypatch.setenv(OFFSET, str(tmp_path / "offset"))
    clock, base_url = Stepped(tmp_path / "offset"), f"http://localhost:{free_port()}"
    more = {"base_url": base_url, "address_limit": "9999 per second"}
    config, wired = make_config(database_url, tmp_path, **more), None
    command = (sys.executable, "-m", "tests.faults.stepped")
    with serving(config, tmp_path / "server.log", "--no-worker", command=command) as server:
        wired = wire(config)
        harbor = Harbor(OverHttp(base_url), wired, FixedClock(clock.now()), base_url)
        with Load(harbor, people=80 if soak else 40, clock=clock.now) as load:
            load.goes_on(3)
            for _ in range(TIMES if soak else 1):
                clock.to(FORWARD)
                load.goes_on(3)
                clock.to(0)
                load.goes_on(3)
                clock.to(BACK)
                load.goes_on(3)
                clock.to(0)
        print(f"\n{load.counts}")
        load.proves()
        clock.to(BACK)
        what_was_used_stays_used(harbor, load)
        assert load.broken == []
        assert server.process.poll() is None
    wired.database.engine.dispose()


def what_was_used_stays_used(harbor: Harbor, load: Load) -> None:
    """Even while the clock says that its time has not come yet."""
    for one in load.redeemed[-3:]:
        assert harbor.notes.redeems(one.session_id, one.result).status in {409, 422}
        reply = harbor.visits(one.person.id).types(code_of(one.person.phone, one.step))
        assert reply.status == 422
