"""POST /oauth/v1/token: a code is exchanged for the ID token that says who was confirmed."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from app.errors import Refusal
from app.web.duo.call import blueprint, given, prove
from app.web.support import actor, services

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@blueprint.post("/token")
def token() -> ResponseReturnValue:
    """Return the ID token of a visit that ended well, once."""
    if given("grant_type") != "authorization_code":
        raise Refusal(
            "unsupported_grant_type", "grant_type has to be authorization_code.", status=400
        )
    if given("client_assertion_type") != _ASSERTION:
        raise Refusal(
            "invalid_request", f"client_assertion_type has to be {_ASSERTION}.", status=400
        )
    code, redirect_uri = given("code"), given("redirect_uri")
    with services().database.writing() as tx:
        proved = prove(tx, "token")
        by = actor(f"application:{proved.client.application_id}")
        granted = services().duo_sessions.exchange(
            tx, by, proved, code=code, redirect_uri=redirect_uri
        )
    if granted is None:  # the assertion and the record of a second use stay
        raise Refusal(
            "invalid_grant",
            "The code is not this client's, was used, is older than a minute, or was issued for "
            "another redirect_uri.",
            status=400,
        )
    return jsonify(
        id_token=granted.id_token,
        access_token=granted.access_token,
        expires_in=granted.lasts,
        token_type="Bearer",  # noqa: S106  (RFC 6750)
    )
