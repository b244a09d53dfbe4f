"""Ways in that an administrator gives a user: an invitation to enroll, a bypass code."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import RadioField, SelectField
from wtforms.fields.choices import SelectChoice

from app.models import Application, Environment, User
from app.services.bypass_codes import MINUTES
from app.services.roles import Action
from app.services.standing import demand_unsuspended
from app.web.admin.desk import ReasonForm, Seat, confirm, done, page, render
from app.web.admin.notices import tells
from app.web.admin.once import OnceForm
from app.web.admin.user import back, blueprint, call_name, find
from app.web.support import services


class InviteForm(OnceForm):
    """Which application the link names."""

    client_id = SelectField(
        "Application",
        description="The pages name it as the one that will ask for the code.",
        validate_choice=True,
    )

    def __init__(self, applications: Sequence[Application], **settings: object) -> None:
        super().__init__(**settings)
        self.client_id.choices = [SelectChoice(one.client_id, one.name) for one in applications]


class BypassForm(ReasonForm, OnceForm):
    """Why, and for how long."""

    minutes = RadioField(
        "How long does the code work?",
        choices=[SelectChoice(str(minutes), f"{minutes} minutes") for minutes in MINUTES],
        default="30",
    )


# An invitation to enroll


@blueprint.get("/invite")
@page(Action.INVITE_USER)
def ask_invite(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether the user is to get a link to set up by."""
    user = find(tx, seat, user_id)
    services().enrollment_invitations.demand_room(tx, user)
    applications = services().enrollment_invitations.applications(tx, seat.organization)
    if not applications:
        return render("admin/user/no_application.html", seat, user=user)
    return _ask_invite(tx, seat, user, InviteForm(applications, formdata=None))


@blueprint.post("/invite")
@page(Action.INVITE_USER)
def invite(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Mail the link, and show it this once."""
    user = find(tx, seat, user_id, locked=True)
    form = InviteForm(services().enrollment_invitations.applications(tx, seat.organization))
    if not form.validate():
        return _ask_invite(tx, seat, user, form, 422)
    invited = services().enrollment_invitations.invite(
        tx, seat.actor, user, str(form.client_id.data)
    )
    form.use_up(tx)
    return render(
        "admin/user/invited.html",
        seat,
        user=user,
        call=call_name(user),
        link=invited.address,
        until=invited.row.expires_at,
        captured=seat.organization.environment is Environment.SANDBOX,
        carried="email" in services().provider_accounts.carried(tx, seat.organization),
    )


@blueprint.get("/withdraw-invitation")
@page(Action.INVITE_USER)
def ask_withdraw_invitation(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether the link is to work no more."""
    user = find(tx, seat, user_id)
    return confirm(
        seat,
        question=f"Withdraw the invitation of {call_name(user)}?",
        says=[
            "Its link stops working now. You can send another at any time.",
            f"{call_name(user)} is not told. The audit record keeps that you did it.",
        ],
        button="Withdraw invitation",
        keep="Keep it",
        back=back(user),
    )


@blueprint.post("/withdraw-invitation")
@page(Action.INVITE_USER)
def withdraw_invitation(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Let the link work no more."""
    user = find(tx, seat, user_id, locked=True)
    withdrawn = services().enrollment_invitations.withdraw(tx, seat.actor, user)
    notice = "The invitation was withdrawn." if withdrawn else "No invitation was open any more."
    return done(seat, notice, "admin_user.show", user_id=user.id)


# A bypass code


@blueprint.get("/bypass-code")
@page(Action.GIVE_BYPASS_CODE)
def ask_bypass(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether the user is to get a one-time code."""
    user = find(tx, seat, user_id)
    demand_unsuspended(user)
    return _ask_bypass(tx, seat, user, BypassForm(formdata=None))


@blueprint.post("/bypass-code")
@page(Action.GIVE_BYPASS_CODE)
def give_bypass(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Make a one-time code, and show it this once."""
    user, form = find(tx, seat, user_id, locked=True), BypassForm()
    if not form.validate():
        return _ask_bypass(tx, seat, user, form, 422)
    given = services().bypass_codes.give(
        tx, seat.actor, user, minutes=int(form.minutes.data), why=form.reason.data or ""
    )
    form.use_up(tx)
    return render(
        "admin/user/bypass_code.html",
        seat,
        user=user,
        call=call_name(user),
        code=given.code,
        until=given.row.expires_at,
    )


@blueprint.get("/withdraw-bypass-code")
@page(Action.GIVE_BYPASS_CODE)
def ask_withdraw_bypass(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether the code is to work no more."""
    user = find(tx, seat, user_id)
    return confirm(
        seat,
        question=f"Withdraw the bypass code of {call_name(user)}?",
        says=[
            "The code stops working now. You can give another at any time.",
            f"{call_name(user)} is not told. The audit record keeps that you did it.",
        ],
        button="Withdraw bypass code",
        keep="Keep it",
        back=back(user),
    )


@blueprint.post("/withdraw-bypass-code")
@page(Action.GIVE_BYPASS_CODE)
def withdraw_bypass(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Let the code work no more."""
    user = find(tx, seat, user_id, locked=True)
    withdrawn = services().bypass_codes.withdraw(tx, seat.actor, user)
    notice = "The bypass code was withdrawn." if withdrawn else "No bypass code was left."
    return done(seat, notice, "admin_user.show", user_id=user.id)


def _ask_invite(
    tx: Session, seat: Seat, user: User, form: InviteForm, status: int = 200
) -> ResponseReturnValue:
    before = services().enrollment_invitations.current(tx, user)
    replaces = " The invitation before stops working." if before else ""
    reached = user.email is not None
    return confirm(
        seat,
        question=f"Invite {call_name(user)} to enroll?",
        says=[
            f"{_by_mail(user)} a link that works once, for 7 days, and only while nothing is set "
            f"up.{replaces}",
            "Whoever opens it sets up the authenticator. "
            + ("You see the link, too, to hand it over yourself." if reached else "Hand it over."),
            "The audit record keeps that you invited.",
        ],
        button="Send invitation" if reached else "Make invitation",
        keep="Invite nobody",
        back=back(user),
        form=form,
        danger=False,
        status=status,
    )


def _by_mail(user: User) -> str:
    if user.email is not None:
        return f"We email {user.email}"
    return "There is no email address to send it to: you see"


def _ask_bypass(
    tx: Session, seat: Seat, user: User, form: BypassForm, status: int = 200
) -> ResponseReturnValue:
    name = call_name(user)
    before = services().bypass_codes.current(tx, user)
    replaces = " The code that you gave before stops working." if before else ""
    return confirm(
        seat,
        question=f"Give {name} a bypass code?",
        says=[
            f"Whoever has the code gets in once as {user.label}, without an authenticator. Give it "
            f"only after you have spoken with {name}.{replaces}",
            "It resets nothing and sets nothing up. Applications are told that it was a bypass.",
            f"{tells(user, ', now and when it is used')} The audit record keeps your reason.",
        ],
        button="Make bypass code",
        keep="Give none",
        back=back(user),
        form=form,
        status=status,
    )
