"""gatehouse administrators: who runs the organizations."""

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
from app.errors import NotFound
from app.models import Environment, Role
from app.services.audit import OPERATOR
from app.services.invitations import Invited


@click.group("administrators")
def group() -> None:
    """Those who run an organization in the admin area."""


@group.command("create", short_help="Invite somebody to run an organization.")
@click.argument("email")
@click.option("--organization", "domain", required=True, help="Slug of the organization to run.")
@environment_option
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.OWNER.value,
    show_default=True,
    callback=lambda _context, _parameter, value: Role(value),
    help="What they may do.",
)
@json_option
def create(email: str, domain: str, environment: Environment, role: Role, as_json: bool) -> None:
    """Invite EMAIL to run an organization; the link that is printed works once, for 7 days.

    Whoever opens it chooses a password and sets up a second factor. No password is ever typed
    here.
    """
    wired = services()
    with wired.database.writing() as tx:
        organization = wired.organizations.find(tx, environment, domain)
        invited = wired.invitations.invite(tx, OPERATOR, organization, email=email, role=role)
    _tell_link(invited, as_json=as_json)


@group.command("list")
@click.option("--organization", "domain", required=True, help="Slug of the organization.")
@environment_option
@json_option
def index(domain: str, environment: Environment, as_json: bool) -> None:
    """List who runs an organization."""
    wired = services()
    with wired.database.reading() as tx:
        organization = wired.organizations.find(tx, environment, domain)
        rows = [
            {
                "email": seat.administrator.email,
                "name": seat.administrator.name,
                "role": seat.role.value,
                "since": told_moment(seat.created_at),
            }
            for seat in wired.appointments.of(tx, organization)
        ]
    nothing = "Nobody runs it yet. Invite somebody: gatehouse administrators create."
    tell_all(rows, as_json=as_json, nothing=nothing)


@group.command("start-over", short_help="Let somebody choose a new password.")
@click.argument("email")
@click.option("--phone-too", is_flag=True, help="The second factor is to be set up anew, too.")
@json_option
def start_over(email: str, phone_too: bool, as_json: bool) -> None:
    """Print a link by which EMAIL chooses a new password, in every organization that they run.

    Nothing of the old is touched before the link is used.
    """
    wired = services()
    with wired.database.writing() as tx:
        administrator = wired.administrators.named(tx, email)
        seats = wired.appointments.seats(tx, administrator) if administrator else []
        if administrator is None or not seats:
            raise NotFound("administrator")
        seat = wired.appointments.find(tx, seats[0].organization, administrator.id)
        invited = wired.invitations.start_over(
            tx, OPERATOR, seats[0].organization, seat, phone_too=phone_too, shared=True
        )
    _tell_link(invited, as_json=as_json)


def _tell_link(invited: Invited, *, as_json: bool) -> None:
    invitation = invited.invitation
    answer = {
        "email": invitation.email,
        "organization": invitation.organization.domain,
        "role": invitation.role.value,
        "link": invited.link,
        "expires_at": told_moment(invitation.expires_at),
    }
    tell(answer, as_json=as_json, heading="Hand this link over; it is shown only now.")
