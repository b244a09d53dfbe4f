"""What the world may know: the public keys."""

from __future__ import annotations

from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue

from app.services.signing_keys import JWKS_MAX_AGE_SECONDS
from app.web.support import services

blueprint = Blueprint("well_known", __name__, url_prefix="/.well-known")


def init_app(app: Flask) -> None:
    """Register the addresses (RFC 8615)."""
    app.register_blueprint(blueprint)


@blueprint.get("/jwks.json")
def jwks() -> ResponseReturnValue:
    """Return the public keys that results are checked with (RFC 7517 section 5)."""
    with services().database.reading() as tx:
        keys = services().signing_keys.published(tx)
    answer = jsonify(keys=keys)
    answer.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_SECONDS}"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
