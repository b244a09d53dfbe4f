"""Gatehouse: a self-hosted, multi-tenant gateway for multi-factor authentication."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from app.clock import Clock
from app.config import Config, load
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
)
from app.wiring import wire

ROOT = Path(__file__).parent.parent


def create_app(config: Config | None = None, *, clock: Clock | None = None) -> Flask:
    """Build the WSGI application: configure, wire, register the front doors.

    Args:
        config: settings as `config.load` returns them; read from the environment if not given.
        clock: another one than the machine's (tests).
    """
    config = config or load()
    app = Flask("gatehouse", template_folder=ROOT / "templates", static_folder=ROOT / "static")
    app.extensions["gatehouse"] = wire(config, clock)
    habits = (access_log, hosts, address_limits, headers, forms, locale, pages, branding)
    for habit in (*habits, error_pages):
        habit.init_app(app, config)
    ours = (health, well_known, brand, provider_reports, gateway, api_v1, api_v2, admin)
    for door in (*ours, cryptr, duo, entra, oidc):
        door.init_app(app)
    return app
