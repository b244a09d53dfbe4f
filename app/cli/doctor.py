"""gatehouse doctor: whether the deployment is well, and what to do where it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click

from app.checks import examine
from app.checks.carriers import send_test
from app.checks.findings import Finding, State, problem
from app.checks.settings import check_settings, missing_files
from app.cli.desk import json_option
from app.config import ConfigError, load
from app.wiring import wire

PROBLEMS, WARNINGS = 1, 3
"""Exit codes; click uses 2 for words that it doesn't know."""
_MARKS = {
    State.FINE: ("ok", "green"),
    State.SKIPPED: ("skipped", "bright_black"),
    State.WARNING: ("warning", "yellow"),
    State.PROBLEM: ("PROBLEM", "red"),
}


@click.command("doctor", short_help="Say what is wrong, and what to do about it.")
@click.option("--offline", is_flag=True, help="Call nobody: no provider, and not ourselves.")
@click.option(
    "--send-test-to",
    "recipient",
    metavar="ADDRESS",
    help="Also send one e-mail there, by the deployment's mail server.",
)
@json_option
@click.pass_context
def command(context: click.Context, offline: bool, recipient: str | None, as_json: bool) -> None:
    """Check settings, files, database, keys, providers, certificate and workers.

    It changes nothing, and sends no message unless you ask. The exit code is 0 if all is well, 3 if
    there are warnings alone, and 1 if there is a problem.
    """
    if offline and recipient:
        raise click.UsageError("--offline and --send-test-to exclude each other.")
    found = []
    for finding in _findings(offline=offline, recipient=recipient):
        found.append(finding)
        if not as_json:
            _print(finding)
    worst = {one.state for one in found}
    if as_json:
        click.echo(json.dumps({"healthy": State.PROBLEM not in worst, "findings": _rows(found)}))
    else:
        _sum_up(found)
    context.exit(PROBLEMS if State.PROBLEM in worst else WARNINGS if State.WARNING in worst else 0)


def _findings(*, offline: bool, recipient: str | None) -> Iterator[Finding]:
    if missing := missing_files(os.environ):
        yield problem(
            "settings",
            f"There is no {' and no '.join(map(str, missing))}.",
            "For a new deployment run: gatehouse init. Otherwise put the files back, or set "
            "GATEHOUSE_DATA_DIR as the servers have it.",
        )
        return
    try:
        config = load()
    except ConfigError as error:
        for line in str(error).splitlines():
            yield problem("settings", line, "Correct it, and restart every process.")
        return
    yield from check_settings(config, os.environ)
    services = wire(config)
    yield from examine(services, offline=offline)
    if recipient:
        yield from send_test(services, recipient)
    services.database.engine.dispose()


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    click.echo(f"{click.style(f'{mark:>7}', fg=colour)}  {finding.check}: {finding.says}")
    if finding.remedy:
        click.echo(f"         {finding.remedy}")


def _sum_up(found: Iterable[Finding]) -> None:
    states = [one.state for one in found]
    problems, warnings = states.count(State.PROBLEM), states.count(State.WARNING)
    if not problems and not warnings:
        click.echo("All is well.")
        return
    click.echo(f"Problems: {problems}. Warnings: {warnings}.")


def _rows(found: Iterable[Finding]) -> list[dict[str, str]]:
    return [asdict(one) for one in found]
