"""The front doors, and the habits that all of them share."""

from __future__ import annotations

from flask import Flask

from app.config import Config
from app.web import (
    admin,
    api_v1,
    api_v2,
    brand,
    cryptr,
    duo,
    entra,
    gateway,
    health,
    oidc,
    provider_reports,
    well_known,
)
from app.web.support import (
    access_log,
    address_limits,
    branding,
    error_pages,
    forms,
    headers,
    hosts,
    locale,
    pages,
    request_counts,
)

_HABITS = (
    access_log,
    request_counts,
    hosts,
    address_limits,
    headers,
    forms,
    locale,
    pages,
    branding,
    error_pages,
)
_OURS = (health, well_known, brand, provider_reports, gateway, api_v1, api_v2, admin)
_OF_OTHERS = (cryptr, duo, entra, oidc)


def open_all(app: Flask, config: Config) -> None:
    """Register every front door, each with the habits of all."""
    # No view or habit is a coroutine, which Flask would find out anew about each in each request.
    app.ensure_sync = lambda func: func  # type: ignore[method-assign]
    for habit in _HABITS:
        habit.init_app(app, config)
    for door in (*_OURS, *_OF_OTHERS):
        door.init_app(app)
