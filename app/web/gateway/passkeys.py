"""What a page's script asks for the browser's passkey prompt, and which passkeys are lost."""

from __future__ import annotations

import uuid

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors.passkey import provider_of
from app.models import GatewaySession
from app.services.visits import Step
from app.web.gateway.visit import blueprint, next_page, page, render, user
from app.web.support import services


@blueprint.post("/passkey")
@page(Step.ENROLL, Step.VERIFY)
def passkey_options(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Return the options for making a passkey, or for using one."""
    options = services().visit_passkeys.options(tx, session)
    return next_page(tx, session) if options is None else jsonify(options)


@blueprint.get("/losses")
@page(Step.TELL_LOSSES)
def losses(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Ask which passkeys are lost, after a recovery code was used."""
    mine = [
        (one, provider_of(one.parameters)) for one in services().visit_passkeys.mine(tx, session)
    ]
    return render(
        "gateway/losses.html",
        session,
        mine=mine,
        recovery=services().visit_recovery.state(tx, session),
    )


@blueprint.post("/losses")
@page(Step.TELL_LOSSES)
def tell_losses(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Suspend those that are, and go on to a new method."""
    lost = set(filter(None, map(_id, request.form.getlist("lost"))))
    services().visit_recovery.tell_losses(tx, user(), session, lost)
    return next_page(tx, session)


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
