"""/api/v2/org/{domain}/gateway-sessions: the call that starts it all, and the one that ends it."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.models import (
    Application,
    Door,
    GatewaySession,
    Intent,
    Organization,
    ResponseMode,
    SessionStatus,
)
from app.services.api_keys import Permission
from app.services.assurance import CLASSES
from app.services.gateway_sessions import Ask
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, Number, read
from app.web.api_v2.wire import OfOrganization, Zoned, place
from app.web.support import services
from app.web.support.error_pages import api_error

blueprint = Blueprint(
    "gateway_sessions", __name__, url_prefix="/api/v2/org/<domain>/gateway-sessions"
)


MOST_MAX_AGE = 31_536_000
"""A year: whatever is longer asks for nothing."""


class AskFields(Fields):
    """What an application asks."""

    user_id: str = Field(min_length=1, max_length=320)
    redirect_uri: str
    client_id: str | None = None
    state: str | None = None
    nonce: str | None = None
    locale: str | None = Field(None, max_length=35)
    acr_values: list[str] = Field(
        [],
        max_length=10,
        description="Classes of which one, or one above it, has to be reached: "
        f"{', '.join(CLASSES)}. Unknown ones don't count beside known ones.",
    )
    max_age: Number | None = Field(
        None,
        ge=0,
        le=MOST_MAX_AGE,
        description="Seconds since which this browser may have confirmed the user for the "
        "application, else it is asked anew. 0 always asks.",
    )
    response_mode: ResponseMode = ResponseMode.QUERY
    intent: Intent = Intent.VERIFY
    force_enroll: bool = False

    EXAMPLE: ClassVar[Body] = {
        "user_id": "0d34d179-8a81-49e8-b572-289d0e522691",
        "client_id": "5f0c9a5e-54ff-4a5f-8a3e-6b4a5a8a5b0e",
        "redirect_uri": "https://app.example/callback",
        "state": "af0ifjsldkj",
    }


class RedeemFields(Fields):
    """What came back through the browser."""

    result: str

    EXAMPLE: ClassVar[Body] = {"result": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIwZDM0In0.c2ln"}


class SessionShown(OfOrganization):
    """A gateway session."""

    type_: Literal["GatewaySession"] = Field("GatewaySession", alias="__type__")
    id: str
    status: SessionStatus
    user_id: uuid.UUID
    client_id: str
    redirect_uri: str
    response_mode: ResponseMode
    intent: Intent
    locale: str | None
    acr_values: list[str] = Field(description="Those that we know of what was asked.")
    max_age: int | None
    retry_at: Zoned | None = Field(description="When the user's next code is judged, if not now.")
    created_at: Zoned
    expires_at: Zoned


class SessionOpened(SessionShown):
    """A new gateway session."""

    url: str = Field(description="Where to send the user's browser; told only here.")


class SessionRedeemed(SessionShown):
    """A gateway session whose result was just used up."""

    claims: dict[str, Any] = Field(description="What the result says.")


@blueprint.post("")
@call(
    Permission.WRITE_GATEWAY_SESSIONS,
    body=AskFields,
    answer=SessionOpened,
    status=201,
    refusals=(
        "application_not_found",
        "redirect_uri_not_registered",
        "too_many_authenticators",
        "totp_connection_inactive",
        "user_not_found",
        "user_suspended",
    ),
    applications=True,
)
def create(tx: Session, caller: Caller, domain: str) -> SessionOpened:
    """Open a gateway session; only this answer holds its address."""
    organization = caller.organization(tx, domain)
    fields = read(AskFields)
    ask = Ask(
        user=fields.user_id,
        redirect_uri=fields.redirect_uri,
        state=fields.state,
        nonce=fields.nonce,
        locale=fields.locale,
        acr_values=fields.acr_values,
        max_age=fields.max_age,
        response_mode=fields.response_mode,
        intent=fields.intent,
        force_enroll=fields.force_enroll,
    )
    if ask.force_enroll and caller.api_key is None:
        raise Refusal("forbidden", "force_enroll needs an API key's bearer token.", status=403)
    application = _application(tx, caller, organization, fields.client_id)
    opened = services().gateway_sessions.open(tx, caller.actor, organization, application, ask)
    return SessionOpened(**_shown(tx, opened.session), url=opened.url)


@blueprint.get("/<session_id>")
@call(Permission.READ_GATEWAY_SESSIONS, answer=SessionShown, applications=True)
def show(tx: Session, caller: Caller, domain: str, session_id: str) -> SessionShown:
    """Return how a gateway session stands."""
    return SessionShown(**_shown(tx, _find(tx, caller, domain, session_id)))


@blueprint.post("/<session_id>/redeem")
@call(
    Permission.WRITE_GATEWAY_SESSIONS,
    body=RedeemFields,
    answer=SessionRedeemed,
    refusals=("result_already_redeemed", "result_expired", "result_invalid", "user_suspended"),
    applications=True,
)
def redeem(
    tx: Session, caller: Caller, domain: str, session_id: str
) -> SessionRedeemed | ResponseReturnValue:
    """Use up a result: the first call gets its claims, every later one 409."""
    session = _find(tx, caller, domain, session_id)
    token = read(RedeemFields).result
    claims = services().gateway_sessions.redeem(tx, caller.actor, session, token)
    if claims is None:  # returned and not raised, so that the record of the second use is kept
        message = "result: it was used before. Treat this sign-in as refused."
        return api_error("result_already_redeemed", message, 409)
    return SessionRedeemed(**_shown(tx, session), claims=claims)


def _find(tx: Session, caller: Caller, domain: str, session_id: str) -> GatewaySession:
    organization = caller.organization(tx, domain)
    return services().gateway_sessions.find(tx, organization, session_id, caller.application)


def _application(
    tx: Session, caller: Caller, organization: Organization, client_id: str | None
) -> Application:
    if caller.application is not None:
        if client_id not in {None, caller.application.client_id}:
            raise Invalid("client_id", "it is not the application whose secret was sent.")
        return caller.application
    if client_id is None:
        raise Invalid("client_id", "name the application that asks.")
    found = services().applications.find(tx, client_id)
    if found is None or found.door is not Door.REST or not found.serves(organization):
        raise Refusal(
            "application_not_found",
            f"client_id: no such application serves the organization {organization.domain}.",
        )
    return found


def _shown(tx: Session, session: GatewaySession) -> dict[str, Any]:
    return {
        **place(session.user.organization),
        "id": session.id,
        "status": services().gateway_sessions.status(session),
        "user_id": session.user_id,
        "client_id": session.application.client_id,
        "redirect_uri": session.redirect_uri,
        "response_mode": session.response_mode,
        "intent": session.intent,
        "locale": session.locale,
        "acr_values": session.acr_values,
        "max_age": session.max_age,
        "retry_at": services().visits.retry_at(tx, session),
        "created_at": session.created_at,
        "expires_at": session.expires_at,
    }
