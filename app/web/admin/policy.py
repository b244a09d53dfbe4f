"""The policy: whether users must confirm, for everybody and for single applications."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, NotFound
from app.models import Application, Policy, PolicyMode
from app.services.policies import Rule, is_stricter, rule_of
from app.services.roles import Action
from app.web.admin import policy_words as words
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.trust_rules import in_words
from app.web.admin.user import name_of
from app.web.support import services

blueprint = noun("policy")


class RuleForm(FlaskForm):  # type: ignore[misc]
    """One of four rules; the date and the number belong to the last."""

    class Meta:
        """It is sent by GET, to a page that asks before anything changes."""

        csrf = False

    application = StringField()
    rule = RadioField(
        "Second step",
        choices=[
            SelectChoice(words.REQUIRED, "Required"),
            SelectChoice(words.DATED, "Required from a date"),
            SelectChoice(words.OPTIONAL, "Optional"),
            SelectChoice(words.OFF, "Off"),
        ],
        default=words.REQUIRED,
    )
    required_from = StringField(
        "First day", description="It begins at 00:00 UTC.", render_kw={"type": "date"}
    )
    skips = StringField(
        "Times a user may put it off",
        description="Empty: as often as they like.",
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )

    def wanted(self) -> Rule:
        """Return the rule that was chosen.

        Raises:
            Invalid: a field can't be read.
        """
        choice = str(self.rule.data)
        if choice not in {words.OFF, words.OPTIONAL, words.REQUIRED, words.DATED}:
            raise Invalid("rule", "choose one of the four.")
        if choice != words.DATED:
            return Rule(mode=PolicyMode(choice))
        return Rule(
            mode=PolicyMode.REQUIRED,
            required_from=_midnight(self.required_from.data or ""),
            skips=_number(self.skips.data or ""),
        )


class NewRuleForm(RuleForm):
    """A rule, and which application it is for."""

    application = SelectField("Application", validate_choice=False)


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show the organization's rule, what it comes to today, and those of applications."""
    return _show(tx, seat, _filled(RuleForm, services().policies.find(tx, seat.organization)))


@blueprint.get("/applications/new")
@page(Action.CHANGE_POLICY)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for the rule of one more application."""
    return _edit(tx, seat, _filled(NewRuleForm, None), None)


@blueprint.get("/applications/<uuid:application_id>")
@page(Action.CHANGE_POLICY)
def edit(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Ask for another rule of an application."""
    application = _application(tx, seat, str(application_id))
    policy = services().policies.find(tx, seat.organization, application)
    if policy is None:
        raise NotFound("policy")
    return _edit(tx, seat, _filled(RuleForm, policy), application)


@blueprint.get("/check")
@page(Action.CHANGE_POLICY)
def check(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what a rule would come to, and ask whether it shall hold."""
    application = _named_application(tx, seat)
    form = _typed(application)
    try:
        rule = services().policies.checked(seat.organization, form.wanted())
    except Invalid as invalid:
        explain(form, invalid)
        if application is None:
            return _show(tx, seat, form, 422)
        return _edit(tx, seat, form, application, 422)
    return _ask(tx, seat, rule, application)


@blueprint.post("/check")
@page(Action.CHANGE_POLICY)
def save(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Let the rule hold that the page before was about."""
    application = _named_application(tx, seat)
    rule = _typed(application).wanted()
    services().policies.change(tx, seat.actor, seat.organization, rule, application)
    whose = f"{application.name}: " if application else ""
    name = words.name_of(rule, services().clock.now())
    return done(seat, f"{whose}{name}. It holds from the next visit on.", "admin_policy.index")


@blueprint.get("/applications/<uuid:application_id>/remove")
@page(Action.CHANGE_POLICY)
def ask_remove(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether an application is to follow the organization's rule again."""
    application = _application(tx, seat, str(application_id))
    if services().policies.find(tx, seat.organization, application) is None:
        raise NotFound("policy")
    general = rule_of(services().policies.find(tx, seat.organization))
    now = services().clock.now()
    return confirm(
        seat,
        question=f"Remove the rule of {application.name}?",
        says=[
            f"{application.name} follows the organization’s rule from its next visit on: "
            f"{words.name_of(general, now)}. {words.more_of(general, now)}",
            "How often users have put it off for this application is forgotten.",
        ],
        button="Remove the rule",
        keep="Keep it",
        back=url_for("admin_policy.index"),
    )


@blueprint.post("/applications/<uuid:application_id>/remove")
@page(Action.CHANGE_POLICY)
def remove(tx: Session, seat: Seat, application_id: uuid.UUID) -> ResponseReturnValue:
    """Let an application follow the organization's rule again."""
    application = _application(tx, seat, str(application_id))
    services().policies.remove(tx, seat.actor, seat.organization, application)
    notice = f"{application.name} follows the organization’s rule again."
    return done(seat, notice, "admin_policy.index")


def _show(tx: Session, seat: Seat, form: RuleForm, status: int = 200) -> ResponseReturnValue:
    policy = services().policies.find(tx, seat.organization)
    trust = services().trust_rules.find(tx, seat.organization)
    named = {one.id: one for one in _applications(tx, seat)}
    own = [
        (named[one.application_id], rule_of(one))
        for one in services().policies.overrides(tx, seat.organization)
        if one.application_id in named
    ]
    return render(
        "admin/policy/index.html",
        seat,
        status,
        form=form,
        rule=rule_of(policy),
        found=services().lockouts.preview(tx, seat.organization, rule_of(policy), policy),
        overrides=own,
        more=len(named) > len(own),
        trust=in_words(trust.days if trust else 0),
        **_words(),
    )


def _edit(
    tx: Session,
    seat: Seat,
    form: RuleForm,
    application: Application | None,
    status: int = 200,
) -> ResponseReturnValue:
    if application is None:
        taken = {one.application_id for one in services().policies.overrides(tx, seat.organization)}
        left = [one for one in _applications(tx, seat) if one.id not in taken]
        form.application.choices = [SelectChoice(one.client_id, one.name) for one in left]
    return render("admin/policy/application.html", seat, status, form=form, application=application)


def _ask(
    tx: Session, seat: Seat, rule: Rule, application: Application | None
) -> ResponseReturnValue:
    policies, now = services().policies, services().clock.now()
    policy = policies.find(tx, seat.organization, application)
    general = policies.find(tx, seat.organization)
    before = rule_of(policy if application is None else policy or general)
    if policy is not None and before == rule:
        return done(seat, "Nothing was changed: that is the rule already.", "admin_policy.index")
    found = services().lockouts.preview(tx, seat.organization, rule, policy)
    stricter = is_stricter(before, rule, now)
    return render(
        "admin/policy/check.html",
        seat,
        question=words.question(rule, now, application),
        before=before,
        consequences=words.consequences(rule_of(policy), rule, now),
        others=[] if application else policies.overrides(tx, seat.organization),
        button=words.button(rule, now),
        stricter=stricter,
        found=found,
        danger=rule.mode is PolicyMode.OFF or (stricter and bool(found.set_up or found.held_up)),
        **_words(),
    )


def _words() -> dict[str, Any]:
    return {"words": words, "now": services().clock.now(), "name_of": name_of}


def _filled(form: type[RuleForm], policy: Policy | None) -> RuleForm:
    """Return a form that says what holds now."""
    rule, now = rule_of(policy), services().clock.now()
    choice = words.choice_of(rule, now)
    dated = choice == words.DATED and rule.required_from is not None
    return form(
        formdata=None,
        rule=choice,
        required_from=rule.required_from.date().isoformat() if dated and rule.required_from else "",
        skips="" if rule.skips is None or not dated else str(rule.skips),
    )


def _typed(application: Application | None) -> RuleForm:
    """Return the form as its page sent it; it stands in the address."""
    args = MultiDict(request.args)
    if application is not None:
        args["application"] = application.client_id
    return RuleForm(formdata=args)


def _applications(tx: Session, seat: Seat) -> list[Application]:
    return list(services().overview.applications(tx, seat.organization))


def _named_application(tx: Session, seat: Seat) -> Application | None:
    named = request.args.get("application", "")
    return _application(tx, seat, named) if named else None


def _application(tx: Session, seat: Seat, client_id: str) -> Application:
    found = services().applications.find(tx, client_id)
    if found is None or not found.serves(seat.organization):
        raise NotFound("application")
    return found


def _midnight(typed: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(typed.strip()), time(), UTC)
    except ValueError:
        raise Invalid("required_from", "choose a day, such as 2027-03-01.") from None


def _number(typed: str) -> int | None:
    if not typed.strip():
        return None
    try:
        return int(typed)
    except ValueError:
        raise Invalid("skips", "use a whole number, or leave it empty.") from None
