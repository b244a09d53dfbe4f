"""The page of an application of our own API: what its code needs."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application
from app.web.admin import recipes
from app.web.admin.application_form import taken
from app.web.admin.desk import Seat, render
from app.web.admin.secrets import Handover, hand_over
from app.web.support import services


def show_rest(tx: Session, seat: Seat, application: Application) -> ResponseReturnValue:
    """Show the addresses, and the calls to copy."""
    base_url, organization = services().config.base_url, seat.organization
    return render(
        "admin/applications/show.html",
        seat,
        application=application,
        methods=taken(application),
        overlaps_until=services().applications.overlaps_until(application),
        base_url=base_url,
        jwks=recipes.jwks_address(base_url),
        sessions=recipes.sessions_address(base_url, organization),
        open_session=recipes.open_session(base_url, organization, application),
        check_result=recipes.check_result(base_url, organization, application),
        redeem_result=recipes.redeem_result(base_url, organization, application),
    )


def hand_over_rest(
    tx: Session, seat: Seat, application: Application, secret: str, title: str
) -> ResponseReturnValue:
    """Show a new secret this once, with the call that uses it."""
    base_url = services().config.base_url
    return hand_over(
        seat,
        Handover(
            title=title,
            client_id=application.client_id,
            secret=secret,
            overlaps_until=services().applications.overlaps_until(application),
            command=recipes.open_session(base_url, seat.organization, application),
            does="Open a gateway session",
            back=url_for("admin_applications.show", client_id=application.id),
            everything="All applications",
            index=url_for("admin_applications.index"),
        ),
    )
