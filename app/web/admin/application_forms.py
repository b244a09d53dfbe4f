"""Registering applications and changing them: one course, and a row for each protocol."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import Application, Door
from app.services.roles import Action
from app.web.admin import cryptr_form, duo_form, entra_form, oidc_form, rest_form
from app.web.admin.application_doors import WAYS
from app.web.admin.application_form import ApplicationForm, looked_at, stands
from app.web.admin.applications import blueprint, own
from app.web.admin.desk import Seat, done, explain, page, render
from app.web.admin.once import OnceForm
from app.web.support.headers import allow_requests


@dataclass(frozen=True, kw_only=True)
class _Row:
    """How applications of one protocol are registered and changed.

    Attributes:
        form: what is filled in.
        filled: what stands now, as its fields show it.
        create: registers one, and answers with what the other side needs.
        save: changes one; both raise `Invalid` for a field that can't be used.
        template: of its page.
        new: what stands in the form of a new one.
    """

    form: type[OnceForm]
    filled: Callable[[Session, Application], dict[str, Any]]
    create: Callable[[Session, Seat, Any], ResponseReturnValue]
    save: Callable[[Session, Seat, Application, Any], None]
    template: str = "admin/applications/form.html"
    new: str = ""


_ROWS = {
    Door.REST: _Row(
        form=ApplicationForm,
        filled=lambda _, application: stands(application),
        create=rest_form.create,
        save=rest_form.save,
    ),
    Door.OIDC: _Row(
        form=oidc_form.OidcForm,
        filled=oidc_form.filled,
        create=oidc_form.create,
        save=oidc_form.save,
        template="admin/applications/oidc_form.html",
    ),
    Door.DUO: _Row(
        form=duo_form.DuoForm,
        filled=duo_form.filled,
        create=duo_form.create,
        save=duo_form.save,
    ),
    Door.ENTRA: _Row(
        form=entra_form.EntraForm,
        filled=entra_form.filled,
        create=entra_form.create,
        save=entra_form.save,
        template="admin/applications/entra_form.html",
        new="Microsoft Entra",
    ),
    Door.CRYPTR: _Row(
        form=cryptr_form.CryptrForm,
        filled=cryptr_form.filled,
        create=cryptr_form.create,
        save=cryptr_form.save,
    ),
}


@blueprint.get("/new", defaults={"door": "rest"})
@blueprint.get("/new/<any(oidc, duo, entra, cryptr):door>")
@page(Action.CHANGE_APPLICATIONS)
def new(tx: Session, seat: Seat, door: str) -> ResponseReturnValue:
    """Ask for what a new application of this protocol needs."""
    row = _ROWS[Door(door)]
    return _form_page(seat, Door(door), row.form(formdata=None, name=row.new))


@blueprint.post("/new", defaults={"door": "rest"})
@blueprint.post("/new/<any(oidc, duo, entra, cryptr):door>")
@page(Action.CHANGE_APPLICATIONS)
def create(tx: Session, seat: Seat, door: str) -> ResponseReturnValue:
    """Register an application of this organization alone."""
    row = _ROWS[Door(door)]
    form = row.form()
    if not form.validate():
        return _form_page(seat, Door(door), form, status=422)
    try:
        with tx.begin_nested():
            answer = row.create(tx, seat, form)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, Door(door), form, status=422)
    form.use_up(tx)
    return answer


@blueprint.get("/<uuid:client_id>/edit")
@page(Action.CHANGE_APPLICATIONS)
def edit(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    application = own(tx, seat, client_id)
    row = _ROWS[application.door]
    form = row.form(formdata=None, **row.filled(tx, application))
    return _form_page(seat, application.door, form, application)


@blueprint.post("/<uuid:client_id>/edit")
@page(Action.CHANGE_APPLICATIONS)
def save(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change an application."""
    application = own(tx, seat, client_id)
    row = _ROWS[application.door]
    form = row.form()
    if not form.validate():
        return _form_page(seat, application.door, form, application, status=422)
    try:
        with tx.begin_nested():
            row.save(tx, seat, application, form)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, application.door, form, application, status=422)
    notice = f"Saved. {application.name} is held to this from now on."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


def _form_page(
    seat: Seat,
    door: Door,
    form: OnceForm,
    application: Application | None = None,
    *,
    status: int = 200,
) -> ResponseReturnValue:
    allow_requests()  # each address is looked at while it is typed
    typed = form.redirect_uris.data if isinstance(form, ApplicationForm) else ""
    return render(
        _ROWS[door].template,
        seat,
        status,
        form=form,
        application=application,
        lines=looked_at(typed) if form.errors else [],
        ways=WAYS,
        door=door,
    )
