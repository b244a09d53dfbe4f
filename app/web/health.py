"""Whether the process lives, and whether it can work; both answer to any host."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue

from app import schema
from app.schema import Standing
from app.web.support import services

blueprint = Blueprint("health", __name__)


def init_app(app: Flask) -> None:
    """Register the two addresses."""
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """Tell that the process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Tell whether the database answers and has a schema that this release can work with."""
    try:
        standing = schema.standing(services().database.engine)
    except sa.exc.SQLAlchemyError:
        return jsonify(status="unavailable", database="unreachable"), 503
    if standing in (Standing.BEHIND, Standing.OUTGROWN):
        return jsonify(status="unavailable", database="ok", migrations=standing), 503
    return jsonify(status="ok", database="ok", migrations=standing)
