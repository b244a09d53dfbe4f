"""A connection's own addresses, all below its issuer."""

from __future__ import annotations

import uuid

from flask import Blueprint

from app.web.support import services

blueprint = Blueprint("entra", __name__, url_prefix="/entra/<uuid:connection_id>")


def issuer(connection_id: uuid.UUID) -> str:
    """Return as whom we sign for a connection; its metadata is below this very address."""
    return f"{services().config.base_url}/entra/{connection_id}"
