"""Applications that use Cryptr's SPA SDK: registering one, and changing it."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField

from app.models import Application
from app.services.application_changes import ApplicationChanges
from app.web.admin.application_form import ApplicationForm, stands
from app.web.admin.desk import Seat, done
from app.web.support import services


class CryptrForm(ApplicationForm):
    """What every application has, and how it is found out who comes."""

    identifies_by_link = BooleanField(
        "Identify users by a link",
        default=True,
        description="We mail a link to the address that the user types. Untick it, and the typed "
        "address has to do: then nobody sets anything up, and no code is sent.",
    )


def create(tx: Session, seat: Seat, form: CryptrForm) -> ResponseReturnValue:
    """Register an application of this organization alone; it has no secret to show."""
    application = services().cryptr_entries.create(
        tx,
        seat.actor,
        environment=seat.organization.environment,
        organizations=[seat.organization],
        identifies_by_link=bool(form.identifies_by_link.data),
        **form.common,
    )
    notice = f"{application.name} is registered. Give its pages the values below."
    return done(seat, notice, "admin_applications.show", client_id=application.id)


def filled(tx: Session, application: Application) -> dict[str, Any]:
    """Return what stands now, as the fields show it."""
    settings = services().cryptr_entries.settings(tx, application)
    return {**stands(application), "identifies_by_link": settings.identifies_by_link}


def save(tx: Session, seat: Seat, application: Application, form: CryptrForm) -> None:
    """Change the name, the addresses, and how users are identified."""
    services().applications.update(tx, seat.actor, application, ApplicationChanges(**form.common))
    by_link = bool(form.identifies_by_link.data)
    services().cryptr_entries.change(tx, seat.actor, application, identifies_by_link=by_link)
