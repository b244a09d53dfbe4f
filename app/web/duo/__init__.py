"""Duo Universal: the three addresses that its SDKs call, unmodified, on this host."""

from __future__ import annotations

from flask import Flask

from app.services.duo_tokens import PATH
from app.web.duo import authorize, health_check, token
from app.web.duo.call import blueprint
from app.web.duo.errors import tell
from app.web.support.error_pages import tell_below
from app.web.support.forms import csrf

__all__ = ["authorize", "health_check", "token"]


def init_app(app: Flask) -> None:
    """Register the calls; each rests on a signature, and no form of ours leads here."""
    tell_below(app, PATH, tell)
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
