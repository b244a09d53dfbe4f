"""gatehouse api-keys: credentials of backends."""

from __future__ import annotations

import click

from app.cli.desk import environment_option, json_option, services, tell
from app.models import Environment
from app.services.audit import OPERATOR


@click.group("api-keys")
def group() -> None:
    """The keys with which backends call the REST API."""


@group.command("create")
@environment_option
@click.option("--name", default="API key", show_default=True, help="For you, to tell keys apart.")
@click.option("--organization", "domain", help="Domain of the one that it reaches. None: all.")
@json_option
def create(environment: Environment, name: str, domain: str | None, as_json: bool) -> None:
    """Create an API key; its secret is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain) if domain else None
        key, secret = wired.api_keys.create(
            tx, OPERATOR, environment=environment, name=name, organization=organization
        )
    answer = {
        "client_id": str(key.id),
        "client_secret": secret,
        "environment": environment.value,
        "account_domain": wired.config.account_domain,
        "organization": domain,
    }
    tell(answer, as_json=as_json, heading="Created. Keep the secret: it is not shown again.")
