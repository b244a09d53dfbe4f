"""POST /oauth/v1/health_check: whether the client may count on us, asked before each sign-in."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from app.web.duo.call import blueprint, prove
from app.web.support import services


@blueprint.post("/health_check")
def health_check() -> ResponseReturnValue:
    """Say that all is well to a client whose id and secret are right."""
    with services().database.writing() as tx:  # the assertion is used up
        prove(tx, "health_check")
    now = services().clock.now()
    return jsonify(stat="OK", response={"timestamp": int(now.timestamp())})
