"""One event as people read it: a row of the table, all that it holds, and a line of a file."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from app import countries
from app.models import Event
from app.services.audit_names import Names
from app.web.admin.csv_rows import csv_line
from app.web.admin.event_words import said

COLUMNS = (
    "id",
    "at",
    "kind",
    "event",
    "actor",
    "actor_name",
    "user_id",
    "user_email",
    "application_id",
    "application_name",
    "address",
    "country",
    "browser",
    "reason",
    "gateway_session_id",
    "detail",
    "seal",
)
"""Of the files, in order."""

_ACTORS = {
    "user": "The user",
    "operator": "The operator",
    "system": "Gatehouse itself",
    "administrator": "An administrator",
    "api_key": "An API key",
    "application": "An application",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the table shows of an event.

    Attributes:
        by: who did it, as people call them.
        user: e-mail address, while the user exists.
        more: all that the event holds, name by name.
        seal: number of the seal that covers it; None while it waits for one.
    """

    event: Event
    text: str
    tone: str
    by: str
    user: str | None
    application: str | None
    seal: int | None
    more: list[tuple[str, str]]


def row_of(event: Event, names: Names) -> Row:
    """Return an event as the table shows it."""
    words = said(event)
    seal = names.seals.get(event.seal_id) if event.seal_id else None
    user = names.users.get(event.user_id) if event.user_id else None
    application = names.applications.get(event.application_id) if event.application_id else None
    return Row(
        event=event,
        text=words.text,
        tone=words.tone,
        by=by_whom(event, names),
        user=user,
        application=application,
        seal=seal,
        more=_more(event, application, seal),
    )


def by_whom(event: Event, names: Names) -> str:
    """Return what people call who did it."""
    kind, _, told = event.actor.partition(":")
    if event.actor_label:
        return event.actor_label
    known = {"api_key": names.api_keys, "application": names.applications}.get(kind, {})
    try:
        name = known.get(uuid.UUID(told))
    except ValueError:
        name = None
    if name:
        return f"API key {name}" if kind == "api_key" else name
    return _ACTORS.get(kind, event.actor)


def as_csv(event: Event, names: Names) -> str:
    """Return an event as a line of CSV in which no cell is a formula."""
    told = as_values(event, names)
    told["detail"] = json.dumps(told["detail"], ensure_ascii=False, sort_keys=True)
    return csv_line([told[column] for column in COLUMNS])


def as_json(event: Event, names: Names) -> str:
    """Return an event as one line of JSON."""
    return json.dumps(as_values(event, names)) + "\n"


def as_values(event: Event, names: Names) -> dict[str, Any]:
    """Return what the files hold of an event, by column."""
    row = row_of(event, names)
    values = {
        "id": event.id,
        "at": event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": event.kind,
        "event": row.text,
        "actor": event.actor,
        "actor_name": row.by,
        "user_id": _text(event.user_id),
        "user_email": row.user,
        "application_id": _text(event.application_id),
        "application_name": row.application,
        "address": event.address,
        "country": event.country,
        "browser": event.device,
        "reason": event.reason,
        "gateway_session_id": event.gateway_session_id,
        "detail": event.detail,
        "seal": row.seal,
    }
    return {column: values[column] for column in COLUMNS}


def _more(event: Event, application: str | None, seal: int | None) -> list[tuple[str, str]]:
    told = [
        ("Event", str(event.id)),
        ("Time", event.at.strftime("%Y-%m-%d %H:%M:%S.%f UTC")),
        ("Kind", event.kind),
        ("Actor", event.actor),
        ("User id", _text(event.user_id)),
        ("Application", f"{application or ''} {event.application_id or ''}".strip()),
        ("Visit", event.gateway_session_id),
        ("Address", event.address),
        ("Country", countries.name_of(event.country, "en") if event.country else None),
        ("Browser", event.device),
        ("Reason", event.reason),
        *((_label(name), _value(value)) for name, value in event.detail.items()),
        ("Seal", f"Number {seal}" if seal else "Not sealed yet"),
    ]
    return [(name, value) for name, value in told if value]


def _label(name: str) -> str:
    words = name.replace("_", " ")
    return f"Detail: {words}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _text(value: uuid.UUID | None) -> str | None:
    return str(value) if value else None
