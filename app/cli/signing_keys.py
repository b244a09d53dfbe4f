"""gatehouse signing-keys: what results and other tokens are signed with."""

from __future__ import annotations

import click

from app.cli.desk import json_option, say, services, tell
from app.services.audit import OPERATOR


@click.group("signing-keys", short_help="The keys that sign results and other tokens.")
def group() -> None:
    """The keys that sign results and other tokens; each is published before it is used."""


@group.command("rotate")
@click.option(
    "--at-once", is_flag=True, help="All of them, even if the next key was published a moment ago."
)
@json_option
def rotate(at_once: bool, as_json: bool) -> None:
    """Retire the signing keys and put the next ones in their place.

    What the old keys signed stays good until it expires. Told is the key that signs results now,
    and which keys stay, because their next one was not published for long enough yet.
    """
    wired = services()
    with wired.database.writing() as tx:
        rotation = wired.signing_keys.rotate(tx, OPERATOR, at_once=at_once)
        published = len(wired.signing_keys.published(tx))
    active = rotation.active
    waiting = {use.value: f"{at:%Y-%m-%dT%H:%M:%SZ}" for use, at in rotation.waiting.items()}
    answer = {"active": active.kid, "algorithm": active.algorithm, "published_keys": published}
    if as_json:
        answer["waiting"] = waiting
    tell(answer, as_json=as_json, heading="Rotated.")
    for use, at in waiting.items():
        say(f"The key of {use} stays for now: its next one may sign from {at} on.")
