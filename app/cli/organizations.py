"""gatehouse organizations: the tenants."""

from __future__ import annotations

import click

from app.cli.desk import (
    environment_option,
    json_option,
    services,
    tell,
    tell_all,
    told_moment,
)
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
        wired.method_settings.change(tx, OPERATOR, organization, active=totp)
    answer = {
        "id": str(organization.id),
        "name": organization.name,
        "domain": organization.domain,
        "environment": environment.value,
        "email_domains": organization.email_domains,
        "totp_connection": "active" if totp else "inactive",
    }
    tell(answer, as_json=as_json, heading=f"Created {organization.name}.")


@group.command("list")
@environment_option
@click.option("--deleted", is_flag=True, help="Those that can be restored, instead.")
@json_option
def index(environment: Environment, deleted: bool, as_json: bool) -> None:
    """List the organizations of an environment, newest first."""
    wired = services()
    with wired.database.reading() as tx:
        organizations, _ = wired.organizations.page(tx, environment, deleted=deleted)
    rows = [
        {
            "domain": one.domain,
            "name": one.name,
            "created_at": told_moment(one.created_at),
            "deleted_at": told_moment(one.deleted_at),
        }
        for one in organizations
    ]
    tell_all(rows, as_json=as_json, nothing="There are no such organizations.")


@group.command("restore", short_help="Bring a deleted organization back.")
@click.argument("domain")
@environment_option
@json_option
def restore(domain: str, environment: Environment, as_json: bool) -> None:
    """Bring the deleted organization DOMAIN back, with its users, keys and settings."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.restore(tx, OPERATOR, environment, domain)
    answer = {
        "id": str(organization.id),
        "name": organization.name,
        "domain": organization.domain,
        "environment": environment.value,
    }
    tell(answer, as_json=as_json, heading=f"Restored {organization.name}.")
