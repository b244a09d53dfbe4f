"""Applications of an organization: their addresses, their secret, and what the other side needs."""

from __future__ import annotations

import uuid

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.models import Application, Door
from app.services.application_changes import ApplicationChanges
from app.services.application_methods import named_methods
from app.services.roles import Action
from app.web.admin import recipes
from app.web.admin.application_doors import EDITS, WAYS
from app.web.admin.application_form import ApplicationForm, looked_at, taken
from app.web.admin.cryptr_page import show_cryptr
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.duo_page import hand_over_duo, show_duo
from app.web.admin.entra_page import show_entra
from app.web.admin.oidc_page import show_oidc
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.secrets import Handover, ReplaceForm, hand_over
from app.web.support import services
from app.web.support.headers import allow_requests

blueprint = noun("applications")

_SHOWS = {
    Door.OIDC: show_oidc,
    Door.DUO: show_duo,
    Door.ENTRA: show_entra,
    Door.CRYPTR: show_cryptr,
}
"""Pages of applications that speak another protocol than our own API."""


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


@blueprint.get("/new")
@page(Action.CHANGE_APPLICATIONS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the name and the addresses of a new one."""
    return _form_page(seat, ApplicationForm(formdata=None))


@blueprint.post("/new")
@page(Action.CHANGE_APPLICATIONS)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Register an application of this organization alone, and show its secret this once."""
    form = ApplicationForm()
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        application, secret = services().applications.create(
            tx,
            seat.actor,
            environment=seat.organization.environment,
            name=form.name.data or "",
            redirect_uris=form.uris,
            organizations=[seat.organization],
            vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
            methods=form.methods.data or (),
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    return _hand_over(seat, application, secret, f"{application.name} is registered")


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
    methods = taken(application)
    if not services().applications.is_own(application, seat.organization):
        return render(
            "admin/applications/shared.html", seat, application=application, methods=methods
        )
    if application.door in _SHOWS:
        return _SHOWS[application.door](tx, seat, application)
    base_url, organization = services().config.base_url, seat.organization
    return render(
        "admin/applications/show.html",
        seat,
        application=application,
        methods=methods,
        overlaps_until=services().applications.overlaps_until(application),
        base_url=base_url,
        jwks=recipes.jwks_address(base_url),
        sessions=recipes.sessions_address(base_url, organization),
        open_session=recipes.open_session(base_url, organization, application),
        check_result=recipes.check_result(base_url, organization, application),
        redeem_result=recipes.redeem_result(base_url, organization, application),
    )


@blueprint.get("/<uuid:client_id>/edit")
@page(Action.CHANGE_APPLICATIONS)
def edit(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    application = _own(tx, seat, client_id)
    if application.door in EDITS:
        return redirect(url_for(EDITS[application.door], client_id=client_id), 303)
    form = ApplicationForm(
        formdata=None,
        name=application.name,
        redirect_uris="\n".join(application.redirect_uris),
        vouches_for_first_factor=application.vouches_for_first_factor,
        methods=named_methods(application.methods),
    )
    return _form_page(seat, form, application)


@blueprint.post("/<uuid:client_id>/edit")
@page(Action.CHANGE_APPLICATIONS)
def save(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change the name and the addresses."""
    application, form = _own(tx, seat, client_id), ApplicationForm()
    if application.door is Door.ENTRA:  # it has a form of its own, which sets the address
        raise NotFound("application")
    if not form.validate():
        return _form_page(seat, form, application, status=422)
    changes = ApplicationChanges(
        name=form.name.data or "",
        redirect_uris=form.uris,
        vouches_for_first_factor=bool(form.vouches_for_first_factor.data),
        methods=form.methods.data or (),
    )
    try:
        services().applications.update(tx, seat.actor, application, changes)
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, application, status=422)
    notice = f"Saved. {application.name} is answered at the addresses below from now on."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


@blueprint.get("/<uuid:client_id>/secret")
@page(Action.CHANGE_APPLICATIONS)
def ask_replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask how long the old secret is to go on working."""
    application = _own(tx, seat, client_id)
    mark = services().applications.secret_mark(application)
    return _ask_replace(seat, application, ReplaceForm(formdata=None, instead_of=mark))


@blueprint.post("/<uuid:client_id>/secret")
@page(Action.CHANGE_APPLICATIONS)
def replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Give the application a new secret, and show it this once."""
    application, form = _own(tx, seat, client_id), ReplaceForm()
    if not form.validate():
        return _ask_replace(seat, application, form, status=422)
    is_duo, title = application.door is Door.DUO, f"{application.name} has a new secret"
    keeper = services().duo_clients if is_duo else services().applications
    secret = keeper.replace_secret(
        tx, seat.actor, application, overlap=form.lasts, instead_of=form.instead_of.data
    )
    if is_duo:
        return hand_over_duo(tx, seat, application, secret, title)
    return _hand_over(seat, application, secret, title)


@blueprint.get("/<uuid:client_id>/delete")
@page(Action.CHANGE_APPLICATIONS)
def ask_delete(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an application is to be there no longer."""
    application = _own(tx, seat, client_id)
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
    application = _own(tx, seat, client_id)
    services().applications.delete(tx, seat.actor, application)
    return done(seat, f"{application.name} was deleted.", "admin_applications.index")


def _own(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application that the organization may change; all others are unknown here."""
    return services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )


def _form_page(
    seat: Seat,
    form: ApplicationForm,
    application: Application | None = None,
    *,
    status: int = 200,
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
        door=Door.REST,
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


def _hand_over(
    seat: Seat, application: Application, secret: str, title: str
) -> ResponseReturnValue:
    base_url = services().config.base_url
    command = recipes.open_session(base_url, seat.organization, application)
    return hand_over(
        seat,
        Handover(
            title=title,
            client_id=application.client_id,
            secret=secret,
            overlaps_until=services().applications.overlaps_until(application),
            command=command,
            does="Open a gateway session",
            back=url_for("admin_applications.show", client_id=application.id),
            everything="All applications",
            index=url_for("admin_applications.index"),
        ),
    )
