"""What an access token opens, and what its client may learn and say of it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import AccessToken, GatewaySession
from app.services.id_tokens import said
from app.web.oidc.wire import client_of, oauth_error
from app.web.support import services
from app.web.support.address_limits import count_stranger
from app.web.support.forms import csrf

blueprint = Blueprint("oidc_resources", __name__, url_prefix="/oidc")
csrf.exempt(blueprint)  # programs call; no cookie proves anything here

_USERINFO = ("sub", "preferred_username", "auth_time", "acr", "amr", "org", "env")
_INTROSPECTED = ("sub", "auth_time", "acr", "amr")


@blueprint.route("/userinfo", methods=["GET", "POST"])
def userinfo() -> ResponseReturnValue:
    """Return who was confirmed, and how (OpenID Connect Core section 5.3)."""
    with services().database.reading() as tx:
        found = services().access_tokens.find(tx, _bearer())
        if found is None:
            count_stranger()
            return _unauthorized()
        claims = said(found[1], found[0].result)
    return jsonify({name: claims[name] for name in _USERINFO if name in claims})


@blueprint.post("/introspect")
def introspect() -> ResponseReturnValue:
    """Return how an access token of this client stands (RFC 7662), and what it reached (RFC 9470).

    Of another client's token it says what it says of none.
    """
    with services().database.writing() as tx:
        client = client_of(tx)
        if isinstance(client, Response):
            return client
        if not request.form.get("token"):
            return oauth_error("invalid_request", "token: it is missing.")
        found = services().access_tokens.find(tx, request.form["token"])
        if found is None or found[1].application_id != client.application_id:
            return jsonify(active=False)
        return jsonify(_introspected(tx, client.application.client_id, *found))


@blueprint.post("/revoke")
def revoke() -> ResponseReturnValue:
    """Let an access token of this client open nothing more (RFC 7009); none is no error."""
    with services().database.writing() as tx:
        client = client_of(tx)
        if isinstance(client, Response):
            return client
        if not request.form.get("token"):
            return oauth_error("invalid_request", "token: it is missing.")
        services().access_tokens.revoke(tx, client.application_id, request.form["token"])
    return make_response("", 200)


def _introspected(
    tx: Session, client_id: str, row: AccessToken, session: GatewaySession
) -> dict[str, Any]:
    claims = said(session, row.result)
    return {
        "active": True,
        "client_id": client_id,
        "token_type": "Bearer",
        "scope": row.scope,
        "iss": services().config.base_url,
        "aud": client_id,
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.issued_at.timestamp()),
        "username": claims["preferred_username"],
        **{name: claims[name] for name in _INTROSPECTED},
    }


def _bearer() -> str:
    """Return the token in the header, or in the body of a form (RFC 6750 section 2)."""
    given = request.authorization
    if given is not None and given.type == "bearer":
        return given.token or ""
    return request.form.get("access_token", "")


def _unauthorized() -> Response:
    refused = oauth_error("invalid_token", "The access token is unknown, or it is over.", 401)
    refused.headers["WWW-Authenticate"] = 'Bearer realm="gatehouse", error="invalid_token"'
    return refused
