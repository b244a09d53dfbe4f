"""Importing users: bring a file, look at what it would do, start it, and see how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import BooleanField

from app.errors import Invalid
from app.models import ImportJob, ImportStatus
from app.services.import_files import ImportFields
from app.services.import_jobs import MOST_BYTES
from app.services.import_rows import Row
from app.services.import_work import HELD, IN_LINE, errors_of
from app.services.imports import MOST_ROWS
from app.services.roles import Action
from app.web.admin.csv_rows import csv_line
from app.web.admin.desk import Seat, done, explain, noun, page, render
from app.web.admin.uploads import let_in
from app.web.support import services
from app.web.support.forms import csrf

blueprint = noun("users/imports")

_SHOWN_ERRORS = 20
STATES = {
    ImportStatus.BROUGHT: ("Waiting to be checked", "own"),
    ImportStatus.CHECKING: ("Being checked", "own"),
    ImportStatus.CHECKED: ("Checked, not started", "warn"),
    ImportStatus.WAITING: ("Waiting", "own"),
    ImportStatus.RUNNING: ("Running", "own"),
    ImportStatus.DONE: ("Done", "ok"),
    ImportStatus.FAILED: ("Stopped", "bad"),
    ImportStatus.DISCARDED: ("Discarded", ""),
}


class FileForm(FlaskForm):  # type: ignore[misc]
    """The file to bring."""

    file = FileField(
        "File of users",
        description=f"CSV or JSON lines, up to {MOST_BYTES // 1024**2} MB and {MOST_ROWS:,} rows.",
        render_kw={"accept": ".csv,.jsonl,.ndjson,.json,.txt,text/csv", "required": True},
    )


class StartForm(FlaskForm):  # type: ignore[misc]
    """Whether the users hear of it; a box that is left out means no."""

    notify = BooleanField("Tell these users")


@blueprint.get("")
@page(Action.SEE_USERS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List the latest imports."""
    jobs = services().import_jobs.recent(tx, seat.organization)
    return render("admin/imports/index.html", seat, jobs=jobs, states=STATES)


@blueprint.get("/new")
@page(Action.IMPORT_USERS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for a file."""
    return _render_new(seat, FileForm(formdata=None))


@blueprint.post("/new")
@csrf.exempt  # type: ignore[untyped-decorator]
@page(Action.IMPORT_USERS, streams=True)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Take a file in; its form is read, and checked for its token, only for who may send it."""
    tx.close()
    let_in(MOST_BYTES)
    try:
        csrf.protect()
        sent = request.files.get("file")
    except RequestEntityTooLarge:
        return _refuse_file(seat, "it may have", f"{MOST_BYTES // 1024**2} MB. Split it.")
    if sent is None or not sent.filename:
        return _refuse_file(seat, "choose", "a file first.")
    jobs = services().import_jobs
    try:
        job = jobs.bring(seat.actor, seat.organization, sent.filename, sent.stream.read())
    except Invalid as invalid:
        return _render_new(seat, _explained(invalid), 422)
    return done(seat, f"{job.filename} is here.", "admin_users_imports.show", job_id=job.id)


@blueprint.get("/<uuid:job_id>")
@page(Action.SEE_USERS)
def show(tx: Session, seat: Seat, job_id: uuid.UUID) -> ResponseReturnValue:
    """Show what a file would do, how far it is, or what became of it."""
    jobs = services().import_jobs
    job = jobs.find(tx, seat.organization, job_id)
    errors = errors_of(job)
    return render(
        "admin/imports/show.html",
        seat,
        job=job,
        state=STATES[job.status],
        goes_on=job.status in (*IN_LINE, *HELD),
        lacks_worker=jobs.lacks_worker(tx, job),
        sample=[_shown(row) for row in jobs.sample(tx, job)] if _is_checked(job) else [],
        form=_start_form(job),
        errors=errors[:_SHOWN_ERRORS],
        kept_errors=len(errors),
        stopped=job.errors.get("stopped"),
    )


@blueprint.post("/<uuid:job_id>")
@page(Action.IMPORT_USERS)
def start(tx: Session, seat: Seat, job_id: uuid.UUID) -> ResponseReturnValue:
    """Have a checked file taken over."""
    notify = StartForm().notify.data
    services().import_jobs.start(tx, seat.actor, seat.organization, job_id, notify=notify)
    return done(seat, "The import is in line.", "admin_users_imports.show", job_id=job_id)


@blueprint.post("/<uuid:job_id>/discard")
@page(Action.EDIT_USERS)
def discard(tx: Session, seat: Seat, job_id: uuid.UUID) -> ResponseReturnValue:
    """Give a file up before it is taken over."""
    services().import_jobs.discard(tx, seat.actor, seat.organization, job_id)
    return done(seat, "The file was discarded. Nothing was imported.", "admin_users_imports.index")


@blueprint.get("/<uuid:job_id>/errors.csv")
@page(Action.SEE_USERS)
def errors(tx: Session, seat: Seat, job_id: uuid.UUID) -> ResponseReturnValue:
    """Hand out which rows could not be taken over, and why."""
    job = services().import_jobs.find(tx, seat.organization, job_id)

    def lines() -> Iterator[str]:
        yield csv_line(("row", "type", "field", "message"))
        for bad in errors_of(job):
            yield csv_line((bad.number, bad.code, bad.field, bad.message))

    name = f"import-errors-{job.created_at:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines(), mimetype="text/csv", headers=headers)


@blueprint.get("/example.csv")
@page(Action.SEE_USERS)
def example(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Hand out a file with the columns that are read, and one row."""
    columns = [name for name in ImportFields.model_fields if name != "profile"]
    row = {
        "email": "ada@example.com",
        "phone_number": "+33612345678",
        "external_id": "42",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "locale": "en",
    }
    text = csv_line(columns) + csv_line([row.get(name, "") for name in columns])
    headers = {"Content-Disposition": 'attachment; filename="users.csv"'}
    return Response(text, mimetype="text/csv", headers=headers)


def _render_new(seat: Seat, form: FlaskForm, status: int = 200) -> Response:
    return render("admin/imports/new.html", seat, status, form=form, columns=_COLUMNS)


def _refuse_file(seat: Seat, *words: str) -> Response:
    return _render_new(seat, _explained(Invalid("file", " ".join(words))), 422)


def _explained(invalid: Invalid) -> FlaskForm:
    form = FileForm(formdata=None)
    explain(form, invalid)
    return form


def _start_form(job: ImportJob) -> FlaskForm:
    form = StartForm(formdata=None, notify=True)
    form.notify.label.text = f"Tell {job.told:,} {'user' if job.told == 1 else 'users'}"
    form.notify.description = _TOLD
    return form


def _is_checked(job: ImportJob) -> bool:
    return job.status is ImportStatus.CHECKED


def _shown(row: object) -> dict[str, Any] | None:
    """Return what is shown of a row of the file; never a seed, only that there is one."""
    if not isinstance(row, Row):
        return None
    profile = row.changes.get("profile") or {}
    names = (profile.get(name) for name in ("given_name", "family_name"))
    return {
        "number": row.number,
        "email": row.changes.get("email"),
        "name": " ".join(str(name) for name in names if name),
        "phone_number": row.changes.get("phone_number"),
        "external_id": row.changes.get("external_id"),
        "seed": row.seed is not None,
    }


_TOLD = "One message to each who is new here, or whose authenticator app is in the file."
_COLUMNS = (
    ("email", "Every row needs it, or else a phone number."),
    ("given_name", "Shown here, and searched by."),
    ("family_name", "The same."),
    ("locale", "Language of messages as a tag, such as fr."),
    ("phone_number", "In E.164, such as +33612345678. Alone, it names the user."),
    ("external_id", "How your own system calls the user."),
    ("totp_secret", "In base32, of an app that the user already has. Never shown again."),
    ("totp_digits", "If they are not 6."),
    ("totp_period", "If it is not 30 seconds."),
    ("totp_algorithm", "If it is not SHA1."),
)
