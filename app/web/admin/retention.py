"""How long the events of an organization are kept."""

from __future__ import annotations

from datetime import timedelta

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import Form, IntegerField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from app.services.retention import LONGEST, SHORTEST
from app.services.roles import Action
from app.web.admin.audit import blueprint
from app.web.admin.desk import ReasonForm, Seat, confirm, done, page, render
from app.web.support import services
from app.web.support.pages import day as day_of

FOR_EVER, SOME_DAYS = "for_ever", "days"


class RetentionForm(Form):  # type: ignore[misc]
    """For how long; asked by GET, since only the next page changes something."""

    keep = RadioField(
        "Keep events",
        choices=[
            SelectChoice(FOR_EVER, "For ever"),
            SelectChoice(SOME_DAYS, "For a number of days, then delete them"),
        ],
    )
    days = IntegerField(
        "Days",
        description=f"{SHORTEST} to {LONGEST:,}. A year is 365.",
        render_kw={"min": SHORTEST, "max": LONGEST, "inputmode": "numeric"},
    )

    def validate_days(self, field: IntegerField) -> None:
        """Demand days only where they count."""
        if self.keep.data != SOME_DAYS:
            field.errors = []
            return
        if field.data is None or not SHORTEST <= field.data <= LONGEST:
            field.errors = []
            raise ValidationError(f"Write a number of days from {SHORTEST} to {LONGEST:,}.")

    @property
    def wanted(self) -> int | None:
        """Return so many days; None means for ever."""
        return self.days.data if self.keep.data == SOME_DAYS else None


@blueprint.get("/retention")
@page(Action.CHANGE_RETENTION)
def retention(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show how long events are kept, and ask for how long they are to be."""
    days = seat.organization.audit_days
    keep = FOR_EVER if days is None else SOME_DAYS
    return _form(seat, RetentionForm(data={"keep": keep, "days": days or 365}))


@blueprint.get("/retention/change")
@page(Action.CHANGE_RETENTION)
def ask_retention(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask once, and say what will be deleted, and when."""
    form = RetentionForm(request.args)
    if not form.validate():
        return _form(seat, form, 422)
    return _ask(tx, seat, form, ReasonForm(formdata=None))


@blueprint.post("/retention/change")
@page(Action.CHANGE_RETENTION)
def change_retention(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Keep events that long from now on."""
    form, why = RetentionForm(request.args), ReasonForm()
    if not form.validate():
        return _form(seat, form, 422)
    if not why.validate():
        return _ask(tx, seat, form, why, 422)
    services().retention.change(
        tx, seat.actor, seat.organization, form.wanted, why=why.reason.data or ""
    )
    notice = f"Saved. Events are kept {_in_words(form.wanted)}."
    return done(seat, notice, "admin_audit.index")


def _form(seat: Seat, form: RetentionForm, status: int = 200) -> ResponseReturnValue:
    kept = _in_words(seat.organization.audit_days)
    return render("admin/audit/retention.html", seat, status, form=form, kept=kept)


def _ask(
    tx: Session, seat: Seat, form: RetentionForm, why: FlaskForm, status: int = 200
) -> ResponseReturnValue:
    days = form.wanted
    return confirm(
        seat,
        question=f"Keep the events of {seat.organization.name} {_in_words(days)}?",
        says=_says(tx, seat, days),
        button=f"Keep events {_in_words(days)}",
        keep=f"Keep them {_in_words(seat.organization.audit_days)}, as now",
        back=url_for("admin_audit.index"),
        form=why,
        danger=days is not None,
        status=status,
    )


def _says(tx: Session, seat: Seat, days: int | None) -> list[str]:
    if days is None:
        return ["No event is deleted any more. What was deleted before does not come back."]
    since = services().clock.now() - timedelta(days=days)
    due = services().retention.due(tx, seat.organization, days)
    at_once = (
        f"{due:,} events from before {day_of(since)} are deleted within the hour, for good."
        if due
        else f"No event is older than {day_of(since)}, so nothing is deleted today."
    )
    return [
        at_once,
        f"From then on, each event is deleted when it is {days:,} days old.",
        "The seals stay, so what is left can still be checked. Each deletion is on record.",
    ]


def _in_words(days: int | None) -> str:
    return "for ever" if days is None else f"for {days:,} days"
