"""API keys of an organization: what each may do, and the secret that is shown once."""

from __future__ import annotations

import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import RadioField, SelectMultipleField, StringField
from wtforms.validators import ValidationError

from app.errors import Invalid
from app.models import ApiKey
from app.services.api_keys import Permission, permissions_of
from app.services.credentials import checked_name
from app.services.roles import Action
from app.web.admin import recipes
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.once import OnceForm
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.secrets import Handover, ReplaceForm, hand_over
from app.web.admin.told import Checked
from app.web.support import services

blueprint = noun("api-keys")

WORDS = {
    Permission.READ_USERS: "See users, and what they have set up",
    Permission.WRITE_USERS: "Change and delete users, and remove what they have set up",
    Permission.WRITE_ENROLLMENTS: "Set up authenticators for users",
    Permission.WRITE_CHALLENGES: "Verify users without our pages",
    Permission.READ_GATEWAY_SESSIONS: "See gateway sessions",
    Permission.WRITE_GATEWAY_SESSIONS: "Open gateway sessions and redeem results",
    Permission.READ_EVENTS: "Read what happened to a user",
    Permission.READ_MESSAGES: "Read captured messages of the sandbox, codes too",
    Permission.READ_CONNECTIONS: "See how methods are set",
    Permission.WRITE_CONNECTIONS: "Change how methods are set",
    Permission.READ_APPLICATIONS: "See applications",
    Permission.WRITE_APPLICATIONS: "Change applications, and replace their secrets",
    Permission.READ_API_KEYS: "See API keys",
    Permission.WRITE_API_KEYS: "Create and block API keys that may do no more than itself",
}
"""What a key of one organization may do, as administrators read of it, in the order of the form."""

EVERYTHING, CHOSEN = "everything", "chosen"


class KeyForm(OnceForm):
    """What a key is called, and what it may do."""

    name = StringField(
        "Name",
        validators=[Checked(checked_name, empty=True)],
        description="For you, to tell keys apart: “Nightly import”.",
        render_kw={"required": True, "maxlength": 100, "autocomplete": "off"},
    )
    reach = RadioField(
        "What may it do?",
        choices={
            CHOSEN: "Only what is chosen below",
            EVERYTHING: "Everything in this organization, and what later releases add",
        },
        default=CHOSEN,
    )
    permissions = SelectMultipleField(
        "Permissions", choices={one.value: words for one, words in WORDS.items()}
    )

    def validate_permissions(self, field: SelectMultipleField) -> None:
        """Demand one at least, where they are chosen."""
        if self.reach.data == CHOSEN and not field.data:
            raise ValidationError("Choose at least one, or let it do everything.")

    @property
    def granted(self) -> list[Permission] | None:
        """What was chosen; None means everything."""
        if self.reach.data == EVERYTHING:
            return None
        return [Permission(one) for one in self.permissions.data or []]


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
    return _form_page(seat, KeyForm(formdata=None))


@blueprint.post("/new")
@page(Action.CHANGE_API_KEYS)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Create a key of this organization, and show its secret this once."""
    form = KeyForm()
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
        permissions=[(one, WORDS[one]) for one in WORDS if one in permissions_of(key)],
        overlaps_until=services().api_keys.overlaps_until(key),
        ask_token=recipes.ask_token(base_url, key),
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
            "Its secrets and every token that it was given open nothing any more, from now on.",
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


def _find(tx: Session, seat: Seat, client_id: uuid.UUID) -> ApiKey:
    """Return a key of this organization alone; all others are unknown here."""
    return services().api_keys.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )


def _words(key: ApiKey) -> str:
    """Return in short what a key may do."""
    if key.permissions is None:
        return "Everything in this organization"
    held = [words for one, words in WORDS.items() if one in permissions_of(key)]
    more = len(held) - 2
    return " · ".join(held[:2]) + (f" · {more} more" if more > 0 else "") if held else "Nothing"


def _form_page(seat: Seat, form: KeyForm, *, status: int = 200) -> ResponseReturnValue:
    return render("admin/api_keys/form.html", seat, status, form=form, words=WORDS)


def _ask_replace(
    seat: Seat, key: ApiKey, form: ReplaceForm, *, status: int = 200
) -> ResponseReturnValue:
    return confirm(
        seat,
        question=f"Replace the secret of {key.name}?",
        says=[
            "You get a new one, shown once. With an overlap both work, so that you can change "
            "your backend without a gap. If the old one leaked, choose no time.",
            "Tokens that were given for the old one work on, for an hour at most. Block the key "
            "if somebody else may have one.",
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
            command=recipes.ask_token(services().config.base_url, key),
            does="Ask for a bearer token",
            back=url_for("admin_api_keys.show", client_id=key.id),
            everything="All API keys",
            index=url_for("admin_api_keys.index"),
        ),
    )
