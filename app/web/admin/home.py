"""The way into the admin area: straight to the one organization, or a choice of several."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.services.appointments import Seated
from app.web.admin.desk import environments
from app.web.admin.gate import ask_to_sign_in, current_session
from app.web.support import services

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Go to the only organization, or offer those that there are."""
    seats = _seats()
    if seats is None:
        return ask_to_sign_in()
    if len(seats) == 1:
        return redirect(overview_of(seats[0]), 303)
    return _choice(seats)


@blueprint.get("/organizations")
def organizations() -> ResponseReturnValue:
    """Offer the organizations that the administrator runs."""
    seats = _seats()
    return ask_to_sign_in() if seats is None else _choice(seats)


def overview_of(seat: Seated) -> str:
    """Return the first page of an organization."""
    organization = seat.organization
    return url_for(
        "admin_overview.index",
        environment=organization.environment.value,
        domain=organization.domain,
    )


def _seats() -> list[Seated] | None:
    current = current_session()
    if current is None:
        return None
    with services().database.reading() as tx:
        return services().appointments.seats(tx, current.administrator)


def _choice(seats: list[Seated]) -> ResponseReturnValue:
    return render_template(
        "admin/organizations.html",
        seats=[(seat, overview_of(seat)) for seat in seats],
        environments=environments(),
    )
