"""Gatehouse: a self-hosted, multi-tenant gateway for multi-factor authentication."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.clock import Clock
    from app.config import Config

ROOT = Path(__file__).parent.parent


def create_app(config: Config | None = None, *, clock: Clock | None = None) -> Flask:
    """Build the WSGI application: configure, wire, open the front doors.

    Args:
        config: settings as `config.load` returns them; read from the environment if not given.
        clock: another one than the machine's (tests).
    """
    # Here, since every module of `app` runs this file first, and a command needs no pages.
    from flask import Flask

    from app.config import load
    from app.web import doors
    from app.wiring import wire

    config = config or load()
    app = Flask("gatehouse", template_folder=ROOT / "templates", static_folder=ROOT / "static")
    app.extensions["gatehouse"] = wire(config, clock)
    doors.open_all(app, config)
    return app
