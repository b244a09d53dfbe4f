"""The DevRIFT v1 API: codes to contacts, an authenticator app, backup codes."""

from __future__ import annotations

from flask import Flask, Response, request

from app.web.api_v1 import hello, mfa
from app.web.api_v1.errors import tell
from app.web.api_v1.versions import HEADER, spoken
from app.web.support.error_pages import is_below, tell_below
from app.web.support.forms import csrf

PREFIX = "/v1"
PARTS = (hello, mfa)


def init_app(app: Flask) -> None:
    """Register the calls; they rest on a header that no browser adds by itself, so CSRF is moot."""
    tell_below(app, PREFIX, tell)
    for part in PARTS:
        csrf.exempt(part.blueprint)
        app.register_blueprint(part.blueprint)

    @app.after_request
    def say_version(response: Response) -> Response:
        if is_below(PREFIX, request.path):
            response.headers[HEADER] = spoken()
        return response
