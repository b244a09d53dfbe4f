"""Cryptr's gateway redirect: the door for applications that use Cryptr's SPA SDK unmodified."""

from __future__ import annotations

from flask import Flask

from app.web.cryptr import gateway, link, tokens


def init_app(app: Flask) -> None:
    """Register the addresses."""
    app.register_blueprint(gateway.blueprint)
    app.register_blueprint(link.blueprint)
    app.register_blueprint(tokens.blueprint)
