"""Methods: whether and how codes work, what standards say of it, and what a change comes to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, NotFound
from app.factors.totp import Totp
from app.services.method_advice import PRESET_FIELDS, PRESETS, accepted_seconds, advice
from app.services.roles import Action
from app.services.totp_settings import METHODS, TotpSettings, settings_of
from app.services.user_lists import UserFilter
from app.web.admin import method_words as words
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.support import services

blueprint = noun("methods")

_NUMBERS = ("digits", "period", "window", "recovery_codes", "recovery_code_length")


class MethodsForm(FlaskForm):  # type: ignore[misc]
    """All that can be set of how codes work."""

    class Meta:
        """It is sent by GET, to a page that asks before anything changes."""

        csrf = False

    app = BooleanField("Authenticator app")
    sms = BooleanField("Text message", description="By API alone, on pages of your application.")
    issuer = StringField("Name that they show", description="Empty: the organization’s name.")
    digits = SelectField("Digits", choices=[SelectChoice(one) for one in "678"])
    period = StringField("Seconds", description="15 to 120.", render_kw=words.NUMERIC)
    algorithm = SelectField("Algorithm", choices=[SelectChoice(one) for one in words.ALGORITHMS])
    window = SelectField(
        "Beside the current one",
        choices=[SelectChoice(*one) for one in words.WINDOWS.items()],
    )
    strict = BooleanField("Strict", description="Accept none of the codes after the current one.")
    recovery_codes = StringField("How many", description="1 to 20.", render_kw=words.NUMERIC)
    recovery_code_length = StringField(
        "Characters of each",
        description="16 to 32, five random bits each.",
        render_kw=words.NUMERIC,
    )
    sms_delivery = SelectField(
        "Who sends text messages",
        choices=[SelectChoice(*one) for one in words.DELIVERIES.items()],
    )

    def changes(self, *, texts: bool) -> dict[str, Any]:
        """Return the settings that the form says; what is no number stays as it was typed.

        Args:
            texts: whether it asks who sends text messages.
        """
        typed: dict[str, Any] = {name: _number(self[name].data) for name in _NUMBERS}
        typed |= {
            "methods": tuple(name for name in METHODS if self[name].data),
            "issuer": (self.issuer.data or "").strip() or None,
            "algorithm": self.algorithm.data or "",
            "strict": bool(self.strict.data),
        }
        return typed | ({"sms_delivery": self.sms_delivery.data or ""} if texts else {})


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show how codes work here, and what standards say of that."""
    return _show(tx, seat, _filled(_settings(tx, seat)))


@blueprint.get("/check")
@page(Action.CHANGE_METHODS)
def check(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what would change, and ask whether it shall."""
    form = _typed()
    after = _proposed(tx, seat, form)
    if after is None:
        return _show(tx, seat, form, 422)
    before = _settings(tx, seat)
    changed = [name for name, value in asdict(after).items() if asdict(before)[name] != value]
    if not changed:
        return done(seat, "Nothing was changed: that is how it is already.", "admin_methods.index")
    lost = [METHODS[name] for name in before.methods if name not in after.methods]
    return render(
        "admin/methods/check.html",
        seat,
        lines=words.differences(before, after, changed, seat.organization.name),
        advice=[one for one in advice(after) if one.frowns or one not in advice(before)],
        consequences=words.consequences(changed),
        lost=[(kind, _having(tx, seat, kind)) for kind in lost],
        words=words,
    )


@blueprint.post("/check")
@page(Action.CHANGE_METHODS)
def save(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Make the change that the page before was about."""
    changes = _wanted(tx, seat, _typed())
    services().method_settings.change(tx, seat.actor, seat.organization, **changes)
    return done(seat, "Saved. It holds from now on.", "admin_methods.index")


@blueprint.get("/switch-off")
@page(Action.CHANGE_METHODS)
def ask_off(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether nobody shall be able to confirm any more."""
    people = services().overview.people(tx, seat.organization)
    nobody = (
        f"Nobody can confirm any more. {words.users(people.total)} of {seat.organization.name} "
        "can’t get through: every visit that an application asks for is refused, unless the "
        "policy is off."
    )
    some = (
        f"{words.users(_having(tx, seat, Totp.kind))} with an authenticator app can’t confirm with "
        "it any more. Other methods work on."
    )
    return confirm(
        seat,
        question="Switch the TOTP connection off?",
        says=[
            some if _others(tx, seat) else nobody,
            f"{words.users(people.enrolled)} with a method keep it, and their recovery codes. "
            "They work again when you switch it on.",
            "Nobody is told. It holds at once.",
        ],
        button="Switch the connection off",
        keep="Keep it on",
        back=url_for("admin_methods.index"),
    )


@blueprint.post("/switch-off")
@page(Action.CHANGE_METHODS)
def switch_off(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Offer no method any more."""
    services().method_settings.change(tx, seat.actor, seat.organization, active=False)
    return done(seat, "The TOTP connection is off.", "admin_methods.index")


@blueprint.get("/switch-on")
@page(Action.CHANGE_METHODS)
def ask_on(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whether users shall be able to confirm."""
    return confirm(
        seat,
        question="Switch the TOTP connection on?",
        says=[
            "Users confirm with a code from an authenticator app. Whoever has none sets one up at "
            "the next visit, unless the policy says otherwise.",
            "What was set up before works again.",
        ],
        button="Switch the connection on",
        keep="Keep it off",
        back=url_for("admin_methods.index"),
        danger=False,
    )


@blueprint.post("/switch-on")
@page(Action.CHANGE_METHODS)
def switch_on(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Offer the methods."""
    services().method_settings.change(tx, seat.actor, seat.organization, active=True)
    return done(seat, "The TOTP connection is on.", "admin_methods.index")


def _show(tx: Session, seat: Seat, form: MethodsForm, status: int = 200) -> ResponseReturnValue:
    setting = services().method_settings.find(tx, seat.organization)
    settings = settings_of(setting)
    mine = {name: getattr(settings, name) for name in PRESET_FIELDS}
    used = [
        key
        for key, preset in PRESETS.items()
        if mine == {name: getattr(preset.settings, name) for name in PRESET_FIELDS}
    ]
    return render(
        "admin/methods/index.html",
        seat,
        status,
        form=form,
        active=setting.active,
        settings=settings,
        lines=words.lines(settings, seat.organization.name),
        seconds=accepted_seconds(settings),
        advice=advice(settings),
        presets=PRESETS,
        used=used,
        texts=_carries_texts(tx, seat),
        others=_others(tx, seat),
        words=words,
    )


def _others(tx: Session, seat: Seat) -> set[str]:
    """Return what else users confirm with on the hosted pages."""
    return services().method_settings.hosted(tx, seat.organization) - {Totp.kind}


def _settings(tx: Session, seat: Seat) -> TotpSettings:
    return settings_of(services().method_settings.find(tx, seat.organization))


def _typed() -> MethodsForm:
    """Return the form as its page sent it; it stands in the address."""
    return MethodsForm(formdata=request.args)


def _wanted(tx: Session, seat: Seat, form: MethodsForm) -> dict[str, Any]:
    """Return the changes that the address asks for: those of a preset, or of the whole form."""
    name = request.args.get("preset")
    if name is None:
        return form.changes(texts=_carries_texts(tx, seat))
    if name not in PRESETS:
        raise NotFound("preset")
    return {field: getattr(PRESETS[name].settings, field) for field in PRESET_FIELDS}


def _proposed(tx: Session, seat: Seat, form: MethodsForm) -> TotpSettings | None:
    """Return what the settings would be; None if some can't, each of which then says why."""
    settings, wanted = services().method_settings, _wanted(tx, seat, form)
    for name, value in wanted.items():
        try:
            settings.proposed(tx, seat.organization, **{name: value})
        except Invalid as invalid:
            explain(form, invalid, methods="app")
    return None if form.errors else settings.proposed(tx, seat.organization, **wanted)


def _filled(settings: TotpSettings) -> MethodsForm:
    values = {name: str(getattr(settings, name)) for name in _NUMBERS}
    return MethodsForm(
        formdata=None,
        **{name: name in settings.methods for name in METHODS},
        **values,
        issuer=settings.issuer or "",
        algorithm=settings.algorithm,
        strict=settings.strict,
        sms_delivery=settings.sms_delivery,
    )


def _having(tx: Session, seat: Seat, kind: str) -> int:
    return services().user_lists.total(tx, seat.organization, UserFilter(method=kind))


def _carries_texts(tx: Session, seat: Seat) -> bool:
    return "sms" in services().provider_accounts.carried(tx, seat.organization)


def _number(typed: object) -> object:
    try:
        return int(str(typed))
    except ValueError:
        return typed
