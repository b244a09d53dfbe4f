"""The link that tells whose browser it is. Opening it changes nothing; its button does."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.models import Arrival
from app.services.gateway_sessions import origin_of
from app.web.cryptr.gateway import prepare, secret_of
from app.web.support import actor, services

blueprint = Blueprint("cryptr_link", __name__, url_prefix="/a/<account_domain>/link/<token>")


@blueprint.get("")
def landing(account_domain: str, token: str) -> ResponseReturnValue:
    """Say what the link is for, and offer the one button that uses it."""
    with services().database.reading() as tx:
        arrival = _find(tx, token)
        if not services().arrivals.is_open(arrival):
            return _over(arrival)
        return _render("gateway/link.html", arrival)


@blueprint.post("")
def follow(account_domain: str, token: str) -> ResponseReturnValue:
    """Lead on in the browser that came, or tell the short code that does it there."""
    arrivals = services().arrivals
    with services().database.writing() as tx:
        arrival = _find(tx, token, hold=True)
        if not arrivals.is_open(arrival):
            return _over(arrival)
        if arrivals.of(tx, arrival.id, secret_of(arrival.id)) is None:
            code = arrivals.short_code(arrival, token)
            return _render("gateway/link_code.html", arrival, code=code, link=arrival)
        opened = arrivals.open(tx, actor("user"), arrival, by="link")
        return redirect(opened.url, 303) if opened else _over(arrival)


def _find(tx: Session, token: str, *, hold: bool = False) -> Arrival:
    arrival = services().arrivals.by_token(tx, token, hold=hold)
    if arrival is None:
        raise NotFound
    prepare(tx, arrival)
    return arrival


def _over(arrival: Arrival) -> ResponseReturnValue:
    used = arrival.used_at is not None
    origin = origin_of(arrival.redirect_uri)
    return _render("gateway/link_over.html", arrival, used=used, origin=origin), 410


def _render(template: str, arrival: Arrival, **view: object) -> str:
    return render_template(
        template, organization=arrival.organization, application=arrival.application, **view
    )
