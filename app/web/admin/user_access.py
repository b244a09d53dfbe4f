"""Whether a user is let in: unlock, suspend and lift that, delete."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import EmailField, Field
from wtforms.validators import ValidationError
from wtforms.widgets import TelInput

from app.models import User
from app.services.roles import Action
from app.services.user_fields import email_key
from app.web.admin.desk import ReasonForm, Seat, confirm, done, page
from app.web.admin.notices import tells, told, way_of
from app.web.admin.user import back, blueprint, call_name, find
from app.web.support import services


class DeleteForm(ReasonForm):
    """Why, and the address (or else the number) of who is to be deleted, typed."""

    email = EmailField(
        "Type the email address to confirm",
        render_kw={"autocomplete": "off", "spellcheck": "false", "required": True},
    )

    def __init__(self, user: User, **settings: object) -> None:
        super().__init__(**settings)
        self._user = user
        if user.email is None:
            self.email.label.text = "Type the phone number to confirm"
            self.email.widget = TelInput()

    def validate_email(self, field: Field) -> None:
        """Demand the address (or number) of this very user."""
        if email_key((field.data or "").strip()) != email_key(self._user.label):
            raise ValidationError(f"That is not {self._user.label}. Type it as it stands here.")


@blueprint.get("/unlock")
@page(Action.UNLOCK_USER)
def ask_unlock(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether wrong codes are to be forgotten."""
    user = find(tx, seat, user_id)
    name = call_name(user)
    return confirm(
        seat,
        question=f"Unlock {name}?",
        says=[
            f"Unlock only after you have spoken with {name}: somebody else may have typed the "
            "wrong codes.",
            *_of_freeze(user),
            "Codes are judged again at once, and wrong ones count anew. Nothing is reset: "
            f"{name} still needs a method that works.",
            f"{tells(user)} The audit record keeps that you did it.",
        ],
        button=f"Unlock {name}",
        keep="Keep the lock",
        back=back(user),
        danger=False,
    )


@blueprint.post("/unlock")
@page(Action.UNLOCK_USER)
def unlock(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Forget wrong codes."""
    user = find(tx, seat, user_id, locked=True)
    services().user_care.unlock(tx, seat.actor, seat.organization, user)
    notice = f"{call_name(user)} was unlocked.{told(user)}"
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/suspend")
@page(Action.SUSPEND_USER)
def ask_suspend(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether a user is to be let in no more."""
    return _ask_suspend(seat, find(tx, seat, user_id), ReasonForm(formdata=None))


@blueprint.post("/suspend")
@page(Action.SUSPEND_USER)
def suspend(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Let a user in no more."""
    user, form = find(tx, seat, user_id, locked=True), ReasonForm()
    if not form.validate():
        return _ask_suspend(seat, user, form, 422)
    services().user_care.suspend(
        tx, seat.actor, seat.organization, user, why=form.reason.data or ""
    )
    notice = f"{call_name(user)} is suspended.{told(user)}"
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/lift-suspension")
@page(Action.SUSPEND_USER)
def ask_lift(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether a suspended user is to be let in again."""
    return _ask_lift(seat, find(tx, seat, user_id), ReasonForm(formdata=None))


@blueprint.post("/lift-suspension")
@page(Action.SUSPEND_USER)
def lift(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Let a suspended user in again."""
    user, form = find(tx, seat, user_id, locked=True), ReasonForm()
    if not form.validate():
        return _ask_lift(seat, user, form, 422)
    services().user_care.lift(tx, seat.actor, seat.organization, user, why=form.reason.data or "")
    notice = f"{call_name(user)} is let in again.{told(user)}"
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/delete")
@page(Action.DELETE_USER)
def ask_delete(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether a user is to be deleted."""
    user = find(tx, seat, user_id)
    return _ask_delete(seat, user, DeleteForm(user, formdata=None))


@blueprint.post("/delete")
@page(Action.DELETE_USER)
def delete(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Delete a user for good."""
    user = find(tx, seat, user_id, locked=True)
    form = DeleteForm(user)
    if not form.validate():
        return _ask_delete(seat, user, form, 422)
    way = way_of(user)
    services().user_care.delete(tx, seat.actor, seat.organization, user, why=form.reason.data or "")
    notice = f"{user.label} was deleted{', and told' if way else ''}."
    return done(seat, notice, "admin_users.index")


def _of_freeze(user: User) -> list[str]:
    if user.frozen_at is None:
        return []
    return [
        f"{call_name(user)} stopped a change by the link in a notice. After this, methods can be "
        "changed again, and what the link stopped is removed."
    ]


def _ask_suspend(
    seat: Seat, user: User, form: ReasonForm, status: int = 200
) -> ResponseReturnValue:
    name = call_name(user)
    return confirm(
        seat,
        question=f"Suspend {name}?",
        says=[
            f"From now on nobody gets in as {user.label}. Open visits stop, and confirmations that "
            "an application has not picked up are refused. Codes and links that you gave die.",
            "Authenticators, recovery codes and the profile are kept. You can lift the suspension "
            "at any time.",
            f"{tells(user)} The audit record keeps your reason.",
        ],
        button=f"Suspend {name}",
        keep=f"Keep {name} active",
        back=back(user),
        form=form,
        status=status,
    )


def _ask_lift(seat: Seat, user: User, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    name = call_name(user)
    return confirm(
        seat,
        question=f"Lift the suspension of {name}?",
        says=[
            f"{name} is let in again with everything that was set up before.",
            f"{tells(user)} The audit record keeps your reason.",
        ],
        button="Lift the suspension",
        keep=f"Keep {name} suspended",
        back=back(user),
        form=form,
        danger=False,
        status=status,
    )


def _ask_delete(seat: Seat, user: User, form: DeleteForm, status: int = 200) -> ResponseReturnValue:
    name = call_name(user)
    return confirm(
        seat,
        question=f"Delete {name} for good?",
        says=[
            f"{user.label} loses all authenticators, recovery codes and the profile. It can’t be "
            "undone. To keep somebody out for a while, suspend them.",
            f"The audit record keeps what happened, and your reason. {tells(user)}",
        ],
        button=f"Delete {name}",
        keep=f"Keep {name}",
        back=back(user),
        form=form,
        status=status,
    )
