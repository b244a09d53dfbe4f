"""Harbor Notes: a small application that asks Gatehouse for a second step."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from harbor_notes import texts, views
from harbor_notes.gatehouse import Gatehouse, GatewayError
from harbor_notes.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Build the application around its settings."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        # Cookies are shared between the ports of one host: a name of our own keeps ours apart.
        SESSION_COOKIE_NAME="harbor_notes",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.https,
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    app.extensions.update(settings=settings, gatehouse=Gatehouse(settings))
    app.jinja_env.filters["at"] = texts.at
    app.before_request(_one_address)
    app.register_blueprint(views.pages)
    app.register_error_handler(HTTPException, _error_page)
    app.register_error_handler(GatewayError, _gateway_page)
    app.after_request(_headers)
    return app


def _one_address() -> ResponseReturnValue | None:
    """Send a browser that came by another name of this host to the one that the cookie is for."""
    settings = views.settings()
    if request.host == settings.host or request.endpoint in {"pages.healthz", "static"}:
        return None
    scheme = "https" if settings.https else "http"
    return redirect(f"{scheme}://{settings.host}/", 303)


def _error_page(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    title, text = texts.ERRORS.get(code, texts.UNEXPECTED)
    return render_template("error.html", title=title, text=text), code


def _gateway_page(error: GatewayError) -> ResponseReturnValue:
    return render_template("gateway_error.html", error=error), 502


def _headers(response: Response) -> Response:
    """Allow only what the pages use; Chromium holds a form's redirects against `form-action`."""
    gateway = urlsplit(views.settings().gateway_url)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"form-action 'self' {gateway.scheme}://{gateway.netloc}; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
