"""Microsoft Entra external MFA: Entra sends a user's browser, and gets an ID token back."""

from __future__ import annotations

from flask import Flask

from app.web.entra import authorize, discovery
from app.web.entra.connection import blueprint

__all__ = ["authorize", "discovery"]


def init_app(app: Flask) -> None:
    """Register the addresses of every connection."""
    app.register_blueprint(blueprint)
