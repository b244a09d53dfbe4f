"""Cookies and forms: Flask's signed session carries nothing but the CSRF token."""

from __future__ import annotations

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from wtforms import StringField

from app.config import Config

MOST_BYTES = 64 * 1024
"""Of any request, but for those of programs that have proved themselves: the rest is short."""
csrf = CSRFProtect()


class CodeForm(FlaskForm):  # type: ignore[misc]
    """The one field that an answer is typed into."""

    code = StringField()
    credential = StringField()

    def answer(self) -> str:
        """Return what was typed, or what a passkey signed; of several codes none is right."""
        return "/".join(request.form.getlist("code")) or request.form.get("credential", "")


class SignedCookie(SecureCookieSessionInterface):
    """Flask's signed cookie, for whose keys nothing is worked out where none was sent."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return what the cookie holds."""
        if self.get_cookie_name(app) not in request.environ.get("HTTP_COOKIE", ""):
            return self.session_class()
        return super().open_session(app, request)


def cookie_name(config_https: bool, name: str) -> str:
    """Return the name of a cookie: `__Host-` on HTTPS, so that no other host can have set it."""
    return f"__Host-{name}" if config_https else name


def init_app(app: Flask, config: Config) -> None:
    """Set up the signed cookie and the check of every form."""
    app.config.update(
        SECRET_KEY=config.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_PARTS=300,
        SESSION_COOKIE_NAME=cookie_name(config.https, "gatehouse"),
        SESSION_COOKIE_SECURE=config.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = SignedCookie()
    csrf.init_app(app)
