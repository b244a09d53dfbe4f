"""Browsers that the user trusts: forget one of them, or all."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import GatewaySession
from app.web.gateway.account import account_page
from app.web.gateway.visit import blueprint, next_page, render, user
from app.web.support import services


@blueprint.get("/account/browsers/forget")
@account_page
def ask_to_forget_all(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say what it means to trust no browser any more."""
    return render("gateway/account_browsers.html", session, browser=None)


@blueprint.post("/account/browsers/forget")
@account_page
def forget_all(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Trust none any more."""
    services().account.forget_browsers(tx, user(), session)
    return next_page(tx, session)


@blueprint.get("/account/browsers/<uuid:browser_id>/forget")
@account_page
def ask_to_forget(
    tx: Session, session: GatewaySession, browser_id: uuid.UUID
) -> ResponseReturnValue:
    """Say what it means to trust one no more."""
    theirs = services().trusted_browsers.of(tx, session.user)
    browser = next((one for one in theirs if one.id == browser_id), None)
    if browser is None:
        return next_page(tx, session)
    return render("gateway/account_browsers.html", session, browser=browser)


@blueprint.post("/account/browsers/<uuid:browser_id>/forget")
@account_page
def forget(tx: Session, session: GatewaySession, browser_id: uuid.UUID) -> ResponseReturnValue:
    """Trust it no more."""
    services().account.forget_browser(tx, user(), session, browser_id)
    return next_page(tx, session)
