"""Confirming a user: with an authenticator that is there, or with a recovery code in its place."""

from __future__ import annotations

import uuid

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors import MESSAGE_CODES, PASSKEY
from app.factors.base import Refused
from app.models import Authenticator, GatewaySession, SessionStatus
from app.services.visits import Step
from app.web.gateway.browser import keep_trust
from app.web.gateway.done import send_back
from app.web.gateway.questions import facts_of, progress_of, sent, why_not_sent
from app.web.gateway.visit import blueprint, next_page, page, render, user
from app.web.support import services
from app.web.support.forms import CodeForm
from app.web.support.headers import allow_requests
from app.web.support.sentences import recovery_sentence


@blueprint.get("/choose")
@page(Step.VERIFY)
def choose(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Offer all that the user can confirm with."""
    return render(
        "gateway/choose.html",
        session,
        ways=services().visit_choices.ways(tx, session),
        more=services().means.leads_to_more(tx, session),
        bypass=services().bypass_codes.fits(tx, session),
    )


@blueprint.get("/verify")
@blueprint.get("/verify/<uuid:authenticator_id>")
@page(Step.VERIFY)
def verify(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID | None = None
) -> ResponseReturnValue:
    """Ask for a code of one authenticator."""
    authenticator = services().visits.chosen(tx, session, authenticator_id)
    if authenticator is None:
        return next_page(tx, session)
    waiting = services().visits.waiting(session, authenticator)
    return _render(tx, session, authenticator, waiting, status=200)


@blueprint.post("/verify")
@blueprint.post("/verify/<uuid:authenticator_id>")
@page(Step.VERIFY, Step.ENDED)
def attempt(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID | None = None
) -> ResponseReturnValue:
    """Judge a code; an accepted one is answered by the way back itself."""
    answer = CodeForm().answer()
    authenticator = services().visits.chosen(tx, session, authenticator_id)
    if authenticator is None:
        return next_page(tx, session)
    outcome = services().visits.verify(tx, user(), session, authenticator, answer)
    if isinstance(outcome, Refused):
        if services().visits.repeats(tx, session, answer):
            return send_back(tx, session)
        if services().visits.step(tx, session) is not Step.VERIFY:
            return next_page(tx, session)
        return _render(tx, session, authenticator, outcome, answer, status=422)
    if session.status is SessionStatus.PENDING:  # something is to be set up next
        return next_page(tx, session)
    response = send_back(tx, session)
    keep_trust(tx, session, response)
    return response


@blueprint.post("/verify/<uuid:authenticator_id>/send")
@page(Step.VERIFY)
def send(tx: Session, session: GatewaySession, authenticator_id: uuid.UUID) -> ResponseReturnValue:
    """Send a code, or another one, by any channel of what it confirms with."""
    authenticator = services().visits.chosen(tx, session, authenticator_id)
    if authenticator is None or authenticator.kind not in MESSAGE_CODES:
        return next_page(tx, session)
    outcome = sent(tx, session, authenticator)
    if not isinstance(outcome, Refused):
        place = url_for(
            "gateway.verify", visit_id=session.short_id, authenticator_id=authenticator_id
        )
        return redirect(place, 303)
    channel = request.form.get("channel", "")
    unsent = why_not_sent(session, outcome, channel, authenticator.recipient)
    return _render(tx, session, authenticator, None, unsent=unsent, status=422)


@blueprint.get("/verify/<uuid:authenticator_id>/progress")
@page(Step.VERIFY)
def progress(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Say how the message with the code stands."""
    authenticator = services().visits.chosen(tx, session, authenticator_id)
    if authenticator is None or authenticator.kind not in MESSAGE_CODES:
        return next_page(tx, session)
    return progress_of(tx, session, authenticator)


@blueprint.get("/recover")
@page(Step.VERIFY, Step.DUE)
def recover(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Ask for a recovery code."""
    if not services().visit_recovery.fits(session):
        return next_page(tx, session)
    refusal = services().visit_recovery.state(tx, session).refusal
    return _render_recovery(tx, session, refusal, status=200)


@blueprint.post("/recover")
@page(Step.VERIFY, Step.DUE)
def attempt_recovery(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Judge a recovery code; an accepted one leads to a new authenticator, or straight back."""
    answer = CodeForm().answer()
    outcome = services().visit_recovery.answer(tx, user(), session, answer)
    if isinstance(outcome, Refused):
        on = services().visits.step(tx, session) in {Step.VERIFY, Step.DUE}
        if not on or not services().visit_recovery.fits(session):
            return next_page(tx, session)
        return _render_recovery(tx, session, outcome, answer, status=422)
    if session.status is SessionStatus.PENDING:
        return next_page(tx, session)
    return send_back(tx, session)


def _render(
    tx: Session,
    session: GatewaySession,
    authenticator: Authenticator,
    refused: Refused | None,
    typed: str = "",
    unsent: str | None = None,
    *,
    status: int,
) -> ResponseReturnValue:
    choices = services().visits.choices(tx, session)
    autofill = next((one for one in choices if one.kind == PASSKEY.kind), None)
    if autofill is not None:
        allow_requests()
    return render(
        f"factors/{authenticator.kind}/challenge.html",
        session,
        status,
        authenticator=authenticator,
        others=len(choices) > 1,
        more=services().means.leads_to_more(tx, session),
        bypass=services().bypass_codes.fits(tx, session),
        autofill=autofill,
        trust_days=services().visit_browsers.days(tx, session),
        trusting="trust" in request.form,
        unsent=unsent,
        **facts_of(tx, session, authenticator, refused, typed),
    )


def _render_recovery(
    tx: Session, session: GatewaySession, refused: Refused | None, typed: str = "", *, status: int
) -> ResponseReturnValue:
    state = services().visit_recovery.state(tx, session)
    error = recovery_sentence(refused, typed, length=state.length) if refused else None
    return render(
        "gateway/recover.html",
        session,
        status,
        state=state,
        refused=refused,
        error=error,
        typed=typed,
    )
