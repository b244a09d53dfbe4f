"""The hosted pages: where a user's browser proves a factor, or sets one up."""

from __future__ import annotations

from flask import Flask

from app.web.gateway import challenge, codes, done, enroll, magic_link, start
from app.web.gateway.visit import blueprint

__all__ = ["challenge", "codes", "done", "enroll", "magic_link", "start"]


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(blueprint)
    app.register_blueprint(magic_link.blueprint)
