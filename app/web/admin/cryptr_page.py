"""The page of an application that uses Cryptr's SPA SDK: what to enter on the other side."""

from __future__ import annotations

import json

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application
from app.services.gateway_sessions import origin_of
from app.web.admin.application_form import taken
from app.web.admin.desk import Seat, render
from app.web.support import services


def show_cryptr(tx: Session, seat: Seat, application: Application) -> ResponseReturnValue:
    """Show the values that the SDK asks for."""
    config = services().config
    return render(
        "admin/applications/cryptr.html",
        seat,
        application=application,
        by_link=services().cryptr_entries.settings(tx, application).identifies_by_link,
        mails=services().arrivals.mails(tx, seat.organization),
        base_url=config.base_url,
        account_domain=config.account_domain,
        origins=sorted({origin_of(uri) for uri in application.redirect_uris}),
        keys=f"{config.base_url}/t/{seat.organization.domain}/.well-known",
        methods=taken(application),
        example=_example(application),
    )


def _example(application: Application) -> str:
    """Return the call that makes the SDK's client, with the application's own values."""
    uri = application.redirect_uris[0]
    options = {
        "cryptr_base_url": services().config.base_url,
        "tenant_domain": services().config.account_domain,
        "client_id": application.client_id,
        "audience": origin_of(uri),
        "default_redirect_uri": uri,
        "default_slo_after_revoke": False,
    }
    return f"const client = await CryptrSpa.createClient({json.dumps(options, indent=2)});"
