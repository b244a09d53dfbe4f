"""Migrations: from nothing to the newest schema, back, and there again; the models agree."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import app.models  # noqa: F401  (makes every table known)
from app import db
from app.db import Base, Database


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    opened = Database(empty_database_url)
    yield opened
    opened.engine.dispose()


def schema(database: Database) -> dict[str, list[str]]:
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
    assert set(schema(database)) == {*Base.metadata.tables, "alembic_version"}


def test_upgrading_again_changes_nothing(database: Database) -> None:
    db.upgrade(database.engine)
    before = schema(database)
    db.upgrade(database.engine)
    assert schema(database) == before


def test_each_step_goes_down_and_up_again(database: Database) -> None:
    settings = db._alembic(database.engine)
    revisions = [one.revision for one in ScriptDirectory.from_config(settings).walk_revisions()]
    db.upgrade(database.engine)
    newest = schema(database)
    for revision in revisions:
        command.downgrade(settings, "-1")
        assert not db.at_head(database.engine), revision
    assert set(schema(database)) == {"alembic_version"}
    for _ in revisions:
        command.upgrade(settings, "+1")
    assert db.at_head(database.engine)
    assert schema(database) == newest
    assert differences(database) == []


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
