"""What a client can learn of us by itself (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from app.client_keys import ALGORITHMS
from app.models import ClientAuth, ResponseMode
from app.services.assurance import CLASSES
from app.services.signing_keys import JWKS_MAX_AGE_SECONDS
from app.texts import LANGUAGES
from app.web.support import services

blueprint = Blueprint("oidc_discovery", __name__, url_prefix="/.well-known")

_AUTH = [one.value for one in ClientAuth]
_CLAIMS = (
    "iss sub aud exp iat auth_time nonce acr amr at_hash preferred_username mfa_method org env"
)


@blueprint.get("/openid-configuration")
@blueprint.get("/oauth-authorization-server", endpoint="oauth")
def show() -> ResponseReturnValue:
    """Return the metadata; the issuer is the deployment's address to the letter."""
    answer = jsonify(metadata(services().config.base_url))
    answer.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_SECONDS}"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


def metadata(issuer: str) -> dict[str, Any]:
    """Return what we offer, and where."""
    endpoints = {
        "authorization_endpoint": "authorize",
        "pushed_authorization_request_endpoint": "par",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke",
        "end_session_endpoint": "end-session",
    }
    return {
        "issuer": issuer,
        **{name: f"{issuer}/oidc/{path}" for name, path in endpoints.items()},
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": ["openid", "profile"],
        "response_types_supported": ["code"],
        "response_modes_supported": [one.value for one in ResponseMode],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        **{f"{one}_endpoint_auth_methods_supported": _AUTH for one in _BACK},
        **{f"{one}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS) for one in _BACK},
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": list(CLASSES),
        "claims_supported": _CLAIMS.split(),
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": False,
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": list(LANGUAGES),
    }


_BACK = ("token", "introspection", "revocation")
