"""gatehouse init: the schema, and the first signing key."""

from __future__ import annotations

import click

from app import schema
from app.cli.desk import TOO_NEW, json_option, services, tell

_BUSY = "Others hold on to tables that have to change. Nothing was changed. Run it again."


@click.command("init")
@json_option
def command(as_json: bool) -> None:
    """Make or update the database, and the first signing key.

    Safe to run again: it brings an older schema up to date and keeps everything else.
    """
    wired = services(migrated=False)
    folder = wired.config.data_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        schema.bring_up(wired.database.engine)
    except schema.TooNew:
        raise click.ClickException(TOO_NEW) from None
    except schema.Busy:
        raise click.ClickException(_BUSY) from None
    with wired.database.writing() as tx:
        made = wired.signing_keys.ensure(tx)
    answer = {
        "database": wired.database.engine.url.render_as_string(hide_password=True),
        "signing_key": "made" if made else "kept",
        "base_url": wired.config.base_url,
    }
    tell(answer, as_json=as_json, heading="Gatehouse is ready.")
