"""Channels: by which codes go to users, what standards say of it, and the switch of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.services.channel_advice import advice
from app.services.channel_losses import Loss
from app.services.channels import ChannelSettings
from app.services.method_settings import DUAL, MESSAGE_KINDS
from app.services.phone_numbers import PHONE_CHANNELS
from app.services.roles import Action
from app.texts import LANGUAGES
from app.web.admin.brand_form import LANGUAGE_NAMES
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, refused, render
from app.web.admin.messages.channel_form import ChannelForm, channel_form, lines, summary
from app.web.admin.messages.providers import in_sandbox
from app.web.admin.messages.words import CHANNEL, Channel, listed
from app.web.support import services

blueprint = noun("messages")
_INDEX, _SHOW = "admin_messages.index", "admin_messages.show"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A channel as the pages show it.

    Attributes:
        carriers: names of those who carry it, in order; of dual, of each half.
        missing: channels that nobody carries, by name.
    """

    kind: str
    channel: Channel
    active: bool
    settings: ChannelSettings
    summary: str
    carriers: Sequence[str]
    missing: Sequence[str]


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show which channels are on, who carries each, and what standards say."""
    rows = [_row(tx, seat, kind) for kind in MESSAGE_KINDS]
    rules = services().sending_rules.of(tx, seat.organization)
    stronger = services().method_settings.has_stronger(tx, seat.organization)
    switched_on = {row.kind for row in rows if row.active}
    by_phone = switched_on & {*PHONE_CHANNELS, DUAL}
    return render(
        "admin/messages/channels.html",
        seat,
        rows=rows,
        advice=advice(
            switched_on,
            stronger=stronger,
            risk_accepted=rules.risk_accepted,
            dual=rows[-1].settings,
        ),
        risk_accepted=rules.risk_accepted,
        held_back=bool(by_phone - {DUAL}) and not stronger and not rules.risk_accepted,
        stronger=stronger,
        sandbox=in_sandbox(seat),
    )


@blueprint.get("/channels/<kind>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Show how codes go by a channel."""
    row = _row(tx, seat, kind)
    return _page(tx, seat, row, channel_form(kind, row.settings))


@blueprint.post("/channels/<kind>")
@page(Action.CHANGE_MESSAGES)
def save(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Set how codes go by a channel."""
    row = _row(tx, seat, kind)
    form = channel_form(kind, row.settings, sent=True)
    if not form.validate():
        return _page(tx, seat, row, form, status=422)
    try:
        services().channels.change(tx, seat.actor, seat.organization, kind, **form.changes(kind))
    except Invalid as invalid:
        explain(form, invalid)
        return _page(tx, seat, row, form, status=422)
    return done(seat, "Saved. It holds from the next code on.", _SHOW, kind=kind)


@blueprint.get("/channels/<kind>/switch-on")
@page(Action.CHANGE_MESSAGES)
def ask_on(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Ask whether codes are to go by a channel."""
    row = _row(tx, seat, kind)
    topic = row.channel.topic
    return confirm(
        seat,
        question=f"Switch {topic} on?",
        says=_on_says(tx, seat, row),
        button=f"Switch {topic} on",
        keep="Keep it off",
        back=url_for(_SHOW, kind=kind),
        danger=False,
    )


@blueprint.post("/channels/<kind>/switch-on")
@page(Action.CHANGE_MESSAGES)
def switch_on(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Let codes go by a channel."""
    return _switch(tx, seat, kind, active=True)


@blueprint.get("/channels/<kind>/switch-off")
@page(Action.CHANGE_MESSAGES)
def ask_off(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Ask whether no code is to go by a channel any more."""
    row = _row(tx, seat, kind)
    name, topic = row.channel.inside, row.channel.topic
    loss = services().channel_losses.of(tx, seat.organization, kind)
    return confirm(
        seat,
        question=f"Switch {topic} off?",
        says=[
            f"No code goes by {name} any more, from now on.",
            *_loss_says(loss, name),
            "What they set up is kept, and works again when you switch it on. Nobody is told.",
        ],
        button=f"Switch {topic} off",
        keep="Keep it on",
        back=url_for(_SHOW, kind=kind),
    )


@blueprint.post("/channels/<kind>/switch-off")
@page(Action.CHANGE_MESSAGES)
def switch_off(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Let no code go by a channel any more."""
    return _switch(tx, seat, kind, active=False)


def _row(tx: Session, seat: Seat, kind: str) -> Row:
    if kind not in MESSAGE_KINDS:
        raise NotFound("channel")
    organization = seat.organization
    settings = services().channels.settings(tx, organization, kind)
    halves = ("email", "sms") if kind == DUAL else (kind,)
    carriers = {
        one: services().provider_accounts.carriers(tx, organization.id, one) for one in halves
    }
    missing = [CHANNEL[one].many for one in halves if not carriers[one] and not in_sandbox(seat)]
    return Row(
        kind=kind,
        channel=CHANNEL[kind],
        active=services().channels.is_active(tx, organization, kind),
        settings=settings,
        summary=summary(kind, settings),
        carriers=[one.name for found in carriers.values() for one in found],
        missing=missing,
    )


def _page(
    tx: Session, seat: Seat, row: Row, form: ChannelForm, *, status: int = 200
) -> ResponseReturnValue:
    rules = services().sending_rules.of(tx, seat.organization)
    return render(
        "admin/messages/channel.html",
        seat,
        status,
        row=row,
        form=form,
        lines=lines(row.kind, row.settings),
        advice=advice(
            {row.kind},
            stronger=services().method_settings.has_stronger(tx, seat.organization),
            risk_accepted=rules.risk_accepted,
            dual=row.settings,
        ),
        languages={one: LANGUAGE_NAMES[one] for one in LANGUAGES},
        channels=CHANNEL,
        sandbox=in_sandbox(seat),
    )


def _switch(tx: Session, seat: Seat, kind: str, *, active: bool) -> ResponseReturnValue:
    row = _row(tx, seat, kind)
    try:
        services().channels.change(tx, seat.actor, seat.organization, kind, active=active)
    except Invalid as invalid:
        return refused(invalid)
    return done(seat, f"{row.channel.name} is {'on' if active else 'off'}.", _SHOW, kind=kind)


def _on_says(tx: Session, seat: Seat, row: Row) -> list[str]:
    says = [
        f"Users of {seat.organization.name} can confirm with a code by {row.channel.inside}. "
        "Whoever has it set up is offered it at the next visit."
    ]
    if row.missing:
        says.append(f"Nobody carries {listed(row.missing)} yet, so this waits for a provider.")
    elif row.carriers:
        says.append(f"{listed(row.carriers)} can read the codes.")
    if row.kind in PHONE_CHANNELS and not _may_be_called(tx, seat):
        says.append(
            "Nothing stronger is on, and the risk of the phone network is not accepted: until one "
            "of both is so, nobody is offered it."
        )
    if row.kind == "email":
        says.append("An email proves no device. By itself it never raises the class of a result.")
    return says


def _may_be_called(tx: Session, seat: Seat) -> bool:
    rules = services().sending_rules.of(tx, seat.organization)
    return rules.risk_accepted or services().method_settings.has_stronger(tx, seat.organization)


def _loss_says(loss: Loss, name: str) -> list[str]:
    if not loss.users:
        return ["No user has it set up."]
    users = "1 user has" if loss.users == 1 else f"{loss.users:,} users have"
    if loss.instead:
        others = listed(sorted(CHANNEL[one].inside for one in loss.instead), "or")
        return [f"{users} it set up. Their codes still come by {others}."]
    if not loss.stranded:
        return [f"{users} it set up, and can confirm in another way."]
    alone = "1 of them has" if loss.stranded == 1 else f"{loss.stranded:,} of them have"
    return [
        f"{users} it set up, and can’t confirm by {name} any more.",
        f"{alone} nothing else, and can’t get through but with a recovery code.",
    ]
