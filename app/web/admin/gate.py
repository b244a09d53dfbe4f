"""Who is signed in to the admin area, by the cookie of this browser (Flask-Login)."""

from __future__ import annotations

from flask import Flask, Request, Response, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import HTTPException

from app.models import Administrator, AdministratorSession
from app.services.administrator_sessions import LASTS, Admitted
from app.web.support import services
from app.web.support.forms import cookie_name

ADMITTED, ASKED, KNOWN = "admin", "admin-asked", "admin-known"
"""Kinds of cookie: the session's secret, the state of a sign-in on its way, who signed in here."""

_ASKED_SECONDS = 3600
_KNOWN_SECONDS = 90 * 86400
_NEXT = "admin_next"


class SignedIn(UserMixin):  # type: ignore[misc]
    """Flask-Login's view of a live session."""

    def __init__(self, admitted: AdministratorSession) -> None:
        self.session = admitted

    def get_id(self) -> str:
        """Return the id that Flask-Login wants; its own cookie is not used."""
        return str(self.session.id)


def init_app(app: Flask) -> None:
    """Let Flask-Login find the session of each request."""
    manager = LoginManager()
    manager.session_protection = None
    manager.init_app(app)
    manager.request_loader(_load)


def _load(_request: Request) -> SignedIn | None:
    secret = read(ADMITTED)
    if not secret:
        return None
    sessions = services().administrator_sessions
    with services().database.reading() as tx:
        found = sessions.current(tx, secret)
    if found is None:
        return None
    if not sessions.is_seen(found):
        with services().database.writing() as tx:
            sessions.see(tx, found)
    return SignedIn(found)


def current_session() -> AdministratorSession | None:
    """Return the session of who is signed in here."""
    return current_user.session if current_user.is_authenticated else None


def ask_to_sign_in() -> ResponseReturnValue:
    """Send the browser to sign in, and remember where it wanted to go."""
    remember_next()
    return redirect(url_for("admin_sign_in.show"), 303)


def ask_to_verify() -> ResponseReturnValue:
    """Send the browser to prove the second factor again, and remember where it wanted to go."""
    remember_next()
    return redirect(url_for("admin_sign_in.verify"), 303)


def remember_next() -> None:
    """Remember the page that was asked for; what a browser claims as such is never believed."""
    path = request.full_path.rstrip("?") if request.method == "GET" else request.path
    try:
        current_app.url_map.bind("").match(request.path, method="GET")
    except HTTPException:
        path = url_for("admin.home")
    session[_NEXT] = path


def take_next() -> str:
    """Return the page that was asked for before, once."""
    return str(session.pop(_NEXT, url_for("admin.home")))


# Cookies


def read(kind: str) -> str:
    """Return what the browser was given, or nothing."""
    return request.cookies.get(_name(kind), "")


def admit(response: Response, admitted: AdministratorSession, secret: str) -> None:
    """Give the browser its session, under a new secret, and know it from now on."""
    lasts = admitted.expires_at - services().clock.now()
    _set(response, ADMITTED, secret, int(min(lasts, LASTS).total_seconds()))
    _set(response, KNOWN, _signer().dumps(_mark(admitted.administrator)), _KNOWN_SECONDS)
    drop(response, ASKED)


def go_on(response: Response, admitted: Admitted | None) -> Response:
    """Let the browser go on under a new secret, if its own rights changed."""
    if admitted is not None:
        admit(response, admitted.session, admitted.secret)
    return response


def remember_asked(response: Response, state: str) -> None:
    """Bind a sign-in on its way to this browser."""
    _set(response, ASKED, state, _ASKED_SECONDS)


def carry(response: Response, kind: str, value: str) -> None:
    """Give the browser something that must not stand in an address."""
    _set(response, kind, value, _ASKED_SECONDS)


def is_known(administrator: Administrator) -> bool:
    """Tell whether this browser signed this administrator in since the password was set."""
    try:
        return bool(_signer().loads(read(KNOWN), max_age=_KNOWN_SECONDS) == _mark(administrator))
    except BadSignature:
        return False


def drop(response: Response, kind: str) -> None:
    """Take a cookie back from the browser."""
    response.delete_cookie(
        _name(kind), secure=services().config.https, httponly=True, samesite="Lax"
    )


def _set(response: Response, kind: str, value: str, seconds: int) -> None:
    response.set_cookie(
        _name(kind),
        value,
        max_age=seconds,
        secure=services().config.https,
        httponly=True,
        samesite="Lax",
    )


def _name(kind: str) -> str:
    return cookie_name(services().config.https, f"gatehouse-{kind}")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="administrator's browser")


def _mark(administrator: Administrator) -> list[str]:
    return [str(administrator.id), administrator.password_changed_at.isoformat()]
