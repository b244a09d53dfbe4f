"""An administrator's own page: name, password, second factor, and where they are signed in."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import PasswordField, StringField

from app.errors import Invalid, NotFound
from app.models import Administrator, AdministratorSession, Intent
from app.services import passwords
from app.services.administrators import administrator_actor, new_hash
from app.services.sign_ins import WrongPassword
from app.web.admin import gate
from app.web.admin.desk import explain
from app.web.admin.sign_in import send_to_verify
from app.web.support import actor, services

P = ParamSpec("P")
View = Callable[Concatenate[Session, AdministratorSession, P], ResponseReturnValue]

blueprint = Blueprint("admin_profile", __name__, url_prefix="/admin/profile")


class NameForm(FlaskForm):  # type: ignore[misc]
    """How people call the administrator."""

    name = StringField("Your name", render_kw={"autocomplete": "name", "required": True})


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """The old password, and the new one."""

    current = PasswordField(
        "Password now", render_kw={"autocomplete": "current-password", "required": True}
    )
    password = PasswordField(
        "New password",
        description="At least 12 characters. Several words that don’t belong together are good.",
        render_kw={
            "autocomplete": "new-password",
            "required": True,
            "minlength": passwords.SHORTEST,
        },
    )


def mine(view: View[P]) -> Callable[P, ResponseReturnValue]:
    """Make a view a page of who is signed in."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        current = gate.current_session()
        if current is None:
            return gate.ask_to_sign_in()
        database = services().database
        reads = request.method in {"GET", "HEAD"}
        with database.reading() if reads else database.writing() as tx:
            return view(tx, current, *args, **kwargs)

    return wrapped


@blueprint.get("")
@mine
def show(tx: Session, current: AdministratorSession) -> ResponseReturnValue:
    """Show the administrator's own page."""
    return _page(tx, current)


@blueprint.post("/name")
@mine
def rename(tx: Session, current: AdministratorSession) -> ResponseReturnValue:
    """Change the name."""
    form = NameForm()
    try:
        by = administrator_actor(current.administrator, actor("administrator"))
        services().administrators.rename(tx, by, _own(tx, current), form.name.data or "")
    except Invalid as invalid:
        explain(form, invalid)
        return _page(tx, current, name_form=form, status=422)
    flash("Your name was changed.")
    return redirect(url_for("admin_profile.show"), 303)


@blueprint.get("/password")
@mine
def password(tx: Session, current: AdministratorSession) -> ResponseReturnValue:
    """Ask for the old password and a new one."""
    if not services().administrator_sessions.is_fresh(current, sends_form=False):
        return gate.ask_to_verify()
    return _password_page(PasswordForm(formdata=None))


@blueprint.post("/password")
def change_password() -> ResponseReturnValue:
    """Change the password; every session ends, and this browser goes on under a new one."""
    current = gate.current_session()
    if current is None:
        return gate.ask_to_sign_in()
    if not services().administrator_sessions.is_fresh(current, sends_form=True):
        return gate.ask_to_verify()
    form, administrator = PasswordForm(), current.administrator
    judged = services().sign_ins.check_password(
        actor("administrator"), administrator.email, form.current.data or "", knows=gate.is_known
    )
    if isinstance(judged, WrongPassword):
        form.current.errors = ["That is not your password. Check caps lock, then type it again."]
        return _password_page(form), 422
    try:
        made = new_hash(form.password.data or "", administrator.email, administrator.name)
    except Invalid as invalid:
        explain(form, invalid)
        return _password_page(form), 422
    with services().database.writing() as tx:
        by = administrator_actor(administrator, actor("administrator"))
        services().administrators.set_password(tx, by, _own(tx, current), made)
    gate.remember_next()
    return send_to_verify(administrator)


@blueprint.post("/add-method")
@mine
def add_method(tx: Session, current: AdministratorSession) -> ResponseReturnValue:
    """Go and add another authenticator, on the hosted pages."""
    tx.close()
    return send_to_verify(current.administrator, intent=Intent.ENROLL)


@blueprint.post("/sessions/<uuid:session_id>/end")
@mine
def end(tx: Session, current: AdministratorSession, session_id: uuid.UUID) -> ResponseReturnValue:
    """Sign one browser out."""
    by = administrator_actor(current.administrator, actor("administrator"))
    try:
        services().administrator_sessions.end(tx, by, current.administrator, session_id)
    except NotFound:
        flash("That browser was signed out already.")
    else:
        flash("That browser was signed out.")
    return redirect(url_for("admin_profile.show"), 303)


@blueprint.post("/sessions/end-others")
@mine
def end_others(tx: Session, current: AdministratorSession) -> ResponseReturnValue:
    """Sign every other browser out."""
    by = administrator_actor(current.administrator, actor("administrator"))
    ended = services().administrator_sessions.end_others(tx, by, current)
    flash("Every other browser was signed out." if ended else "No other browser was signed in.")
    return redirect(url_for("admin_profile.show"), 303)


def _own(tx: Session, current: AdministratorSession) -> Administrator:
    found = services().administrators.named(tx, current.administrator.email)
    if found is None:
        raise NotFound("administrator")
    return found


def _password_page(form: FlaskForm) -> str:
    return render_template("admin/profile/password.html", form=form)


def _page(
    tx: Session,
    current: AdministratorSession,
    *,
    name_form: FlaskForm | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    administrator = current.administrator
    html = render_template(
        "admin/profile/show.html",
        current=current,
        administrator=administrator,
        sessions=services().administrator_sessions.of(tx, administrator),
        authenticators=services().authenticators.of(tx, administrator.user),
        recovery=services().authenticators.recovery(tx, administrator.user),
        name_form=name_form or NameForm(formdata=None, name=administrator.name),
    )
    return make_response(html, status)
