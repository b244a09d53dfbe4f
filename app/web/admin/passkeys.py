"""Passkeys: whether they are offered, and what is demanded of them."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import BooleanField, RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid
from app.factors import PASSKEY
from app.factors.passkey import provider_of
from app.services.passkey_settings import DIRECT, NONE, PREFERRED, REQUIRED, PasskeySettings
from app.services.roles import Action
from app.services.user_lists import UserFilter
from app.web.admin.desk import Seat, confirm, done, explain, page, render
from app.web.admin.method_words import users
from app.web.admin.methods import blueprint
from app.web.support import services

_HERE = "admin_methods.passkeys"


class PasskeysForm(FlaskForm):  # type: ignore[misc]
    """All that can be demanded of passkeys."""

    user_verification = RadioField(
        "Who holds the device",
        choices=[
            SelectChoice(
                PREFERRED,
                "Asked where the device can. A security key without a PIN counts by touch alone, "
                "and the result then names one factor.",
            ),
            SelectChoice(
                REQUIRED,
                "Checked each time. The device asks for a fingerprint, a face or a PIN; a key "
                "that can’t is refused.",
            ),
        ],
        default=PREFERRED,
    )
    refuse_copies = BooleanField(
        "Refuse a passkey that counts back",
        description="There may be a copy of it. It is on record either way.",
    )
    attestation = RadioField(
        "Which devices",
        choices=[
            SelectChoice(NONE, "Any. Users take what they have, synced passkeys among it."),
            SelectChoice(
                DIRECT,
                "Only models that you name. Their maker has to vouch for each new one; what users "
                "have set up before goes on.",
            ),
        ],
        default=NONE,
    )
    models = TextAreaField(
        "Models",
        description="One AAGUID a line, as the maker publishes it.",
        render_kw={"rows": 4, "spellcheck": "false", "autocomplete": "off"},
    )
    roots = TextAreaField(
        "Certificates of the makers",
        description="In PEM, one after the other. An attestation has to rest on one of them.",
        render_kw={"rows": 6, "spellcheck": "false", "autocomplete": "off"},
    )

    def changes(self) -> dict[str, Any]:
        """Return the settings that the form says."""
        return {
            "user_verification": self.user_verification.data or "",
            "refuse_copies": bool(self.refuse_copies.data),
            "attestation": self.attestation.data or "",
            "models": tuple(dict.fromkeys((self.models.data or "").lower().split())),
            "roots": (self.roots.data or "").strip(),
        }


@blueprint.get("/passkeys")
@page(Action.SEE_SETTINGS)
def passkeys(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what is demanded of passkeys."""
    rules = _rules(tx, seat)
    form = PasskeysForm(
        formdata=None,
        user_verification=rules.user_verification,
        refuse_copies=rules.refuse_copies,
        attestation=rules.attestation,
        models="\n".join(rules.models),
        roots=rules.roots,
    )
    return _show(tx, seat, form)


@blueprint.post("/passkeys")
@page(Action.CHANGE_METHODS)
def save_passkeys(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Demand something else of passkeys from now on."""
    form = PasskeysForm()
    try:
        services().passkey_rules.change(tx, seat.actor, seat.organization, **form.changes())
    except Invalid as invalid:
        explain(form, invalid)
        return _show(tx, seat, form, 422)
    return done(seat, "Saved. It holds from now on.", _HERE)


@blueprint.get("/passkeys/switch-off")
@page(Action.CHANGE_METHODS)
def ask_passkeys_off(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether passkeys shall work no more."""
    having = services().user_lists.total(tx, seat.organization, UserFilter(method=PASSKEY.kind))
    rest = services().method_settings.hosted(tx, seat.organization) - {PASSKEY.kind}
    says = [
        f"{users(having)} with a passkey can’t confirm with it any more. It is kept, and works "
        "again when you switch passkeys on.",
        "Nobody is told. It holds at once.",
    ]
    if not rest:
        says.insert(
            0,
            "Nothing else is on. Every visit that an application asks for is refused, unless the "
            "policy is off.",
        )
    return confirm(
        seat,
        question="Switch passkeys off?",
        says=says,
        button="Switch passkeys off",
        keep="Keep them on",
        back=url_for(_HERE),
    )


@blueprint.post("/passkeys/switch-off")
@page(Action.CHANGE_METHODS)
def switch_passkeys_off(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Offer passkeys no more."""
    services().passkey_rules.change(tx, seat.actor, seat.organization, active=False)
    return done(seat, "Passkeys are off.", _HERE)


@blueprint.get("/passkeys/switch-on")
@page(Action.CHANGE_METHODS)
def ask_passkeys_on(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether users shall have passkeys."""
    return confirm(
        seat,
        question="Switch passkeys on?",
        says=[
            "Users are offered a passkey first: one touch, and nothing that a false page can ask "
            "for.",
            "Those that were set up before work again.",
        ],
        button="Switch passkeys on",
        keep="Keep them off",
        back=url_for(_HERE),
        danger=False,
    )


@blueprint.post("/passkeys/switch-on")
@page(Action.CHANGE_METHODS)
def switch_passkeys_on(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Offer passkeys."""
    services().passkey_rules.change(tx, seat.actor, seat.organization, active=True)
    return done(seat, "Passkeys are on.", _HERE)


def _show(tx: Session, seat: Seat, form: PasskeysForm, status: int = 200) -> ResponseReturnValue:
    rules = _rules(tx, seat)
    return render(
        "admin/methods/passkeys.html",
        seat,
        status,
        form=form,
        rules=rules,
        works=services().config.rp_id is not None,
        having=services().user_lists.total(tx, seat.organization, UserFilter(method=PASSKEY.kind)),
        models=[(one, provider_of({"aaguid": one})) for one in rules.models],
        users=users,
    )


def _rules(tx: Session, seat: Seat) -> PasskeySettings:
    return services().passkey_rules.of(tx, seat.organization)
