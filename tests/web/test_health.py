"""/healthz and /readyz: what a load balancer asks, by whatever name it knows us."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app import create_app
from app.config import Config
from app.models import Event
from tests.actors import Reply
from tests.conftest import Harbor, InProcess, make_config

HOSTS = ["localhost", "10.0.0.7", "10.0.0.7:8000", "[::1]:8000", "evil.example", "a_b.internal"]


def test_both_answer_to_any_host(harbor: Harbor) -> None:
    for host in HOSTS:
        alive = harbor.wire.request("GET", "/healthz", headers={"Host": host})
        assert (alive.status, alive.json) == (200, {"status": "ok"})
        ready = harbor.wire.request("GET", "/readyz", headers={"Host": host})
        assert ready.status == 200
        assert ready.json == {"status": "ok", "database": "ok", "migrations": "at head"}
        assert ready.headers["cache-control"] == "no-store"


def test_nothing_else_answers_to_another_host(harbor: Harbor) -> None:
    for path in ("/.well-known/jwks.json", "/oauth/token", "/gateway/x", "/nothing", "/healthz/"):
        reply = harbor.wire.request("GET", path, headers={"Host": "evil.example"})
        assert reply.status == 421, path


def test_they_need_no_proof_and_write_nothing(harbor: Harbor) -> None:
    before = harbor.rows(sa.select(sa.func.count()).select_from(Event))
    for path in ("/healthz", "/readyz"):
        for method in ("GET", "HEAD"):
            assert harbor.wire.request(method, path).status == 200
    assert harbor.rows(sa.select(sa.func.count()).select_from(Event)) == before


def test_an_older_schema_is_alive_and_not_ready(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    assert harbor.wire.request("GET", "/healthz").status == 200
    ready = harbor.wire.request("GET", "/readyz")
    assert ready.status == 503
    assert ready.json == {"status": "unavailable", "database": "ok", "migrations": "behind"}


@pytest.mark.parametrize(
    ("revision", "status", "told"),
    [("9999_since_0001", 200, "ahead"), ("9999_since_9998", 503, "outgrown")],
)
def test_a_later_schema_is_ready_as_long_as_this_code_runs_on_it(
    revision: str, status: int, told: str, harbor: Harbor
) -> None:
    version = sa.table("alembic_version", sa.column("version_num"))
    harbor.executes(version.update().values(version_num=revision))
    ready = harbor.wire.request("GET", "/readyz")
    assert (ready.status, ready.json["migrations"]) == (status, told)


def test_a_database_without_a_schema_is_not_ready(empty_database_url: str, tmp_path: Path) -> None:
    wire = in_process(make_config(empty_database_url, tmp_path))
    assert wire.request("GET", "/readyz").json["migrations"] == "behind"
    wire.client.application.extensions["gatehouse"].database.engine.dispose()


def in_process(config: Config) -> InProcess:
    return InProcess(create_app(config).test_client(use_cookies=False))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nobody:hush@127.0.0.1:1/nothing",
        "sqlite:////nowhere/at/all/gatehouse.sqlite3",
    ],
)
def test_without_its_database_it_is_alive_and_not_ready(tmp_path: Path, url: str) -> None:
    wire = in_process(make_config(url, tmp_path))
    assert wire.request("GET", "/healthz").status == 200
    ready = wire.request("GET", "/readyz")
    assert ready.status == 503
    assert ready.json == {"status": "unavailable", "database": "unreachable"}
    assert "hush" not in ready.text
    wire.client.application.extensions["gatehouse"].database.engine.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_goes_away_and_comes_back_is_noticed(harbor: Harbor) -> None:
    assert harbor.wire.request("GET", "/readyz").status == 200
    assert harbor.backend.token  # asked for as long as it can be given
    visit = harbor.notes.opens(harbor.ada)["url"]
    url = harbor.services.database.engine.url
    name = url.database
    server = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    every = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(every, {"name": name})
        gone = harbor.wire.request("GET", "/readyz")
        assert (gone.status, gone.json["database"]) == (503, "unreachable")
        assert harbor.wire.request("GET", "/healthz").status == 200
        _sends_elsewhere(harbor.backend.calls("GET", "/organizations"), "internal_error")
        page = harbor.browser().goes_to(visit)
        _sends_elsewhere(page, "Open the page again")
        assert 'href=""' in page.text  # the very address, with what proves whose visit it is
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()
    assert harbor.wire.request("GET", "/readyz").status == 200
    assert harbor.backend.calls("GET", "/organizations").status == 200


def _sends_elsewhere(reply: Reply, why: str) -> None:
    """A proxy with another host behind it may ask that one."""
    assert (reply.status, reply.headers["retry-after"]) == (504, "5"), reply.text
    assert why in reply.text
