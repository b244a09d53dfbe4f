"""Limits: countries, caps, waits and the budget, with what was sent against them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import StringField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid
from app.services.roles import Action
from app.services.sending_rules import Rules
from app.web.admin.desk import Seat, done, explain, noun, page, render
from app.web.admin.fields import ChecksField
from app.web.admin.messages import limit_words as words
from app.web.admin.messages.words import CHANNEL
from app.web.support import services

blueprint = noun("messages/limits")
_INDEX = "admin_messages_limits.index"
_LEAST_CODES, _LOW_RATE = 20, 0.2
"""From so many codes on, so few that come back look like fraud."""


class LimitsForm(FlaskForm):  # type: ignore[misc]
    """All that has a number; the fields of `limit_words.NUMBERS` are added below."""

    class Meta:
        """It is sent by GET, to a page that asks before anything changes."""

        csrf = False

    cooldowns = StringField(
        words.COOLDOWNS[0], description=words.COOLDOWNS[1], render_kw={"autocomplete": "off"}
    )

    def changes(self, check: Callable[..., object]) -> dict[str, Any] | None:
        """Return the rules that the form says; None if a field can't be used, which says why.

        Args:
            check: takes one of `Rules` by its name, and raises `Invalid` for what can't be.
        """
        typed: dict[str, Any] = {}
        for name in (*words.NUMBERS, "cooldowns"):
            try:
                typed[name] = _typed(name, self[name].data or "")
                check(**{name: typed[name]})
            except Invalid as invalid:
                explain(self, invalid)
        return None if self.errors else typed


for _name, (_label, _hint) in words.NUMBERS.items():
    _render = {"inputmode": "numeric", "autocomplete": "off"}
    setattr(LimitsForm, _name, StringField(_label, description=_hint, render_kw=_render))


class CountriesForm(FlaskForm):  # type: ignore[misc]
    """Whose numbers are texted and called."""

    class Meta:
        """It is sent by GET, to a page that asks before anything changes."""

        csrf = False

    country = ChecksField("Countries")


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show the rules with what was sent, and which codes came back."""
    return _show(tx, seat, _filled(services().sending_rules.of(tx, seat.organization)))


@blueprint.get("/check")
@page(Action.CHANGE_MESSAGES)
def check(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what would change, and ask whether it shall."""
    form = LimitsForm(formdata=request.args)
    changes = _changes(tx, seat, form)
    return _show(tx, seat, form, 422) if changes is None else _ask(tx, seat, changes)


@blueprint.post("/check")
@page(Action.CHANGE_MESSAGES)
def save(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Make the change that the page before was about."""
    form = LimitsForm(formdata=request.args)
    changes = _changes(tx, seat, form)
    if changes is None:
        return _show(tx, seat, form, 422)
    services().sending_rules.change(tx, seat.actor, seat.organization, **changes)
    return done(seat, "Saved. It holds from the next message on.", _INDEX)


@blueprint.get("/countries")
@page(Action.CHANGE_MESSAGES)
def countries(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask whose numbers are to be texted and called."""
    rules = services().sending_rules.of(tx, seat.organization)
    return _countries(tx, seat, _country_form(country=list(rules.countries)))


@blueprint.get("/countries/check")
@page(Action.CHANGE_MESSAGES)
def check_countries(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what would change for which country, and ask whether it shall."""
    form = _country_form()
    try:
        return _ask(tx, seat, {"countries": _chosen()})
    except Invalid as invalid:
        explain(form, invalid, countries="country")
        return _countries(tx, seat, form, 422)


@blueprint.post("/countries/check")
@page(Action.CHANGE_MESSAGES)
def save_countries(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Text and call the numbers of these countries alone."""
    services().sending_rules.change(tx, seat.actor, seat.organization, countries=_chosen())
    return done(seat, "Saved. It holds from the next message on.", _INDEX)


def _changes(tx: Session, seat: Seat, form: LimitsForm) -> dict[str, Any] | None:
    return form.changes(partial(services().sending_rules.proposed, tx, seat.organization))


def _chosen() -> tuple[str, ...]:
    return tuple(request.args.getlist("country"))


def _country_form(**data: Any) -> CountriesForm:
    form: CountriesForm = (
        CountriesForm(formdata=None, **data) if data else CountriesForm(formdata=request.args)
    )
    form.country.choices = [SelectChoice(*one) for one in words.countries().items()]
    return form


def _filled(rules: Rules) -> LimitsForm:
    values = {name: str(getattr(rules, name)) for name in words.NUMBERS}
    cooldowns = ", ".join(map(str, rules.cooldowns))
    return LimitsForm(formdata=None, **values, cooldowns=cooldowns)


def _show(tx: Session, seat: Seat, form: LimitsForm, status: int = 200) -> ResponseReturnValue:
    figures, organization = services().send_figures, seat.organization
    rules = services().sending_rules.of(tx, organization)
    uses = figures.uses(tx, organization)
    for name, use in uses.items():
        form[name].description = f"{words.NUMBERS[name][1]} {words.used(use)}"
    return render(
        "admin/messages/limits.html",
        seat,
        status,
        form=form,
        rules=rules,
        lines=words.lines(rules, uses),
        uses=uses,
        groups=words.GROUPS,
        countries=sorted(map(words.country, rules.countries)),
        refused=[
            (words.country(one), number)
            for one, number in figures.refused_countries(tx, organization)
        ],
        budget=figures.budget(tx, organization, rules),
        conversion=[
            (words.country(one.country) if one.country else "", CHANNEL[one.channel], one)
            for one in figures.conversion(tx, organization)
        ],
        looks_bad=lambda one: one.sent >= _LEAST_CODES and one.rate < _LOW_RATE,
    )


def _ask(tx: Session, seat: Seat, changes: dict[str, Any]) -> ResponseReturnValue:
    organization = seat.organization
    before = services().sending_rules.of(tx, organization)
    after = services().sending_rules.proposed(tx, organization, **changes)
    lines = words.differences(before, after)
    if not lines:
        return done(seat, "Nothing was changed: that is how it is already.", _INDEX)
    uses = services().send_figures.uses(tx, organization)
    return render(
        "admin/messages/limits_check.html",
        seat,
        lines=lines,
        consequences=list(words.consequences(before, after, uses)),
    )


def _countries(
    tx: Session, seat: Seat, form: CountriesForm, status: int = 200
) -> ResponseReturnValue:
    home = services().sending_rules.home(seat.organization)
    return render(
        "admin/messages/countries.html",
        seat,
        status,
        form=form,
        home=[words.country(one) for one in home],
    )


def _typed(name: str, text: str) -> int | tuple[int, ...]:
    if name != "cooldowns":
        return _number(name, text.strip())
    return tuple(_number(name, one) for one in text.replace(",", " ").split())


def _number(name: str, text: str) -> int:
    """Return a number as it was typed.

    Raises:
        Invalid: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Invalid(name, "use whole numbers." if name == "cooldowns" else "use a whole number.")
    return int(text)
