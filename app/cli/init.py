"""gatehouse init: the schema, and the first signing key."""

from __future__ import annotations

import click

from app import db
from app.cli.desk import json_option, services, tell


@click.command("init")
@json_option
def command(as_json: bool) -> None:
    """Make or update the database, and the first signing key.

    Safe to run again: it brings an older schema up to date and keeps everything else.
    """
    wired = services(migrated=False)
    folder = wired.config.data_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    db.upgrade(wired.database.engine)
    with wired.database.writing() as tx:
        made = wired.signing_keys.ensure(tx)
    answer = {
        "database": wired.database.engine.url.render_as_string(hide_password=True),
        "signing_key": "made" if made else "kept",
        "base_url": wired.config.base_url,
    }
    tell(answer, as_json=as_json, heading="Gatehouse is ready.")
