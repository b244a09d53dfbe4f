"""Setting up an authenticator: choose it, add it to a device, confirm it with a first code."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors import totp
from app.factors.base import Refused
from app.models import GatewaySession, SessionStatus
from app.services.visits import Step
from app.web.gateway.codes import go_to_codes
from app.web.gateway.done import send_back
from app.web.gateway.visit import blueprint, next_page, page, render, user
from app.web.support import services
from app.web.support.forms import CodeForm
from app.web.support.sentences import sentence


@blueprint.get("/set-up")
@page(Step.SET_UP, Step.ENROLL)
def set_up(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say what is going to happen, and offer the methods."""
    codes = services().bypass_codes
    waits = codes.fits(tx, session) and codes.current(tx, session.user) is not None
    later = services().passes.postponement(tx, session)
    return render("gateway/set_up.html", session, bypass=waits, later=later)


@blueprint.post("/set-up")
@page(Step.SET_UP, Step.ENROLL)
def begin(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Begin an authenticator of the chosen kind."""
    kind = request.form.get("kind", "")
    if services().visits.set_up(tx, user(), session, kind) is None:
        return next_page(tx, session)
    return redirect(url_for("gateway.enroll", visit_id=session.short_id), 303)


@blueprint.post("/not-now")
@page(Step.SET_UP, Step.ENROLL, Step.ENDED)
def put_off(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go back to the application with nothing set up, as long as a policy allows it."""
    done = services().passes.put_off(tx, user(), session)
    if done or session.status is SessionStatus.SKIPPED:  # a double tap
        return send_back(tx, session)
    return next_page(tx, session)


@blueprint.get("/enroll")
@page(Step.ENROLL)
def enroll(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Show the secret to the user, until it is confirmed."""
    return _render(tx, session)


@blueprint.post("/enroll")
@page(Step.ENROLL, Step.ENDED)
def confirm(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Judge the first code; on the user's first enrollment, the recovery codes follow."""
    form = CodeForm()
    outcome = services().visits.confirm(tx, user(), session, form.answer())
    if isinstance(outcome, Refused):
        if services().visits.repeats(tx, session, form.answer()):
            return send_back(tx, session)
        if services().visits.step(tx, session) is not Step.ENROLL:
            return next_page(tx, session)
        return _render(tx, session, outcome, form.answer())
    if outcome.sealed_codes:
        return go_to_codes(session, outcome.sealed_codes)
    return send_back(tx, session)


def _render(
    tx: Session, session: GatewaySession, refused: Refused | None = None, typed: str = ""
) -> ResponseReturnValue:
    pending = services().visits.pending(tx, session)
    if pending is None:
        return next_page(tx, session)
    shown = totp.shown(pending.parameters)
    return render(
        f"factors/{pending.kind}/enroll.html",
        session,
        200 if refused is None else 422,
        prompt=services().visits.prompt(tx, session, pending),
        shown=shown,
        error=sentence(refused, typed, digits=shown.digits) if refused else None,
        refused=refused,
        recovery=services().visits.recovery(tx, session),
        typed=typed,
        later=services().passes.postponement(tx, session),
        codes_follow=services().visits.codes_follow(tx, session),
    )
