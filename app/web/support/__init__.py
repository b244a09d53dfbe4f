"""What every front door does the same way; each module has `init_app` or is called by views."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import ua_parser
from flask import current_app, request

from app.services.audit import Actor
from app.wiring import Services

COUNTRY = "gatehouse.country"
"""Where the WSGI environment holds the peer's country, as a trusted proxy told it."""


def services() -> Services:
    """Return the use cases of the running application."""
    return cast(Services, current_app.extensions["gatehouse"])


def actor(name: str) -> Actor:
    """Return who acts in this request, with the peer's address, and country if it is told."""
    return Actor(
        name=name,
        address=request.remote_addr,
        device=_device(request.user_agent.string[:300]),
        country=request.environ.get(COUNTRY),
    )


@lru_cache(maxsize=1000)
def _device(told: str) -> str | None:
    """Return a browser and system as a person would name them."""
    found = ua_parser.parse(told)
    names = [part.family for part in (found.user_agent, found.os) if part]
    return ", ".join(names) or None
