"""Applications of our own API: registering one, and changing it."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application
from app.services.application_changes import ApplicationChanges
from app.web.admin.application_form import ApplicationForm
from app.web.admin.desk import Seat
from app.web.admin.rest_page import hand_over_rest
from app.web.support import services


def create(tx: Session, seat: Seat, form: ApplicationForm) -> ResponseReturnValue:
    """Register an application of this organization alone, and show its secret this once."""
    application, secret = services().applications.create(
        tx,
        seat.actor,
        environment=seat.organization.environment,
        organizations=[seat.organization],
        **form.common,
    )
    return hand_over_rest(tx, seat, application, secret, f"{application.name} is registered")


def save(tx: Session, seat: Seat, application: Application, form: ApplicationForm) -> None:
    """Change what every application has."""
    services().applications.update(tx, seat.actor, application, ApplicationChanges(**form.common))
