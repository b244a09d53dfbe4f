"""What Entra reads once a day: our metadata, and the keys that ID tokens are checked with."""

from __future__ import annotations

import uuid

from flask import Response, jsonify
from flask.typing import ResponseReturnValue

from app.models import KeyUse
from app.services.signing_keys import ENTRA_READS_EVERY
from app.web.entra.connection import blueprint
from app.web.support import services

_MAX_AGE = int(ENTRA_READS_EVERY.total_seconds())


@blueprint.get("/.well-known/openid-configuration")
def metadata(connection_id: uuid.UUID) -> ResponseReturnValue:
    """Say who signs, where to send users, and where the keys are (OpenID Connect Discovery)."""
    with services().database.reading() as tx:
        services().entra_connections.find(tx, connection_id)
    ours = services().entra_connections.issuer(connection_id)
    return _public(
        jsonify(
            issuer=ours,
            authorization_endpoint=f"{ours}/authorize",
            jwks_uri=f"{ours}/jwks",
            scopes_supported=["openid"],
            response_types_supported=["id_token"],
            response_modes_supported=["form_post"],
            grant_types_supported=["implicit"],
            subject_types_supported=["pairwise", "public"],
            id_token_signing_alg_values_supported=["RS256"],
            claim_types_supported=["normal"],
            claims_supported=["iss", "aud", "sub", "exp", "iat", "nonce", "acr", "amr"],
            claims_parameter_supported=True,
            request_parameter_supported=False,
            request_uri_parameter_supported=False,
        )
    )


@blueprint.get("/jwks")
def jwks(connection_id: uuid.UUID) -> ResponseReturnValue:
    """Return the keys, each with its certificate (RFC 7517 section 4.7)."""
    with services().database.reading() as tx:
        services().entra_connections.find(tx, connection_id)
        keys = services().signing_keys.published(tx, KeyUse.ENTRA)
    return _public(jsonify(keys=keys))


def _public(answer: Response) -> Response:
    answer.headers["Cache-Control"] = f"public, max-age={_MAX_AGE}"
    return answer
