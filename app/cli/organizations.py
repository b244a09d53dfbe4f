"""gatehouse organizations: the tenants."""

from __future__ import annotations

import click

from app.cli.desk import environment_option, json_option, services, tell
from app.factors.totp import Totp
from app.models import Environment
from app.services.audit import OPERATOR


@click.group("organizations")
def group() -> None:
    """The tenants of this deployment."""


@group.command("create")
@click.argument("name")
@environment_option
@click.option("--domain", help="Slug in addresses; made from the name if not given.")
@click.option("--email-domain", "email_domains", multiple=True, help="Of its people; repeatable.")
@click.option("--locale", help="Language of its pages, such as en.")
@click.option("--totp/--no-totp", default=True, show_default=True, help="Offer authenticator apps.")
@json_option
def create(
    name: str,
    environment: Environment,
    domain: str | None,
    email_domains: tuple[str, ...],
    locale: str | None,
    totp: bool,
    as_json: bool,
) -> None:
    """Create an organization called NAME."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.create(
            tx,
            OPERATOR,
            environment=environment,
            name=name,
            domain=domain,
            email_domains=email_domains,
            locale=locale,
        )
        wired.organizations.switch(tx, OPERATOR, organization, Totp.kind, active=totp)
    answer = {
        "id": str(organization.id),
        "name": organization.name,
        "domain": organization.domain,
        "environment": environment.value,
        "email_domains": organization.email_domains,
        "totp_connection": "active" if totp else "inactive",
    }
    tell(answer, as_json=as_json, heading=f"Created {organization.name}.")
