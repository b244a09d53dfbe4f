"""Registering applications of each protocol at the command line, and what the other side needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from app.models import Application, ClientAuth, Door, EntraCloud, Environment, Organization
from app.services.audit import OPERATOR
from app.services.entra_settings import EntraSettings
from app.services.oidc_clients import OidcSettings
from app.wiring import Services

_OWN_OPTIONS = {
    Door.OIDC: {"auth", "public_keys", "algorithm", "optional"},
    Door.DUO: set(),
    Door.ENTRA: {"app_id", "tenant_ids", "cloud", "public_keys"},
    Door.CRYPTR: set(),
    Door.REST: set(),
}
"""By their names in `Wanted`, those that a protocol has beside the common ones."""
_CALLED = {"tenant_ids": "--tenant-id", "optional": "--without"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was typed.

    Attributes:
        public_keys: a file with a JSON Web Key Set.
        optional: what an OpenID Connect client may leave out: `pushed`, `pkce`.
    """

    environment: Environment
    name: str
    redirect_uris: Sequence[str]
    organizations: Sequence[Organization]
    vouches: bool
    methods: Sequence[str]
    auth: str | None = None
    algorithm: str | None = None
    public_keys: Path | None = None
    optional: Sequence[str] = ()
    app_id: str | None = None
    tenant_ids: Sequence[str] = ()
    cloud: str | None = None

    @property
    def keys(self) -> str:
        """The text of the file with keys."""
        return self.public_keys.read_text() if self.public_keys else ""

    @property
    def common(self) -> dict[str, Any]:
        """What every application has, by the services' names."""
        return {
            "name": self.name,
            "redirect_uris": self.redirect_uris,
            "vouches_for_first_factor": self.vouches,
            "methods": self.methods,
        }

    @property
    def served(self) -> dict[str, Any]:
        """Whom it serves, by the services' names."""
        return {"environment": self.environment, "organizations": self.organizations}

    @property
    def organization(self) -> Organization:
        """The one that it serves, where the protocol has to know it.

        Raises:
            UsageError: there is none, or another, too.
        """
        if len(self.organizations) != 1:
            raise click.UsageError("This protocol serves one organization: give --organization.")
        return self.organizations[0]


Made = tuple[Application, dict[str, Any]]
"""A new application, and what the other side needs of it beside `client_id`."""


def register(wired: Services, tx: Session, door: Door, wanted: Wanted) -> Made:
    """Register an application of a protocol.

    Raises:
        UsageError: an option is missing, or has no meaning there.
        Invalid: a field can't be used.
    """
    given = {name for names in _OWN_OPTIONS.values() for name in names if getattr(wanted, name)}
    for name in sorted(given - _OWN_OPTIONS[door]):
        called = _CALLED.get(name, f"--{name.replace('_', '-')}")
        raise click.UsageError(f"{called} has no meaning with --door {door.value}.")
    if bool(wanted.redirect_uris) is (door is Door.ENTRA):
        told = "Entra has an address of its own" if door is Door.ENTRA else "Give at least one"
        raise click.UsageError(f"{told}: --redirect-uri.")
    return _REGISTERS[door](wired, tx, wanted)


def _rest(wired: Services, tx: Session, wanted: Wanted) -> Made:
    application, secret = wired.applications.create(tx, OPERATOR, **wanted.served, **wanted.common)
    return application, {"client_secret": secret}


def _oidc(wired: Services, tx: Session, wanted: Wanted) -> Made:
    settings = OidcSettings(
        auth=ClientAuth(wanted.auth or ClientAuth.BASIC.value),
        keys=wanted.keys,
        algorithm=wanted.algorithm or "ES256",
        requires_pushed="pushed" not in wanted.optional,
        requires_pkce="pkce" not in wanted.optional,
    )
    application, secret = wired.applications.create(
        tx, OPERATOR, door=Door.OIDC, **wanted.served, **wanted.common
    )
    wired.oidc_clients.register(tx, application, settings)
    by_key = settings.auth is ClientAuth.KEY
    issuer = {"issuer": wired.config.base_url}
    return application, issuer if by_key else {"client_secret": secret, **issuer}


def _duo(wired: Services, tx: Session, wanted: Wanted) -> Made:
    made = wired.duo_clients.create(tx, OPERATOR, wanted.organization, **wanted.common)
    return made.client.application, {
        "client_secret": made.secret,
        "duo_client_id": made.client.client_id,
        "host": wired.config.host,
    }


def _entra(wired: Services, tx: Session, wanted: Wanted) -> Made:
    if not wanted.app_id or not wanted.tenant_ids:
        raise click.UsageError("--door entra wants --app-id and --tenant-id.")
    settings = EntraSettings(
        app_id=wanted.app_id,
        tenant_ids=wanted.tenant_ids,
        cloud=EntraCloud(wanted.cloud or EntraCloud.GLOBAL.value),
        pinned_keys=wanted.keys,
    )
    made = wired.entra_connections.create(
        tx,
        OPERATOR,
        wanted.organization,
        name=wanted.name,
        settings=settings,
        methods=wanted.methods,
    )
    issuer = wired.entra_connections.issuer(made.id)
    return made.application, {
        "discovery_endpoint": f"{issuer}/.well-known/openid-configuration",
        "reply_url": f"{issuer}/authorize",
    }


def _cryptr(wired: Services, tx: Session, wanted: Wanted) -> Made:
    application = wired.cryptr_entries.create(tx, OPERATOR, **wanted.served, **wanted.common)
    return application, {
        "cryptr_base_url": wired.config.base_url,
        "tenant_domain": wired.config.account_domain,
    }


_REGISTERS: dict[Door, Callable[[Services, Session, Wanted], Made]] = {
    Door.REST: _rest,
    Door.OIDC: _oidc,
    Door.DUO: _duo,
    Door.ENTRA: _entra,
    Door.CRYPTR: _cryptr,
}
