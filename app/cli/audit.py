"""gatehouse audit: whether the record of what happened is still as it was written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from app.cli.desk import environment_option, json_option, services, told_moment
from app.models import Environment
from app.services.seal_checks import Break, BreakKind, Chain, Report
from app.services.seals import DEPLOYMENT

_SENTENCES = {
    BreakKind.EVENT_CHANGED: "seal {seal}: one of the events {events} was changed",
    BreakKind.EVENT_REMOVED: "seal {seal}: event {events} was removed",
    BreakKind.EVENT_ADDED: "seal {seal}: events were added that it does not cover",
    BreakKind.EVENT_DETACHED: "seal {seal}: event {events} no longer names it as its seal",
    BreakKind.SEAL_CHANGED: "seal {seal}: the seal itself was changed, or is not ours",
    BreakKind.SEAL_OUT_OF_ORDER: "seal {seal}: it does not follow the seal before it",
    BreakKind.PURGE_UNPROVED: "seal {seal}: it says that its events were deleted by the retention,"
    " but Gatehouse did not do that",
    BreakKind.PURGED_BUT_THERE: "seal {seal}: its events were deleted by the retention,"
    " but there are events that name it",
    BreakKind.KEY_MISSING: "seal {seal}: GATEHOUSE_ENCRYPTION_KEYS lacks the key that it was made"
    " with, so it can't be checked",
    BreakKind.NOT_FOUND: "no seal has the expected digest {events}",
}


@click.group("audit", short_help="The record of what happened.")
def group() -> None:
    """The record of what happened: each event is sealed, so that a change shows."""


@group.command("verify", short_help="Check every event against its seal.")
@click.option("--organization", "domain", help="Its domain: check its events alone.")
@environment_option
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="DIGEST",
    help="A digest that this command told before; repeatable.",
)
@json_option
@click.pass_context
def verify(
    context: click.Context,
    domain: str | None,
    environment: Environment,
    expected: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check every event against its seal, and every seal against the one before it.

    Exit code 1 means that something was changed, removed or added. Keep the digests that it tells
    in another place, and give them to the next check as --expect: seals that are cut off at the end
    show in no other way. Without --organization, all organizations of both environments are
    checked, and what belongs to none.
    """
    wired = services()
    organization = None
    if domain is not None:
        with wired.database.reading() as tx:
            organization = wired.organizations.find(tx, environment, domain)
    report = wired.seal_checks.check(organization, expected=expected)
    if as_json:
        click.echo(json.dumps(_answer(report)))
    else:
        _print(report)
    context.exit(1 if report.breaks else 0)


def _answer(report: Report) -> dict[str, Any]:
    return {
        "intact": not report.breaks,
        "chains": [
            {**asdict(chain), "unsealed_since": told_moment(chain.unsealed_since)}
            for chain in report.chains
        ],
        "breaks": [{**asdict(one), "sentence": _sentence(one)} for one in report.breaks],
        "breaks_untold": report.breaks_untold,
    }


def _print(report: Report) -> None:
    names = {chain.chain: _name(chain) for chain in report.chains}
    for chain in report.chains:
        click.echo(_name(chain))
        purged = f" ({chain.purged} of them without their events, by the retention)"
        click.echo(f"  {chain.seals} seals{purged if chain.purged else ''}, {chain.events} events")
        click.echo(f"  digest of seal {chain.number}: {chain.head or '-'}")
        click.echo(f"  {_tail(chain)}")
    if not report.chains:
        click.echo("There are no events.")
    for one in report.breaks:
        where = f"{names.get(one.chain, one.chain)}, " if one.chain else ""
        click.echo(f"BROKEN: {where}{_sentence(one)}.")
    if report.breaks_untold:
        click.echo(f"BROKEN: in {report.breaks_untold} more places.")
    if report.chains and not report.breaks:
        click.echo("All sealed events are as they were written.")


def _sentence(one: Break) -> str:
    if one.kind is BreakKind.SEAL_MISSING:
        if one.seal is not None:
            return f"seal {one.seal} is missing"
        return f"event {one.events} names a seal that is not there"
    return _SENTENCES[one.kind].format(seal=one.seal, events=one.events)


def _name(chain: Chain) -> str:
    if chain.organization is not None:
        return f"{chain.organization} ({chain.environment})"
    return "The deployment itself" if chain.chain == DEPLOYMENT else chain.chain


def _tail(chain: Chain) -> str:
    if not chain.unsealed:
        return "no event waits for a seal"
    return (
        f"{chain.unsealed} events wait for a seal, "
        f"from event {chain.unsealed_from} of {told_moment(chain.unsealed_since)} on"
    )
