"""What every command shares: the services, options that mean the same, and how answers are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from app import db
from app.config import load
from app.models import Environment
from app.wiring import Services, wire

Command = TypeVar("Command", bound=Callable[..., Any])


def say(line: str) -> None:
    """Tell the operator something beside the answer."""
    click.echo(line, err=True)


def services(*, migrated: bool = True) -> Services:
    """Return the services for the settings in the environment.

    Args:
        migrated: whether the schema must be at head already.
    """
    wired = wire(load(say))
    if migrated and not db.at_head(wired.database.engine):
        raise click.ClickException(
            "The database has no schema of this release. Run: gatehouse init"
        )
    return wired


def tell(answer: dict[str, Any], *, as_json: bool, heading: str) -> None:
    """Print an answer, for a program or for a person."""
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(heading)
    width = max(map(len, answer), default=0)
    for name, value in answer.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"  {name:<{width}}  {'-' if shown in (None, '') else shown}")


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(
        command
    )


def environment_option(command: Command) -> Command:
    """Add --environment."""
    return click.option(
        "--environment",
        type=click.Choice([one.value for one in Environment]),
        default=Environment.SANDBOX.value,
        show_default=True,
        callback=lambda _context, _parameter, value: Environment(value),
        help="Nothing crosses from one to the other.",
    )(command)
