"""The accounts of Microsoft Entra that are a user: unlink one."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.services.roles import Action
from app.web.admin.desk import Seat, confirm, done, page
from app.web.admin.user import back, blueprint, call_name, find
from app.web.support import services


@blueprint.get("/entra-accounts/<uuid:account_id>/unlink")
@page(Action.EDIT_USERS)
def ask_unlink(
    tx: Session, seat: Seat, user_id: uuid.UUID, account_id: uuid.UUID
) -> ResponseReturnValue:
    """Ask whether an account is to be this user no more."""
    user = find(tx, seat, user_id)
    account, through = services().entra_connections.account(tx, user, account_id)
    name = call_name(user)
    return confirm(
        seat,
        question=f"Unlink the account of {through} from {name}?",
        says=[
            f"It is {account.object_id} of the directory {account.tenant_id}. Whoever signs in "
            f"with it next is new: they are {name} again if the address still says so.",
            f"What {name} confirms with stays. {name} is not told. The audit record keeps that "
            "you did it.",
        ],
        button="Unlink account",
        keep="Keep it linked",
        back=back(user),
        danger=False,
    )


@blueprint.post("/entra-accounts/<uuid:account_id>/unlink")
@page(Action.EDIT_USERS)
def unlink(
    tx: Session, seat: Seat, user_id: uuid.UUID, account_id: uuid.UUID
) -> ResponseReturnValue:
    """Let an account be this user no more."""
    user = find(tx, seat, user_id, locked=True)
    services().entra_connections.unlink(tx, seat.actor, user, account_id)
    return done(seat, "The account is linked no more.", "admin_user.show", user_id=user.id)
