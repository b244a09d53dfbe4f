"""The audit record: looking through it, and taking it along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.models import Event
from app.services.audit import EventKind
from app.services.audit_names import Names, names_of
from app.services.audit_search import Cursor, EventFilter, EventPage
from app.services.roles import Action
from app.web.admin.audit_form import FilterForm
from app.web.admin.audit_rows import COLUMNS, as_csv, as_json, row_of
from app.web.admin.csv_rows import csv_line
from app.web.admin.desk import Seat, noun, page, render
from app.web.support import services

blueprint = noun("audit")

_FILES: dict[str, tuple[str, str, Callable[[Event, Names], str]]] = {
    "csv": ("text/csv; charset=utf-8", csv_line(COLUMNS), as_csv),
    "jsonl": ("application/jsonl", "", as_json),
}
"""Type, first line, and what makes a line of an event."""


@blueprint.get("")
@page(Action.SEE_AUDIT)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show a page of what happened, newest first."""
    form = FilterForm(tx, seat.organization, request.args)
    wanted = form.wanted(tx)
    if wanted is None:
        return _page(tx, seat, form, EventPage(events=[], older=None, newer=None), 422)
    cursor = Cursor.read(request.args.get("at"))
    return _page(tx, seat, form, services().audit_search.page(tx, wanted, cursor))


@blueprint.get("/events.<ending>")
@page(Action.SEE_AUDIT)
def export(tx: Session, seat: Seat, ending: str) -> ResponseReturnValue:
    """Send all that the same search finds as a file, in constant memory."""
    if ending not in _FILES:
        raise NotFound
    form = FilterForm(tx, seat.organization, request.args)
    wanted = form.wanted(tx)
    if wanted is None:
        return _page(tx, seat, form, EventPage(events=[], older=None, newer=None), 422)
    _record(seat, form, ending)
    day = services().clock.now().strftime("%Y-%m-%d")
    name = f"{seat.organization.domain}-events-{day}.{ending}"
    answer = Response(_lines(seat, wanted, ending), content_type=_FILES[ending][0])
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _page(
    tx: Session, seat: Seat, form: FilterForm, found: EventPage, status: int = 200
) -> ResponseReturnValue:
    names = names_of(tx, seat.organization, found.events)
    return render(
        "admin/audit/index.html",
        seat,
        status,
        form=form,
        rows=[row_of(event, names) for event in found.events],
        found=found,
        newer=_address(form, found.newer),
        older=_address(form, found.older),
        files=[] if status != 200 else _files(form),
    )


def _address(form: FilterForm, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    values: dict[str, Any] = {**form.values, "at": str(cursor)}
    return url_for("admin_audit.index", **values)


def _files(form: FilterForm) -> list[tuple[str, str]]:
    names = {"csv": "Export CSV", "jsonl": "Export JSON lines"}
    values: dict[str, Any] = {**form.values}
    return [
        (url_for("admin_audit.export", ending=ending, **values), names[ending]) for ending in _FILES
    ]


def _record(seat: Seat, form: FilterForm, ending: str) -> None:
    """Put on record who took what along, before the first of it leaves."""
    found = services()
    with found.database.writing() as tx:
        found.audit.record(
            tx,
            EventKind.AUDIT_EXPORTED,
            seat.actor,
            organization_id=seat.organization.id,
            format=ending,
            search=" ".join(f"{name}={value}" for name, value in form.values.items()),
        )


def _lines(seat: Seat, wanted: EventFilter, ending: str) -> Iterator[str]:
    _, head, line_of = _FILES[ending]
    search, organization = services().audit_search, seat.organization

    def lines() -> Iterator[str]:
        yield head
        for events, names in search.stream(organization, wanted):
            yield "".join(line_of(event, names) for event in events)

    return lines()
