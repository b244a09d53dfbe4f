"""Applications that speak OpenID Connect: registering one, and what it is held to."""

from __future__ import annotations

import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.models import Application, Door
from app.services.application_changes import ApplicationChanges
from app.services.application_methods import named_methods
from app.services.roles import Action
from app.web.admin.application_doors import WAYS
from app.web.admin.application_form import looked_at
from app.web.admin.applications import blueprint
from app.web.admin.desk import Seat, done, explain, page, render
from app.web.admin.oidc_form import OidcForm, filled
from app.web.admin.secrets import Handover, hand_over
from app.web.support import services
from app.web.support.headers import allow_requests


@blueprint.get("/new/oidc")
@page(Action.CHANGE_APPLICATIONS)
def new_oidc(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the name, the addresses and what the client is held to."""
    return _form_page(seat, OidcForm(formdata=None))


@blueprint.post("/new/oidc")
@page(Action.CHANGE_APPLICATIONS)
def create_oidc(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Register a client of this organization alone, and show its secret this once."""
    form = OidcForm()
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        with tx.begin_nested():
            application, secret = _registered(tx, seat, form)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    base_url = services().config.base_url
    return hand_over(
        seat,
        Handover(
            title=f"{application.name} is registered",
            client_id=application.client_id,
            secret=secret,
            overlaps_until=None,
            command=f"curl -s {base_url}/.well-known/openid-configuration",
            does="See what the other side finds out by itself",
            back=url_for("admin_applications.show", client_id=application.id),
            everything="All applications",
            index=url_for("admin_applications.index"),
        ),
    )


@blueprint.get("/<uuid:client_id>/edit/oidc")
@page(Action.CHANGE_APPLICATIONS)
def edit_oidc(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    application = _own(tx, seat, client_id)
    form = OidcForm(
        formdata=None,
        name=application.name,
        redirect_uris="\n".join(application.redirect_uris),
        vouches_for_first_factor=application.vouches_for_first_factor,
        methods=named_methods(application.methods),
        **filled(services().oidc_clients.of(tx, application)),
    )
    return _form_page(seat, form, application)


@blueprint.post("/<uuid:client_id>/edit/oidc")
@page(Action.CHANGE_APPLICATIONS)
def save_oidc(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change what the client is called, answered at, and held to."""
    application, form = _own(tx, seat, client_id), OidcForm()
    if not form.validate():
        return _form_page(seat, form, application, status=422)
    changes = ApplicationChanges(
        name=form.name.data or "",
        redirect_uris=form.uris,
        vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
        methods=form.methods.data or (),
    )
    clients = services().oidc_clients
    try:
        with tx.begin_nested():
            services().applications.update(tx, seat.actor, application, changes)
            clients.change(tx, seat.actor, clients.of(tx, application), form.settings)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, application, status=422)
    notice = f"Saved. {application.name} is held to this from now on."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


def _registered(tx: Session, seat: Seat, form: OidcForm) -> tuple[Application, str]:
    application, secret = services().applications.create(
        tx,
        seat.actor,
        environment=seat.organization.environment,
        name=form.name.data or "",
        redirect_uris=form.uris,
        organizations=[seat.organization],
        vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
        methods=form.methods.data or (),
        door=Door.OIDC,
    )
    services().oidc_clients.register(tx, application, form.settings)
    return application, secret


def _own(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application of this door that the organization may change."""
    found = services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )
    if found.door is not Door.OIDC:
        raise NotFound("application")
    return found


def _form_page(
    seat: Seat, form: OidcForm, application: Application | None = None, *, status: int = 200
) -> ResponseReturnValue:
    allow_requests()
    return render(
        "admin/applications/oidc_form.html",
        seat,
        status,
        form=form,
        application=application,
        lines=looked_at(form.redirect_uris.data) if form.errors else [],
        ways=WAYS,
    )
