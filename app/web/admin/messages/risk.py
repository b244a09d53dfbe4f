"""The risk of the phone network: accepted with a reason, or no longer."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.services.roles import Action
from app.web.admin.desk import ReasonForm, Seat, confirm, done, page
from app.web.admin.messages.channels import blueprint
from app.web.support import services

_INDEX = "admin_messages.index"


@blueprint.get("/risk/accept")
@page(Action.CHANGE_MESSAGES)
def ask_accept(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether the phone network may be the only way."""
    return _ask_accept(seat, ReasonForm(formdata=None))


@blueprint.post("/risk/accept")
@page(Action.CHANGE_MESSAGES)
def accept(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Accept the risk of the phone network."""
    form = ReasonForm()
    if not form.validate():
        return _ask_accept(seat, form, status=422)
    services().sending_rules.change(
        tx, seat.actor, seat.organization, why=form.reason.data, risk_accepted=True
    )
    return done(seat, "The risk is accepted, and your reason is on record.", _INDEX)


@blueprint.get("/risk/withdraw")
@page(Action.CHANGE_MESSAGES)
def ask_withdraw(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether the phone network is to be offered only beside something stronger again."""
    return confirm(
        seat,
        question="Accept the risk no longer?",
        says=[
            "Codes by phone are offered only beside something stronger, such as an authenticator "
            "app. While nothing stronger is on, nobody gets a code by phone.",
            "What users set up is kept.",
        ],
        button="Accept it no longer",
        keep="Keep accepting it",
        back=url_for(_INDEX),
    )


@blueprint.post("/risk/withdraw")
@page(Action.CHANGE_MESSAGES)
def withdraw(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Accept the risk of the phone network no longer."""
    services().sending_rules.change(tx, seat.actor, seat.organization, risk_accepted=False)
    return done(seat, "The risk is no longer accepted.", _INDEX)


def _ask_accept(seat: Seat, form: ReasonForm, *, status: int = 200) -> ResponseReturnValue:
    return confirm(
        seat,
        question="Accept the risk of the phone network?",
        says=[
            "Text messages, WhatsApp and calls can be intercepted, and a number can be moved to "
            "another SIM. NIST SP 800-63B-4, 3.2.9 allows them beside something stronger, or where "
            "somebody accepts the risk and has a plan for something better.",
            f"From then on users of {seat.organization.name} are offered codes by phone also where "
            "nothing stronger is on.",
        ],
        button="Accept the risk",
        keep="Don’t accept it",
        back=url_for(_INDEX),
        form=form,
        status=status,
    )
