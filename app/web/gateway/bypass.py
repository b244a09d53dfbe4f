"""A code from the help desk: one quiet way in where nothing else works."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors.base import Refused
from app.models import GatewaySession
from app.services.visits import Step
from app.web.gateway.done import send_back
from app.web.gateway.visit import blueprint, next_page, page, render, user
from app.web.support import services
from app.web.support.forms import CodeForm
from app.web.support.sentences import bypass_sentence

STEPS = (Step.VERIFY, Step.DUE, Step.BLOCKED, Step.SET_UP)


@blueprint.get("/bypass")
@page(*STEPS)
def bypass(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Ask for a code that an administrator gave."""
    if not services().bypass_codes.fits(tx, session):
        return next_page(tx, session)
    return render("gateway/bypass.html", session)


@blueprint.post("/bypass")
@page(*STEPS)
def attempt_bypass(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Judge such a code; a right one is answered by the way back itself."""
    answer = CodeForm().answer()
    if not services().bypass_codes.fits(tx, session):
        return next_page(tx, session)
    outcome = services().bypass_codes.answer(tx, user(), session, answer)
    if not isinstance(outcome, Refused):
        return send_back(tx, session)
    if services().visits.step(tx, session) not in STEPS:
        return next_page(tx, session)
    return render(
        "gateway/bypass.html",
        session,
        422,
        refused=outcome,
        error=bypass_sentence(outcome, answer),
        typed=answer,
    )
