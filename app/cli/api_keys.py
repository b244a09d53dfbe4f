"""gatehouse api-keys: credentials of backends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from app.cli.desk import (
    environment_option,
    json_option,
    overlap_option,
    services,
    tell,
    tell_all,
    told_moment,
)
from app.errors import NotFound
from app.models import Api, ApiKey, Environment
from app.services.api_keys import Permission
from app.services.audit import OPERATOR
from app.services.key_reach import no_application
from app.wiring import Services


@click.group("api-keys")
def group() -> None:
    """The keys with which backends call the REST API."""


@group.command("create")
@environment_option
@click.option("--name", default="API key", show_default=True, help="For you, to tell keys apart.")
@click.option("--organization", "domain", help="Domain of the one that it reaches. None: all.")
@click.option(
    "--permission",
    "permissions",
    type=click.Choice([one.value for one in Permission]),
    multiple=True,
    metavar="PERMISSION",
    help="Such as read:users; repeatable. None: all.",
)
@click.option("--v1", is_flag=True, help="A secret for the DevRIFT v1 API, of one organization.")
@click.option(
    "--application",
    "application_id",
    metavar="CLIENT_ID",
    help="On whose behalf a v1 key asks; its policy holds for the calls.",
)
@json_option
def create(
    environment: Environment,
    name: str,
    domain: str | None,
    permissions: tuple[str, ...],
    v1: bool,
    application_id: str | None,
    as_json: bool,
) -> None:
    """Create an API key; its secret is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain) if domain else None
        application = wired.applications.find(tx, application_id) if application_id else None
        if application_id and application is None:
            raise no_application()
        key, secret = wired.api_keys.create(
            tx,
            OPERATOR,
            environment=environment,
            name=name,
            organization=organization,
            permissions=[Permission(one) for one in permissions] or None,
            api=Api.V1 if v1 else Api.V2,
            application=application,
        )
    answer = {
        "client_id": str(key.id),
        "client_secret": secret,
        "api": key.api.value,
        "environment": environment.value,
        "account_domain": wired.config.account_domain,
        "organization": domain,
        "application": application_id,
        "permissions": key.permissions,
    }
    tell(answer, as_json=as_json, heading="Created. Keep the secret: it is not shown again.")


@group.command("list")
@environment_option
@json_option
def index(environment: Environment, as_json: bool) -> None:
    """List the API keys of an environment, newest first."""
    wired = services()
    with wired.database.reading() as tx:
        keys, _ = wired.api_keys.page(tx, environment)
        rows = [_shown(key) for key in keys]
    tell_all(rows, as_json=as_json, nothing="There are no API keys.")


@group.command("replace", short_help="Give a key a new secret.")
@click.argument("client_id")
@overlap_option
@json_option
def replace(client_id: str, overlap: timedelta, as_json: bool) -> None:
    """Give the key CLIENT_ID a new secret, which is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        key = _find(wired, tx, client_id)
        secret = wired.api_keys.replace_secret(tx, OPERATOR, key, overlap=overlap)
    answer = {
        "client_id": str(key.id),
        "client_secret": secret,
        "previous_secret_until": told_moment(wired.api_keys.overlaps_until(key)),
    }
    tell(answer, as_json=as_json, heading="Replaced. Keep the secret: it is not shown again.")


@group.command("block", short_help="Let a key die at once.")
@click.argument("client_id")
@json_option
def block(client_id: str, as_json: bool) -> None:
    """Let the key CLIENT_ID, its secrets and its tokens die at once, for good."""
    wired = services()
    with wired.database.writing() as tx:
        key = _find(wired, tx, client_id)
        wired.api_keys.block(tx, OPERATOR, key)
        answer = _shown(key)
    tell(answer, as_json=as_json, heading="Blocked.")


def _find(wired: Services, tx: Session, client_id: str) -> ApiKey:
    key = wired.api_keys.find(tx, client_id)
    if key is None:
        raise NotFound("API key")
    return key


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "client_id": str(key.id),
        "name": key.name,
        "api": key.api.value,
        "organization": key.organization.domain if key.organization else None,
        "permissions": key.permissions,
        "blocked_at": told_moment(key.blocked_at),
        "created_at": told_moment(key.created_at),
    }
