"""What administrators do about a user's authenticators: reset them, approve new ones."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice

from app.models import Authenticator, AuthenticatorStatus, User
from app.services.roles import Action
from app.web.admin.desk import ReasonForm, Seat, confirm, done, page
from app.web.admin.event_words import METHODS
from app.web.admin.notices import tells, told
from app.web.admin.user import PRESENT, back, blueprint, call_name, find
from app.web.support import services

_REOPEN, _CLOSED = "reopen", "closed"


class ResetForm(ReasonForm):
    """Why, and how the user comes to a new authenticator."""

    after = RadioField(
        "How may a new one be set up?",
        choices=[
            SelectChoice(
                _CLOSED,
                "With an invitation that you send. Safer: nobody sets one up who only knows the "
                "password.",
            ),
            SelectChoice(
                _REOPEN,
                "At the next visit, without further proof. Choose this only if you are sure who "
                "will sign in next.",
            ),
        ],
        default=_CLOSED,
    )

    @property
    def reopens(self) -> bool:
        """Whether the user may set up anew without further proof."""
        return bool(self.after.data == _REOPEN)


@blueprint.get("/authenticators/<uuid:authenticator_id>/reset")
@page(Action.RESET_AUTHENTICATORS)
def ask_reset_one(
    tx: Session, seat: Seat, user_id: uuid.UUID, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Ask whether one authenticator is to stop working."""
    user = find(tx, seat, user_id)
    one = services().authenticators.find(tx, user, str(authenticator_id))
    return _ask_reset_one(tx, seat, user, one, _form(_is_last(tx, user, one), fresh=True))


@blueprint.post("/authenticators/<uuid:authenticator_id>/reset")
@page(Action.RESET_AUTHENTICATORS)
def reset_one(
    tx: Session, seat: Seat, user_id: uuid.UUID, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Let one authenticator stop working."""
    user = find(tx, seat, user_id, locked=True)
    one = services().authenticators.find(tx, user, str(authenticator_id))
    form = _form(_is_last(tx, user, one))
    if not form.validate():
        return _ask_reset_one(tx, seat, user, one, form, 422)
    reopen = isinstance(form, ResetForm) and form.reopens
    services().authenticators.remove(
        tx, seat.actor, seat.organization, user, one, reopen=reopen, why=form.reason.data
    )
    notice = f"The {_method(one)} was reset.{told(user)}"
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/reset")
@page(Action.RESET_AUTHENTICATORS)
def ask_reset(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether all authenticators are to stop working."""
    return _ask_reset(tx, seat, find(tx, seat, user_id), ResetForm(formdata=None))


@blueprint.post("/reset")
@page(Action.RESET_AUTHENTICATORS)
def reset(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Let all authenticators and recovery codes stop working."""
    user, form = find(tx, seat, user_id, locked=True), ResetForm()
    if not form.validate():
        return _ask_reset(tx, seat, user, form, 422)
    removed = services().enrollment.reset(
        tx, seat.actor, seat.organization, user, reopen=form.reopens, why=form.reason.data
    )
    notice = (
        f"All authenticators were reset.{told(user)}"
        if removed
        else "There was no authenticator any more."
    )
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/approve")
@page(Action.APPROVE_REENROLLMENT)
def ask_approve(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether the administrator has checked who the user is."""
    return _ask_approve(tx, seat, find(tx, seat, user_id), ReasonForm(formdata=None))


@blueprint.post("/approve")
@page(Action.APPROVE_REENROLLMENT)
def approve(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Record that a human verified the user."""
    user, form = find(tx, seat, user_id, locked=True), ReasonForm()
    if not form.validate():
        return _ask_approve(tx, seat, user, form, 422)
    due = services().enrollment.approve(
        tx, seat.actor, seat.organization, user, why=form.reason.data
    )
    notice = (
        f"Approved. {call_name(user)} sets up a new authenticator at the next visit."
        if due
        else "Recorded. Re-enrollments count anew."
    )
    return done(seat, notice, "admin_user.show", user_id=user.id)


def _ask_reset_one(
    tx: Session,
    seat: Seat,
    user: User,
    one: Authenticator,
    form: ReasonForm,
    status: int = 200,
) -> ResponseReturnValue:
    name = f"{_method(one)} of {call_name(user)}"
    rest = (
        "It is the last one, so the recovery codes stop working with it."
        if _is_last(tx, user, one)
        else "The other authenticators and the recovery codes go on working."
    )
    notice = f"{tells(user)} " if one.status in PRESENT else ""
    return confirm(
        seat,
        question=f"Reset the {name}?",
        says=[
            f"It stops working now and can’t be brought back. {rest}",
            f"{notice}What it was used for stays in the audit record, with your reason.",
        ],
        button=f"Reset {_method(one)}",
        keep="Keep it",
        back=back(user),
        form=form,
        status=status,
    )


def _ask_reset(
    tx: Session, seat: Seat, user: User, form: ResetForm, status: int = 200
) -> ResponseReturnValue:
    theirs = [one for one in services().authenticators.of(tx, user) if one.status in PRESENT]
    many = "The authenticator and" if len(theirs) == 1 else f"All {len(theirs)} authenticators and"
    stops = f"{many} all recovery codes stop working now, and can’t be brought back."
    return confirm(
        seat,
        question=f"Reset all authenticators of {call_name(user)}?",
        says=[
            stops
            if theirs
            else "Nothing is set up now. Recovery codes that are left stop working.",
            f"{tells(user)} What happened stays in the audit record, with your reason.",
        ],
        button="Reset authenticators",
        keep="Keep them",
        back=back(user),
        form=form,
        status=status,
    )


def _ask_approve(
    tx: Session, seat: Seat, user: User, form: ReasonForm, status: int = 200
) -> ResponseReturnValue:
    name = call_name(user)
    if services().enrollment.is_due(tx, user):
        effect = (
            f"At the next visit {name} sets up a new authenticator, which replaces the old one."
        )
    else:
        effect = f"Recovery codes may replace a lost phone of {name} five times again."
    return confirm(
        seat,
        question=f"Have you checked that it is {name}?",
        says=[
            f"You confirm that you verified {name} in person, by video, or by a call to a number "
            "that you knew before.",
            f"{effect} {tells(user)}",
            "The audit record keeps who approved, and what you checked.",
        ],
        button="Approve re-enrollment",
        keep="Approve nothing",
        back=back(user),
        form=form,
        danger=False,
        status=status,
    )


def _form(last: bool, *, fresh: bool = False) -> ReasonForm:
    kind = ResetForm if last else ReasonForm
    return kind(formdata=None) if fresh else kind()


def _is_last(tx: Session, user: User, one: Authenticator) -> bool:
    """Tell whether nothing is left without it."""
    if one.status is AuthenticatorStatus.PENDING:
        return False
    others = [it for it in services().authenticators.of(tx, user) if it.status in PRESENT]
    return [it.id for it in others] == [one.id]


def _method(one: Authenticator) -> str:
    return METHODS.get(one.kind, one.kind)
