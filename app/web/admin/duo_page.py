"""The page of an application that speaks Duo Universal: what to enter on the other side."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application, DuoClient
from app.web.admin.application_form import taken
from app.web.admin.desk import Seat, render
from app.web.admin.secrets import Handover, hand_over
from app.web.support import services

_EXAMPLE = """\
import os

from duo_universal import Client

duo = Client(
    client_id="{client_id}",
    client_secret=os.environ["CLIENT_SECRET"],
    host="{host}",
    redirect_uri="{redirect_uri}",
)
duo.health_check()
state = duo.generate_state()
address = duo.create_auth_url("ada@example.com", state)  # send the browser there
"""


def show_duo(tx: Session, seat: Seat, application: Application) -> ResponseReturnValue:
    """Show the values that an SDK or a plug-in asks for."""
    client = services().duo_clients.of(tx, application)
    return render(
        "admin/applications/duo.html",
        seat,
        application=application,
        client=client,
        host=services().config.host,
        https=services().config.https,
        methods=taken(application),
        overlaps_until=services().applications.overlaps_until(application),
        example=_example(client),
    )


def hand_over_duo(
    tx: Session, seat: Seat, application: Application, secret: str, title: str
) -> ResponseReturnValue:
    """Show a new secret this once, with what stands beside it on the other side."""
    client = services().duo_clients.of(tx, application)
    return hand_over(
        seat,
        Handover(
            title=title,
            client_id=client.client_id,
            secret=secret,
            overlaps_until=services().applications.overlaps_until(application),
            command=_example(client),
            does="Python",
            back=url_for("admin_applications.show", client_id=application.id),
            everything="All applications",
            index=url_for("admin_applications.index"),
            kept="Both sides sign with it, so we keep it, sealed, and show it to nobody.",
            host=services().config.host,
        ),
    )


def _example(client: DuoClient) -> str:
    return _EXAMPLE.format(
        client_id=client.client_id,
        host=services().config.host,
        redirect_uri=client.application.redirect_uris[0],
    )
