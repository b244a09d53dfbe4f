"""The page of an application that speaks OpenID Connect: what to enter on the other side."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application, ClientAuth
from app.web.admin.application_form import taken
from app.web.admin.desk import Seat, render
from app.web.admin.secrets import Handover, hand_over
from app.web.support import services

AUTH = {
    ClientAuth.BASIC: "A secret in the Authorization header (client_secret_basic)",
    ClientAuth.POST: "A secret in the body (client_secret_post)",
    ClientAuth.KEY: "A signature with its own key (private_key_jwt)",
}


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


def hand_over_oidc(
    tx: Session, seat: Seat, application: Application, secret: str, title: str
) -> ResponseReturnValue:
    """Show a new secret this once, with the address that tells the rest."""
    base_url = services().config.base_url
    return hand_over(
        seat,
        Handover(
            title=title,
            client_id=application.client_id,
            secret=secret,
            overlaps_until=services().applications.overlaps_until(application),
            command=f"curl -s {base_url}/.well-known/openid-configuration",
            does="See what the other side finds out by itself",
            back=url_for("admin_applications.show", client_id=application.id),
            everything="All applications",
            index=url_for("admin_applications.index"),
        ),
    )
