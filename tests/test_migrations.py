"""Migrations: from nothing to the newest schema, back, and there again; the models agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import app.models  # noqa: F401  (makes every table known)
from app import db, schema
from app.db import Base, Database
from app.schema import Standing, compared
from tests.conftest import PATIENCE
from tests.upcoming import EXPANDS, INDEXES, Upcoming


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    opened = Database(empty_database_url)
    yield opened
    opened.engine.dispose()


def shape(database: Database) -> dict[str, list[str]]:
    """Everything that a schema is made of, in a form that can be compared."""
    found = sa.inspect(database.engine)
    return {
        name: sorted(
            json.dumps(part, default=str, sort_keys=True)
            for part in (
                *found.get_columns(name),
                found.get_pk_constraint(name),
                *found.get_foreign_keys(name),
                *found.get_unique_constraints(name),
                *found.get_indexes(name),
            )
        )
        for name in found.get_table_names()
    }


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def test_an_empty_database_becomes_what_the_models_say(database: Database) -> None:
    assert not db.at_head(database.engine)
    db.upgrade(database.engine)
    assert db.at_head(database.engine)
    assert differences(database) == []
    assert set(shape(database)) == {*Base.metadata.tables, "alembic_version"}


def test_upgrading_again_changes_nothing(database: Database) -> None:
    db.upgrade(database.engine)
    before = shape(database)
    db.upgrade(database.engine)
    assert shape(database) == before


def test_each_step_goes_down_and_up_again(database: Database) -> None:
    settings = db._alembic(database.engine)
    revisions = [one.revision for one in ScriptDirectory.from_config(settings).walk_revisions()]
    db.upgrade(database.engine)
    newest = shape(database)
    for revision in revisions:
        command.downgrade(settings, "-1")
        assert not db.at_head(database.engine), revision
    assert set(shape(database)) == {"alembic_version"}
    for _ in revisions:
        command.upgrade(settings, "+1")
    assert db.at_head(database.engine)
    assert shape(database) == newest
    assert differences(database) == []


def sent_by(database: Database, settings: AlembicConfig, step: str) -> list[str]:
    """Migrate, and return the statements that it took."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(" ".join(statement.split()))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    command.upgrade(settings, step)
    sa.event.remove(database.engine, "before_cursor_execute", note)
    return sent


INDEX = r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)"
"""SQLite knows no other way, and its writers queue anyway."""
RULES = {
    r"ALTER TABLE \S+ RENAME": "renames",
    r"ALTER TABLE .* TYPE ": "changes a type",
    r"SET NOT NULL": "takes a long lock",
    r"ADD COLUMN (?!.*DEFAULT).*NOT NULL": "adds what the code before does not fill",
    r"ADD CONSTRAINT (?!.*NOT VALID)": "takes a long lock",
    INDEX: "takes a long lock",
    r"^(UPDATE|DELETE FROM|INSERT INTO) ": "moves rows",
    r"_alembic_tmp_": "makes a table anew",
}
"""What migrations/README.md says of every migration after the first."""
TAKES = re.compile(r"DROP (TABLE|COLUMN|CONSTRAINT)|UNIQUE")
_NEW = re.compile(r"CREATE TABLE (\S+)")


def breaches(statements: list[str], revision: str, before: str) -> list[str]:
    """Return what a migration does that servers of the release before would notice."""
    new = {made[1] for one in statements if (made := _NEW.match(one))}
    theirs = [one for one in statements if "alembic_version" not in one]
    theirs = [one for one in theirs if not any(f" ON {name} (" in one for name in new)]
    found = [
        f"{why}: {one}" for one in theirs for rule, why in RULES.items() if re.search(rule, one)
    ]
    if compared(revision, before) is not Standing.AHEAD:
        found.append("the code before it does not run on it")
    if any(map(TAKES.search, theirs)) and not revision.endswith(f"_since_{before[:4]}"):
        found.append("older code than the one before it needs what it takes")
    return found


def each_breach(database: Database) -> list[str]:
    """Run every migration, and return what each after the first does that it must not."""
    settings, sqlite = db._alembic(database.engine), database.engine.dialect.name == "sqlite"
    revisions = list(ScriptDirectory.from_config(settings).walk_revisions())[::-1]
    command.upgrade(settings, revisions[0].revision)
    return [
        breach
        for before, one in pairwise(revisions)
        for breach in breaches(
            [
                statement
                for statement in sent_by(database, settings, one.revision)
                if not (sqlite and re.match(INDEX, statement))
            ],
            one.revision,
            before.revision,
        )
    ]


def test_no_migration_stops_servers_of_the_release_before(database: Database) -> None:
    assert each_breach(database) == []


BAD = {
    "renames": 'op.alter_column("users", "email", new_column_name="mail")',
    "changes a type": 'op.alter_column("events", "address", type_=sa.Text())',
    "takes a long lock": 'op.create_index("ix_a", "events", ["address"])',
    "adds what the code before does not fill": (
        'op.add_column("users", sa.Column("a", sa.Integer(), nullable=False))'
    ),
    "moves rows": "op.execute(\"UPDATE users SET external_id = 'a'\")",
}


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_migration_that_would_stop_them_is_found(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Upcoming(tmp_path / "migrations", [f"def upgrade():\n    {bad}\n" for bad in BAD.values()])
    monkeypatch.setattr(db, "_MIGRATIONS", tmp_path / "migrations")
    assert [breach.partition(":")[0] for breach in each_breach(database)] == list(BAD)


def test_what_only_adds_is_let_through(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Upcoming(tmp_path / "migrations", [EXPANDS, INDEXES])
    monkeypatch.setattr(db, "_MIGRATIONS", tmp_path / "migrations")
    assert each_breach(database) == []


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_what_older_code_needs_may_only_go_after_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second migration says that it is made for older code than the one before it."""
    drops = 'def upgrade():\n    op.drop_column("users", "nickname")\n'
    Upcoming(tmp_path / "migrations", [EXPANDS, drops])
    monkeypatch.setattr(db, "_MIGRATIONS", tmp_path / "migrations")
    assert each_breach(database) == ["older code than the one before it needs what it takes"]


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_migration_that_has_to_wait_gives_way_and_is_tried_again(
    database: Database, tmp_path: Path
) -> None:
    """Nobody queues behind it for long, and nothing is left half done."""
    schema.bring_up(database.engine)
    upcoming = Upcoming(tmp_path / "migrations", [EXPANDS])
    with ThreadPoolExecutor(1) as pool, database.engine.connect() as holder:
        holder.execute(sa.text("SELECT 1 FROM verifications"))  # a reader holds it, too
        upgrading = pool.submit(upcoming.upgrades, database)
        with pytest.raises(TimeoutError):
            upgrading.result(timeout=3)
        with database.engine.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
            other.execute(sa.text("DELETE FROM verifications"))
        holder.rollback()
        upgrading.result(timeout=PATIENCE)
    assert schema.standing(database.engine) is Standing.AHEAD


@pytest.mark.parametrize(
    ("there", "ours", "stands"),
    [
        (None, "0001", "behind"),
        ("0001", "0002_since_0001", "behind"),
        ("0002_since_0001", "0003", "behind"),
        ("0001", "0001", "at head"),
        ("0003_since_0002", "0003_since_0002", "at head"),
        ("0002_since_0001", "0001", "ahead"),
        ("0003_since_0001", "0001", "ahead"),
        ("0003_since_0002", "0002_since_0001", "ahead"),
        ("0003_since_0002", "0001", "outgrown"),
        ("0002", "0001", "outgrown"),
        ("5a1c07b2", "0001", "outgrown"),
    ],
)
def test_which_code_runs_on_which_schema(there: str | None, ours: str, stands: str) -> None:
    assert compared(there, ours).value == stands


def test_there_is_one_line_of_revisions() -> None:
    database = Database("sqlite://")
    script = ScriptDirectory.from_config(db._alembic(database.engine))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
    database.engine.dispose()


def test_the_comparison_would_see_a_difference(database: Database) -> None:
    db.upgrade(database.engine)
    with database.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE users DROP COLUMN profile"))
    assert differences(database)
