"""REST API v2: the calls of the Cryptr guides, and gateway sessions."""

from __future__ import annotations

from flask import Flask

from app.web.api_v2 import gateway_sessions, organizations, token, totp_connections, users
from app.web.support.forms import csrf


def init_app(app: Flask) -> None:
    """Register the calls; they rest on a header that no browser adds by itself, so CSRF is moot."""
    for part in (token, organizations, users, totp_connections, gateway_sessions):
        csrf.exempt(part.blueprint)
        app.register_blueprint(part.blueprint)
