"""Web workers that are killed at any point lose nothing that was acknowledged."""

from __future__ import annotations

import os
import secrets
import signal
import time

import pytest

from tests.cli.test_worker import children, needs_proc, words_of
from tests.conftest import Harbor, Server, wait_for
from tests.faults.load import Load

KILLS = 4
LONGER = 5


@needs_proc
@pytest.mark.soak
def test_killed_web_workers_lose_nothing_and_let_nobody_in(
    server: Server, live_harbor: Harbor, soak: bool
) -> None:
    """Again and again, one of the two dies in the middle of what it is at."""
    with Load(live_harbor, people=80 if soak else 40) as load:
        load.goes_on()
        for _ in range(KILLS * (LONGER if soak else 1)):
            wait_for(lambda: len(web_workers(server)) == 2)
            time.sleep(secrets.randbelow(500) / 1000)
            os.kill(secrets.choice(web_workers(server)), signal.SIGKILL)
            load.goes_on(1)
    assert load.broken, "nobody was at anything when it was killed"
    print(f"\n{load.counts}")
    load.proves()
    assert server.process.poll() is None


def web_workers(server: Server) -> list[int]:
    """Return the processes of the server that answer requests."""
    return [pid for pid in children(server.process.pid) if "worker" not in words_of(pid)]
