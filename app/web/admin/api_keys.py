"""API keys of an organization: what each may do, and the secret that is shown once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import Api, ApiKey, Application
from app.services.api_keys import Permission, permissions_of
from app.services.application_reach import all_serving
from app.services.roles import Action
from app.web.admin import recipes
from app.web.admin.api_key_form import OF_V1, WORDS, KeyForm
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.secrets import Handover, ReplaceForm, hand_over
from app.web.support import services

blueprint = noun("api-keys")


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List the organization's keys, newest first."""
    keys, at = services().api_keys, number()
    found, total = keys.page(
        tx, seat.organization.environment, seat.organization, page=at, per_page=PER_PAGE
    )
    return render(
        "admin/api_keys/index.html",
        seat,
        keys=[(key, _words(key), keys.overlaps_until(key)) for key in found],
        pages=pages("admin_api_keys.index", at, shown=len(found), total=total),
    )


@blueprint.get("/new")
@page(Action.CHANGE_API_KEYS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask what a new key is to do."""
    return _form_page(seat, KeyForm(_serving(tx, seat), formdata=None))


@blueprint.post("/new")
@page(Action.CHANGE_API_KEYS)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Create a key of this organization, and show its secret this once."""
    form = KeyForm(_serving(tx, seat))
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        key, secret = services().api_keys.create(
            tx,
            seat.actor,
            environment=seat.organization.environment,
            name=form.name.data or "",
            organization=seat.organization,
            permissions=form.granted,
            api=Api(form.api.data),
            application=form.asks_for,
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    return _hand_over(seat, key, secret, f"{key.name} is created")


@blueprint.get("/<uuid:client_id>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show what a key may do, and how it is used."""
    key, base_url = _find(tx, seat, client_id), services().config.base_url
    return render(
        "admin/api_keys/show.html",
        seat,
        key=key,
        permissions=[(one, WORDS[one]) for one in _words_for(key) if one in permissions_of(key)],
        overlaps_until=services().api_keys.overlaps_until(key),
        ask_token=recipes.ask_token(base_url, key),
        say_hello=recipes.say_hello(base_url),
        send_code=recipes.send_code(base_url),
        list_users=recipes.list_users(base_url, seat.organization),
        reference=f"{base_url}/api/v2/reference",
    )


@blueprint.get("/<uuid:client_id>/secret")
@page(Action.CHANGE_API_KEYS)
def ask_replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask how long the old secret is to go on working."""
    key = _find(tx, seat, client_id)
    mark = services().api_keys.secret_mark(key)
    return _ask_replace(seat, key, ReplaceForm(formdata=None, instead_of=mark))


@blueprint.post("/<uuid:client_id>/secret")
@page(Action.CHANGE_API_KEYS)
def replace(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Give a key a new secret, and show it this once."""
    key, form = _find(tx, seat, client_id), ReplaceForm()
    if not form.validate():
        return _ask_replace(seat, key, form, status=422)
    secret = services().api_keys.replace_secret(
        tx, seat.actor, key, overlap=form.lasts, instead_of=form.instead_of.data
    )
    return _hand_over(seat, key, secret, f"{key.name} has a new secret")


@blueprint.get("/<uuid:client_id>/block")
@page(Action.CHANGE_API_KEYS)
def ask_block(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether a key is to open nothing any more."""
    key = _find(tx, seat, client_id)
    return confirm(
        seat,
        question=f"Block {key.name} for good?",
        says=[
            "Its secrets and every token that it was given open nothing any more, from now on."
            if key.api is Api.V2
            else "Its secrets open nothing any more, from now on.",
            "It stays in the list and in the audit record. It can’t be unblocked; create another.",
        ],
        button=f"Block {key.name}",
        keep="Keep it working",
        back=url_for("admin_api_keys.show", client_id=key.id),
    )


@blueprint.post("/<uuid:client_id>/block")
@page(Action.CHANGE_API_KEYS)
def block(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Block a key for good."""
    key = _find(tx, seat, client_id)
    services().api_keys.block(tx, seat.actor, key)
    return done(seat, f"{key.name} is blocked.", "admin_api_keys.show", client_id=key.id)


def _serving(tx: Session, seat: Seat) -> list[Application]:
    return all_serving(tx, seat.organization)


def _words_for(key: ApiKey) -> Iterable[Permission]:
    return OF_V1 if key.api is Api.V1 else WORDS


def _of_tokens(key: ApiKey) -> list[str]:
    if key.api is Api.V1:
        return []
    return [
        "Tokens that were given for the old one work on, for an hour at most. Block the key if "
        "somebody else may have one."
    ]


def _first_call(key: ApiKey) -> dict[str, str]:
    """Return what is done first with a new secret, and by which command."""
    base_url = services().config.base_url
    if key.api is Api.V1:
        return {"command": recipes.say_hello(base_url), "does": "See whether it works"}
    return {"command": recipes.ask_token(base_url, key), "does": "Ask for a bearer token"}


def _find(tx: Session, seat: Seat, client_id: uuid.UUID) -> ApiKey:
    """Return a key of this organization alone; all others are unknown here."""
    return services().api_keys.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )


def _words(key: ApiKey) -> str:
    """Return in short what a key may do."""
    if key.permissions is None:
        return "Everything in this organization"
    held = [WORDS[one] for one in _words_for(key) if one in permissions_of(key)]
    more = len(held) - 2
    return " · ".join(held[:2]) + (f" · {more} more" if more > 0 else "") if held else "Nothing"


def _form_page(seat: Seat, form: KeyForm, *, status: int = 200) -> ResponseReturnValue:
    return render("admin/api_keys/form.html", seat, status, form=form, words=WORDS, of_v1=OF_V1)


def _ask_replace(
    seat: Seat, key: ApiKey, form: ReplaceForm, *, status: int = 200
) -> ResponseReturnValue:
    return confirm(
        seat,
        question=f"Replace the secret of {key.name}?",
        says=[
            "You get a new one, shown once. With an overlap both work, so that you can change "
            "your backend without a gap. If the old one leaked, choose no time.",
            *_of_tokens(key),
        ],
        button="Replace secret",
        keep="Keep the old one",
        back=url_for("admin_api_keys.show", client_id=key.id),
        form=form,
        status=status,
    )


def _hand_over(seat: Seat, key: ApiKey, secret: str, title: str) -> ResponseReturnValue:
    return hand_over(
        seat,
        Handover(
            title=title,
            client_id=str(key.id),
            secret=secret,
            overlaps_until=services().api_keys.overlaps_until(key),
            **_first_call(key),
            back=url_for("admin_api_keys.show", client_id=key.id),
            everything="All API keys",
            index=url_for("admin_api_keys.index"),
        ),
    )
