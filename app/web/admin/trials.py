"""Trying an application: a real verification, and what an application makes of its result."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import EmailField

from app.errors import Invalid, NotFound, Refusal
from app.jose import Claims
from app.models import Application, Door
from app.services.cryptr_trials import CryptrTrials
from app.services.duo_trials import DuoTrials
from app.services.oidc_trials import OidcTrials
from app.services.roles import Action
from app.services.trials import Trials, Tried
from app.web.admin.applications import blueprint
from app.web.admin.claim_words import CHECKS, CLAIMS, HEADER, MOMENTS, TOKEN_CHECKS
from app.web.admin.desk import Seat, explain, page, render
from app.web.support import services


class TryForm(FlaskForm):  # type: ignore[misc]
    """With whom."""

    email = EmailField(
        "User",
        description="Email address of a user whose phone you have at hand.",
        render_kw={"required": True, "autocomplete": "off", "inputmode": "email"},
    )


@blueprint.get("/<uuid:client_id>/try")
@page(Action.TRY_APPLICATION)
def ask_try(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask with which user an application is to be tried."""
    return _ask(seat, _find(tx, seat, client_id), TryForm(formdata=None))


@blueprint.post("/<uuid:client_id>/try")
@page(Action.TRY_APPLICATION)
def begin_trial(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Open a gateway session, and send this browser there."""
    application, form = _find(tx, seat, client_id), TryForm()
    try:
        url = _trials(application).begin(
            tx, seat.actor, seat.session, seat.organization, application, form.email.data or ""
        )
    except Refusal as refusal:
        told = refusal if isinstance(refusal, Invalid) else Invalid("email", refusal.message)
        explain(form, told)
        return _ask(seat, application, form, status=422)
    return redirect(url, 303)


@blueprint.get("/<uuid:client_id>/try/back")
@page(Action.TRY_APPLICATION)
def end_trial(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Judge what this browser brought back as the application would, and show it."""
    application = _find(tx, seat, client_id)
    tx.close()
    with services().database.writing() as writing:  # the result is used up
        tried = _finished(writing, seat, application)
    if tried is None:
        return render("admin/applications/not_tried.html", seat, 422, application=application)
    return render(
        "admin/applications/tried.html",
        seat,
        200 if tried.passed else 422,
        application=application,
        tried=tried,
        checks={**CHECKS, **TOKEN_CHECKS},
        claims=_told(tried.claims, CLAIMS),
        header=_told(tried.header, HEADER),
    )


def _finished(tx: Session, seat: Seat, application: Application) -> Tried | None:
    brought = request.args
    if application.door is not Door.REST:
        return _token_trials(application).finish(
            tx,
            seat.actor,
            seat.session,
            application,
            state=brought.get("state", ""),
            code=brought.get("code", "") or brought.get("duo_code", ""),
        )
    return services().trials.finish(
        tx,
        seat.actor,
        seat.session,
        seat.organization,
        application,
        session_id=brought.get("session_id", ""),
        state=brought.get("state", ""),
        result=brought.get("result", ""),
    )


def _trials(application: Application) -> Trials | OidcTrials | DuoTrials | CryptrTrials:
    return services().trials if application.door is Door.REST else _token_trials(application)


def _token_trials(application: Application) -> OidcTrials | DuoTrials | CryptrTrials:
    of_door: dict[Door, OidcTrials | DuoTrials | CryptrTrials] = {
        Door.OIDC: services().oidc_trials,
        Door.DUO: services().duo_trials,
        Door.CRYPTR: services().cryptr_trials,
    }
    return of_door[application.door]


def _find(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application that can be tried; users of Entra's come with Entra's word alone."""
    found = services().applications.serving(tx, seat.organization, str(client_id))
    if found.door is Door.ENTRA:
        raise NotFound("application")
    return found


def _ask(
    seat: Seat, application: Application, form: TryForm, *, status: int = 200
) -> ResponseReturnValue:
    return render("admin/applications/try.html", seat, status, application=application, form=form)


def _told(said: Claims, words: dict[str, str]) -> list[tuple[str, str, datetime | None, str]]:
    """Return name, value, moment and meaning of each part of a token, in its own order."""
    return [
        (name, _value(value), _moment(name, value), words.get(name, ""))
        for name, value in said.items()
    ]


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(name: str, value: object) -> datetime | None:
    if name in MOMENTS and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    return None
