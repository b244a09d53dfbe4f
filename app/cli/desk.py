"""What every command shares: the services, options that mean the same, and how answers are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from app import schema
from app.config import load
from app.models import CUSTOMERS, Environment
from app.schema import Standing
from app.services.credentials import MOST_OVERLAP
from app.wiring import Services, wire


@dataclass(frozen=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `HOST:PORT`; an IPv6 address stands in brackets.

        Raises:
            click.BadParameter: it is none.
        """
        host, _, port = text.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) <= _LAST_PORT:
            raise click.BadParameter("write HOST:PORT, such as 127.0.0.1:9464")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


_LAST_PORT = 65535
TOO_NEW = "The database is of a later release, which this one can't work with. Start that one."
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
    if migrated:
        _refuse_to_run_on(schema.standing(wired.database.engine))
    return wired


def _refuse_to_run_on(standing: Standing) -> None:
    if standing is Standing.BEHIND:
        raise click.ClickException(
            "The database has no schema of this release. Run: gatehouse init"
        )
    if standing is Standing.OUTGROWN:
        raise click.ClickException(TOO_NEW)


def tell(answer: dict[str, Any], *, as_json: bool, heading: str) -> None:
    """Print an answer, for a program or for a person."""
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(heading)
    width = max(map(len, answer), default=0)
    for name, value in answer.items():
        click.echo(f"  {name:<{width}}  {_cell(value)}")


def tell_all(rows: list[dict[str, Any]], *, as_json: bool, nothing: str) -> None:
    """Print a list, one line each for a person.

    Args:
        nothing: what a person is told of an empty one.
    """
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(nothing)
        return
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _cell(value: object) -> str:
    shown = ", ".join(map(str, value)) if isinstance(value, list) else value
    return "-" if shown in (None, "") else str(shown)


def overlap_option(command: Command) -> Command:
    """Add --overlap-seconds."""
    return click.option(
        "--overlap-seconds",
        "overlap",
        type=click.IntRange(0, int(MOST_OVERLAP.total_seconds())),
        default=0,
        show_default=True,
        callback=lambda _context, _parameter, value: timedelta(seconds=value),
        help="How long the old secret works on, at most a week.",
    )(command)


def told_moment(moment: datetime | None) -> str | None:
    """Return a moment as answers have it: RFC 3339, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(
        command
    )


def metrics_option(command: Command) -> Command:
    """Add --metrics."""
    return click.option(
        "--metrics",
        "metrics_at",
        metavar="HOST:PORT",
        callback=lambda _context, _parameter, value: Address.parse(value) if value else None,
        help="Serve metrics for Prometheus there, and nowhere else. Off by default.",
    )(command)


def environment_option(command: Command) -> Command:
    """Add --environment."""
    return click.option(
        "--environment",
        type=click.Choice([one.value for one in CUSTOMERS]),
        default=Environment.SANDBOX.value,
        show_default=True,
        callback=lambda _context, _parameter, value: Environment(value),
        help="Nothing crosses from one to the other.",
    )(command)
