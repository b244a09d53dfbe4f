"""A connection's own addresses, all below its issuer."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("entra", __name__, url_prefix="/entra/<uuid:connection_id>")
