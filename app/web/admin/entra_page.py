"""The page of a connection to Microsoft Entra: what to enter on the other side."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application, EntraCloud
from app.services.entra_clouds import addresses
from app.web.admin.application_form import CHOICES, taken
from app.web.admin.desk import Seat, render
from app.web.support import services

CLOUDS = {
    EntraCloud.GLOBAL.value: "Global (login.microsoftonline.com)",
    EntraCloud.US.value: "US Government (login.microsoftonline.us)",
    EntraCloud.CN.value: "China, by 21Vianet (login.partner.microsoftonline.cn)",
}
WORDED = [name for name in CHOICES if name not in {"whatsapp", "dual", "email"}]
"""Methods for which Entra has a word."""


def show_entra(tx: Session, seat: Seat, application: Application) -> ResponseReturnValue:
    """Show what to enter in Entra, to the letter."""
    connection = services().entra_connections.of(tx, application)
    place = addresses(connection.cloud)
    issuer = services().entra_connections.issuer(connection.id)
    return render(
        "admin/applications/entra.html",
        seat,
        application=application,
        connection=connection,
        cloud=CLOUDS[connection.cloud.value],
        discovery=f"{issuer}/.well-known/openid-configuration",
        reply=f"{issuer}/authorize",
        consents=[place.consent(tid, connection.app_id) for tid in connection.tenant_ids],
        accounts=services().entra_connections.count(tx, connection),
        https=services().config.https,
        methods=taken(application) if application.methods else _words(),
    )


def _words() -> str:
    return f"Those that are switched on, of {', '.join(CHOICES[name] for name in WORDED)}"
