"""Exporting users: the list as it is filtered, as CSV or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime

from flask import Response, abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.services.roles import Action
from app.services.user_lists import ListedUser
from app.web.admin.csv_rows import csv_line
from app.web.admin.desk import Seat, page, render
from app.web.admin.event_words import METHODS
from app.web.admin.user import STATES
from app.web.admin.users import asked, blueprint, query_of
from app.web.support import services

COLUMNS = (
    "id",
    "email",
    "given_name",
    "family_name",
    "phone_number",
    "external_id",
    "status",
    "methods",
    "recovery_codes_left",
    "added_at",
    "last_verified_at",
)


@blueprint.get("/export")
@page(Action.EXPORT_USERS)
def export(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Say what an export holds, and offer its forms."""
    wanted = asked()
    return render(
        "admin/users/export.html",
        seat,
        wanted=wanted,
        query=query_of(wanted),
        total=services().user_lists.total(tx, seat.organization, wanted),
        states=STATES,
        methods=METHODS,
    )


@blueprint.get("/export.<any(csv, jsonl):form>")
@page(Action.EXPORT_USERS)
def download(tx: Session, seat: Seat, form: str) -> ResponseReturnValue:
    """Hand the users out, piece by piece."""
    if request.method == "HEAD":  # nothing is handed out, so nothing is recorded
        abort(405)
    written, media = FORMS[form]
    organization, now = seat.organization, services().clock.now()
    users = services().user_exports.begin(seat.actor, organization, asked(), form=form)
    name = f"users-{organization.domain}-{now:%Y-%m-%d}.{form}"
    return Response(
        written(users),
        mimetype=media,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _fields(one: ListedUser) -> dict[str, str | int | list[str] | None]:
    user = one.user
    values = (
        str(user.id),
        user.email,
        _text(user.profile.get("given_name")),
        _text(user.profile.get("family_name")),
        user.phone_number,
        user.external_id,
        one.status.value,
        one.methods,
        one.codes_left,
        _moment(user.created_at),
        _moment(user.last_verified_at),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _csv(users: Iterator[ListedUser]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for one in users:
        fields = _fields(one)
        yield csv_line([*({**fields, "methods": " ".join(one.methods)}).values()])


def _jsonl(users: Iterator[ListedUser]) -> Iterator[str]:
    for one in users:
        yield json.dumps(_fields(one), ensure_ascii=False) + "\n"


FORMS: dict[str, tuple[Callable[[Iterator[ListedUser]], Iterator[str]], str]] = {
    "csv": (_csv, "text/csv"),
    "jsonl": (_jsonl, "application/x-ndjson"),
}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
