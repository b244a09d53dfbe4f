"""Applications that use Cryptr's SPA SDK: registering one, and changing it."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField

from app.errors import Invalid, NotFound
from app.models import Application, Door
from app.services.application_changes import ApplicationChanges
from app.services.application_methods import named_methods
from app.services.roles import Action
from app.web.admin.application_doors import WAYS
from app.web.admin.application_form import ApplicationForm, looked_at
from app.web.admin.applications import blueprint
from app.web.admin.desk import Seat, done, explain, page, render
from app.web.support import services
from app.web.support.headers import allow_requests


class CryptrForm(ApplicationForm):
    """What every application has, and how it is found out who comes."""

    identifies_by_link = BooleanField(
        "Identify users by a link",
        default=True,
        description="We mail a link to the address that the user types. Untick it, and the typed "
        "address has to do: then nobody sets anything up, and no code is sent.",
    )


@blueprint.get("/new/cryptr")
@page(Action.CHANGE_APPLICATIONS)
def new_cryptr(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the name and the addresses of a new one."""
    return _form_page(seat, CryptrForm(formdata=None))


@blueprint.post("/new/cryptr")
@page(Action.CHANGE_APPLICATIONS)
def create_cryptr(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Register an application of this organization alone; it has no secret to show."""
    form = CryptrForm()
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        application = services().cryptr_entries.create(
            tx,
            seat.actor,
            environment=seat.organization.environment,
            name=form.name.data or "",
            redirect_uris=form.uris,
            organizations=[seat.organization],
            vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
            methods=form.methods.data or (),
            identifies_by_link=bool(form.identifies_by_link.data),
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    notice = f"{application.name} is registered. Give its pages the values below."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


@blueprint.get("/<uuid:client_id>/edit/cryptr")
@page(Action.CHANGE_APPLICATIONS)
def edit_cryptr(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    application = _own(tx, seat, client_id)
    form = CryptrForm(
        formdata=None,
        name=application.name,
        redirect_uris="\n".join(application.redirect_uris),
        vouches_for_first_factor=application.vouches_for_first_factor,
        methods=named_methods(application.methods),
        identifies_by_link=services().cryptr_entries.settings(tx, application).identifies_by_link,
    )
    return _form_page(seat, form, application)


@blueprint.post("/<uuid:client_id>/edit/cryptr")
@page(Action.CHANGE_APPLICATIONS)
def save_cryptr(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change the name, the addresses, and how users are identified."""
    application, form = _own(tx, seat, client_id), CryptrForm()
    if not form.validate():
        return _form_page(seat, form, application, status=422)
    changes = ApplicationChanges(
        name=form.name.data or "",
        redirect_uris=form.uris,
        vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
        methods=form.methods.data or (),
    )
    by_link = bool(form.identifies_by_link.data)
    try:
        services().applications.update(tx, seat.actor, application, changes)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, application, status=422)
    services().cryptr_entries.change(tx, seat.actor, application, identifies_by_link=by_link)
    notice = f"Saved. {application.name} is held to this from now on."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


def _own(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application of this door that the organization may change."""
    found = services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )
    if found.door is not Door.CRYPTR:
        raise NotFound("application")
    return found


def _form_page(
    seat: Seat, form: CryptrForm, application: Application | None = None, *, status: int = 200
) -> ResponseReturnValue:
    allow_requests()
    return render(
        "admin/applications/form.html",
        seat,
        status,
        form=form,
        application=application,
        lines=looked_at(form.redirect_uris.data) if form.errors else [],
        ways=WAYS,
        door=Door.CRYPTR,
    )
