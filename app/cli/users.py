"""gatehouse users: what an operator does for one person."""

from __future__ import annotations

import click

from app.cli.desk import environment_option, json_option, services, tell
from app.models import Environment
from app.services.audit import OPERATOR


@click.group("users")
def group() -> None:
    """The people of an organization."""


@group.command("reset-authenticators", short_help="Remove all that USER set up.")
@click.argument("user")
@click.option("--organization", "domain", required=True, help="Its domain.")
@environment_option
@click.option(
    "--reopen/--no-reopen",
    default=True,
    show_default=True,
    help="Let the user set up a new one at the next visit, without further proof.",
)
@json_option
def reset(user: str, domain: str, environment: Environment, reopen: bool, as_json: bool) -> None:
    """Remove all authenticators and recovery codes of USER (id or e-mail address)."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain)
        person = wired.directory.find(tx, organization, user)
        removed = wired.enrollment.reset(tx, OPERATOR, organization, person, reopen=reopen)
    answer = {
        "user": str(person.id),
        "removed": removed,
        "enrollment": "open" if reopen else "closed",
    }
    tell(answer, as_json=as_json, heading=f"Reset {person.label}.")


@group.command("unlock", short_help="Let USER try again.")
@click.argument("user")
@click.option("--organization", "domain", required=True, help="Its domain.")
@environment_option
@json_option
def unlock(user: str, domain: str, environment: Environment, as_json: bool) -> None:
    """Let USER (id or e-mail address) try again, whatever was typed wrong before."""
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain)
        person = wired.directory.find(tx, organization, user)
        wired.user_care.unlock(tx, OPERATOR, organization, person)
    tell({"user": str(person.id)}, as_json=as_json, heading=f"Unlocked {person.label}.")


@group.command("approve-reenrollment", short_help="Record that a human verified USER.")
@click.argument("user")
@click.option("--organization", "domain", required=True, help="Its domain.")
@environment_option
@json_option
def approve(user: str, domain: str, environment: Environment, as_json: bool) -> None:
    """Record that a human verified USER (id or e-mail address) after a recovery.

    A user whose authenticator a recovery code suspended sets up a new one at the next visit, and
    the five re-enrollments that recovery codes allow count from the start.
    """
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain)
        person = wired.directory.find(tx, organization, user)
        due = wired.enrollment.approve(tx, OPERATOR, organization, person)
    answer = {"user": str(person.id), "may_enroll_at_next_visit": due}
    tell(answer, as_json=as_json, heading=f"Approved {person.label}.")
