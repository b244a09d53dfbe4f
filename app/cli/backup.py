"""gatehouse backup: a copy of the SQLite database, taken while everything runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import click
import sqlalchemy as sa

from app.cli.desk import json_option, services, tell

_NOT_SQLITE = "Back up PostgreSQL with its own pg_dump: see docs/operate.md, Backup."
_KEYS = "Keep encryption_keys, too, in another place: without it nobody can confirm."


@click.command("backup", short_help="Copy the SQLite database while everything runs.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Write one moment of the SQLite database to FILE, which must not exist yet.

    Nobody has to stop, and nobody waits for it. FILE is whole or not there at all, and only its
    owner can read it.
    """
    wired = services()
    if wired.database.engine.dialect.name != "sqlite":
        raise click.ClickException(_NOT_SQLITE)
    try:
        size = _copy(wired.database.engine, file.absolute())
    except FileExistsError:
        raise click.ClickException(f"{file} is there already. Nothing was written.") from None
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{file} can't be written: {error}.") from None
    answer = {"backup": str(file), "bytes": size}
    tell(answer, as_json=as_json, heading=_KEYS)


def _copy(engine: sa.Engine, file: Path) -> int:
    """Copy into a draft beside the file, and give that its name when it is whole and on disk."""
    if file.exists():
        raise FileExistsError
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            # One read transaction: unlike a copy page by page, no writer makes it begin again.
            connection.cursor().execute("VACUUM INTO ?", (str(draft),))
        with draft.open("rb") as whole:
            os.fsync(whole.fileno())
        file.hardlink_to(draft)
        return file.stat().st_size
    finally:
        draft.unlink()
