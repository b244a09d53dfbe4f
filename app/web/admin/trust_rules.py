"""Rules for trusted browsers: for how many days, for everybody and for single applications."""

from __future__ import annotations

import re
import uuid
from typing import TypeVar

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, NotFound
from app.models import Application, TrustRule
from app.services.roles import Action
from app.services.trust_rules import MOST_DAYS
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.support import services

Form = TypeVar("Form", bound="DaysForm")

blueprint = noun("policy/trusted-browsers")
HERE = "admin_policy_trusted_browsers.index"


class DaysForm(FlaskForm):  # type: ignore[misc]
    """For how many days at most."""

    days = StringField(
        "Days",
        description=f"1 to {MOST_DAYS}. Empty: no browser is trusted.",
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )

    def wanted(self) -> int:
        """Return the number; nothing is none.

        Raises:
            Invalid: it is no whole number.
        """
        typed = (self.days.data or "").strip() or "0"
        if not re.fullmatch(r"[0-9]{1,3}", typed):
            raise Invalid("days", f"use a number from 1 to {MOST_DAYS}, or leave it empty.")
        return int(typed)


class NewForm(DaysForm):
    """The same, and for which application."""

    application = SelectField("Application", validate_choice=False)


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show the organization's rule, and those of applications."""
    rule = services().trust_rules.find(tx, seat.organization)
    return _show(tx, seat, _filled(DaysForm, rule))


@blueprint.post("")
@page(Action.CHANGE_POLICY)
def save(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Set the organization's rule."""
    form = DaysForm()
    try:
        rule = services().trust_rules.change(tx, seat.actor, seat.organization, form.wanted())
    except Invalid as invalid:
        explain(form, invalid)
        return _show(tx, seat, form, 422)
    return done(seat, f"{in_words(rule.days)} It holds from the next visit on.", HERE)


@blueprint.get("/applications/new")
@page(Action.CHANGE_POLICY)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the rule of one more application."""
    return _new(tx, seat, _filled(NewForm, None))


@blueprint.post("/applications/new")
@page(Action.CHANGE_POLICY)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Set the rule of one more application."""
    form = NewForm()
    application = _application(tx, seat, form.application.data or "")
    return _set(tx, seat, form, application) or _new(tx, seat, form, 422)


@blueprint.get("/applications/<uuid:application_id>")
@page(Action.CHANGE_POLICY)
def edit(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Ask for another rule of an application."""
    application = _application(tx, seat, str(application_id))
    rule = _rule(tx, seat, application)
    return _edit(seat, _filled(DaysForm, rule), application)


@blueprint.post("/applications/<uuid:application_id>")
@page(Action.CHANGE_POLICY)
def update(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Set another rule of an application."""
    application, form = _application(tx, seat, str(application_id)), DaysForm()
    _rule(tx, seat, application)
    return _set(tx, seat, form, application) or _edit(seat, form, application, 422)


@blueprint.get("/applications/<uuid:application_id>/remove")
@page(Action.CHANGE_POLICY)
def ask_remove(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an application is to follow the organization's rule again."""
    application = _application(tx, seat, str(application_id))
    _rule(tx, seat, application)
    general = services().trust_rules.find(tx, seat.organization)
    return confirm(
        seat,
        question=f"Remove the rule of {application.name}?",
        says=[
            f"{application.name} follows the organization’s rule from its next visit on: "
            f"{in_words(general.days if general else 0)}"
        ],
        button="Remove the rule",
        keep="Keep it",
        back=url_for(HERE),
    )


@blueprint.post("/applications/<uuid:application_id>/remove")
@page(Action.CHANGE_POLICY)
def remove(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Let an application follow the organization's rule again."""
    application = _application(tx, seat, str(application_id))
    services().trust_rules.remove(tx, seat.actor, seat.organization, application)
    return done(seat, f"{application.name} follows the organization’s rule again.", HERE)


def in_words(days: int) -> str:
    """Return what a rule says, in a sentence."""
    if not days:
        return "No browser is trusted."
    return f"A browser can be trusted for {days} day{'s' if days != 1 else ''}."


def _show(tx: Session, seat: Seat, form: DaysForm, status: int = 200) -> ResponseReturnValue:
    rules = services().trust_rules
    rule = rules.find(tx, seat.organization)
    named = {one.id: one for one in services().overview.applications(tx, seat.organization)}
    own = [
        (named[one.application_id], one)
        for one in rules.overrides(tx, seat.organization)
        if one.application_id in named
    ]
    return render(
        "admin/policy/trusted_browsers.html",
        seat,
        status,
        form=form,
        now=in_words(rule.days if rule else 0),
        overrides=own,
        more=len(named) > len(own),
        in_words=in_words,
    )


def _new(tx: Session, seat: Seat, form: NewForm, status: int = 200) -> ResponseReturnValue:
    taken = {one.application_id for one in services().trust_rules.overrides(tx, seat.organization)}
    all_of_them = services().overview.applications(tx, seat.organization)
    left = [one for one in all_of_them if one.id not in taken]
    form.application.choices = [SelectChoice(one.client_id, one.name) for one in left]
    return _edit(seat, form, None, status)


def _edit(
    seat: Seat, form: DaysForm, application: Application | None, status: int = 200
) -> ResponseReturnValue:
    template = "admin/policy/trusted_browsers_of.html"
    return render(template, seat, status, form=form, application=application)


def _set(
    tx: Session, seat: Seat, form: DaysForm, application: Application
) -> ResponseReturnValue | None:
    """Set an application's rule; None if it can't be that, which stands in the form then."""
    try:
        rule = services().trust_rules.change(
            tx, seat.actor, seat.organization, form.wanted(), application
        )
    except Invalid as invalid:
        explain(form, invalid)
        return None
    return done(seat, f"{application.name}: {in_words(rule.days)}", HERE)


def _filled(form: type[Form], rule: TrustRule | None) -> Form:
    return form(formdata=None, days=str(rule.days) if rule and rule.days else "")


def _rule(tx: Session, seat: Seat, application: Application) -> TrustRule:
    rule = services().trust_rules.find(tx, seat.organization, application)
    if rule is None:
        raise NotFound("trust rule")
    return rule


def _application(tx: Session, seat: Seat, client_id: str) -> Application:
    found = services().applications.find(tx, client_id)
    if found is None or not found.serves(seat.organization):
        raise NotFound("application")
    return found
