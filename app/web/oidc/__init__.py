"""OpenID Connect: existing clients send their users here without a line of ours."""

from __future__ import annotations

from flask import Flask

from app.web.oidc import authorize, back_channel, discovery, end_session, names, resources
from app.web.oidc.wire import told_as_json
from app.web.support.error_pages import tell_below

__all__ = ["authorize", "back_channel", "discovery", "end_session", "names", "resources"]

_PROGRAMS = ("par", "token", "userinfo", "introspect", "revoke")


def init_app(app: Flask) -> None:
    """Register the endpoints."""
    for module in (authorize, back_channel, discovery, end_session, resources):
        app.register_blueprint(module.blueprint)
    for name in _PROGRAMS:
        tell_below(app, f"/oidc/{name}", told_as_json)
