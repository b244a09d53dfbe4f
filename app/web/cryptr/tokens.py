"""What an SPA's script asks for itself: the exchange of its code, keys, and signing out.

Browsers may read the answers on the origins of registered redirect addresses alone.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from app.errors import Refusal
from app.json_objects import Fields, json_object, refuse_unstorable, validated
from app.models import Application
from app.services.cryptr_tokens import Exchange, Issued
from app.services.gateway_sessions import origin_of
from app.services.signing_keys import JWKS_MAX_AGE_SECONDS, LONGEST_SECONDS
from app.web.support import actor, services
from app.web.support.address_limits import count_stranger
from app.web.support.forms import csrf

blueprint = Blueprint("cryptr_tokens", __name__)
csrf.exempt(blueprint)  # no cookie is read: what counts stands in the body

_EXCHANGE = "/org/<organization_domain>/oauth2/token"
_REFRESH = "/api/v1/tenants/<organization_domain>/<client_id>/<state>/oauth/client/token"
_REVOKE = "/api/v1/tenants/<organization_domain>/<client_id>/oauth/token/revoke"
_REFRESH_LEEWAY_SECONDS, _REFRESH_RETRY = 60, 5


class ExchangeFields(Fields):
    """The body that the SDK sends (api-facts a.10)."""

    grant_type: str
    client_id: str
    authorization_id: str
    code: str
    code_verifier: str
    nonce: str
    request_id: str
    client_state: str


@blueprint.post(_EXCHANGE, provide_automatic_options=False)
def exchange(organization_domain: str) -> ResponseReturnValue:
    """Exchange a code for the two tokens."""
    count_stranger()
    try:
        body = json_object(request.get_data())
        refuse_unstorable(body)
        fields = validated(ExchangeFields, body)
    except Refusal as refusal:
        return _error("invalid_request", refusal.message)
    with services().database.writing() as tx:
        try:
            application = services().cryptr_entries.application(tx, fields.client_id)
        except Refusal:
            return _error("invalid_client", "client_id: it names no application of this protocol.")
        if fields.grant_type != "authorization_code":
            refused = _error("unsupported_grant_type", "grant_type must be authorization_code.")
            return _open_to(application, refused)
        wanted = Exchange(
            organization_domain=organization_domain,
            authorization_id=fields.authorization_id,
            request_id=fields.request_id,
            client_state=fields.client_state,
            code=fields.code,
            code_verifier=fields.code_verifier,
            nonce=fields.nonce,
        )
        try:
            issued = services().cryptr_tokens.exchange(
                tx, actor("application"), application, wanted
            )
        except Refusal as refusal:
            return _open_to(application, _error("access_denied", refusal.message))
        if issued is None:
            refused = _error("invalid_grant", "The code was used, is too old, or is another's.")
            return _open_to(application, refused)
        return _open_to(application, make_response(jsonify(_shown(issued, fields.nonce))))


@blueprint.post(_REFRESH, provide_automatic_options=False)
def refresh(organization_domain: str, client_id: str, state: str) -> ResponseReturnValue:
    """Refuse to refresh: the application sends its user again when the tokens are over."""
    count_stranger()
    return _open_to_named(client_id, _error("invalid_grant", "Tokens are not refreshed here."))


@blueprint.post(_REVOKE, provide_automatic_options=False)
def revoke(organization_domain: str, client_id: str) -> ResponseReturnValue:
    """Let the SDK sign its user out; nothing is kept here that would go on (RFC 7009 2.2)."""
    count_stranger()
    now = services().clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return _open_to_named(client_id, make_response(jsonify(revoked_at=now, slo_code=None)))


@blueprint.route(_EXCHANGE, methods=["OPTIONS"])
@blueprint.route(_REFRESH, methods=["OPTIONS"])
@blueprint.route(_REVOKE, methods=["OPTIONS"])
def preflight(**_: str) -> ResponseReturnValue:
    """Tell a browser whether a page of this origin may send JSON here (Fetch, CORS)."""
    response = make_response("", 204)
    origin = request.headers.get("Origin", "")
    with services().database.reading() as tx:
        known = services().cryptr_entries.knows_origin(tx, origin)
    if known:
        _allow(response, origin)
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = "600"
    return response


@blueprint.get("/t/<organization_domain>/.well-known")
def keys(organization_domain: str) -> ResponseReturnValue:
    """Return the public keys that the tokens are checked with (RFC 7517 section 5)."""
    with services().database.reading() as tx:
        published = services().cryptr_tokens.keys(tx)
    answer = jsonify(keys=published)
    answer.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_SECONDS}"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


def _shown(issued: Issued, nonce: str) -> dict[str, object]:
    until = issued.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "access_token": issued.access_token,
        "id_token": issued.id_token,
        "refresh_token": issued.refresh_token,
        "token_type": "Bearer",
        "expires_in": LONGEST_SECONDS,
        "scope": issued.scope,
        "nonce": nonce,
        "access_token_expiration_date": until,
        "refresh_expiration_date": until,
        "refresh_leeway": _REFRESH_LEEWAY_SECONDS,
        "refresh_retry": _REFRESH_RETRY,
    }


def _error(code: str, description: str) -> Response:
    return make_response(jsonify(error=code, error_description=description), 400)


def _open_to_named(client_id: str, response: Response) -> Response:
    with services().database.reading() as tx:
        try:
            application = services().cryptr_entries.application(tx, client_id)
        except Refusal:
            return _error("invalid_client", "It names no application of this protocol.")
        return _open_to(application, response)


def _open_to(application: Application, response: Response) -> Response:
    """Let pages of the application's own origins read the answer, and no others."""
    origin = request.headers.get("Origin", "")
    if origin in {origin_of(uri) for uri in application.redirect_uris}:
        _allow(response, origin)
    return response


def _allow(response: Response, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.vary.add("Origin")
