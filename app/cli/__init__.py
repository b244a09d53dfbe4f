"""The command line, `gatehouse`: what an operator does without a browser."""

from __future__ import annotations

import os
import sys

import click
from sqlalchemy.exc import OperationalError

from app.cli import (
    administrators,
    api_keys,
    applications,
    audit,
    backup,
    demo_data,
    doctor,
    encryption_keys,
    init,
    metrics,
    organizations,
    serve,
    signing_keys,
    users,
    worker,
)
from app.config import ConfigError
from app.errors import Refusal


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from the environment: GATEHOUSE_BASE_URL, GATEHOUSE_DATABASE_URL, "
    "GATEHOUSE_DATA_DIR and others; see docs/operate.md.",
)
def gatehouse() -> None:
    """Gatehouse asks your users for a second factor and signs the answer."""


for _command in (
    init.command,
    backup.command,
    serve.command,
    audit.group,
    worker.command,
    metrics.command,
    doctor.command,
    organizations.group,
    applications.group,
    api_keys.group,
    users.group,
    administrators.group,
    signing_keys.group,
    encryption_keys.group,
    demo_data.command,
):
    gatehouse.add_command(_command)


def main() -> None:
    """Run a command; what can't be done is told in one sentence, with exit code 1 or 2."""
    os.umask(0o077)  # the SQLite file is for this user alone
    try:
        gatehouse(standalone_mode=True)
    except ConfigError as error:
        click.echo(f"A setting can't be used.\n{error}", err=True)
        sys.exit(2)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        click.echo(
            f"The database does not answer ({reason}). Check GATEHOUSE_DATABASE_URL.", err=True
        )
        sys.exit(1)
    except Refusal as refusal:
        click.echo(refusal.message, err=True)
        sys.exit(1)
