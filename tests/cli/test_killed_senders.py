"""Senders that are killed at any point lose no message, and send none to a wrong address."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
import sqlalchemy as sa

from app.config import Config
from app.models import Message, MessageStatus
from app.wiring import Services, wire
from tests.conftest import ROOT, FixedClock, environment_of, wait_for
from tests.office import Office, Posted, settings
from tests.providers.servers import Authority, Mail, Post, post

MESSAGES, KILLS, ALIVE = 200, 25, 3
LONGER = 4
"""So many times as much, in the long form."""
HELD, DEADLINE = 6, 3
"""Seconds; shorter than usual, to save the test's time."""


class Senders:
    """Processes that send, a few at a time.

    Args:
        kills: how many of them may be lost.
    """

    def __init__(self, config: Config, log: Path, kills: int) -> None:
        self.killed, self.kills = 0, kills
        self._alive: list[int] = []
        self._lock = Lock()
        with log.open("wb") as stream:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.nursery"],
                env=environment_of(config),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                cwd=ROOT,
                text=True,
            )
        self._says(f"{HELD} {DEADLINE}")

    def _says(self, line: str) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(f"{line}\n")
        self._nursery.stdin.flush()

    def starts(self) -> None:
        assert self._nursery.stdout is not None
        with self._lock:
            self._says("another")
            self._alive.append(int(self._nursery.stdout.readline()))

    def loses(self) -> None:
        """Kill one of them, wherever it is, and start another in its place."""
        with self._lock:
            if self.killed == self.kills:
                return
            self.killed += 1
            one = self._alive.pop(secrets.randbelow(len(self._alive)))
        os.kill(one, signal.SIGKILL)
        self.starts()

    def loses_all(self) -> None:
        """Kill all that live now, so that whoever is at something is killed at it."""
        with self._lock:
            self.killed += len(self._alive)
            lost, self._alive = self._alive, []
        for one in lost:
            os.kill(one, signal.SIGKILL)
        for _ in lost:
            self.starts()

    def end(self) -> None:
        for one in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        with self._nursery:
            assert self._nursery.stdin is not None
            self._nursery.stdin.close()


@pytest.fixture
def config(database_url: str, tmp_path: Path, authority: Authority) -> Config:
    return settings(database_url, tmp_path, authority, sender_threads=4)


@pytest.fixture
def server(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made


@pytest.fixture
def senders(server: Post, config: Config, tmp_path: Path, soak: bool) -> Iterator[Senders]:
    made = Senders(config, tmp_path / "senders.log", KILLS * (LONGER if soak else 1))
    yield made
    made.end()


@pytest.mark.soak
def test_killed_senders_lose_no_message_and_send_none_to_a_wrong_address(
    senders: Senders, server: Post, config: Config, soak: bool
) -> None:
    """200 codes; twice a second or so a sender dies, more of them with a mail half said."""
    wired = wire(config)
    office = Office(wired, FixedClock(wired.clock.now()))
    office.mail_server(server)
    server.seconds = 0.05

    def dies_with_the_mail_in_its_hand(mail: Mail) -> None:
        if secrets.randbelow(12) == 0:
            senders.loses()

    server.meanwhile = dies_with_the_mail_in_its_hand
    number = MESSAGES * (LONGER if soak else 1)
    posted = office.codes(number)  # while the nursery is imported
    for _ in range(ALIVE):
        senders.starts()
    while senders.killed < senders.kills and office.statuses() != {"sent": number}:
        time.sleep(secrets.randbelow(1000) / 1000)
        senders.loses()
    wait_for(lambda: office.statuses() == {"sent": number}, 60)

    assert senders.killed == senders.kills
    each_has_its_own(server, posted)
    nothing_is_left(wired)
    wired.database.engine.dispose()


def each_has_its_own(server: Post, posted: list[Posted]) -> None:
    """Every recipient got the own code, maybe again, and nobody got any other."""
    came: dict[str, set[str]] = defaultdict(set)
    for mail in server.mails:
        [recipient] = mail.recipients
        came[recipient].add(mail.part("plain").strip())
    assert set(came) == set(server.tried) == {one.recipient for one in posted}
    assert came == {one.recipient: {one.text.strip()} for one in posted}


def nothing_is_left(services: Services) -> None:
    with services.database.reading() as tx:
        rows = tx.scalars(sa.select(Message)).all()
    assert {row.status for row in rows} == {MessageStatus.SENT}
    assert {row.body for row in rows} == {None}
    assert max(row.tries for row in rows) > 1, "nobody was at it when it was killed"
