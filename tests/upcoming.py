"""A release that is yet to come: the migrations of this one, and more after them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app import db, schema
from app.db import Database
from tests.conftest import ROOT

EXPANDS = """
def upgrade():
    op.add_column("users", sa.Column("nickname", sa.String()))
    op.add_column(
        "verifications", sa.Column("weight", sa.Integer(), nullable=False, server_default="1")
    )
    op.create_table(
        "nicknames",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False, index=True),
    )
"""
INDEXES = """
def upgrade():
    if op.get_context().dialect.name != "postgresql":
        op.create_index("ix_events_address", "events", ["address"])
        return
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_events_address")
        op.create_index("ix_events_address", "events", ["address"], postgresql_concurrently=True)
"""


class Upcoming:
    """That release's migrations, in a folder of its own.

    Args:
        upgrades: what each of its migrations does, as source code.
        since: whether this release's code runs on its schema.
    """

    def __init__(self, folder: Path, upgrades: list[str], *, since: bool = True) -> None:
        self._folder = folder
        shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
        ours = before = db.head(Database("sqlite://").engine)
        for number, upgrade in enumerate(upgrades, int(ours[:4]) + 1):
            revision = f"{number:04}" + (f"_since_{ours[:4]}" if since else "")
            (folder / "versions" / f"{revision}.py").write_text(
                "import sqlalchemy as sa\nfrom alembic import op\n"
                f"revision, down_revision = {revision!r}, {before!r}\n" + upgrade
            )
            before = revision
        self.head = before

    def upgrades(self, database: Database) -> None:
        """Do what `gatehouse init` of that release does to the schema."""
        with pytest.MonkeyPatch.context() as there:
            there.setattr(db, "_MIGRATIONS", self._folder)
            schema.bring_up(database.engine)
