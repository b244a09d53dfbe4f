"""Adding a user, and editing what is known of one."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from babel import Locale
from flask import url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import EmailField, Field, SelectField, StringField, TelField
from wtforms.validators import Length, ValidationError

from app.errors import Invalid, Refusal
from app.models import User
from app.services.phone_numbers import checked_phone_number
from app.services.roles import Action
from app.services.user_fields import (
    UserChanges,
    checked_email,
    checked_external_id,
)
from app.texts import LANGUAGES
from app.web.admin.desk import Seat, done, explain, page, render
from app.web.admin.told import Checked
from app.web.admin.user import find, name_of
from app.web.admin.users import blueprint
from app.web.support import services

_NAME_LENGTH = 100
_OF_PROFILE = ("given_name", "family_name", "locale")
_TAKEN = {
    "email_taken": ("email", "Another user here has this address."),
    "external_id_taken": ("external_id", "Another user here has this external id."),
    "phone_number_taken": ("phone_number", "Another user is known by this number alone."),
}


def _text(value: str | None) -> str:
    return (value or "").strip()


class UserForm(FlaskForm):  # type: ignore[misc]
    """What is known of a user."""

    given_name = StringField(
        "Given name",
        filters=[_text],
        validators=[Length(max=_NAME_LENGTH, message=f"Use {_NAME_LENGTH} characters at most.")],
        render_kw={"autocomplete": "off"},
    )
    family_name = StringField(
        "Family name",
        filters=[_text],
        validators=[Length(max=_NAME_LENGTH, message=f"Use {_NAME_LENGTH} characters at most.")],
        render_kw={"autocomplete": "off"},
    )
    email = EmailField(
        "Email address",
        filters=[_text],
        validators=[Checked(checked_email)],
        render_kw={"autocomplete": "off"},
    )
    phone_number = TelField(
        "Phone number",
        description="With its country code, such as +33 6 12 34 56 78. Enough without an email "
        "address.",
        filters=[_text],
        validators=[Checked(checked_phone_number)],
        render_kw={"autocomplete": "off"},
    )
    external_id = StringField(
        "External id",
        description="How your own system calls this user.",
        filters=[_text],
        validators=[Checked(checked_external_id)],
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    locale = SelectField("Language", description="Of messages. Pages follow the browser.")

    @classmethod
    def about(cls, user: User | None = None, *, empty: bool = False) -> UserForm:
        """Return the form: as it was sent, or with what is known."""
        known = _known(user) if user else {}
        form = cls(formdata=None, data=known) if empty else cls(data=known)
        form.locale.choices = _languages(known.get("locale", ""))
        return form

    def validate_email(self, field: Field) -> None:
        """Demand something to know the user by."""
        if not (field.data or self.phone_number.data):
            raise ValidationError("Type an address, such as ada@example.com, or a phone number.")

    def changes(self) -> UserChanges:
        """Return what was typed as changes to a user; an empty field takes the value away."""
        return UserChanges(
            email=self.email.data or None,
            phone_number=self.phone_number.data or None,
            external_id=self.external_id.data or None,
            profile={name: self[name].data or None for name in _OF_PROFILE},
        )


@blueprint.get("/new")
@page(Action.EDIT_USERS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask what is known of a new user."""
    return render("admin/users/new.html", seat, form=UserForm.about(empty=True))


@blueprint.post("/new")
@page(Action.EDIT_USERS)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Add a user."""
    form, made = UserForm.about(), None
    if form.validate():
        changes = form.changes()
        profile = changes.get("profile") or {}
        made = _unless_refused(
            form,
            lambda: services().directory.create(
                tx,
                seat.actor,
                seat.organization,
                email=changes.get("email"),
                phone_number=changes.get("phone_number"),
                external_id=changes.get("external_id"),
                profile={name: value for name, value in profile.items() if value},
            ),
        )
    if made is None:
        return render("admin/users/new.html", seat, 422, form=form)
    return done(seat, f"{name_of(made)} was added.", "admin_user.show", user_id=made.id)


@blueprint.get("/<uuid:user_id>/edit")
@page(Action.EDIT_USERS)
def edit(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Show what is known of a user, to be changed."""
    user = find(tx, seat, user_id)
    return _render_edit(seat, user, UserForm.about(user, empty=True))


@blueprint.post("/<uuid:user_id>/edit")
@page(Action.EDIT_USERS)
def update(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Change what is known of a user."""
    user = find(tx, seat, user_id, locked=True)
    form, before, changed = UserForm.about(user), name_of(user), None
    if form.validate():
        changed = _unless_refused(
            form,
            lambda: services().directory.update(
                tx, seat.actor, seat.organization, str(user.id), form.changes()
            ),
        )
    if changed is None:
        tx.rollback()  # what was tried on the row is not to be shown as if it held
        return _render_edit(seat, user, form, 422, before)
    return done(seat, "Saved.", "admin_user.show", user_id=user.id)


def _render_edit(
    seat: Seat, user: User, form: UserForm, status: int = 200, name: str = ""
) -> ResponseReturnValue:
    return render(
        "admin/users/edit.html",
        seat,
        status,
        form=form,
        name=name or name_of(user),
        back=url_for("admin_user.show", user_id=user.id),
    )


def _unless_refused(form: UserForm, save: Callable[[], User]) -> User | None:
    """Save, or put at its field why that can't be."""
    try:
        return save()
    except Invalid as invalid:
        explain(form, invalid, profile="given_name")
    except Refusal as refusal:
        if refusal.code not in _TAKEN:
            raise
        field, message = _TAKEN[refusal.code]
        explain(form, Invalid(field, message))
    return None


def _known(user: User) -> dict[str, str]:
    known = {
        "email": user.email or "",
        "phone_number": user.phone_number or "",
        "external_id": user.external_id or "",
    }
    for name in _OF_PROFILE:
        value = user.profile.get(name)
        known[name] = value if isinstance(value, str) else ""
    return known


def _languages(current: str) -> list[tuple[str, str]]:
    """Return the languages of our messages, and the one that a user has now."""
    spoken = [(tag, str(Locale.parse(tag).get_display_name("en"))) for tag in LANGUAGES]
    other = [(current, f"As it is now ({current})")] if current not in {"", *LANGUAGES} else []
    return [("", "As the organization"), *spoken, *other]
