"""The page of an application that speaks OpenID Connect: what to enter on the other side."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application
from app.web.admin.application_form import taken
from app.web.admin.desk import Seat, render
from app.web.admin.oidc_form import AUTH
from app.web.support import services


def show_oidc(tx: Session, seat: Seat, application: Application) -> ResponseReturnValue:
    """Show the exact values, and what the client is held to."""
    return render(
        "admin/applications/oidc.html",
        seat,
        application=application,
        client=services().oidc_clients.of(tx, application),
        auth=AUTH,
        base_url=services().config.base_url,
        methods=taken(application),
        overlaps_until=services().applications.overlaps_until(application),
    )
