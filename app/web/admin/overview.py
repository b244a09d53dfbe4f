"""The first page of an organization: how verification goes, and what needs attention."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Application
from app.services.overview import PERIODS, USUAL, Figures, Period
from app.services.roles import Action
from app.services.user_states import UserStatus
from app.web.admin.charts import chart_of
from app.web.admin.desk import Seat, noun, page, render
from app.web.admin.event_words import METHODS
from app.web.admin.first_steps import first_steps
from app.web.admin.matters import told
from app.web.support import services

blueprint = noun("")

STATUSES = {
    UserStatus.ENROLLED: "Enrolled",
    UserStatus.PENDING: "Not enrolled yet",
    UserStatus.OVERDUE: "Overdue",
    UserStatus.REENROLLMENT: "Re-enrollment due",
    UserStatus.LOCKED: "Locked",
    UserStatus.SUSPENDED: "Suspended",
}


@blueprint.get("/")
@page(Action.SEE_OVERVIEW)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show how verification goes; until it does, what to do for that."""
    found = services()
    people = found.overview.people(tx, seat.organization)
    attention = found.attention.needed(tx, seat.organization, people)
    if not found.overview.ever(tx, seat.organization):
        steps = first_steps(tx, seat, people, attention)
        rest = told(seat, attention, without=steps.matters)
        return render("admin/overview/first_steps.html", seat, steps=steps, matters=rest)
    chosen = _chosen(tx, seat)
    figures = found.overview.figures(tx, seat.organization, chosen.period, chosen.application_id)
    method = _method(figures)
    return render(
        "admin/overview/index.html",
        seat,
        figures=figures,
        people=people,
        chosen=chosen,
        periods=PERIODS.values(),
        method=method,
        methods={one.kind: method_name(one.kind) for one in figures.methods},
        chart=chart_of(figures, method),
        matters=told(seat, attention),
        statuses=STATUSES,
    )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the page was asked to show; what it doesn't know is as if nothing was asked."""

    period: Period
    applications: list[Application]
    application: Application | None

    @property
    def application_id(self) -> str | None:
        """Of the only application that counts."""
        return self.application.client_id if self.application else None


def method_name(kind: str) -> str:
    """Return what a factor is called at the beginning of a line."""
    name = METHODS.get(kind, kind.replace("_", " "))
    return name[:1].upper() + name[1:]


def _chosen(tx: Session, seat: Seat) -> Chosen:
    applications = list(services().overview.applications(tx, seat.organization))
    asked = request.args.get("application", "")
    return Chosen(
        period=PERIODS.get(request.args.get("period", ""), USUAL),
        applications=applications,
        application=next((one for one in applications if one.client_id == asked), None),
    )


def _method(figures: Figures) -> str | None:
    asked = request.args.get("method", "")
    return asked if asked in figures.total.kinds else None
