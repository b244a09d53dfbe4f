"""The hosted pages: where a user's browser proves a factor, or sets one up."""

from __future__ import annotations

from flask import Flask

from app.web.gateway import (
    account,
    account_browsers,
    account_changes,
    bypass,
    challenge,
    codes,
    done,
    enroll,
    enrollment_invitation,
    freeze,
    magic_link,
    passkeys,
    start,
)
from app.web.gateway.visit import blueprint

__all__ = [
    "account",
    "account_browsers",
    "account_changes",
    "bypass",
    "challenge",
    "codes",
    "done",
    "enroll",
    "enrollment_invitation",
    "freeze",
    "magic_link",
    "passkeys",
    "start",
]


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(blueprint)
    app.register_blueprint(magic_link.blueprint)
    app.register_blueprint(enrollment_invitation.blueprint)
    app.register_blueprint(freeze.blueprint)
