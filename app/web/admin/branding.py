"""Branding: logo, colours and texts of the hosted pages, and how they would look."""

from __future__ import annotations

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from app.errors import Invalid
from app.services.brand_colours import checked_colour
from app.services.brand_logos import MOST_BYTES
from app.services.brands import Look
from app.services.roles import Action
from app.services.totp_settings import settings_of
from app.texts import LANGUAGES
from app.web.admin.brand_form import LANGUAGE_NAMES, BrandForm, keep_logo, published
from app.web.admin.brand_previews import picture, previews
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.legibility import verdict
from app.web.admin.uploads import let_in
from app.web.support import services
from app.web.support.forms import csrf
from app.web.support.headers import allow_requests, be_inert

blueprint = noun("branding")

_WORDS = {"dark_colour": "dark colour", "texts": "help texts"}


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what is published, with a preview."""
    look = services().brands.look(tx, seat.organization)
    return _render(tx, seat, published(look), look)


@blueprint.post("")
@csrf.exempt  # type: ignore[untyped-decorator]
@page(Action.CHANGE_BRAND, streams=True)
def save(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Publish what was typed; the form is read, and checked, only for who may send it."""
    tx.close()
    try:
        form, look = _read(seat)
    except RequestEntityTooLarge:
        return _refuse_file(seat)
    if look.wrong:
        return _render_draft(seat, form, look)
    environment, domain = seat.organization.environment, seat.organization.domain
    with services().database.writing() as tx:
        organization = services().organizations.find(tx, environment, domain)
        changed = services().brands.publish(tx, seat.actor, organization, look)
    if not changed:
        return done(seat, "Nothing was changed: it is published already.", "admin_branding.index")
    told = ", ".join(_WORDS.get(part, part) for part in changed)
    return done(seat, f"Published: {told}.", "admin_branding.index")


@blueprint.post("/preview")
@csrf.exempt  # type: ignore[untyped-decorator]
@page(Action.CHANGE_BRAND, streams=True)
def preview(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show how the pages would look with what was typed; nothing is kept."""
    tx.close()
    try:
        form, look = _read(seat)
    except RequestEntityTooLarge:
        return _refuse_file(seat)
    return _render_draft(seat, form, look)


@blueprint.get("/sheet.css")
@page(Action.SEE_SETTINGS)
def sheet(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Return the style sheet of two colours, for a preview."""
    try:
        colour = checked_colour("colour", request.args.get("colour", ""))
        dark_colour = checked_colour("dark_colour", request.args.get("dark_colour", ""))
    except Invalid:
        raise NotFound from None
    be_inert()
    look = Look(name="", colour=colour, dark_colour=dark_colour)
    return Response(look.colours, mimetype="text/css")


@blueprint.get("/reset")
@page(Action.CHANGE_BRAND)
def ask_reset(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether the pages are to look like Gatehouse again."""
    name = seat.organization.name
    return confirm(
        seat,
        question="Reset to Gatehouse’s look?",
        says=[
            f"The logo, the colours and the help texts of {name} are deleted. Pages that people "
            "open from now on have none of them.",
            f"The name stays {name}.",
        ],
        button="Reset the look",
        keep="Keep the branding",
        back=url_for("admin_branding.index"),
    )


@blueprint.post("/reset")
@page(Action.CHANGE_BRAND)
def reset(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Delete what was chosen."""
    services().brands.reset(tx, seat.actor, seat.organization)
    return done(seat, "The hosted pages have Gatehouse’s look again.", "admin_branding.index")


def _read(seat: Seat) -> tuple[BrandForm, Look]:
    """Return what was typed, and how it would look.

    Raises:
        RequestEntityTooLarge: it is longer than any logo that we take.
    """
    let_in(MOST_BYTES)
    csrf.protect()
    form = BrandForm()
    typed = form.typed()
    with services().database.reading() as tx:
        look = services().brands.draft(tx, seat.organization, typed)
    for invalid in look.wrong:
        explain(form, invalid)
    if typed.logo is not None:
        keep_logo(form, look if "logo" not in form.errors else Look(name=""))
    return form, look


def _render_draft(seat: Seat, form: BrandForm, look: Look) -> Response:
    with services().database.reading() as tx:
        return _render(tx, seat, form, look, 422 if look.wrong else 200)


def _refuse_file(seat: Seat) -> Response:
    """Answer a request that was not read to its end: what else was typed is lost with it."""
    with services().database.reading() as tx:
        look = services().brands.look(tx, seat.organization)
        form = published(look)
        wrong = f"this file has more than {MOST_BYTES // 1024**2} MB. Use a smaller one."
        explain(form, Invalid("logo", wrong))
        return _render(tx, seat, form, look, 422)


def _render(tx: Session, seat: Seat, form: BrandForm, look: Look, status: int = 200) -> Response:
    allow_requests()
    applications = services().overview.applications(tx, seat.organization)
    application = next((one.name for one in applications), "Your application")
    settings = settings_of(services().method_settings.find(tx, seat.organization))
    return render(
        "admin/branding/index.html",
        seat,
        status,
        form=form,
        languages={one: LANGUAGE_NAMES[one] for one in LANGUAGES},
        verdict=verdict(look),
        logo=picture(look),
        previews=previews(look, application, settings, *form.shown),
        has_brand=services().brands.of(tx, seat.organization) is not None,
        may_change=seat.may(Action.CHANGE_BRAND),
    )
