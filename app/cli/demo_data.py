"""gatehouse demo-data: something to try everything with."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.cli.demo_administrator import demo_administrator
from app.cli.desk import json_option, services, tell
from app.config import ConfigError
from app.errors import NotFound
from app.models import (
    Api,
    ApiKey,
    Application,
    Door,
    DuoClient,
    EntraConnection,
    Environment,
    Organization,
    User,
)
from app.services.audit import OPERATOR
from app.services.entra_settings import EntraSettings
from app.wiring import Services

DOMAIN = "harbor"
APPLICATION, SHOP = "Harbor Notes", "Harbor Shop"
API_KEY, V1_KEY = "Demo", "Demo of API v1"
ENTRA = "Microsoft Entra of Harbor"
ENTRA_APP_ID, ENTRA_TENANT = (
    "11111111-2222-4333-8444-555555555555",
    "66666666-7777-4888-9999-000000000000",
)
"""Made up: nobody signs in by them, but the pages and addresses are there to be looked at."""
CHANNELS = ("email", "sms", "dual")
WIKI = "Harbor Wiki"
COUNTRIES = ("FR", "GB")
"""Of the people's phone numbers."""
PEOPLE = (
    ("ada@harbor.example", "+33612345678", "Ada", "Lindqvist"),
    ("bastien@harbor.example", "+33623456789", "Bastien", "Moreau"),
    ("chidi@harbor.example", "+447400123456", "Chidi", "Okafor"),
)


@click.command("demo-data", short_help="Make data to try everything with.")
@json_option
def command(as_json: bool) -> None:
    """Make a sandbox organization with users, an application and two API keys.

    A second run keeps all ids, makes new secrets, and leaves the first user with nothing enrolled.
    """
    wired = services()
    with wired.database.writing() as tx:
        answer = _make(wired, tx)
    if as_json:
        tell(answer, as_json=True, heading="")
        return
    shown = {
        "base_url": answer["base_url"],
        "account_domain": answer["account_domain"],
        "organization": DOMAIN,
        "api_key": _pair(answer["api_key"]),
        "v1_key": answer["v1_key"],
        "application": _pair(answer["application"]),
        "redirect_uri": answer["application"]["redirect_uri"],
        "oidc": _pair(answer["oidc"]),
        "duo": " ".join(answer["duo"].values()),
        "users": [user["email"] for user in answer["users"]],
        "administrator": " ".join(answer["administrator"].values()),
    }
    tell(shown, as_json=False, heading="The demo data is there.")


def _pair(credentials: dict[str, str]) -> str:
    return f"{credentials['client_id']} {credentials['client_secret']}"


def _make(wired: Services, tx: Session) -> dict[str, Any]:
    organization = _organization(wired, tx)
    users = [_user(wired, tx, organization, *person) for person in PEOPLE]
    wired.enrollment.reset(tx, OPERATOR, organization, users[0], reopen=True)
    application, application_secret = _application(wired, tx, APPLICATION, Door.REST)
    shop, shop_secret = _oidc_client(wired, tx)
    key, key_secret = _api_key(wired, tx)
    v1_secret = _v1_key(wired, tx, organization)
    administrator = demo_administrator(wired, tx, organization)
    return {
        "base_url": wired.config.base_url,
        "account_domain": wired.config.account_domain,
        "api_key": {
            "client_id": str(key.id),
            "client_secret": key_secret,
            "environment": key.environment.value,
        },
        "v1_key": v1_secret,
        "organization": {"domain": organization.domain},
        "application": {
            "client_id": application.client_id,
            "client_secret": application_secret,
            "redirect_uri": application.redirect_uris[0],
        },
        "oidc": {
            "issuer": wired.config.base_url,
            "client_id": shop.client_id,
            "client_secret": shop_secret,
            "redirect_uri": shop.redirect_uris[0],
        },
        "users": [
            {"id": str(user.id), "email": user.email, "phone_number": user.phone_number}
            for user in users
        ],
        "administrator": administrator,
        "duo": _duo_client(wired, tx, organization),
        "entra": _entra(wired, tx, organization),
    }


def _organization(wired: Services, tx: Session) -> Organization:
    try:
        organization = wired.organizations.find(tx, Environment.SANDBOX, DOMAIN)
    except NotFound:
        organization = wired.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Harbor", domain=DOMAIN
        )
    wired.method_settings.change(tx, OPERATOR, organization, active=True, methods=("app", "sms"))
    for kind in CHANNELS:
        wired.channels.change(tx, OPERATOR, organization, kind, active=True)
    wired.sending_rules.change(tx, OPERATOR, organization, countries=COUNTRIES)
    return organization


def _user(
    wired: Services, tx: Session, organization: Organization, email: str, phone: str, *names: str
) -> User:
    try:
        return wired.directory.find(tx, organization, email)
    except NotFound:
        profile = dict(zip(("given_name", "family_name"), names, strict=True))
        return wired.directory.create(
            tx, OPERATOR, organization, email=email, phone_number=phone, profile=profile
        )


def _oidc_client(wired: Services, tx: Session) -> tuple[Application, str]:
    """Return an application that speaks OpenID Connect, as a new one is held to it."""
    organization = wired.organizations.find(tx, Environment.SANDBOX, DOMAIN)
    shop, secret = _application(wired, tx, SHOP, Door.OIDC)
    if wired.oidc_clients.find(tx, shop.client_id) is None:
        shop.organizations = [organization]
        wired.oidc_clients.register(tx, shop)
    return shop, secret


def _duo_client(wired: Services, tx: Session, organization: Organization) -> dict[str, str]:
    """Return what an SDK of Duo is set up with, by the names of its settings."""
    uri = _redirect_uri(wired)
    client = tx.scalar(
        sa.select(DuoClient)
        .join(DuoClient.application)
        .where(Application.name == WIKI, Application.deleted_at.is_(None))
    )
    if client is None:
        made = wired.duo_clients.create(tx, OPERATOR, organization, name=WIKI, redirect_uris=[uri])
        client, secret = made.client, made.secret
    else:
        client.application.redirect_uris = [uri]
        secret = wired.duo_clients.replace_secret(tx, OPERATOR, client.application)
    return {
        "host": wired.config.host,
        "client_id": client.client_id,
        "client_secret": secret,
        "redirect_uri": uri,
    }


def _application(wired: Services, tx: Session, name: str, door: Door) -> tuple[Application, str]:
    uri = _redirect_uri(wired)
    found = tx.scalar(
        sa.select(Application)
        .where(
            Application.name == name,
            Application.door == door,
            Application.environment == Environment.SANDBOX,
            Application.deleted_at.is_(None),
        )
        .order_by(Application.created_at)
    )
    if found is None:
        return wired.applications.create(
            tx,
            OPERATOR,
            environment=Environment.SANDBOX,
            name=name,
            redirect_uris=[uri],
            door=door,
        )
    found.redirect_uris = [uri]
    return found, wired.applications.replace_secret(tx, OPERATOR, found)


def _entra(wired: Services, tx: Session, organization: Organization) -> dict[str, str]:
    """Connect a made-up directory, or return what there is."""
    found = tx.scalar(
        sa.select(EntraConnection)
        .join(Application)
        .where(
            Application.name == ENTRA,
            Application.organizations.any(Organization.id == organization.id),
            Application.deleted_at.is_(None),
        )
    )
    settings = EntraSettings(app_id=ENTRA_APP_ID, tenant_ids=[ENTRA_TENANT])
    connection = found or wired.entra_connections.create(
        tx, OPERATOR, organization, name=ENTRA, settings=settings
    )
    issuer = wired.entra_connections.issuer(connection.id)
    return {
        "client_id": connection.application.client_id,
        "discovery_url": f"{issuer}/.well-known/openid-configuration",
        "reply_url": f"{issuer}/authorize",
        "app_id": connection.app_id,
        "tenant_id": connection.tenant_ids[0],
    }


def _api_key(wired: Services, tx: Session) -> tuple[ApiKey, str]:
    found = tx.scalar(
        sa.select(ApiKey)
        .where(
            ApiKey.name == API_KEY,
            ApiKey.environment == Environment.SANDBOX,
            ApiKey.organization_id.is_(None),
            ApiKey.blocked_at.is_(None),
        )
        .order_by(ApiKey.created_at)
    )
    if found is None:
        return wired.api_keys.create(tx, OPERATOR, environment=Environment.SANDBOX, name=API_KEY)
    return found, wired.api_keys.replace_secret(tx, OPERATOR, found)


def _v1_key(wired: Services, tx: Session, organization: Organization) -> str:
    """Return a new secret of the organization's key for API v1."""
    found = tx.scalar(
        sa.select(ApiKey)
        .where(
            ApiKey.name == V1_KEY,
            ApiKey.api == Api.V1,
            ApiKey.organization_id == organization.id,
            ApiKey.blocked_at.is_(None),
        )
        .order_by(ApiKey.created_at)
    )
    if found is not None:
        return wired.api_keys.replace_secret(tx, OPERATOR, found)
    _, secret = wired.api_keys.create(
        tx,
        OPERATOR,
        environment=organization.environment,
        name=V1_KEY,
        organization=organization,
        api=Api.V1,
    )
    return secret


def _redirect_uri(wired: Services) -> str:
    """Return where the demo's application listens: one port above the gateway's."""
    base = urlsplit(wired.config.base_url)
    port = os.environ.get("PORT") or str(base.port or 8000)
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65535):
        raise ConfigError(
            "PORT: must be a number from 1 to 65534; the demo takes the next one, too"
        )
    return f"{base.scheme}://{base.hostname}:{int(port) + 1}/callback"
