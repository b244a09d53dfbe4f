"""Trying an application: a real verification, and what an application makes of its result."""

from __future__ import annotations

import json
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
from app.services.roles import Action
from app.web.admin.applications import blueprint
from app.web.admin.claim_words import (
    CHECKS,
    CLAIMS,
    CONNECTION_CHECKS,
    ENTRA_CLAIMS,
    HEADER,
    ID_TOKEN_HEADER,
    MOMENTS,
    TOKEN_CHECKS,
)
from app.web.admin.desk import Seat, explain, page, render
from app.web.support import services

_WORDS = {Door.ENTRA: ENTRA_CLAIMS}
"""What claims mean, where a protocol gives them another meaning."""


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
        url = services().trials.begin(
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
        tried = services().trials.finish(
            writing,
            seat.actor,
            seat.session,
            seat.organization,
            application,
            request.args.to_dict(),
        )
    if tried is None:
        return render("admin/applications/not_tried.html", seat, 422, application=application)
    return render(
        "admin/applications/tried.html",
        seat,
        200 if tried.passed else 422,
        application=application,
        tried=tried,
        checks={**CHECKS, **TOKEN_CHECKS},
        claims=_told(tried.claims, _WORDS.get(application.door, CLAIMS)),
        header=_told(tried.header, HEADER if application.door is Door.REST else ID_TOKEN_HEADER),
    )


@blueprint.get("/<uuid:client_id>/check")
@page(Action.TRY_APPLICATION)
def ask_check(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Say what of a connection to Entra can be looked at from here, and what can't."""
    application = _of_entra(tx, seat, client_id)
    return render("admin/applications/checked.html", seat, application=application, looked=None)


@blueprint.post("/<uuid:client_id>/check")
@page(Action.TRY_APPLICATION, streams=True)
def check_connection(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Look at both ends of a connection to Entra, and show what was found."""
    application = _of_entra(tx, seat, client_id)
    connection = services().entra_connections.of(tx, application)
    kid = services().entra_checks.signing_kid(tx)
    tx.close()  # five addresses are called, which may take seconds
    looked = services().entra_checks.look(connection, kid=kid)
    return render(
        "admin/applications/checked.html",
        seat,
        application=application,
        looked=looked,
        checks=CONNECTION_CHECKS,
    )


def _of_entra(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    found = _find(tx, seat, client_id)
    if found.door is not Door.ENTRA:
        raise NotFound("application")
    return found


def _find(tx: Session, seat: Seat, client_id: uuid.UUID) -> Application:
    """Return an application of the organization's, or one of the operator's."""
    return services().applications.serving(tx, seat.organization, str(client_id))


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
    """Return a claim as people read it: names in a row, and what has parts as JSON."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(name: str, value: object) -> datetime | None:
    if name in MOMENTS and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    return None
