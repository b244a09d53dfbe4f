"""Who bears a token, before and after it is proved."""

from __future__ import annotations

import uuid

from flask import request

from app.services.audit import Actor
from app.web.support import actor
from app.web.support.address_limits import count_key


def bearer() -> str | None:
    """Return the bearer token that the request has, whatever it may be worth."""
    given = request.authorization
    return given.token if given is not None and given.type == "bearer" else None


def admit(client_id: uuid.UUID) -> Actor:
    """Count a call of an API key that proved itself, and return it as who acts.

    Raises:
        Refusal: `rate_limited`.
    """
    count_key(str(client_id))
    return actor(f"api_key:{client_id}")
