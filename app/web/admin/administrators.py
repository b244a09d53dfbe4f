"""Administrators of an organization: who, as what, and inviting more."""

from __future__ import annotations

import uuid

from flask import make_response, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import BooleanField, EmailField, RadioField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, Refusal
from app.models import AdministratorRole, Role
from app.services.invitations import Invited
from app.services.roles import Action
from app.web.admin import gate
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.once import OnceForm
from app.web.support import services

blueprint = noun("administrators")

ROLES = {
    Role.OWNER: ("Owner", "Everything, and who else may do what."),
    Role.ADMINISTRATOR: ("Administrator", "Settings, users, applications and keys."),
    Role.HELPDESK: ("Help desk", "Sees users, unlocks them, resets lost methods."),
    Role.AUDITOR: ("Auditor", "Sees everything, changes nothing."),
}

_CHOICES = [SelectChoice(role.value, f"{name}. {about}") for role, (name, about) in ROLES.items()]


class InviteForm(OnceForm):
    """Whom to invite, and as what."""

    email = EmailField("Email address", render_kw={"autocomplete": "off", "required": True})
    role = RadioField(
        "Role",
        choices=_CHOICES,
        default=Role.HELPDESK.value,
    )


class RoleForm(FlaskForm):  # type: ignore[misc]
    """What somebody is to be."""

    role = RadioField(
        "Role",
        choices=_CHOICES,
    )


class StartOverForm(OnceForm):
    """What is to be chosen anew."""

    phone_too = BooleanField("The second factor is lost, too: let it be set up anew")


@blueprint.get("")
@page(Action.SEE_ADMINISTRATORS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List who runs the organization, and who is invited."""
    return render(
        "admin/administrators/index.html",
        seat,
        people=services().appointments.of(tx, seat.organization),
        invitations=services().invitations.open_ones(tx, seat.organization),
        roles=ROLES,
    )


@blueprint.get("/invite")
@page(Action.CHANGE_ADMINISTRATORS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whom to invite."""
    return render("admin/administrators/invite.html", seat, form=InviteForm(formdata=None))


@blueprint.post("/invite")
@page(Action.CHANGE_ADMINISTRATORS)
def invite(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Make an invitation, and show its link this once."""
    form = InviteForm()
    if not form.validate():
        return render("admin/administrators/invite.html", seat, 422, form=form)
    try:
        invited = services().invitations.invite(
            tx,
            seat.actor,
            seat.organization,
            email=form.email.data or "",
            role=Role(form.role.data),
        )
    except Refusal as refusal:
        message = refusal.message.removeprefix("email: ")
        explain(form, refusal if isinstance(refusal, Invalid) else Invalid("email", message))
        return render("admin/administrators/invite.html", seat, 422, form=form)
    form.use_up(tx)
    return _show_link(seat, invited)


@blueprint.get("/<uuid:administrator_id>/role")
@page(Action.CHANGE_ADMINISTRATORS)
def role(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Ask which role somebody is to have."""
    found = _find(tx, seat, administrator_id)
    return _ask_role(seat, found, RoleForm(formdata=None, role=found.role.value))


@blueprint.post("/<uuid:administrator_id>/role")
@page(Action.CHANGE_ADMINISTRATORS)
def change_role(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Give somebody another role."""
    found, form = _find(tx, seat, administrator_id), RoleForm()
    if not form.validate():
        return _ask_role(seat, found, form, 422)
    wanted = Role(form.role.data)
    admitted = services().appointments.change_role(
        tx, seat.actor, seat.organization, found, wanted, by=seat.session
    )
    notice = f"{found.administrator.name} is now: {ROLES[wanted][0]}."
    if found.administrator_id == seat.administrator.id:  # may not see the list any more
        return gate.go_on(make_response(done(seat, notice, "admin_overview.index")), admitted)
    return done(seat, notice, "admin_administrators.index")


@blueprint.get("/<uuid:administrator_id>/remove")
@page(Action.CHANGE_ADMINISTRATORS)
def ask_remove(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether somebody is to run the organization no longer."""
    found = _find(tx, seat, administrator_id)
    name = found.administrator.name
    return confirm(
        seat,
        question=f"Remove {name} from {seat.organization.name}?",
        says=[
            f"{found.administrator.email} can’t open this admin area any more, from now on.",
            "We tell them by email. What they did stays in the audit record.",
        ],
        button=f"Remove {name}",
        keep=f"Keep {name}",
        back=url_for("admin_administrators.index"),
    )


@blueprint.post("/<uuid:administrator_id>/remove")
@page(Action.CHANGE_ADMINISTRATORS)
def remove(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Let somebody run the organization no longer."""
    found = _find(tx, seat, administrator_id)
    admitted = services().appointments.remove(
        tx, seat.actor, seat.organization, found, by=seat.session
    )
    if found.administrator_id == seat.administrator.id:
        left = done(seat, f"You have left {seat.organization.name}.", "admin.organizations")
        return gate.go_on(make_response(left), admitted)
    return done(seat, f"{found.administrator.name} was removed.", "admin_administrators.index")


@blueprint.get("/<uuid:administrator_id>/start-over")
@page(Action.CHANGE_ADMINISTRATORS)
def ask_start_over(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Ask what somebody is to choose anew."""
    found = _find(tx, seat, administrator_id)
    name = found.administrator.name
    return confirm(
        seat,
        question=f"Let {name} choose a new password?",
        says=[
            "You get a link to hand over. It works once, for 7 days. Until it is used, nothing "
            "changes.",
            f"Hand it over only after you have spoken with {name}.",
        ],
        button="Make the link",
        keep="Keep the password",
        back=url_for("admin_administrators.index"),
        form=StartOverForm(formdata=None),
        danger=False,
    )


@blueprint.post("/<uuid:administrator_id>/start-over")
@page(Action.CHANGE_ADMINISTRATORS)
def start_over(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> ResponseReturnValue:
    """Make a link by which somebody chooses a new password, and show it this once."""
    found, form = _find(tx, seat, administrator_id), StartOverForm()
    invited = services().invitations.start_over(
        tx, seat.actor, seat.organization, found, phone_too=bool(form.phone_too.data)
    )
    form.use_up(tx)
    return _show_link(seat, invited)


@blueprint.get("/invitations/<uuid:invitation_id>/withdraw")
@page(Action.CHANGE_ADMINISTRATORS)
def ask_withdraw(tx: Session, seat: Seat, invitation_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an invitation is to work no more."""
    found = services().invitations.open_one(tx, seat.organization, invitation_id)
    return confirm(
        seat,
        question=f"Withdraw the invitation of {found.email}?",
        says=["Its link stops working now. You can invite the same address again."],
        button="Withdraw invitation",
        keep="Keep it",
        back=url_for("admin_administrators.index"),
    )


@blueprint.post("/invitations/<uuid:invitation_id>/withdraw")
@page(Action.CHANGE_ADMINISTRATORS)
def withdraw(tx: Session, seat: Seat, invitation_id: uuid.UUID) -> ResponseReturnValue:
    """Let an invitation work no more."""
    found = services().invitations.withdraw(tx, seat.actor, seat.organization, invitation_id)
    notice = f"The invitation of {found.email} was withdrawn."
    return done(seat, notice, "admin_administrators.index")


def _find(tx: Session, seat: Seat, administrator_id: uuid.UUID) -> AdministratorRole:
    return services().appointments.find(tx, seat.organization, administrator_id)


def _ask_role(
    seat: Seat, found: AdministratorRole, form: FlaskForm, status: int = 200
) -> ResponseReturnValue:
    name = found.administrator.name
    return confirm(
        seat,
        question=f"What may {name} do?",
        says=[
            "The change holds at once. Open sessions end: the new role comes with the next "
            "sign-in. We tell them by email.",
        ],
        button="Change role",
        keep="Keep the role",
        back=url_for("admin_administrators.index"),
        form=form,
        danger=False,
        status=status,
    )


def _show_link(seat: Seat, invited: Invited) -> ResponseReturnValue:
    return render(
        "admin/administrators/link.html",
        seat,
        invitation=invited.invitation,
        link=invited.link,
    )
