"""gatehouse applications: the relying parties."""

from __future__ import annotations

import click

from app.cli.desk import environment_option, json_option, services, tell
from app.models import Environment
from app.services.audit import OPERATOR


@click.group("applications")
def group() -> None:
    """The applications that send their users here."""


@group.command("create", short_help="Register an application called NAME.")
@click.argument("name")
@environment_option
@click.option(
    "--redirect-uri", "redirect_uris", multiple=True, required=True, help="Exact; repeatable."
)
@click.option(
    "--organization",
    "domains",
    multiple=True,
    help="Domain of one that it serves; repeatable. None: all of the environment.",
)
@json_option
def create(
    name: str,
    environment: Environment,
    redirect_uris: tuple[str, ...],
    domains: tuple[str, ...],
    as_json: bool,
) -> None:
    """Register an application called NAME; its secret is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        served = [wired.organizations.find(tx, environment, domain) for domain in domains]
        application, secret = wired.applications.create(
            tx,
            OPERATOR,
            environment=environment,
            name=name,
            redirect_uris=redirect_uris,
            organizations=served,
        )
    answer = {
        "client_id": application.client_id,
        "client_secret": secret,
        "environment": environment.value,
        "redirect_uris": application.redirect_uris,
        "organizations": list(domains),
    }
    tell(
        answer,
        as_json=as_json,
        heading=f"Registered {name}. Keep the secret: it is not shown again.",
    )
