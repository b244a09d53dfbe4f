"""Signing in and out: the password here, the second factor on the hosted pages."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import EmailField, PasswordField

from app.crypto import new_token
from app.models import Administrator, Intent
from app.services.administrator_sessions import Admitted
from app.services.administrators import administrator_actor
from app.services.sign_ins import WrongPassword
from app.web.admin import gate
from app.web.support import actor, services

blueprint = Blueprint("admin_sign_in", __name__, url_prefix="/admin")


class SignInForm(FlaskForm):  # type: ignore[misc]
    """What a browser's password manager fills in."""

    email = EmailField("Email address", render_kw={"autocomplete": "username", "required": True})
    password = PasswordField(
        "Password", render_kw={"autocomplete": "current-password", "required": True}
    )


@blueprint.get("/sign-in")
def show() -> ResponseReturnValue:
    """Ask for address and password."""
    if current_user.is_authenticated:
        return redirect(gate.take_next(), 303)
    return render_template("admin/sign_in.html", form=SignInForm(formdata=None))


@blueprint.post("/sign-in")
def begin() -> ResponseReturnValue:
    """Judge the password; a right one leads to the page that asks for the second factor."""
    form = SignInForm()
    peer = actor("administrator")
    judged = services().sign_ins.check_password(
        peer, form.email.data or "", form.password.data or "", knows=gate.is_known
    )
    if isinstance(judged, WrongPassword):
        return render_template("admin/sign_in.html", form=form, wrong=judged), 422
    return send_to_verify(judged)


def send_to_verify(
    administrator: Administrator, *, intent: Intent = Intent.VERIFY
) -> ResponseReturnValue:
    """Send this browser to prove the second factor, or to set it up at a first visit."""
    state = new_token(128)
    with services().database.writing() as tx:
        peer = actor("administrator")
        url = services().sign_ins.ask(tx, peer, administrator, state=state, intent=intent)
    response = make_response(redirect(url, 303))
    gate.remember_asked(response, state)
    return response


@blueprint.get("/sign-in/back")
def back() -> ResponseReturnValue:
    """Take the result of the hosted pages: the browser is admitted under a new secret."""
    if "error" in request.args:
        return _over(cancelled=True)
    with services().database.writing() as tx:
        admitted = _admitted(tx)
    if admitted is None:
        return _over(cancelled=False)
    following = gate.take_next()
    session.clear()  # what was given to this browser before it had these rights is void
    response = make_response(redirect(following, 303))
    gate.admit(response, admitted.session, admitted.secret)
    return response


def _admitted(tx: Session) -> Admitted | None:
    return services().sign_ins.admit(
        tx,
        actor("administrator"),
        session_id=request.args.get("session_id", ""),
        result=request.args.get("result", ""),
        state=gate.read(gate.ASKED),
        current=gate.current_session(),
    )


def _over(*, cancelled: bool) -> ResponseReturnValue:
    """Say that nobody was admitted; who is signed in already stays so."""
    html = render_template(
        "admin/sign_in_over.html",
        cancelled=cancelled,
        signed_in=current_user.is_authenticated,
    )
    return make_response(html, 200 if cancelled else 422)


@blueprint.get("/verify")
def verify() -> ResponseReturnValue:
    """Explain why the second factor is asked for again."""
    if not current_user.is_authenticated:
        return redirect(url_for("admin_sign_in.show"), 303)
    return render_template("admin/verify.html", form=FlaskForm())


@blueprint.post("/verify")
def verify_again() -> ResponseReturnValue:
    """Go and prove the second factor again."""
    current = gate.current_session()
    if current is None:
        return redirect(url_for("admin_sign_in.show"), 303)
    return send_to_verify(current.administrator)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session of this browser."""
    current = gate.current_session()
    if current is not None:
        with services().database.writing() as tx:
            by = administrator_actor(current.administrator, actor("administrator"))
            services().administrator_sessions.end(tx, by, current.administrator, current.id)
    session.clear()
    response = make_response(redirect(url_for("admin_sign_in.show"), 303))
    gate.drop(response, gate.ADMITTED)
    return response
