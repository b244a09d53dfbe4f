"""gatehouse encryption-keys: what secrets at rest are encrypted with."""

from __future__ import annotations

import click

from app.cli.desk import json_option, say, services, tell, tell_all
from app.crypto import new_key


@click.group("encryption-keys", short_help="The keys that encrypt secrets at rest.")
def group() -> None:
    """The keys that encrypt secrets at rest. Put a new one in front, restart, then rotate."""


@group.command("new", short_help="Make a key to put in front of the others.")
@json_option
def new(as_json: bool) -> None:
    """Make a key to put in front of the others, in GATEHOUSE_ENCRYPTION_KEYS or its file."""
    made = new_key()
    if as_json:
        tell({"key": made}, as_json=True, heading="")
        return
    say("Put this in front of the others, with a comma between, and restart every process.")
    click.echo(made)


@group.command("rotate", short_help="Encrypt anew what older keys encrypted.")
@json_option
def rotate(as_json: bool) -> None:
    """Encrypt anew, under the first key, what is encrypted under the others.

    Run it once every process has the new key. Nothing has to stop for it, and it may be run again.
    """
    keys = services().encryption_keys
    done = keys.rotate(lambda name, count: say(f"{name}: {count}") if count else None)
    answer = {"encrypted_anew": done.changed, "key_missing": done.unknown}
    tell(answer, as_json=as_json, heading="Rotated.")
    if done.unknown:
        raise click.ClickException(
            "Some values are encrypted under a key that is not in the settings. "
            "Run: gatehouse encryption-keys list"
        )


@group.command("list", short_help="List the keys, and what needs them.")
@json_option
def show(as_json: bool) -> None:
    """List the keys, and what still needs each of them."""
    rows = [
        {
            "key": uses.key_id,
            "state": _state(uses.known, writes=uses.writes),
            "encrypted": uses.sealed,
            "hashed": uses.hashed if as_json else sum(uses.hashed.values()),
            "needed": not uses.is_free,
        }
        for uses in services().encryption_keys.uses()
    ]
    tell_all(rows, as_json=as_json, nothing="There is no key.")


def _state(known: bool, *, writes: bool) -> str:
    if writes:
        return "encrypts"
    return "decrypts" if known else "missing"
