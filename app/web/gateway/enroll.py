"""Setting up an authenticator: choose it, add it, confirm it with a first code."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors import MESSAGE_CODES
from app.factors.base import Refused
from app.models import GatewaySession, SessionStatus
from app.services.phone_numbers import dialling_code
from app.services.visit_choices import Offer
from app.services.visit_codes import Wanted
from app.services.visits import Step
from app.web.gateway.codes import go_to_codes
from app.web.gateway.done import send_back
from app.web.gateway.questions import facts_of, progress_of, sent, why_not_sent
from app.web.gateway.visit import blueprint, next_page, page, render, user
from app.web.support import services
from app.web.support.forms import CodeForm
from app.web.support.sentences import country_name


@blueprint.get("/set-up")
@page(Step.SET_UP, Step.ENROLL)
def set_up(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say what is going to happen, and offer the methods."""
    return _offer(tx, session)


@blueprint.post("/set-up")
@page(Step.SET_UP, Step.ENROLL)
def begin(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Begin an authenticator of the chosen kind."""
    kind = request.form.get("kind", "")
    if services().visits.set_up(tx, user(), session, kind) is None:
        return next_page(tx, session)
    return redirect(url_for("gateway.enroll", visit_id=session.short_id), 303)


@blueprint.get("/set-up/<kind>")
@page(Step.SET_UP, Step.ENROLL)
def number(tx: Session, session: GatewaySession, kind: str) -> ResponseReturnValue:
    """Ask for the phone number that codes are to go to."""
    offer = _find_offer(tx, session, kind)
    if offer is None or not offer.takes_number:
        return redirect(url_for("gateway.set_up", visit_id=session.short_id), 303)
    return _ask_number(tx, session, offer)


@blueprint.post("/set-up/<kind>")
@page(Step.SET_UP, Step.ENROLL)
def begin_codes(tx: Session, session: GatewaySession, kind: str) -> ResponseReturnValue:
    """Begin what codes are sent to, and send the first one."""
    offer = _find_offer(tx, session, kind)
    if offer is None or kind not in MESSAGE_CODES:
        return next_page(tx, session)
    wanted = Wanted(
        kind=kind,
        channel=request.form.get("channel", kind),
        number=request.form.get("number"),
        country=request.form.get("country"),
    )
    outcome = services().visit_codes.set_up(tx, user(), session, wanted)
    if not isinstance(outcome, Refused):
        return redirect(url_for("gateway.enroll", visit_id=session.short_id), 303)
    error = why_not_sent(session, outcome, wanted.channel, wanted.number or offer.number)
    if offer.takes_number:
        return _ask_number(tx, session, offer, error, wanted)
    return _offer(tx, session, error)


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
    """Show what is to be added, until it is confirmed."""
    return _render(tx, session)


@blueprint.post("/enroll")
@page(Step.ENROLL, Step.ENDED)
def confirm(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Judge the first code; on the user's first enrollment, the recovery codes follow."""
    answer = CodeForm().answer()
    outcome = services().visits.confirm(tx, user(), session, answer)
    if isinstance(outcome, Refused):
        if services().visits.repeats(tx, session, answer):
            return send_back(tx, session)
        if services().visits.step(tx, session) is not Step.ENROLL:
            return next_page(tx, session)
        return _render(tx, session, outcome, answer)
    if outcome.sealed_codes:
        return go_to_codes(session, outcome.sealed_codes)
    if session.status is SessionStatus.PENDING:  # the user came to manage, and goes on
        return next_page(tx, session)
    return send_back(tx, session)


@blueprint.post("/enroll/send")
@page(Step.ENROLL)
def send_first(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Send another first code, by any channel."""
    pending = services().visits.pending(tx, session)
    if pending is None or pending.kind not in MESSAGE_CODES:
        return next_page(tx, session)
    outcome = sent(tx, session, pending)
    if not isinstance(outcome, Refused):
        return redirect(url_for("gateway.enroll", visit_id=session.short_id), 303)
    channel = request.form.get("channel", "")
    unsent = why_not_sent(session, outcome, channel, pending.recipient)
    return _render(tx, session, unsent=unsent)


@blueprint.get("/enroll/progress")
@page(Step.ENROLL)
def first_progress(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say how the message with the first code stands."""
    pending = services().visits.pending(tx, session)
    if pending is None or pending.kind not in MESSAGE_CODES:
        return next_page(tx, session)
    return progress_of(tx, session, pending)


def _offer(tx: Session, session: GatewaySession, error: str | None = None) -> ResponseReturnValue:
    codes = services().bypass_codes
    waits = codes.fits(tx, session) and codes.current(tx, session.user) is not None
    return render(
        "gateway/set_up.html",
        session,
        200 if error is None else 422,
        offers=services().visit_choices.offers(tx, session),
        recovery=services().visit_recovery.state(tx, session),
        has_one=bool(services().visits.choices(tx, session)) and not session.force_enroll,
        bypass=waits,
        later=services().passes.postponement(tx, session),
        adding=services().account.is_open(tx, session),
        error=error,
    )


def _find_offer(tx: Session, session: GatewaySession, kind: str) -> Offer | None:
    offers = services().visit_choices.offers(tx, session)
    return next((one for one in offers if one.kind == kind), None)


def _ask_number(
    tx: Session,
    session: GatewaySession,
    offer: Offer,
    error: str | None = None,
    wanted: Wanted | None = None,
) -> ResponseReturnValue:
    countries, likeliest = services().visit_choices.countries(tx, session.user.organization)
    named = [(country_name(code), code, dialling_code(code)) for code in countries]
    return render(
        "gateway/number.html",
        session,
        200 if error is None else 422,
        offer=offer,
        countries=sorted(named),
        country=(wanted.country if wanted else None) or likeliest,
        adding=services().account.is_open(tx, session),
        error=error,
        wanted=wanted,
        safest=services().visit_choices.safest(tx, session),
    )


def _render(
    tx: Session,
    session: GatewaySession,
    refused: Refused | None = None,
    typed: str = "",
    unsent: str | None = None,
) -> ResponseReturnValue:
    pending = services().visits.pending(tx, session)
    if pending is None:
        return next_page(tx, session)
    return render(
        f"factors/{pending.kind}/enroll.html",
        session,
        200 if refused is None and unsent is None else 422,
        recovery=services().visit_recovery.state(tx, session),
        later=services().passes.postponement(tx, session),
        codes_follow=services().visits.codes_follow(tx, session, pending),
        adding=services().account.is_open(tx, session),
        others=len(services().visit_choices.offers(tx, session)) > 1,
        unsent=unsent,
        **facts_of(tx, session, pending, refused, typed),
    )
