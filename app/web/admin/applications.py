"""Applications of an organization: their addresses, their secret, and what the other side needs."""

from __future__ import annotations

import uuid

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application, Door
from app.services.roles import Action
from app.web.admin.application_doors import WAYS
from app.web.admin.application_form import looked_at, taken
from app.web.admin.cryptr_page import show_cryptr
from app.web.admin.desk import Seat, confirm, done, noun, page, render
from app.web.admin.duo_page import hand_over_duo, show_duo
from app.web.admin.entra_page import show_entra
from app.web.admin.oidc_page import hand_over_oidc, show_oidc
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.rest_page import hand_over_rest, show_rest
from app.web.admin.secrets import ReplaceForm
from app.web.support import services

blueprint = noun("applications")

_SHOWS = {
    Door.REST: show_rest,
    Door.OIDC: show_oidc,
    Door.DUO: show_duo,
    Door.ENTRA: show_entra,
    Door.CRYPTR: show_cryptr,
}
"""The page of an application, by its protocol."""

_HANDS_OVER = {Door.REST: hand_over_rest, Door.OIDC: hand_over_oidc, Door.DUO: hand_over_duo}
"""The page with a new secret, where the protocol has one."""


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List the organization's applications, and those that serve it along with others."""
    at, shared_at = number(), number("shared")
    applications, environment = services().applications, seat.organization.environment
    own, total = applications.page(tx, environment, seat.organization, page=at, per_page=PER_PAGE)
    shared, shared_total = applications.shared(
        tx, seat.organization, page=shared_at, per_page=PER_PAGE
    )
    here = "admin_applications.index"
    return render(
        "admin/applications/index.html",
        seat,
        own=[(one, applications.overlaps_until(one)) for one in own],
        own_total=total,
        speaks={way.door: way.name for way in WAYS},
        own_pages=pages(here, at, shown=len(own), total=total),
        shared=shared,
        shared_total=shared_total,
        shared_pages=pages(here, shared_at, shown=len(shared), total=shared_total, name="shared"),
    )


@blueprint.post("/redirect-uris")
@page(Action.SEE_SETTINGS)
def check(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Say of each address that is being typed whether it can be registered."""
    typed = looked_at(request.form.get("redirect_uris"))
    return render("admin/applications/lines.html", seat, lines=typed)


@blueprint.get("/<uuid:client_id>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show what the other side needs; of the operator's application, what it is."""
    application = services().applications.serving(tx, seat.organization, str(client_id))
    if not services().applications.is_own(application, seat.organization):
        return render(
            "admin/applications/shared.html",
            seat,
            application=application,
            methods=taken(application),
        )
    return _SHOWS[application.door](tx, seat, application)


@blueprint.get("/<uuid:client_id>/secret")
@page(Action.CHANGE_APPLICATIONS)
def ask_replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask how long the old secret is to go on working."""
    application = own(tx, seat, client_id)
    mark = services().applications.secret_mark(application)
    return _ask_replace(seat, application, ReplaceForm(formdata=None, instead_of=mark))


@blueprint.post("/<uuid:client_id>/secret")
@page(Action.CHANGE_APPLICATIONS)
def replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Give the application a new secret, and show it this once."""
    application, form = own(tx, seat, client_id), ReplaceForm()
    if not form.validate():
        return _ask_replace(seat, application, form, status=422)
    keeper = services().duo_clients if application.door is Door.DUO else services().applications
    secret = keeper.replace_secret(
        tx, seat.actor, application, overlap=form.lasts, instead_of=form.instead_of.data
    )
    title = f"{application.name} has a new secret"
    return _HANDS_OVER[application.door](tx, seat, application, secret, title)


@blueprint.get("/<uuid:client_id>/delete")
@page(Action.CHANGE_APPLICATIONS)
def ask_delete(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an application is to be there no longer."""
    application = own(tx, seat, client_id)
    pending = services().gateway_sessions.pending(tx, application)
    stuck = {0: "Nobody is on the pages for it now.", 1: "One user is on the pages for it now."}
    return confirm(
        seat,
        question=f"Delete {application.name}?",
        says=[
            "Its secret opens nothing any more, from now on. It can’t send users here.",
            stuck.get(pending, f"{pending:,} users are on the pages for it now.")
            + (" They can’t finish." if pending else ""),
            "Users, their methods and the audit record stay. This can’t be undone.",
        ],
        button=f"Delete {application.name}",
        keep="Keep it",
        back=url_for("admin_applications.show", client_id=application.id),
    )


@blueprint.post("/<uuid:client_id>/delete")
@page(Action.CHANGE_APPLICATIONS)
def delete(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Delete an application."""
    application = own(tx, seat, client_id)
    services().applications.delete(tx, seat.actor, application)
    return done(seat, f"{application.name} was deleted.", "admin_applications.index")


def own(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application that the organization may change; all others are unknown here."""
    return services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )


def _ask_replace(
    seat: Seat, application: Application, form: ReplaceForm, *, status: int = 200
) -> ResponseReturnValue:
    return confirm(
        seat,
        question=f"Replace the secret of {application.name}?",
        says=[
            "You get a new one, shown once. With an overlap both work for a while, so that you can "
            "change the other side without a gap. If the old one leaked, choose no time.",
        ],
        button="Replace secret",
        keep="Keep the old one",
        back=url_for("admin_applications.show", client_id=application.id),
        form=form,
        status=status,
    )
