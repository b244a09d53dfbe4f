"""The page that an invitation's link opens; opening it changes nothing, its button does."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField

from app.errors import Invalid, Refusal
from app.models import Invitation
from app.services.administrators import administrator_actor, checked_name, new_hash
from app.web.admin import gate
from app.web.admin.desk import environments, explain, refused
from app.web.admin.sign_in import send_to_verify
from app.web.support import actor, services

blueprint = Blueprint("admin_invitation", __name__, url_prefix="/admin/invitation")

CARRIED = "admin-invitation"
"""Kind of cookie: the token, so that it stands in no address of a page with a form."""


class AcceptForm(FlaskForm):  # type: ignore[misc]
    """What somebody new says of themselves."""

    name = StringField("Your name", render_kw={"autocomplete": "name", "required": True})
    password = PasswordField(
        "Choose a password",
        description="At least 12 characters. Several words that don’t belong together are good.",
        render_kw={"autocomplete": "new-password", "required": True, "minlength": 12},
    )


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Take the token out of the address, then say what the invitation is for."""
    if token := request.args.get("token"):
        response = make_response(redirect(url_for("admin_invitation.show"), 303))
        gate.carry(response, CARRIED, token)
        return response
    with services().database.reading() as tx:
        found = services().invitations.find(tx, gate.read(CARRIED))
        if found is None:
            return _over()
        return _page(found, AcceptForm(formdata=None), known=_is_known(found))


@blueprint.post("")
def accept() -> ResponseReturnValue:
    """Use the invitation up: become an administrator, or take one more organization."""
    with services().database.reading() as tx:
        found = services().invitations.find(tx, gate.read(CARRIED))
        if found is None:
            return _over()
        known = _is_known(found)
    try:
        return _join(found) if known else _accept(found)
    except Refusal as refusal:
        return _over() if refusal.code == "invitation_used" else refused(refusal)


def _accept(found: Invitation) -> ResponseReturnValue:
    form = AcceptForm()
    name = form.name.data or ""
    try:
        if not found.renews_password:
            name = checked_name(name)
        made = new_hash(form.password.data or "", found.email, name, found.organization.name)
    except Invalid as invalid:
        explain(form, invalid)
        return _page(found, form, known=False), 422
    with services().database.writing() as tx:
        peer = actor("administrator")
        invitations = services().invitations
        current = invitations.find(tx, gate.read(CARRIED))
        if current is None:
            return _over()
        administrator = invitations.accept(tx, peer, current, name=name, password_hash=made)
    response = make_response(send_to_verify(administrator))
    gate.drop(response, CARRIED)
    return response


def _join(found: Invitation) -> ResponseReturnValue:
    session = gate.current_session()
    if session is None:
        return gate.ask_to_sign_in()
    with services().database.writing() as tx:
        current = services().invitations.find(tx, gate.read(CARRIED))
        if current is None:
            return _over()
        by = administrator_actor(session.administrator, actor("administrator"))
        admitted = services().invitations.join(tx, by, current, session)
    flash(f"You run {found.organization.name} now.")
    response = make_response(redirect(url_for("admin.organizations"), 303))
    gate.drop(response, CARRIED)
    return gate.go_on(response, admitted)


def _is_known(found: Invitation) -> bool:
    """Tell whether the address has an administrator already, who joins by signing in."""
    with services().database.reading() as tx:
        return not found.renews_password and services().invitations.known(tx, found) is not None


def _page(found: Invitation, form: FlaskForm, *, known: bool) -> str:
    return render_template(
        "admin/invitation.html",
        invitation=found,
        form=form,
        known=known,
        signed_in=gate.current_session() is not None,
        environment=environments()[found.organization.environment.value],
    )


def _over() -> ResponseReturnValue:
    return render_template("admin/invitation_over.html"), 410
