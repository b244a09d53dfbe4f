"""What brands are made of: style sheets and logos, at addresses that name their very content."""

from __future__ import annotations

import uuid

from flask import Blueprint, Flask, Response
from flask.typing import ResponseReturnValue

from app.web.support import services
from app.web.support.headers import be_inert

blueprint = Blueprint("brand", __name__, url_prefix="/brand")

_FOR_A_YEAR = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Register the addresses."""
    app.register_blueprint(blueprint)


@blueprint.get("/<uuid:organization_id>.<digest>.css")
def sheet(organization_id: uuid.UUID, digest: str) -> ResponseReturnValue:
    """Return the style sheet of an organization's pages."""
    with services().database.reading() as tx:
        text = services().brands.sheet(tx, organization_id, digest)
    return _file(text.encode(), "text/css")


@blueprint.get("/<uuid:organization_id>.<digest>.png")
def logo(organization_id: uuid.UUID, digest: str) -> ResponseReturnValue:
    """Return an organization's logo."""
    with services().database.reading() as tx:
        picture = services().brands.logo(tx, organization_id, digest)
    return _file(picture, "image/png")


def _file(content: bytes, mimetype: str) -> Response:
    be_inert()
    return Response(content, mimetype=mimetype, headers={"Cache-Control": _FOR_A_YEAR})
