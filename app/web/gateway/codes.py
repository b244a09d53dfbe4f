"""Recovery codes that a visit made: shown in it alone, and kept only as hashes."""

from __future__ import annotations

from flask import Response, make_response, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from app.models import GatewaySession, SessionStatus
from app.services.visits import Step
from app.web.gateway.done import send_back
from app.web.gateway.visit import (
    CODES,
    blueprint,
    drop_cookie,
    next_page,
    page,
    read_cookie,
    render,
    set_cookie,
    user,
)
from app.web.support import services


def go_to_codes(session: GatewaySession, sealed: str) -> ResponseReturnValue:
    """Hand new codes to the browser, sealed, and go on to the page that shows them."""
    response = make_response(redirect(url_for("gateway.codes", visit_id=session.short_id), 303))
    set_cookie(response, session, CODES, sealed)
    return response


@blueprint.get("/recovery-codes")
@page(Step.SAVE_CODES)
def codes(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Show the codes; to a browser that has lost them, offer new ones."""
    return render("gateway/recovery_codes.html", session, codes=_shown(tx, session))


@blueprint.post("/recovery-codes/new")
@page(Step.SAVE_CODES)
def reissue(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Make new codes in place of those that this visit made."""
    sealed = services().visits.reissue_codes(tx, user(), session)
    return go_to_codes(session, sealed) if sealed else next_page(tx, session)


@blueprint.post("/recovery-codes/download")
@page(Step.SAVE_CODES)
def download(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Give the codes on the page as a file."""
    shown = _shown(tx, session)
    if shown is None:
        return next_page(tx, session)
    heading = _(
        "Recovery codes for %(user)s at %(organization)s",
        user=session.user.label,
        organization=session.user.organization.name,
    )
    note = _("Each code works once. Only one can be used in 24 hours.")
    text = "\r\n".join([heading, note, "", *shown, ""])
    response = Response(text, mimetype="text/plain")
    response.headers["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
    return response


@blueprint.post("/recovery-codes")
@page(Step.SAVE_CODES)
def saved(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go on, or end the visit, once the user has saved the codes."""
    if not services().visits.codes_saved(tx, user(), session):
        return next_page(tx, session)
    goes_on = session.status is SessionStatus.PENDING
    response = make_response(next_page(tx, session) if goes_on else send_back(tx, session))
    drop_cookie(response, session, CODES)
    return response


def _shown(tx: Session, session: GatewaySession) -> list[str] | None:
    sealed = read_cookie(session.short_id, CODES)
    return services().visits.shown_codes(tx, session, sealed)
