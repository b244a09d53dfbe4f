"""The address that an application sends a browser to, and the page that waits for the link.

Nothing of the query is believed: who comes is found out here, by a link to the mailbox.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import EmailField

from app.errors import Invalid, NotFound, Refusal
from app.factors.base import Refused
from app.models import Arrival
from app.services.arrivals import LASTS
from app.services.cryptr_entries import Entry, Misdirected
from app.services.gateway_sessions import Opened, origin_of
from app.services.user_fields import checked_email
from app.web.support import actor, services
from app.web.support.branding import wear
from app.web.support.forms import CodeForm, cookie_name
from app.web.support.headers import allow_form_to
from app.web.support.locale import speak
from app.web.support.sentences import link_sentence

blueprint = Blueprint("cryptr", __name__, url_prefix="/a/<account_domain>")

_LINGERS = 300
"""Seconds that a cookie outlives its arrival, to tell "expired" from "another browser"."""


class EmailForm(FlaskForm):  # type: ignore[misc]
    """Who the browser says that it is."""

    email = EmailField()


@blueprint.get("/")
def arrive(account_domain: str) -> ResponseReturnValue:
    """Ask who comes; the address that the application names is only filled in."""
    with services().database.reading() as tx:
        entry = _entry(tx, account_domain)
        if not isinstance(entry, Entry):
            return entry
        if entry.by_link and not services().arrivals.can_mail(tx, entry):
            return _render("cryptr/closed.html", entry), 503
        return _render("cryptr/who.html", entry, typed=entry.email, by_link=entry.by_link)


@blueprint.post("/")
def identify(account_domain: str) -> ResponseReturnValue:
    """Mail the link, if the address is a user's, and wait for it in either case."""
    with services().database.writing() as tx:
        entry = _entry(tx, account_domain)
        if not isinstance(entry, Entry):
            return entry
        if "cancel" in request.form:
            return _refuse(entry.redirect_uri, entry.state, "The user went back.", "access_denied")
        typed = (EmailForm().email.data or "").strip()
        try:
            email = checked_email(typed)
        except Invalid:
            view = {"typed": typed, "wrong": True, "by_link": entry.by_link}
            return _render("cryptr/who.html", entry, **view), 422
        if not entry.by_link:
            opened = services().arrivals.open_unsure(tx, actor("user"), entry, email)
            return redirect(opened.url, 303) if opened else _render("cryptr/stuck.html", entry)
        arrived = services().arrivals.begin(tx, actor("user"), entry, email)
        place = url_for("cryptr.wait", account_domain=account_domain, arrival_id=arrived.arrival.id)
        response = make_response(redirect(place, 303))
        _remember(response, arrived.arrival, arrived.secret)
        return response


@blueprint.get("/look/<arrival_id>")
def wait(account_domain: str, arrival_id: str) -> ResponseReturnValue:
    """Wait for the link to be opened, or for the code that it tells in another browser."""
    with services().database.reading() as tx:
        arrival = _mine(tx, arrival_id)
        if arrival is None:
            return render_template("cryptr/elsewhere.html"), 403
        return _waiting(arrival)


@blueprint.post("/look/<arrival_id>")
def answer(account_domain: str, arrival_id: str) -> ResponseReturnValue:
    """Judge a short code; a right one leads on to the second factor."""
    with services().database.writing() as tx:
        arrival = _mine(tx, arrival_id, hold=True)
        if arrival is None:
            return render_template("cryptr/elsewhere.html"), 403
        if "cancel" in request.form:
            return _refuse(
                arrival.redirect_uri, arrival.state, "The user went back.", "access_denied"
            )
        typed = CodeForm().answer()
        outcome = services().arrivals.answer(tx, actor("user"), arrival, typed)
        if isinstance(outcome, Opened):
            return redirect(outcome.url, 303)
        return _waiting(arrival, outcome, typed)


def secret_of(arrival_id: str) -> str:
    """Return what this browser's cookie holds of an arrival, or nothing."""
    return request.cookies.get(_cookie(arrival_id), "")


def prepare(tx: Session, arrival: Arrival) -> None:
    """Choose the look and the language of a page about an arrival."""
    wear(tx, arrival.organization)
    speak(arrival.locale, arrival.organization.locale)
    allow_form_to(origin_of(arrival.redirect_uri))


def _entry(tx: Session, account_domain: str) -> Entry | Response:
    """Return what the application asks, or what the browser is told about a mistake in it."""
    try:
        entry = services().cryptr_entries.read(tx, account_domain, request.args)
    except Misdirected as mistake:
        return _refuse(mistake.redirect_uri, mistake.state, mistake.description)
    except Refusal as refusal:
        speak(request.args.get("locale"))
        page = render_template("cryptr/misdirected.html", refusal=refusal)
        return make_response(page, 404 if isinstance(refusal, NotFound) else 400)
    wear(tx, entry.organization)
    speak(entry.locale, entry.organization.locale)
    allow_form_to(origin_of(entry.redirect_uri))
    return entry


def _refuse(
    redirect_uri: str, state: str, description: str, error: str = "invalid_request"
) -> Response:
    """Tell an application what is wrong, or that the user went back (RFC 6749 section 4.1.2.1)."""
    fields = {"state": state, "error": error, "error_description": description}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items() if value)
    return make_response(
        redirect(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}", 303)
    )


def _mine(tx: Session, arrival_id: str, *, hold: bool = False) -> Arrival | None:
    arrival = services().arrivals.of(tx, arrival_id, secret_of(arrival_id), hold=hold)
    if arrival is not None:
        prepare(tx, arrival)
    return arrival


def _waiting(
    arrival: Arrival, refused: Refused | None = None, typed: str = ""
) -> ResponseReturnValue:
    is_open = services().arrivals.is_open(arrival) and services().arrivals.codes_left(arrival) > 0
    page = render_template(
        "cryptr/look.html",
        arrival=arrival,
        organization=arrival.organization,
        application=arrival.application,
        is_open=is_open,
        refused=refused if is_open else None,
        error=link_sentence(refused, typed) if refused and is_open else None,
        typed=typed,
        again=_address_of(arrival),
    )
    return page, 422 if refused else 200


def _address_of(arrival: Arrival) -> str:
    """Return where the application sent the browser, to begin once more."""
    return url_for(
        "cryptr.arrive",
        account_domain=services().config.account_domain,
        organization=arrival.organization.domain,
        locale=arrival.locale,
        client_state=arrival.state,
        scope=" ".join(arrival.asked["scope"]),
        client_id=arrival.application.client_id,
        redirect_uri=arrival.redirect_uri,
        code_challenge_method="S256",
        code_challenge=arrival.asked["code_challenge"],
    )


def _render(template: str, entry: Entry, **view: object) -> str:
    return render_template(
        template, organization=entry.organization, application=entry.application, **view
    )


def _remember(response: Response, arrival: Arrival, secret: str) -> None:
    response.set_cookie(
        _cookie(arrival.id),
        secret,
        max_age=int(LASTS.total_seconds()) + _LINGERS,
        secure=services().config.https,
        httponly=True,
        samesite="Lax",
    )


def _cookie(arrival_id: str) -> str:
    return cookie_name(services().config.https, f"gatehouse-arrival-{arrival_id}")
