"""The next release's schema arrives, and servers are restarted, while people sign in."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.config import Config
from app.wiring import wire
from tests.conftest import (
    GATEHOUSE,
    FixedClock,
    Harbor,
    OverHttp,
    Server,
    make_config,
    serving,
)
from tests.faults.load import Load
from tests.ports import free_port
from tests.upcoming import EXPANDS, INDEXES, Upcoming

pytestmark = [pytest.mark.both_databases, pytest.mark.soak]
RESTARTS = 5
"""In the long form."""


_HANDS_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does with a socket; some shells know no file by a number above 9."""


class Unit:
    """A service whose socket systemd holds (systemd.socket(5)): who calls meanwhile, waits."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._running = ExitStack()
        self._socket = socket.create_server(
            ("127.0.0.1", int(config.base_url.rpartition(":")[2])), backlog=128
        )
        self.starts = 0

    def restarts(self) -> Server:
        """End what runs, once it has answered; only then start it anew."""
        self._running.close()
        self.starts += 1
        number = self._socket.fileno()
        command = (sys.executable, "-c", _HANDS_OVER, str(number), GATEHOUSE)
        log = self._folder / f"{self.starts}.log"
        return self._running.enter_context(
            serving(self._config, log, "--no-sender", command=command, keeps=[number])
        )

    def stops(self) -> None:
        self._running.close()
        self._socket.close()


@contextmanager
def managed(config: Config, folder: Path) -> Iterator[Unit]:
    unit = Unit(config, folder)
    try:
        unit.restarts()
        yield unit
    finally:
        unit.stops()


def test_no_request_fails_while_the_next_release_s_schema_arrives_and_servers_restart(
    database_url: str, tmp_path: Path, soak: bool
) -> None:
    base_url = f"http://localhost:{free_port()}"
    more = {"base_url": base_url, "address_limit": "9999 per second"}
    config = make_config(database_url, tmp_path, **more)
    upcoming = Upcoming(tmp_path / "migrations", [EXPANDS, INDEXES])
    with managed(config, tmp_path) as unit:
        wired = wire(config)
        harbor = Harbor(OverHttp(base_url), wired, FixedClock(wired.clock.now()), base_url)
        with Load(harbor, people=80 if soak else 30) as load:
            load.goes_on(3)
            upcoming.upgrades(wired.database)
            load.goes_on(3)
            for _ in range(RESTARTS if soak else 1):
                server = unit.restarts()  # this release's code starts on the next one's schema
                load.goes_on(3)
        print(f"\n{load.counts}")
        assert load.broken == []
        ready = harbor.wire.request("GET", "/readyz")
        assert (ready.status, ready.json["migrations"]) == (200, "ahead")
        load.proves()
        assert "Traceback" not in server.log.read_text()
    wired.database.engine.dispose()
