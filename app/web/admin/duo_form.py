"""Applications that speak Duo Universal: registering one, and changing it."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField

from app.models import Application
from app.services.application_changes import ApplicationChanges
from app.web.admin.application_form import ApplicationForm, stands
from app.web.admin.desk import Seat
from app.web.admin.duo_page import hand_over_duo
from app.web.support import services


class DuoForm(ApplicationForm):
    """What every application has, and who becomes a user."""

    creates_users = BooleanField(
        "Whom it names, and we don’t know, becomes a user",
        default=True,
        description="They set up a method right away, as with Duo. Its requests are signed, so "
        "nobody else can name them. Untick it if you add or import all users yourself.",
    )

    @property
    def common(self) -> dict[str, Any]:
        """What was typed, by the services' names."""
        return {**super().common, "creates_users": bool(self.creates_users.data)}


def create(tx: Session, seat: Seat, form: DuoForm) -> ResponseReturnValue:
    """Register an application of this organization alone, and show its secret this once."""
    made = services().duo_clients.create(tx, seat.actor, seat.organization, **form.common)
    application = made.client.application
    return hand_over_duo(tx, seat, application, made.secret, f"{application.name} is registered")


def filled(tx: Session, application: Application) -> dict[str, Any]:
    """Return what stands now, as the fields show it."""
    return {**stands(application), "creates_users": application.creates_users}


def save(tx: Session, seat: Seat, application: Application, form: DuoForm) -> None:
    """Change the name, the addresses, and whether it makes users."""
    services().applications.update(tx, seat.actor, application, ApplicationChanges(**form.common))
