"""The address that the application sends the browser to."""

from __future__ import annotations

from flask import make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from app.models import GatewaySession
from app.web.gateway.browser import cookies_of
from app.web.gateway.done import send_back
from app.web.gateway.visit import blueprint, next_page, page, remember, user
from app.web.support import services


@blueprint.get("")
def start(visit_id: str) -> ResponseReturnValue:
    """Bind the browser that comes first, and go on at an address without the token."""
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        raise ServiceUnavailable  # the browser asks again when the user really comes
    token = request.args.get("token")
    if token is not None and request.method == "GET":  # a HEAD is a link checker's look
        with services().database.writing() as tx:
            entered = services().gateway_sessions.enter(tx, user(), visit_id, token)
            if entered is not None:
                response = make_response(_first_answer(tx, entered.session))
                remember(response, entered.session, entered.secret)
                return response
    return redirect(url_for("gateway.resume", visit_id=visit_id), 303)


def _first_answer(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go to the first page, or straight back where a policy or the browser spares the user."""
    if services().passes.pass_on(tx, user(), session):
        return send_back(tx, session)
    if services().visit_browsers.pass_on(tx, user(), session, cookies_of(session)):
        return send_back(tx, session)
    if services().visit_browsers.end_silently(tx, user(), session):
        return send_back(tx, session)
    return next_page(tx, session)


@blueprint.get("/resume")
@page()
def resume(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go on where this browser left off."""
    return next_page(tx, session)
