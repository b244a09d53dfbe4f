"""Whether the settings can be used, and whether each variable of ours is one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import sqlalchemy as sa

from app.checks.findings import Finding, fine, problem, skipped, warning
from app.config import PREFIX, Config
from app.models import Event
from app.wiring import Services

SECRETS = ("secret_key", "encryption_keys")
"""Settings that stand in a file of the data folder if no variable holds them."""
_OF_TESTS = f"{PREFIX}TEST_"
_LATELY = 500
"""So many of the newest events are looked at."""


def missing_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the secret files that the first command would make, without making them."""
    folder = Path(environment.get(f"{PREFIX}DATA_DIR") or Config.model_fields["data_dir"].default)
    unset = [name for name in SECRETS if not environment.get(PREFIX + name.upper())]
    paths = [folder.expanduser().absolute() / name for name in unset]
    return [path for path in paths if not path.exists()]


def check_settings(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """See whether every variable of ours is a setting, and whether the rest can serve users."""
    known = {PREFIX + name.upper() for name in Config.model_fields}
    ours = {name for name in environment if name.startswith(PREFIX)}
    for name in sorted(ours - known):
        if not name.startswith(_OF_TESTS):
            yield _unknown(name, known)
    if not config.https:
        yield warning(
            "settings",
            f"GATEHOUSE_BASE_URL is {config.base_url}: only browsers on this machine get there.",
            "Set it to the https:// address at which your users find Gatehouse.",
        )
    if config.rp_id is None:
        yield warning(
            "settings",
            "GATEHOUSE_BASE_URL is a bare IP address, at which no passkey can be made.",
            "Give the server a name, and put that in GATEHOUSE_BASE_URL.",
        )
    if not config.mail_from or not config.smtp_url:
        yield warning(
            "settings",
            "The deployment has no mail server: organizations without a provider of their own get "
            "no notices and no codes by e-mail.",
            "Set GATEHOUSE_SMTP_URL and GATEHOUSE_MAIL_FROM.",
        )
    yield fine("settings", "Every setting can be used.")


def check_proxies(services: Services) -> Iterator[Finding]:
    """See whether clients' addresses come through, by those that were written down lately."""
    networks = services.config.trusted_proxies
    if any(one.prefixlen == 0 for one in networks):
        yield problem(
            "proxies",
            "GATEHOUSE_TRUSTED_PROXIES trusts every address, so anybody can claim to be another.",
            "Name the addresses of your own proxies alone.",
        )
        return
    peers = _peers(services)
    if not peers:
        yield skipped("proxies", "Nobody has called yet whose address could tell.")
    elif not networks and services.config.https and all(one.is_loopback for one in peers):
        yield warning(
            "proxies",
            "All users seem to come from this machine, so they share the limits of one address.",
            "Set GATEHOUSE_TRUSTED_PROXIES to the address of your proxy, such as 127.0.0.1.",
        )
    elif networks and all(any(one in network for network in networks) for one in peers):
        yield warning(
            "proxies",
            "All users seem to come from your proxies, so they share the limits of one address.",
            "Have the proxy send X-Forwarded-For with the address of its client.",
        )
    else:
        yield fine("proxies", "Clients come with addresses of their own.")


def _unknown(name: str, known: set[str]) -> Finding:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"It may be meant for {close[0]}. " if close else ""
    return warning(
        "settings",
        f"{name} is not a setting, so it does nothing.",
        f"{meant}docs/operate.md lists them all.",
    )


def _peers(services: Services) -> list[IPv4Address | IPv6Address]:
    newest = sa.select(Event.id).order_by(Event.id.desc()).limit(_LATELY).subquery()
    chosen = sa.select(Event.address).join(newest, newest.c.id == Event.id)
    with services.database.reading() as tx:
        told = tx.scalars(chosen.where(Event.address.is_not(None)).distinct()).all()
    return [ip_address(one) for one in told if one]
