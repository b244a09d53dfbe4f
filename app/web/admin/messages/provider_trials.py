"""Trying a provider: a real message to an address that the administrator types, and its answer."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, Refusal
from app.providers.base import CHANNELS
from app.services.provider_accounts import Carrier
from app.services.provider_tests import PER_ADMINISTRATOR_HOUR, Outcome
from app.services.roles import Action
from app.web.admin.desk import Seat, explain, page, render
from app.web.admin.messages.providers import blueprint, in_sandbox
from app.web.admin.messages.words import CHANNEL
from app.web.support import services

_OWN = {"account_id": None}
"""The deployment's own mail server, which is nobody's account."""


class TrialForm(FlaskForm):  # type: ignore[misc]
    """Where the message goes, and by which channel."""

    channel = RadioField("By")
    recipient = StringField(
        "To",
        render_kw={"autocomplete": "off", "spellcheck": "false", "required": True},
    )


@blueprint.get("/deployment/test", defaults=_OWN)
@blueprint.get("/<uuid:account_id>/test")
@page(Action.CHANGE_PROVIDERS)
def ask_trial(tx: Session, seat: Seat, account_id: uuid.UUID | None) -> ResponseReturnValue:
    """Ask where a test message is to go."""
    carrier = services().provider_accounts.carrier(tx, seat.organization, account_id)
    return _page(seat, carrier, _form(seat, carrier, sent=False))


@blueprint.post("/deployment/test", defaults=_OWN)
@blueprint.post("/<uuid:account_id>/test")
@page(Action.CHANGE_PROVIDERS, streams=True)
def trial(tx: Session, seat: Seat, account_id: uuid.UUID | None) -> ResponseReturnValue:
    """Send a test message, and show what the provider says."""
    carrier = services().provider_accounts.carrier(tx, seat.organization, account_id)
    tx.close()  # the provider may take seconds
    form = _form(seat, carrier, sent=True)
    if not form.validate():
        return _page(seat, carrier, form, status=422)
    try:
        outcome = services().provider_tests.send(
            seat.actor,
            seat.organization,
            account_id,
            channel=form.channel.data,
            recipient=form.recipient.data or "",
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _page(seat, carrier, form, status=422)
    except Refusal as refusal:
        return _page(seat, carrier, form, refusal=refusal, status=refusal.status)
    return _page(seat, carrier, form, outcome)


def _form(seat: Seat, carrier: Carrier, *, sent: bool) -> TrialForm:
    carried = [one for one in CHANNELS if one in _channels(carrier)]
    own = seat.administrator.email if carried == ["email"] else ""
    data = {"channel": carried[0], "recipient": own}
    form: TrialForm = TrialForm(data=data) if sent else TrialForm(formdata=None, data=data)
    form.channel.choices = [SelectChoice(one, CHANNEL[one].name) for one in carried]
    if len(carried) == 1:
        form.channel.data = carried[0]
    form.recipient.description = _about(carried)
    return form


def _channels(carrier: Carrier) -> set[str]:
    return {*(carrier.row.channels if carrier.row else carrier.provider.channels)}


def _about(carried: list[str]) -> str:
    number = "Your own number, such as +33 6 12 34 56 78."
    if carried == ["email"]:
        return "Your own address, or another one that you can read."
    return f"An email address, or a number. {number}" if "email" in carried else number


def _page(
    seat: Seat,
    carrier: Carrier,
    form: TrialForm,
    outcome: Outcome | None = None,
    refusal: Refusal | None = None,
    *,
    status: int = 200,
) -> ResponseReturnValue:
    return render(
        "admin/messages/provider_trial.html",
        seat,
        status,
        carrier=carrier,
        form=form,
        outcome=outcome,
        refusal=refusal,
        channels=CHANNEL,
        several=len(_channels(carrier)) > 1,
        sandbox=in_sandbox(seat),
        most=PER_ADMINISTRATOR_HOUR,
    )
