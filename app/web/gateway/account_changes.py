"""What a user does about one of their methods: rename it, replace it, remove it."""

from __future__ import annotations

import uuid

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from app.models import Authenticator, GatewaySession, SessionStatus
from app.services.account import LONGEST_NAME, good_name
from app.web.gateway.account import account_page, title_of
from app.web.gateway.done import send_back
from app.web.gateway.visit import blueprint, next_page, render, user
from app.web.support import services

_PLACE = "/account/<uuid:authenticator_id>"


@blueprint.get(f"{_PLACE}/name")
@account_page
def ask_name(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Ask what a method is to be called."""
    one = services().account.find(tx, session, authenticator_id)
    if one is None:
        return next_page(tx, session)
    return _render("name", session, one, typed=one.name or "")


@blueprint.post(f"{_PLACE}/name")
@account_page
def rename(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Call it so."""
    typed = request.form.get("name", "")
    name, one = good_name(typed), services().account.find(tx, session, authenticator_id)
    if name is None and one is not None:
        error = _(
            "That can’t be a name. Use 1 to %(most)s letters, digits and signs.", most=LONGEST_NAME
        )
        return _render("name", session, one, 422, typed=typed, error=error)
    if name is not None:
        services().account.rename(tx, user(), session, authenticator_id, name)
    return next_page(tx, session)


@blueprint.get(f"{_PLACE}/replace")
@account_page
def ask_to_replace(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Say what happens to the old one, and when."""
    one = services().account.find(tx, session, authenticator_id)
    if one is None:
        return next_page(tx, session)
    return _render("replace", session, one)


@blueprint.post(f"{_PLACE}/replace")
@account_page
def replace(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Go to the pages that set up the new one."""
    services().account.begin_replacing(tx, session, authenticator_id)
    return next_page(tx, session)


@blueprint.get(f"{_PLACE}/remove")
@account_page
def ask_to_remove(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Say what stops working, and what is left."""
    one = services().account.find(tx, session, authenticator_id)
    if one is None:
        return next_page(tx, session)
    loss = services().account.loss(tx, session, one)
    return _render("remove", session, one, loss=loss)


@blueprint.post(f"{_PLACE}/remove")
@account_page
def remove(
    tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
) -> ResponseReturnValue:
    """Let it stop working at once; with the last one the visit is over."""
    services().account.remove(tx, user(), session, authenticator_id)
    if session.status is SessionStatus.PENDING:
        return next_page(tx, session)
    return send_back(tx, session)


def _render(
    change: str, session: GatewaySession, one: Authenticator, status: int = 200, **view: object
) -> ResponseReturnValue:
    template = f"gateway/account_{change}.html"
    return render(template, session, status, one=one, title_of_one=title_of(one), **view)
