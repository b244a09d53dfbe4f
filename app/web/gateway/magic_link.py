"""Magic links: the page that a link opens, and the page that waits for it where it was asked for.

Opening the link changes nothing, as programs that check mail do it, too; its button does.
"""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.factors.base import Refused
from app.models import GatewaySession, MagicLink
from app.services.gateway_sessions import origin_of
from app.services.visits import Step
from app.web.gateway.done import send_back
from app.web.gateway.visit import (
    VISIT,
    next_page,
    page,
    prepare,
    read_cookie,
    remember,
    render,
    user,
)
from app.web.gateway.visit import blueprint as visits
from app.web.support import services
from app.web.support.forms import CodeForm
from app.web.support.sentences import link_sentence

blueprint = Blueprint("magic_link", __name__, url_prefix="/magic-link/<token>")


@blueprint.get("")
def landing(token: str) -> ResponseReturnValue:
    """Say what the link is for, and offer the one button that uses it."""
    with services().database.reading() as tx:
        link = _find(tx, token)
        if not services().magic_links.is_open(link):
            return _over(tx, link)
        return render("gateway/link.html", link.gateway_session)


@blueprint.post("")
def follow(token: str) -> ResponseReturnValue:
    """Use the link here, or tell the short code that does it in the browser that asked."""
    with services().database.writing() as tx:
        link = _find(tx, token)
        session = link.gateway_session
        secret = read_cookie(session.short_id, VISIT)
        followed = services().magic_links.follow(tx, user(), link, token=token, secret=secret)
        if followed is None:
            return _over(tx, link)
        if followed.code is not None:
            return render("gateway/link_code.html", session, code=followed.code, link=link)
        response = make_response(send_back(tx, session))
        if followed.secret is not None:
            remember(response, session, followed.secret)
        return response


@visits.get("/link")
@page(Step.OPEN_LINK)
def link(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Wait for the link to be opened, or for the code that it tells in another browser."""
    return render("gateway/link_wait.html", session)


@visits.post("/link")
@page(Step.OPEN_LINK)
def answer_link(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Judge a short code; a right one is answered by the way back itself."""
    answer = CodeForm().answer()
    outcome = services().magic_links.answer_code(tx, user(), session, answer)
    if not isinstance(outcome, Refused):
        return send_back(tx, session)
    if services().visits.step(tx, session) is not Step.OPEN_LINK:
        return next_page(tx, session)
    return render(
        "gateway/link_wait.html",
        session,
        422,
        refused=outcome,
        error=link_sentence(outcome, answer),
        typed=answer,
    )


def _find(tx: Session, token: str) -> MagicLink:
    found = services().magic_links.find(tx, token)
    if found is None:
        raise NotFound
    prepare(tx, found.gateway_session)
    return found


def _over(tx: Session, link: MagicLink) -> ResponseReturnValue:
    """Answer a link that leads nowhere any more; the browser that used it is sent on."""
    session = link.gateway_session
    if services().gateway_sessions.visit(
        tx, session.short_id, read_cookie(session.short_id, VISIT)
    ):
        return redirect(url_for("gateway.resume", visit_id=session.short_id), 303)
    return render(
        "gateway/link_over.html",
        session,
        410,
        used=link.used_at is not None,
        origin=origin_of(session.redirect_uri),
    )
