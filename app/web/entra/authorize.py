"""Where Entra sends a user: a form from its own page, without any cookie or token of ours."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import structlog
from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from app.errors import Refusal
from app.models import EntraConnection
from app.services.entra_clouds import Addresses, addresses
from app.services.entra_hints import Named
from app.services.entra_requests import DENIED, INVALID, UNAVAILABLE, EntraRequest, TurnedAway
from app.services.gateway_sessions import MOST_STATE_BYTES, origin_of
from app.web.entra.connection import blueprint
from app.web.support import actor, services
from app.web.support.branding import wear
from app.web.support.forms import csrf
from app.web.support.headers import allow_form_to
from app.web.support.locale import speak

_log = structlog.get_logger("gatehouse.entra")
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_FIXED = {"scope": "openid", "response_type": "id_token", "response_mode": "form_post"}


@dataclass(frozen=True)
class _Form:
    """What was posted: each field once, byte for byte."""

    fields: dict[str, str]

    @property
    def state(self) -> str | None:
        return self.fields.get("state")

    @property
    def request_id(self) -> str:
        """Entra's id of the whole sign-in, for the log; nothing else that was sent gets there."""
        try:
            return str(uuid.UUID(self.fields.get("client-request-id", "")))
        except ValueError:
            return ""


@blueprint.post("/authorize")
@csrf.exempt  # type: ignore[untyped-decorator]
def authorize(connection_id: uuid.UUID) -> ResponseReturnValue:
    """Take a user whom a signed hint names, or send the browser back with an error.

    It needs no token of a form: nothing here rests on who the browser is, and all that comes of it
    is a gateway session of its own, as of any application that asks.
    """
    with services().database.reading() as tx:
        connection = services().entra_connections.find(tx, connection_id)
    form, place = _posted(), addresses(connection.cloud)
    _demand_entra(form, connection, place)
    outcome = _outcome(form, connection)
    _log.info(
        "entra request",
        connection=str(connection_id),
        client_request_id=form.request_id,
        outcome=outcome.reason if isinstance(outcome, TurnedAway) else "taken",
    )
    if isinstance(outcome, TurnedAway):
        return _send_back(connection, place, form, outcome)
    return redirect(outcome, 303)


def _posted() -> _Form:
    """Read the form strictly: what can't be given back as it came is no request.

    Raises:
        BadRequest: it is no form, not UTF-8, or has a field twice.
    """
    if request.mimetype != _FORM:
        raise BadRequest
    try:
        pairs = parse_qsl(
            request.get_data().decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadRequest from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise BadRequest
    return _Form(dict(pairs))


def _demand_entra(form: _Form, connection: EntraConnection, place: Addresses) -> None:
    """See that an answer would go to Microsoft, and be of use there.

    Raises:
        BadRequest: it goes nowhere, then, not even with an error.
    """
    if form.fields.get("redirect_uri") != place.redirect_uri:
        raise BadRequest
    if form.fields.get("client_id") != connection.application.client_id:
        raise BadRequest
    state = form.state or ""
    if len(state.encode()) > MOST_STATE_BYTES[connection.application.door]:
        raise BadRequest
    if any(ord(mark) < 32 or ord(mark) == 127 for mark in state):
        raise BadRequest


def _outcome(form: _Form, connection: EntraConnection) -> str | TurnedAway:
    asked = _asked(form)
    if asked is None:
        return TurnedAway(error=INVALID, reason="malformed")
    named = services().entra_requests.read(connection, asked)
    if isinstance(named, TurnedAway):
        return named
    try:
        return _opened(connection, asked, named)
    except Refusal as refusal:
        return TurnedAway(error=DENIED, reason=refusal.code)


def _opened(connection: EntraConnection, asked: EntraRequest, named: Named) -> str | TurnedAway:
    with services().database.writing() as tx:
        current = services().entra_connections.find(tx, connection.id)
        return services().entra_requests.open(tx, actor("application"), current, asked, named)


def _asked(form: _Form) -> EntraRequest | None:
    """Return what is asked; None if a field that has to be there is not, or says another thing."""
    if any(form.fields.get(name, "").lower() != value for name, value in _FIXED.items()):
        return None
    try:
        wanted = json.loads(form.fields["claims"])["id_token"]
        acr, amr = _values(wanted["acr"]), _values(wanted["amr"])
        hint = form.fields["id_token_hint"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return EntraRequest(
        hint=hint, acr=acr, amr=amr, state=form.state, nonce=form.fields.get("nonce")
    )


def _values(claim: Any) -> list[str]:
    """Return the values that a claim may have (OpenID Connect Core 5.5.1).

    Raises:
        TypeError: it names none.
    """
    values = claim["values"] if "values" in claim else [claim["value"]]
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError
    return values


def _send_back(
    connection: EntraConnection, place: Addresses, form: _Form, turned: TurnedAway
) -> ResponseReturnValue:
    """Let the browser tell Entra that nothing came of it."""
    speak()
    with services().database.reading() as tx:
        for organization in connection.application.organizations[:1]:
            wear(tx, organization)
    allow_form_to(origin_of(place.redirect_uri))
    state = {} if form.state is None else {"state": form.state}
    return render_template(
        "entra/turned_away.html",
        application=connection.application,
        redirect_uri=place.redirect_uri,
        fields={"error": turned.error, **state},
        unavailable=turned.error == UNAVAILABLE,
    )
