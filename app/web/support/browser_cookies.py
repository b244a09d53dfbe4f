"""Cookies that outlive a visit: that a browser is trusted, and what it confirmed a moment ago."""

from __future__ import annotations

import uuid
from hashlib import sha256

from flask import Response, request

from app.web.support import services
from app.web.support.forms import cookie_name

TRUST, MARK = "trust", "mark"
KINDS = (TRUST, MARK)


def name_of(kind: str, user_id: uuid.UUID, application_id: uuid.UUID) -> str:
    """Return the name of a cookie; whose it is can't be read in it.

    A trust is of the user, whichever application sends them; a mark is for one application.
    """
    of = [kind, str(user_id)] + ([str(application_id)] if kind == MARK else [])
    digest = sha256(":".join(of).encode()).hexdigest()[:16]
    return _named(f"{kind}-{digest}")


def brought(kind: str) -> list[str]:
    """Return the names of this kind that the browser brings, in order."""
    return sorted(one for one in request.cookies if one.startswith(_named(f"{kind}-")))


def drop(response: Response, name: str) -> None:
    """Take a cookie back from the browser."""
    secure = services().config.https
    response.delete_cookie(name, secure=secure, httponly=True, samesite="Lax")


def _named(name: str) -> str:
    return cookie_name(services().config.https, f"gatehouse-{name}")
