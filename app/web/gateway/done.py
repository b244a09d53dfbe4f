"""The way back to the application, however a visit ends."""

from __future__ import annotations

from flask import Response, make_response, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import GatewaySession, ResponseMode, SessionStatus
from app.services.standing import is_frozen, is_suspended
from app.services.visits import Step
from app.web.gateway.browser import keep_mark
from app.web.gateway.visit import blueprint, page, render, user
from app.web.support import services

_CONFIRMED = {SessionStatus.VERIFIED, SessionStatus.ENROLLED}


def send_back(tx: Session, session: GatewaySession) -> Response:
    """Answer the application through the browser, in the way that it asked for."""
    place = services().answers.answer(tx, session).location
    if session.response_mode is ResponseMode.FORM_POST:
        place = url_for("gateway.leave", visit_id=session.short_id)
    response = make_response(redirect(place, 303))
    keep_mark(tx, session, response)
    return response


@blueprint.get("/ended")
@page(Step.ENDED)
def ended(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say how the visit ended, and offer the way back."""
    status = services().gateway_sessions.status(session)
    by_link = services().magic_links.of(tx, session) is not None
    if services().gateway_sessions.is_own(session):
        return render("gateway/ended_invitation.html", session, ending=status)
    return render(
        "gateway/ended.html", session, ending=status, done=_is_done(status), by_link=by_link
    )


@blueprint.get("/blocked")
@page(Step.BLOCKED)
def blocked(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say that nothing can be confirmed here now, and who can help."""
    return render(
        "gateway/blocked.html",
        session,
        suspended=is_suspended(session.user),
        frozen=is_frozen(session.user),
        bypass=services().bypass_codes.fits(tx, session),
    )


@blueprint.get("/unmet")
@page(Step.UNMET)
def unmet(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say that the application asks for more than the user may use here, and what helps."""
    return render("gateway/unmet.html", session)


@blueprint.get("/due")
@page(Step.DUE)
def due(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say that a new authenticator is due after a recovery code, and name the ways to it."""
    state = services().visit_recovery.state(tx, session)
    bypass = services().bypass_codes.fits(tx, session)
    return render("gateway/due.html", session, state=state, bypass=bypass)


@blueprint.get("/return")
@page(Step.ENDED)
def leave(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go back to the application."""
    answer = services().answers.answer(tx, session)
    if answer.response_mode is ResponseMode.QUERY:
        return redirect(answer.location, 303)
    status = services().gateway_sessions.status(session)
    confirmed = status in _CONFIRMED
    return render("gateway/form_post.html", session, answer=answer, confirmed=confirmed)


@blueprint.post("/cancel")
@page()
def cancel(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """End the visit because the user wants to go back."""
    unmet = services().visits.step(tx, session) is Step.UNMET
    services().gateway_sessions.cancel(tx, user(), session, unmet=unmet)
    return send_back(tx, session)


def _is_done(status: SessionStatus) -> bool:
    return status in _CONFIRMED | {SessionStatus.TRUSTED, SessionStatus.SKIPPED}
