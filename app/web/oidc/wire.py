"""What requests bring, and how answers read, in the words of OAuth 2.0."""

from __future__ import annotations

from datetime import datetime

from authlib.oauth2.rfc6749.util import extract_basic_authorization
from flask import Response, jsonify, make_response, request
from sqlalchemy.orm import Session

from app.models import OidcClient
from app.services.client_authentication import Presented
from app.web.support import services
from app.web.support.address_limits import count_key, count_stranger

_CODES = {
    "rate_limited": "temporarily_unavailable",
    "internal_error": "server_error",
    "not_found": "invalid_request",
    "method_not_allowed": "invalid_request",
    "bad_request": "invalid_request",
    "too_large": "invalid_request",
}
_CHALLENGE = 'Basic realm="gatehouse"'


def told_as_json(
    code: str, message: str, status: int, retry_at: datetime | None = None
) -> Response:
    """Return whatever went wrong as an error of OAuth 2.0 (RFC 6749 section 5.2)."""
    return oauth_error(_CODES.get(code, code), message, status)


def oauth_error(code: str, message: str, status: int = 400) -> Response:
    """Return an error of OAuth 2.0."""
    return make_response(jsonify(error=code, error_description=message), status)


def client_of(tx: Session) -> OidcClient | Response:
    """Return the client that calls, or what one is told that doesn't prove itself.

    Returned and not raised: an assertion that was brought is used up.
    """
    client = services().client_authentication.authenticate(tx, _presented(), endpoint=request.path)
    if client is None:
        count_stranger()
        refused = oauth_error("invalid_client", "The client did not prove itself.", 401)
        refused.headers["WWW-Authenticate"] = _CHALLENGE
        return refused
    count_key(client.application.client_id)
    return client


def form_pairs() -> list[tuple[str, str]]:
    """Return the fields of the body, those that are there twice, too."""
    return [*request.form.items(multi=True)]


def repeated() -> str | None:
    """Return the name of a field that is there twice (RFC 6749 section 3.2)."""
    return next((name for name, values in request.form.lists() if len(values) > 1), None)


def _presented() -> Presented:
    form = request.form
    return Presented(
        basic=_basic(),
        client_id=form.get("client_id"),
        secret=form.get("client_secret"),
        assertion=form.get("client_assertion"),
        assertion_type=form.get("client_assertion_type"),
    )


def _basic() -> tuple[str, str] | None:
    try:
        client_id, secret = extract_basic_authorization(request.headers)
    except ValueError:
        return "", ""
    return None if client_id is None else (client_id, secret or "")
