"""`--metrics`: what Prometheus reads of several processes, and from where alone."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from app import create_app, metrics
from app.config import Config
from app.models import Message
from app.services.audit import EventKind
from app.wiring import wire
from tests.cli.test_cli import Operator, Terminal, bare, terminal  # noqa: F401 (a fixture)
from tests.cli.test_sending_workers import running
from tests.conftest import (
    ONE_DATABASE,
    ROOT,
    FixedClock,
    Harbor,
    OverHttp,
    RunningClock,
    Server,
    make_config,
    serving,
    wait_for,
)
from tests.office import Office, settings
from tests.ports import free_port
from tests.providers.servers import Authority, post

JUNK = ["FOO", "GATEHOUSE", "X" * 20]
AT_ONCE = 8


@dataclass
class Prometheus:
    """What scrapes an address."""

    port: int

    def text(self) -> str:
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return str(answer.read().decode())

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            return "gatehouse_build_info" in self.text()
        return False

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the values of one metric by those of its labels, in the order of their names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        }

    def labels(self) -> set[str]:
        families = text_string_to_metric_families(self.text())
        return {name for family in families for one in family.samples for name in one.labels}

    def total(self, name: str, *labels: str) -> float:
        found = self.samples(name)
        return sum(value for key, value in found.items() if set(labels) <= set(key))


@dataclass
class Watched:
    """A server with its metrics."""

    server: Server
    prometheus: Prometheus
    folder: Path

    def children(self) -> list[int]:
        pid = self.server.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def web_workers(self) -> list[int]:
        """Return those that were forked: the companions have a command line of their own."""
        own = Path(f"/proc/{self.server.process.pid}/cmdline").read_bytes()
        return [one for one in self.children() if Path(f"/proc/{one}/cmdline").read_bytes() == own]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("counter_*"))


@pytest.fixture
def watched(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    """Two web workers and who answers Prometheus, with a folder for temporary files of its own."""
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setenv("TMPDIR", str(kept))
    port, prometheus = free_port(), Prometheus(free_port())
    config = make_config(
        database_url,
        tmp_path,
        base_url=f"http://localhost:{port}",
        address_limit="9999 per second",
    )
    words = ("--no-worker", "--metrics", f"127.0.0.1:{prometheus.port}")
    with serving(config, tmp_path / "server.log", *words) as server:
        wait_for(prometheus.is_up)
        [folder] = kept.iterdir()
        yield Watched(server, prometheus, folder)
    assert not folder.exists()


def asks(config: Config, number: int, path: str = "/healthz") -> None:
    """Ask at the same moment, so that both workers have something to do."""
    wire_ = OverHttp(config.base_url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert {one.status for one in pool.map(lambda _: wire_.request("GET", path), range(number))}


@ONE_DATABASE
def test_the_counts_of_two_workers_add_up_and_outlive_them(watched: Watched) -> None:
    config, prometheus = watched.server.config, watched.prometheus
    for _ in range(10):
        asks(config, 20)
        if len(watched.files()) == 2:
            break
    before = prometheus.total("gatehouse_requests_total", "/healthz", "GET", "2xx")
    asks(config, 60)
    assert len(watched.files()) == 2  # both had some
    assert prometheus.total("gatehouse_requests_total", "/healthz") == before + 60
    count = prometheus.total("gatehouse_request_seconds_count", "health")
    assert count == prometheus.total("gatehouse_requests_total")
    [first, second] = watched.web_workers()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(watched.web_workers()) == 2 and first not in watched.web_workers())
    assert prometheus.total("gatehouse_requests_total", "/healthz") == before + 60
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: second not in watched.web_workers() and len(watched.web_workers()) == 2)
    asks(config, 40)
    wait_for(lambda: prometheus.total("gatehouse_requests_total", "/healthz") >= before + 100)
    assert prometheus.total("gatehouse_requests_total", "/healthz") == before + 100
    assert len(watched.files()) == 2  # the new workers took the places of the dead


@ONE_DATABASE
def test_one_sign_in_is_counted_by_names_of_ours_alone(watched: Watched) -> None:
    config, prometheus = watched.server.config, watched.prometheus
    wired = wire(config)
    harbor = Harbor(OverHttp(config.base_url), wired, RunningClock(), config.base_url)
    signs_in(harbor)
    for method in JUNK:
        harbor.wire.request(method, f"/nobody/{method}?user=ada@harbor.example")
    harbor.wire.request(
        "GET", "/healthz", headers={"Host": "a_b.internal", "User-Agent": "Mallory"}
    )
    harbor.wire.request("GET", "/evil", headers={"Host": "evil.example"})

    assert prometheus.samples("gatehouse_verifications_total") == {
        ("totp", "accepted"): 1.0,
        ("totp", "wrong"): 1.0,
    }
    assert prometheus.samples("gatehouse_results_total") == {("rest",): 1.0}
    every_label_is_of_a_list(config, prometheus)
    for secret in (
        "ada",
        "harbor",
        "127.0.0.1",
        "Mallory",
        "evil",
        harbor.ada,
        harbor.notes.client_id,
    ):
        assert secret not in prometheus.text()

    public = harbor.wire.request("GET", "/metrics")
    assert public.status == 404
    assert "gatehouse_" not in public.text
    wired.database.engine.dispose()


def every_label_is_of_a_list(config: Config, prometheus: Prometheus) -> None:
    routes = {rule.rule for rule in create_app(config).url_map.iter_rules()} | {"unknown"}
    methods = {"GET", "POST", "other"}
    seen = prometheus.samples("gatehouse_requests_total")
    assert {key[0] for key in seen} <= methods
    assert {key[1] for key in seen} <= routes
    assert {key[2] for key in seen} <= {f"{number}xx" for number in range(1, 6)}
    assert prometheus.total("gatehouse_requests_total", "other", "unknown") == len(JUNK)
    doors = {key[0] for key in prometheus.samples("gatehouse_request_seconds_count")}
    assert {"gateway", "api_v2", "health", "unknown"} <= doors
    assert {key[0] for key in prometheus.samples("gatehouse_events_total")} <= set(EventKind)
    assert prometheus.samples("gatehouse_queue_waiting")[("seals",)] > 0
    assert prometheus.labels() <= {
        *("channel", "database", "door", "kind", "le", "method", "outcome", "python"),
        *("queue", "route", "state", "status", "version"),
    }


def signs_in(harbor: Harbor) -> None:
    """Let Ada set a phone up, with one wrong code."""
    browser = harbor.browser()
    browser.goes_to(harbor.notes.opens(harbor.ada)["url"])
    phone = browser.sets_up()
    browser.types(harbor.wrong_codes(phone)[0])
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert browser.back["result"]


@ONE_DATABASE
def test_a_database_that_fails_is_counted_and_does_not_end_the_metrics(watched: Watched) -> None:
    config, prometheus = watched.server.config, watched.prometheus
    assert prometheus.samples("gatehouse_database_up") == {(): 1.0}
    engine = sa.create_engine(config.database)
    with engine.begin() as connection:
        for table in ("signing_keys", "messages"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_gone")
    try:
        asks(config, 3, "/.well-known/jwks.json")
        assert prometheus.total("gatehouse_database_errors_total") >= 3
        assert prometheus.samples("gatehouse_database_up") == {(): 0.0}
        assert prometheus.samples("gatehouse_queue_waiting") == {}
        assert prometheus.total("gatehouse_requests_total", "5xx") == 3
    finally:
        with engine.begin() as connection:
            for table in ("signing_keys", "messages"):
                connection.exec_driver_sql(f"ALTER TABLE {table}_gone RENAME TO {table}")
        engine.dispose()


@ONE_DATABASE
def test_a_worker_of_its_own_counts_messages_and_tells_what_waits(
    database_url: str,
    tmp_path: Path,
    authority: Authority,
    certificate: ssl.SSLContext,
) -> None:
    config, prometheus = settings(database_url, tmp_path, authority), Prometheus(free_port())
    wired = wire(config)
    office = Office(wired, FixedClock(wired.clock.now()))
    with post("starttls", certificate) as server:
        office.mail_server(server)
        server.replies["rcpt"] = "550 5.1.1 nobody"
        words = ("worker", "--metrics", f"127.0.0.1:{prometheus.port}")
        tomorrow = sa.update(Message).where(Message.id == office.code().id)
        with wired.database.writing() as tx:
            tx.execute(tomorrow.values(due_at=office.clock.now() + timedelta(days=1)))
        office.codes(1)
        with running(config, tmp_path / "worker.log", *words):
            wait_for(lambda: office.statuses() == {"failed": 1, "queued": 1}, 60)
            server.replies.clear()
            office.codes(3)
            wait_for(lambda: office.statuses() == {"failed": 1, "queued": 1, "sent": 3}, 60)
            wait_for(prometheus.is_up)
            found = prometheus.samples("gatehouse_messages_total")
            assert found == {("email", "failed"): 1.0, ("email", "sent"): 3.0}
            assert prometheus.samples("gatehouse_queue_waiting")[("messages",)] == 1
            assert prometheus.samples("gatehouse_queue_oldest_seconds")[("messages",)] == 0
    wired.database.engine.dispose()


def test_nothing_is_served_unless_it_is_asked_for(
    terminal: Terminal,  # noqa: F811
    tmp_path: Path,
) -> None:
    operator = Operator(terminal, tmp_path)
    for wrong in ("9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":9464"):
        told = operator.fails("serve", "--metrics", wrong, code=2)
        assert "HOST:PORT" in told
    assert "Off by default" in operator.types("serve", "--help").stdout
    assert "metrics" not in [
        line.split()[0] for line in operator.types("--help").stdout.splitlines() if line.strip()
    ]


@ONE_DATABASE
def test_a_server_that_was_not_asked_has_nothing_to_read(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setenv("TMPDIR", str(kept))
    config = make_config(database_url, tmp_path, base_url=f"http://localhost:{free_port()}")
    with serving(config, tmp_path / "server.log", "--no-worker") as server:
        assert list(kept.glob("gatehouse-*")) == []
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) == 2


def test_processes_take_seats_and_leave_them_to_the_next(tmp_path: Path) -> None:
    mine = metrics.Seats(tmp_path)
    assert [mine(), mine()] == [0, 0]
    script = "import sys; from pathlib import Path; from app.metrics import Seats; "
    script += "print(Seats(Path(sys.argv[1]))(), flush=True); sys.stdin.readline()"
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        other.kill()
    assert metrics.Seats(tmp_path)() == 1  # the dead one's; ours is taken
    assert mine() == 0
