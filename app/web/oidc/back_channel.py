"""What a client's server asks: to keep a request, and to get the tokens for a code."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import OidcClient
from app.services.id_tokens import Exchange
from app.services.oidc_parameters import RequestRefused
from app.services.oidc_requests import PREFIX, PUSHED_FOR
from app.web.oidc.wire import client_of, form_pairs, oauth_error, repeated
from app.web.support import actor, services
from app.web.support.forms import csrf

blueprint = Blueprint("oidc_back_channel", __name__, url_prefix="/oidc")
csrf.exempt(blueprint)  # programs call; no cookie proves anything here

_CREDENTIALS = {"client_secret", "client_assertion", "client_assertion_type"}


@blueprint.post("/par")
def push() -> ResponseReturnValue:
    """Keep an authorization request until its browser comes (RFC 9126)."""
    request.get_data()
    with services().database.writing() as tx:
        client = client_of(tx)
        if isinstance(client, Response):
            return client
        pairs = [pair for pair in form_pairs() if pair[0] not in _CREDENTIALS]
        attempt = tx.begin_nested()
        try:
            asked = services().oidc_requests.read_pushed(tx, client, pairs)
        except RequestRefused as refused:
            attempt.rollback()  # all but the client's own proof, which is used up
            return oauth_error(refused.code, refused.message)
        attempt.commit()
        parked = services().oidc_requests.keep(tx, asked, lasts=PUSHED_FOR)
    kept = {
        "request_uri": PREFIX + parked.secret,
        "expires_in": int(PUSHED_FOR.total_seconds()),
    }
    return jsonify(kept), 201


@blueprint.post("/token")
def token() -> ResponseReturnValue:
    """Exchange a code for an ID token and an access token."""
    request.get_data()
    with services().database.writing() as tx:
        client = client_of(tx)
        return client if isinstance(client, Response) else _exchanged(tx, client)


def _exchanged(tx: Session, client: OidcClient) -> ResponseReturnValue:
    form = request.form
    if name := repeated():
        return oauth_error("invalid_request", f"{name[:40]}: it is there twice.")
    grant = form.get("grant_type")
    if grant != "authorization_code":
        code = "unsupported_grant_type" if grant else "invalid_request"
        return oauth_error(code, "grant_type: use authorization_code.")
    missing = [name for name in ("code", "redirect_uri") if not form.get(name)]
    if missing:
        return oauth_error("invalid_request", f"{missing[0]}: it is missing.")
    brought = Exchange(
        code=form["code"],
        redirect_uri=form["redirect_uri"],
        verifier=form.get("code_verifier"),
    )
    by = actor(f"application:{client.application.client_id}")
    exchanged = services().id_tokens.exchange(tx, by, client, brought)
    if exchanged is None:
        told = "The code is not this client's, does not fit the request, or was used."
        return oauth_error("invalid_grant", told)
    return jsonify(
        access_token=exchanged.access_token,
        token_type="Bearer",  # noqa: S106 (RFC 6750)
        expires_in=exchanged.expires_in,
        scope=exchanged.scope,
        id_token=exchanged.id_token,
    )
