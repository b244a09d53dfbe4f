"""Checks of a deployment: what an operator would look at one by one, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from app.checks.carriers import check_mail_server, check_providers
from app.checks.database import check_clock, check_schema
from app.checks.files import check_disk, check_modes
from app.checks.findings import Finding, State, problem, skipped
from app.checks.front import check_base_url, check_certificate
from app.checks.keys import check_encryption_keys, check_signing_keys
from app.checks.settings import check_proxies
from app.checks.work import check_webhooks, check_worker
from app.wiring import Services

Check = Callable[[Services], Iterator[Finding]]

OF_DATABASE: dict[str, Check] = {
    "clock": check_clock,
    "signing_keys": check_signing_keys,
    "encryption_keys": check_encryption_keys,
    "proxies": check_proxies,
    "worker": check_worker,
    "webhooks": check_webhooks,
}
"""What needs a database that answers."""
CALLS_OUT: dict[str, Check] = {
    "mail_server": check_mail_server,
    "providers": check_providers,
    "certificate": check_certificate,
    "base_url": check_base_url,
}
"""What calls others; it needs the database, too."""


def examine(services: Services, *, offline: bool) -> Iterator[Finding]:
    """Check everything beyond the settings, and tell each finding as soon as it is there.

    Args:
        offline: whether nobody is to be called.
    """
    yield from check_modes(services.config)
    database = list(check_schema(services))
    yield from database
    if any(one.state is State.PROBLEM for one in database):
        for name in (*OF_DATABASE, *CALLS_OUT):
            yield skipped(name, "It needs the database.")
        return
    yield from check_disk(services.config)
    for name, check in OF_DATABASE.items():
        yield from _run(name, check, services)
    for name, check in CALLS_OUT.items():
        if offline:
            yield skipped(name, "Nobody is called, as you asked.")
        else:
            yield from _run(name, check, services)


def _run(name: str, check: Check, services: Services) -> Iterator[Finding]:
    try:
        yield from check(services)
    except sa.exc.SQLAlchemyError as error:
        yield problem(
            name,
            f"The database failed meanwhile ({type(error).__name__}).",
            "Look at the database's own log.",
        )
