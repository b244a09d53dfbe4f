"""gatehouse signing-keys: what results and access tokens are signed with."""

from __future__ import annotations

import click

from app.cli.desk import json_option, services, tell
from app.services.audit import OPERATOR


@click.group("signing-keys", short_help="The keys that sign results and access tokens.")
def group() -> None:
    """The keys that sign results and access tokens; each is published before it is used."""


@group.command("rotate")
@click.option("--at-once", is_flag=True, help="Even if the next key was published a moment ago.")
@json_option
def rotate(at_once: bool, as_json: bool) -> None:
    """Retire the signing keys and put the next ones in their place.

    What the old keys signed stays good until it expires. Told is the key that signs results now.
    """
    wired = services()
    with wired.database.writing() as tx:
        active = wired.signing_keys.rotate(tx, OPERATOR, at_once=at_once)
        published = len(wired.signing_keys.published(tx))
    answer = {"active": active.kid, "algorithm": active.algorithm, "published_keys": published}
    tell(answer, as_json=as_json, heading="Rotated.")
