"""The worker: what is done beside answering requests, as a process and inside one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import worker
from app.config import Config
from app.models import Environment, Event, Organization
from app.services.audit import OPERATOR
from app.wiring import Services, wire
from app.worker import JOBS, Job, Worker
from tests.conftest import (
    ONE_DATABASE,
    PATIENCE,
    ROOT,
    Server,
    _answers,
    environment_of,
    wait_for,
)
from tests.ports import free_port

pytestmark = pytest.mark.both_databases

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


def unsealed(services: Services) -> int:
    with services.database.reading() as tx:
        waiting = sa.select(sa.func.count()).select_from(Event).where(Event.seal_id.is_(None))
        return int(tx.scalar(waiting) or 0)


def something_happens(services: Services, name: str = "Pier") -> Organization:
    with services.database.writing() as tx:
        return services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name=name
        )


# In this process


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    wired = wire(config)
    yield wired
    wired.database.engine.dispose()


def runs(made: Worker) -> threading.Thread:
    thread = threading.Thread(target=made.run)
    thread.start()
    return thread


@ONE_DATABASE
def test_a_job_that_fails_is_logged_and_tried_again_and_holds_up_no_other(
    services: Services, no_secret_in_logs: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[float] = []
    worked: list[float] = []

    def fails(_: Services) -> bool:
        tried.append(time.monotonic())
        raise RuntimeError("the disk is full")

    def works(_: Services) -> bool:
        worked.append(time.monotonic())
        return False

    jobs = (Job(name="fails", every=0.05, run=fails), Job(name="works", every=0.05, run=works))
    made = Worker(services, jobs)
    thread = runs(made)
    wait_for(lambda: len(tried) > 3 and len(worked) > 3)
    made.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    heard = no_secret_in_logs.getvalue() + capsys.readouterr().out
    assert heard.count("job_failed") >= 3
    assert "the disk is full" in heard


@ONE_DATABASE
def test_a_job_that_has_more_to_do_goes_on_at_once(services: Services) -> None:
    left = [True] * 20

    def empties(_: Services) -> bool:
        return left.pop() if left else False

    made = Worker(services, (Job(name="empties", every=3600, run=empties),))
    thread = runs(made)
    wait_for(lambda: not left)
    made.stop()
    thread.join(PATIENCE)


@ONE_DATABASE
def test_a_worker_that_nobody_wants_any_more_ends(services: Services) -> None:
    made = Worker(services, (Job(name="rests", every=3600, run=lambda _: False),))
    began = time.monotonic()
    made.run(lambda: False)
    assert time.monotonic() - began < 25


@ONE_DATABASE
def test_a_job_that_is_long_at_it_does_not_keep_the_worker_from_ending(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LAST_WORDS_SECONDS", 0.2)
    held = threading.Event()
    made = Worker(services, (Job(name="long", every=1, run=lambda _: held.wait(30)),))
    began = time.monotonic()
    made.run(lambda: False)
    assert time.monotonic() - began < 25
    held.set()


def test_every_job_can_run_when_there_is_nothing_to_do(services: Services) -> None:
    for job in JOBS:
        while job.run(services):
            pass
    assert {job.name for job in JOBS} >= {"seal_events", "retention", "import_users"}


# As an operator runs it


def start(config: Config, log: Path, *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            [GATEHOUSE, "worker", *words], env=environment_of(config), stderr=stream, cwd=ROOT
        )


def test_the_worker_seals_and_ends_when_it_is_told_to(config: Config, tmp_path: Path) -> None:
    wired = wire(config)
    something_happens(wired)
    process = start(config, tmp_path / "worker.log")
    try:
        wait_for(lambda: unsealed(wired) == 0)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    assert wired.seal_checks.check().breaks == []
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
    wired.database.engine.dispose()


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def words_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def worker_of(server: Server) -> int | None:
    found = [pid for pid in children(server.process.pid) if "worker" in words_of(pid)]
    return found[0] if found else None


def is_alive(pid: int) -> bool:
    return bool(words_of(pid))


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")


@needs_proc
def test_serve_runs_a_worker_and_replaces_one_that_died(server: Server) -> None:
    wired = wire(server.config)
    something_happens(wired)
    wait_for(lambda: unsealed(wired) == 0)
    first = worker_of(server)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: worker_of(server) not in {None, first})
    something_happens(wired, "Quay")
    wait_for(lambda: unsealed(wired) == 0)
    second = worker_of(server)
    assert second is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=PATIENCE) == 0
    assert not is_alive(second)
    wired.database.engine.dispose()


@needs_proc
@ONE_DATABASE
def test_the_worker_ends_with_a_server_that_was_killed(server: Server) -> None:
    wait_for(lambda: worker_of(server) is not None)
    beside = worker_of(server)
    assert beside is not None
    server.process.kill()
    server.process.wait(timeout=PATIENCE)
    wait_for(lambda: not is_alive(beside))


@needs_proc
@ONE_DATABASE
def test_serve_without_a_worker_runs_none(config: Config, tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "server.log").open("wb") as stream:
        process = subprocess.Popen(
            [GATEHOUSE, "serve", "--bind", f"127.0.0.1:{port}", "--no-worker"],
            env=environment_of(config),
            stderr=stream,
            cwd=ROOT,
        )
    try:
        wait_for(lambda: _answers(port))
        time.sleep(1.5)
        assert not any("--parent" in words_of(pid) for pid in children(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)
