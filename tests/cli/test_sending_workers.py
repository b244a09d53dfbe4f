"""Workers that send, as an operator runs them: several at once, told not to, and told to end."""

from __future__ import annotations

import contextlib
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Config
from app.models import Event
from app.wiring import wire
from tests.conftest import (
    ONE_DATABASE,
    ROOT,
    FixedClock,
    _answers,
    environment_of,
    wait_for,
)
from tests.office import Office, settings
from tests.ports import free_port
from tests.providers.servers import Authority, Post, post

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


@pytest.fixture
def config(database_url: str, tmp_path: Path, authority: Authority) -> Config:
    return settings(database_url, tmp_path, authority, sender_threads=4)


@pytest.fixture
def server(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made


@pytest.fixture
def office(config: Config, server: Post) -> Iterator[Office]:
    wired = wire(config)
    made = Office(wired, FixedClock(wired.clock.now()))
    made.mail_server(server)
    yield made
    wired.database.engine.dispose()


@contextlib.contextmanager
def running(config: Config, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, and see that it ends as it should."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [GATEHOUSE, *words], env=environment_of(config), stderr=stream, cwd=ROOT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0
    assert "Traceback" not in log.read_text()


def test_several_workers_send_each_message_once(
    office: Office, server: Post, config: Config, tmp_path: Path
) -> None:
    server.seconds = 0.1
    with (
        running(config, tmp_path / "one.log", "worker"),
        running(config, tmp_path / "two.log", "worker"),
    ):
        posted = office.codes(40)
        wait_for(lambda: office.statuses() == {"sent": 40}, 120)
    assert Counter(mail.recipients[0] for mail in server.mails) == Counter(
        one.recipient for one in posted
    )


def test_a_worker_that_is_told_to_end_sees_its_messages_through(
    office: Office, server: Post, config: Config, tmp_path: Path
) -> None:
    posted = office.codes(8)
    server.seconds = 3
    with running(config, tmp_path / "worker.log", "worker") as process:
        wait_for(lambda: len(server.tried) == 4, 90)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert time.monotonic() - begun < 25
    assert Counter(office.status(one) for one in posted) == {"sent": 4, "queued": 4}
    assert len(server.mails) == len(server.tried) == 4


def sealed(office: Office) -> bool:
    with office.services.database.reading() as tx:
        waiting = sa.select(sa.func.count()).select_from(Event).where(Event.seal_id.is_(None))
        return tx.scalar(waiting) == 0


@ONE_DATABASE
def test_a_worker_without_a_sender_does_everything_else(
    office: Office, server: Post, config: Config, tmp_path: Path
) -> None:
    posted = office.code()
    with running(config, tmp_path / "worker.log", "worker", "--no-sender"):
        wait_for(lambda: sealed(office), 90)
        time.sleep(2)
        assert office.status(posted) == "queued"
    with running(config, tmp_path / "sender.log", "worker"):
        wait_for(lambda: office.status(posted) == "sent", 90)
    assert len(server.mails) == 1


@ONE_DATABASE
@pytest.mark.parametrize("sends", [True, False])
def test_serve_sends_beside_its_web_workers_unless_it_is_told_not_to(
    sends: bool, office: Office, server: Post, config: Config, tmp_path: Path
) -> None:
    posted = office.code()
    port = free_port()
    words = ["serve", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    with running(config, tmp_path / "serve.log", *words, *([] if sends else ["--no-sender"])):
        wait_for(lambda: _answers(port), 90)
        wait_for(lambda: sealed(office), 90)
        if sends:
            wait_for(lambda: office.status(posted) == "sent", 90)
        else:
            time.sleep(2)
            assert office.status(posted) == "queued"
    assert len(server.mails) == int(sends)
