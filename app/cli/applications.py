"""gatehouse applications: the relying parties."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from app.cli.application_doors import Wanted, register
from app.cli.desk import (
    environment_option,
    json_option,
    overlap_option,
    services,
    tell,
    tell_all,
    told_moment,
)
from app.client_keys import ALGORITHMS
from app.errors import NotFound
from app.models import Application, ClientAuth, Door, EntraCloud, Environment
from app.services.application_changes import ApplicationChanges
from app.services.application_methods import NAMES, named_methods
from app.services.audit import OPERATOR
from app.wiring import Services


@click.group("applications")
def group() -> None:
    """The applications that send their users here."""


@group.command("create", short_help="Register an application called NAME.")
@click.argument("name")
@environment_option
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Exact; repeatable.")
@click.option(
    "--organization",
    "domains",
    multiple=True,
    help="Domain of one that it serves; repeatable. None: all of the environment.",
)
@click.option(
    "--vouches-for-first-factor",
    "vouches",
    is_flag=True,
    help="Its users proved one, such as a password, before it sends them.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(list(NAMES)),
    help="One that it takes; repeatable. None: all that an organization offers.",
)
@click.option(
    "--door",
    type=click.Choice([one.value for one in Door]),
    default=Door.REST.value,
    show_default=True,
    help="The protocol that it speaks.",
)
@click.option(
    "--auth",
    type=click.Choice([one.value for one in ClientAuth]),
    help="OIDC: how it proves itself; client_secret_basic if not given.",
)
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="OIDC: of its signatures.")
@click.option(
    "--public-keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="OIDC: file with its keys. Entra: Microsoft's, pinned. JSON Web Key Set.",
)
@click.option(
    "--without",
    "optional",
    multiple=True,
    type=click.Choice(["pushed", "pkce"]),
    help="OIDC: what it may leave out; repeatable.",
)
@click.option("--app-id", help="Entra: Application (client) ID of the app registration.")
@click.option(
    "--tenant-id", "tenant_ids", multiple=True, help="Entra: Directory (tenant) ID; repeatable."
)
@click.option(
    "--cloud",
    type=click.Choice([one.value for one in EntraCloud]),
    help="Entra: Microsoft's cloud; global if not given.",
)
@json_option
def create(
    name: str,
    environment: Environment,
    door: str,
    domains: tuple[str, ...],
    as_json: bool,
    **typed: Any,
) -> None:
    """Register an application called NAME; its secret, if it has one, is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        served = [wired.organizations.find(tx, environment, domain) for domain in domains]
        wanted = Wanted(environment=environment, name=name, organizations=served, **typed)
        application, needed = register(wired, tx, Door(door), wanted)
    answer = {
        "client_id": application.client_id,
        **needed,
        "environment": environment.value,
        "protocol": door,
        "redirect_uris": application.redirect_uris,
        "organizations": list(domains),
        "vouches_for_first_factor": application.vouches_for_first_factor,
        "methods": named_methods(application.methods),
    }
    keep = " Keep the secret: it is not shown again." if "client_secret" in needed else ""
    tell(answer, as_json=as_json, heading=f"Registered {name}.{keep}")


@group.command("list")
@environment_option
@json_option
def index(environment: Environment, as_json: bool) -> None:
    """List the applications of an environment, newest first."""
    wired = services()
    with wired.database.reading() as tx:
        applications, _ = wired.applications.page(tx, environment)
        rows = [_shown(application) for application in applications]
    tell_all(rows, as_json=as_json, nothing="There are no applications.")


@group.command("vouch", short_help="Say whether an application vouches for the first factor.")
@click.argument("client_id")
@click.argument("answer", type=click.Choice(["yes", "no"]))
@json_option
def vouch(client_id: str, answer: str, as_json: bool) -> None:
    """Say whether users of CLIENT_ID proved a first factor before they are sent here."""
    wired = services()
    with wired.database.writing() as tx:
        application = _find(wired, tx, client_id)
        changes = ApplicationChanges(vouches_for_first_factor=answer == "yes")
        wired.applications.update(tx, OPERATOR, application, changes)
    told = "vouches" if answer == "yes" else "does not vouch"
    heading = f"{application.name} {told} for the first factor."
    tell(_shown(application), as_json=as_json, heading=heading)


@group.command("methods", short_help="Set which methods an application takes.")
@click.argument("client_id")
@click.argument("methods", nargs=-1, type=click.Choice(list(NAMES)))
@json_option
def set_methods(client_id: str, methods: tuple[str, ...], as_json: bool) -> None:
    """Let CLIENT_ID take METHODS alone; without any it takes all that an organization offers."""
    wired = services()
    with wired.database.writing() as tx:
        application = _find(wired, tx, client_id)
        wired.applications.update(tx, OPERATOR, application, ApplicationChanges(methods=methods))
    heading = f"{application.name} takes {', '.join(methods) or 'all methods'}."
    tell(_shown(application), as_json=as_json, heading=heading)


@group.command("rotate", short_help="Give an application a new secret.")
@click.argument("client_id")
@overlap_option
@json_option
def rotate(client_id: str, overlap: timedelta, as_json: bool) -> None:
    """Give the application CLIENT_ID a new secret, which is shown this once."""
    wired = services()
    with wired.database.writing() as tx:
        application = _find(wired, tx, client_id)
        holds = wired.duo_clients if application.door is Door.DUO else wired.applications
        secret = holds.replace_secret(tx, OPERATOR, application, overlap=overlap)
    answer = {
        "client_id": application.client_id,
        "client_secret": secret,
        "previous_secret_until": told_moment(wired.applications.overlaps_until(application)),
    }
    tell(answer, as_json=as_json, heading="Replaced. Keep the secret: it is not shown again.")


@group.command("delete", short_help="Delete an application.")
@click.argument("client_id")
@json_option
def delete(client_id: str, as_json: bool) -> None:
    """Delete the application CLIENT_ID; its secrets and open gateway sessions die at once."""
    wired = services()
    with wired.database.writing() as tx:
        application = _find(wired, tx, client_id)
        wired.applications.delete(tx, OPERATOR, application)
    tell(_shown(application), as_json=as_json, heading=f"Deleted {application.name}.")


def _find(wired: Services, tx: Session, client_id: str) -> Application:
    application = wired.applications.find(tx, client_id)
    if application is None:
        raise NotFound("application")
    return application


def _shown(application: Application) -> dict[str, Any]:
    return {
        "client_id": application.client_id,
        "name": application.name,
        "protocol": application.door.value,
        "redirect_uris": application.redirect_uris,
        "organizations": application.served_domains,
        "vouches_for_first_factor": application.vouches_for_first_factor,
        "methods": named_methods(application.methods),
        "created_at": told_moment(application.created_at),
    }
