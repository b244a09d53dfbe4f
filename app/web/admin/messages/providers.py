"""Providers: who carries the organization's messages, in which order, and with which account."""

from __future__ import annotations

import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.models import Environment, ProviderAccount
from app.providers.base import CHANNELS, Provider
from app.services.roles import Action
from app.web.admin.desk import Seat, confirm, done, noun, page, refused, render
from app.web.admin.messages.provider_form import AccountForm, account_form, drafted, shown
from app.web.admin.messages.words import CHANNEL, begun, carries, listed
from app.web.support import services

blueprint = noun("messages/providers")
_INDEX, _SHOW = "admin_messages_providers.index", "admin_messages_providers.show"


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List the accounts in their order, and who carries what."""
    accounts = services().provider_accounts
    return render(
        "admin/messages/providers.html",
        seat,
        rows=[(row, accounts.providers[row.kind]) for row in accounts.all(tx, seat.organization)],
        carriers=[
            (CHANNEL[one], accounts.carriers(tx, seat.organization.id, one)) for one in CHANNELS
        ],
        own=accounts.own,
        sandbox=in_sandbox(seat),
        carries=carries,
    )


@blueprint.get("/new")
@page(Action.CHANGE_PROVIDERS)
def choose(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask which provider the account is at."""
    known = services().provider_accounts.providers.values()
    return render("admin/messages/provider_choice.html", seat, providers=known, carries=carries)


@blueprint.get("/new/<kind>")
@page(Action.CHANGE_PROVIDERS)
def new(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Ask for the account."""
    provider = _provider(kind)
    return _form_page(seat, account_form(provider), provider)


@blueprint.post("/new/<kind>")
@page(Action.CHANGE_PROVIDERS, streams=True)
def create(tx: Session, seat: Seat, kind: str) -> ResponseReturnValue:
    """Add the account as the last choice."""
    tx.close()  # its addresses are looked up, which may take seconds
    provider = _provider(kind)
    form = account_form(provider, sent=True)
    draft = drafted(form, provider)
    if draft is None:
        return _form_page(seat, form, provider, status=422)
    try:
        with services().database.writing() as writing:
            row = services().provider_accounts.create(writing, seat.actor, seat.organization, draft)
    except Invalid as invalid:
        return refused(invalid)
    return done(seat, f"{row.name} is added, as the last choice.", _SHOW, account_id=row.id)


@blueprint.get("/<uuid:account_id>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Show an account without its secrets."""
    accounts = services().provider_accounts
    row = accounts.find(tx, seat.organization, account_id)
    provider = accounts.providers[row.kind]
    return render(
        "admin/messages/provider.html",
        seat,
        row=row,
        provider=provider,
        values=shown(provider, row),
        sandbox=in_sandbox(seat),
        carries=carries,
    )


@blueprint.get("/<uuid:account_id>/edit")
@page(Action.CHANGE_PROVIDERS)
def edit(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    row = services().provider_accounts.find(tx, seat.organization, account_id)
    provider = _provider(row.kind)
    return _form_page(seat, account_form(provider, row), provider, row)


@blueprint.post("/<uuid:account_id>/edit")
@page(Action.CHANGE_PROVIDERS, streams=True)
def save(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Change an account."""
    accounts = services().provider_accounts
    row = accounts.find(tx, seat.organization, account_id)
    tx.close()  # its addresses are looked up, which may take seconds
    provider = _provider(row.kind)
    form = account_form(provider, row, sent=True)
    draft = drafted(form, provider, row)
    if draft is None:
        return _form_page(seat, form, provider, row, status=422)
    with services().database.writing() as writing:
        found = accounts.find(writing, seat.organization, account_id)
        accounts.update(writing, seat.actor, found, draft)
    return done(seat, "Saved. It holds from the next message on.", _SHOW, account_id=row.id)


@blueprint.post("/<uuid:account_id>/move-up")
@page(Action.CHANGE_PROVIDERS)
def move_up(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Let an account be tried before the one that is before it now."""
    accounts = services().provider_accounts
    row = accounts.find(tx, seat.organization, account_id)
    accounts.move_up(tx, seat.actor, row)
    return done(seat, f"{row.name} moved up.", _INDEX)


@blueprint.get("/<uuid:account_id>/switch-off")
@page(Action.CHANGE_PROVIDERS)
def ask_off(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an account is to carry messages no longer."""
    row = services().provider_accounts.find(tx, seat.organization, account_id)
    return confirm(
        seat,
        question=f"Switch {row.name} off?",
        says=[
            f"It gets no message any more. {_without(tx, seat, row)}",
            "Its settings and secrets are kept.",
        ],
        button=f"Switch {row.name} off",
        keep="Keep it on",
        back=url_for(_SHOW, account_id=row.id),
    )


@blueprint.post("/<uuid:account_id>/switch-off")
@page(Action.CHANGE_PROVIDERS)
def switch_off(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Let an account carry no message any more."""
    return _switch(tx, seat, account_id, active=False)


@blueprint.get("/<uuid:account_id>/switch-on")
@page(Action.CHANGE_PROVIDERS)
def ask_on(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an account is to carry messages again."""
    row = services().provider_accounts.find(tx, seat.organization, account_id)
    return confirm(
        seat,
        question=f"Switch {row.name} on?",
        says=[
            f"It carries {carries(row.channels)} of {seat.organization.name}, at its place in the "
            "order. Whoever runs it can read the codes in them."
        ],
        button=f"Switch {row.name} on",
        keep="Keep it off",
        back=url_for(_SHOW, account_id=row.id),
        danger=False,
    )


@blueprint.post("/<uuid:account_id>/switch-on")
@page(Action.CHANGE_PROVIDERS)
def switch_on(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Let an account carry messages."""
    return _switch(tx, seat, account_id, active=True)


@blueprint.get("/<uuid:account_id>/remove")
@page(Action.CHANGE_PROVIDERS)
def ask_remove(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an account is to be forgotten."""
    row = services().provider_accounts.find(tx, seat.organization, account_id)
    return confirm(
        seat,
        question=f"Remove {row.name}?",
        says=[
            f"It gets no message any more. {_without(tx, seat, row) if row.active else ''}".strip(),
            "Its settings and secrets are deleted, and its reports on messages that it took are "
            "no longer heard. The delivery log stays. This can’t be undone.",
        ],
        button=f"Remove {row.name}",
        keep="Keep it",
        back=url_for(_SHOW, account_id=row.id),
    )


@blueprint.post("/<uuid:account_id>/remove")
@page(Action.CHANGE_PROVIDERS)
def remove(tx: Session, seat: Seat, account_id: uuid.UUID) -> ResponseReturnValue:
    """Forget an account."""
    accounts = services().provider_accounts
    row = accounts.find(tx, seat.organization, account_id)
    accounts.remove(tx, seat.actor, row)
    return done(seat, f"{row.name} was removed.", _INDEX)


def in_sandbox(seat: Seat) -> bool:
    """Tell whether nothing real is ever sent here."""
    return seat.organization.environment is Environment.SANDBOX


def _provider(kind: str) -> Provider:
    found = services().provider_accounts.providers.get(kind)
    if found is None:
        raise NotFound("provider")
    return found


def _switch(tx: Session, seat: Seat, account_id: uuid.UUID, *, active: bool) -> ResponseReturnValue:
    accounts = services().provider_accounts
    row = accounts.find(tx, seat.organization, account_id)
    accounts.switch(tx, seat.actor, row, active=active)
    return done(seat, f"{row.name} is {'on' if active else 'off'}.", _SHOW, account_id=row.id)


def _without(tx: Session, seat: Seat, row: ProviderAccount) -> str:
    """Return who carries what an account no longer does."""
    accounts, told = services().provider_accounts, []
    for channel in row.channels:
        left = accounts.carriers(tx, seat.organization.id, channel, without=row)
        many = CHANNEL[channel].many
        if left:
            told.append(f"{begun(many)} go by {listed([one.name for one in left], 'or')}.")
        else:
            told.append(f"Nobody carries {many} then: none goes out.")
    return " ".join(told)


def _form_page(
    seat: Seat,
    form: AccountForm,
    provider: Provider,
    row: ProviderAccount | None = None,
    *,
    status: int = 200,
) -> ResponseReturnValue:
    return render(
        "admin/messages/provider_form.html",
        seat,
        status,
        form=form,
        provider=provider,
        row=row,
        sandbox=in_sandbox(seat),
    )
