"""Applications that speak Duo Universal: registering one, changing it, and its secret."""

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
from app.web.admin.duo_page import hand_over_duo
from app.web.support import services
from app.web.support.headers import allow_requests


class DuoForm(ApplicationForm):
    """What every application has, and who becomes a user."""

    creates_users = BooleanField(
        "Whom it names, and we don’t know, becomes a user",
        default=True,
        description="They set up a method right away, as with Duo. Its requests are signed, so "
        "nobody else can name them. Untick it if you add or import all users yourself.",
    )


@blueprint.get("/new/duo")
@page(Action.CHANGE_APPLICATIONS)
def new_duo(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the name and the addresses of a new one."""
    return _form_page(seat, DuoForm(formdata=None))


@blueprint.post("/new/duo")
@page(Action.CHANGE_APPLICATIONS)
def create_duo(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Register an application of this organization alone, and show its secret this once."""
    form = DuoForm()
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        made = services().duo_clients.create(
            tx,
            seat.actor,
            seat.organization,
            name=form.name.data or "",
            redirect_uris=form.uris,
            vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
            methods=form.methods.data or (),
            creates_users=bool(form.creates_users.data),
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    application = made.client.application
    return hand_over_duo(tx, seat, application, made.secret, f"{application.name} is registered")


@blueprint.get("/<uuid:client_id>/edit/duo")
@page(Action.CHANGE_APPLICATIONS)
def edit_duo(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    application = _own(tx, seat, client_id)
    form = DuoForm(
        formdata=None,
        name=application.name,
        redirect_uris="\n".join(application.redirect_uris),
        vouches_for_first_factor=application.vouches_for_first_factor,
        methods=named_methods(application.methods),
        creates_users=application.creates_users,
    )
    return _form_page(seat, form, application)


@blueprint.post("/<uuid:client_id>/edit/duo")
@page(Action.CHANGE_APPLICATIONS)
def save_duo(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change the name, the addresses, and whether it makes users."""
    application, form = _own(tx, seat, client_id), DuoForm()
    if not form.validate():
        return _form_page(seat, form, application, status=422)
    changes = ApplicationChanges(
        name=form.name.data or "",
        redirect_uris=form.uris,
        vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
        methods=form.methods.data or (),
        creates_users=bool(form.creates_users.data),
    )
    try:
        services().applications.update(tx, seat.actor, application, changes)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, application, status=422)
    notice = f"Saved. {application.name} is answered at the addresses below from now on."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


def _own(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application of this door that the organization may change."""
    found = services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )
    if found.door is not Door.DUO:
        raise NotFound("application")
    return found


def _form_page(
    seat: Seat, form: DuoForm, application: Application | None = None, *, status: int = 200
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
        door=Door.DUO,
    )
