"""The browsers that a user trusts: revoke one, or all."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.services.roles import Action
from app.web.admin.desk import Seat, confirm, done, page
from app.web.admin.notices import tells, told
from app.web.admin.user import back, blueprint, call_name, find
from app.web.support import services


@blueprint.get("/trusted-browsers/<uuid:browser_id>/revoke")
@page(Action.REVOKE_BROWSERS)
def ask_revoke_browser(
    tx: Session, seat: Seat, user_id: uuid.UUID, browser_id: uuid.UUID
) -> ResponseReturnValue:
    """Ask whether one browser is to be trusted no more."""
    user = find(tx, seat, user_id)
    one = services().trusted_browsers.find(tx, user, browser_id)
    name = call_name(user)
    return confirm(
        seat,
        question=f"Trust {one.device or 'this browser'} of {name} no more?",
        says=[
            f"{name} confirms again at the next visit there, and can trust it anew.",
            f"{tells(user)} The audit record keeps that you did it.",
        ],
        button="Revoke browser",
        keep="Keep it",
        back=back(user),
        danger=False,
    )


@blueprint.post("/trusted-browsers/<uuid:browser_id>/revoke")
@page(Action.REVOKE_BROWSERS)
def revoke_browser(
    tx: Session, seat: Seat, user_id: uuid.UUID, browser_id: uuid.UUID
) -> ResponseReturnValue:
    """Trust one browser no more."""
    user = find(tx, seat, user_id, locked=True)
    services().trusted_browsers.forget_one(tx, seat.actor, user, browser_id)
    notice = f"The browser is trusted no more.{told(user)}"
    return done(seat, notice, "admin_user.show", user_id=user.id)


@blueprint.get("/trusted-browsers/revoke")
@page(Action.REVOKE_BROWSERS)
def ask_revoke_browsers(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether no browser is to be trusted any more."""
    user = find(tx, seat, user_id)
    number, name = len(services().trusted_browsers.of(tx, user)), call_name(user)
    return confirm(
        seat,
        question=f"Trust no browser of {name} any more?",
        says=[
            f"{number} browser{'s are' if number != 1 else ' is'} trusted now. {name} confirms "
            "again at the next visit, wherever it is.",
            f"{tells(user)} The audit record keeps that you did it.",
        ],
        button="Revoke all browsers",
        keep="Keep them",
        back=back(user),
        danger=False,
    )


@blueprint.post("/trusted-browsers/revoke")
@page(Action.REVOKE_BROWSERS)
def revoke_browsers(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Trust no browser any more."""
    user = find(tx, seat, user_id, locked=True)
    count = services().trusted_browsers.forget_all(tx, seat.actor, user)
    notice = f"No browser is trusted any more.{told(user) if count else ''}"
    return done(seat, notice, "admin_user.show", user_id=user.id)
