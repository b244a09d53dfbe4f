"""The user's own page: what they confirm with, what happened lately, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors import MESSAGE_CODES, PASSKEY
from app.factors.passkey import provider_of
from app.models import Authenticator, GatewaySession
from app.services.client_addresses import party_of
from app.services.masked import masked
from app.web.gateway.browser import cookies_of
from app.web.gateway.codes import go_to_codes
from app.web.gateway.done import send_back
from app.web.gateway.visit import View, blueprint, next_page, page, render, user
from app.web.support import services

P = ParamSpec("P")


def account_page(view: View[P]) -> Callable[P, ResponseReturnValue]:
    """Make a view a page of the user's own: only while a fresh verification holds."""

    return page(holds=_is_open)(view)


def _is_open(tx: Session, session: GatewaySession) -> bool:
    return services().account.is_open(tx, session)


@blueprint.get("/account")
@account_page
def account(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Show all that the user has."""
    methods = services().account.methods(tx, session)
    trusted, secret = services().trusted_browsers, cookies_of(session).trust
    browsers = trusted.of(tx, session.user)
    events, applications = services().account.activity(tx, session)
    return render(
        "gateway/account.html",
        session,
        methods=[(one, title_of(one), one.kind in MESSAGE_CODES) for one in methods],
        has_room=services().account.has_room(tx, session),
        codes=services().account.codes(tx, session),
        browsers=browsers,
        is_here=_is_here,
        here={one.id for one in browsers if trusted.is_one(one, secret)},
        reached=services().delivery.reach(tx, session.user) is not None,
        events=events,
        applications=applications,
    )


@blueprint.post("/account")
@account_page
def finish_account(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go back to the application, confirmed."""
    if not services().account.finish(tx, user(), session):
        return next_page(tx, session)
    return send_back(tx, session)


@blueprint.post("/account/leave")
@account_page
def leave_adding(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Come back from the pages that set up one more."""
    services().account.give_up(tx, session)
    return next_page(tx, session)


@blueprint.post("/account/add")
@account_page
def add(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Go to the pages that set up one more."""
    services().account.begin_adding(tx, session)
    return next_page(tx, session)


@blueprint.get("/account/recovery-codes")
@account_page
def ask_for_codes(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Say what new recovery codes mean for the old ones."""
    codes = services().account.codes(tx, session)
    return render("gateway/account_codes.html", session, codes=codes)


@blueprint.post("/account/recovery-codes")
@account_page
def make_codes(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Make them, and go on to the page that shows them once."""
    sealed = services().account.make_codes(tx, user(), session)
    return go_to_codes(session, sealed) if sealed else next_page(tx, session)


def _is_here(address: str) -> bool:
    """Tell whether an address is the one that this browser comes from now."""
    return party_of(address) == party_of(request.remote_addr or "")


def title_of(one: Authenticator) -> str | None:
    """Return what an authenticator is called, if its kind alone does not say it best."""
    if one.name:
        return one.name
    if one.kind == PASSKEY.kind:
        return provider_of(one.parameters)
    if one.recipient:
        return " · ".join(map(masked, one.recipient.split(":")))
    return None
