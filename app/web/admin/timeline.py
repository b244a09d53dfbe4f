"""A user's newest events as lines to read: what happened, when, from where, by whom."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.models import Event
from app.web.admin.event_words import said


@dataclass(frozen=True, kw_only=True)
class Line:
    """One event, or several in a row that say the same.

    Attributes:
        first_at: of the oldest of them.
        last_at: of the newest.
        times: how many they are.
        place: from where, by which application, by whose hand, as far as it is known.
        reason: what an administrator gave as one.
    """

    text: str
    tone: str
    first_at: datetime
    last_at: datetime
    times: int
    place: tuple[str, ...]
    reason: str | None


def lines(events: Sequence[Event], names: Mapping[uuid.UUID, str]) -> list[Line]:
    """Return the lines of events that come newest first.

    Args:
        names: of applications, by their ids.
    """
    told: list[Line] = []
    for event in events:
        line = _line(event, names)
        same = told and _is_same(told[-1], line)
        if same:
            told[-1] = replace(told[-1], first_at=line.first_at, times=told[-1].times + 1)
        else:
            told.append(line)
    return told


def _line(event: Event, names: Mapping[uuid.UUID, str]) -> Line:
    words = said(event)
    application = names.get(event.application_id) if event.application_id else None
    parts = (_by(event), application, event.address)
    return Line(
        text=words.text,
        tone=words.tone,
        first_at=event.at,
        last_at=event.at,
        times=1,
        place=tuple(part for part in parts if part),
        reason=event.reason,
    )


def _is_same(newer: Line, older: Line) -> bool:
    return (newer.text, newer.place, newer.reason) == (older.text, older.place, older.reason)


def _by(event: Event) -> str | None:
    """Return by whose hand, unless it was the user's or an application's."""
    kind, _, _ = event.actor.partition(":")
    names = {
        "administrator": "an administrator",
        "api_key": "an API key",
        "operator": "the operator",
    }
    who = event.actor_label or names.get(kind)
    return f"by {who}" if kind in names else None
