"""What a browser keeps after a visit: that it is trusted, and what it confirmed a moment ago."""

from __future__ import annotations

from flask import Response, request
from sqlalchemy.orm import Session

from app.models import GatewaySession
from app.services.visit_browsers import RECALLED_FOR, Cookies
from app.web.gateway.visit import user
from app.web.support import services
from app.web.support.browser_cookies import MARK, TRUST, brought, drop, name_of

_MOST = 8
"""So many of each kind a browser keeps; more would outgrow the Cookie header."""


def cookies_of(session: GatewaySession) -> Cookies:
    """Return what this browser has kept for the user of a session."""
    trust, mark = (request.cookies.get(_name(kind, session), "") for kind in (TRUST, MARK))
    return Cookies(trust=trust, mark=mark)


def keep_trust(tx: Session, session: GatewaySession, response: Response) -> None:
    """Trust this browser, if the user asked for that and may."""
    if "trust" not in request.form:
        return
    trusted = services().visit_browsers.trust(tx, user(), session, cookies_of(session))
    if trusted is not None:
        lasts = trusted.until - services().clock.now()
        _keep(response, TRUST, session, trusted.secret, int(lasts.total_seconds()))


def keep_mark(tx: Session, session: GatewaySession, response: Response) -> None:
    """Mark this browser, if the user has just confirmed in it."""
    secret = services().visit_browsers.mark(tx, session)
    if secret is not None:
        _keep(response, MARK, session, secret, int(RECALLED_FOR.total_seconds()))


def _keep(
    response: Response, kind: str, session: GatewaySession, secret: str, seconds: int
) -> None:
    secure, name = services().config.https, _name(kind, session)
    response.set_cookie(name, secret, max_age=seconds, secure=secure, httponly=True, samesite="Lax")
    others = [one for one in brought(kind) if one != name]
    for one in others[: max(0, len(others) + 1 - _MOST)]:
        drop(response, one)


def _name(kind: str, session: GatewaySession) -> str:
    return name_of(kind, session.user_id, session.application_id)
