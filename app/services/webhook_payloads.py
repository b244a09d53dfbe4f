"""What a webhook is told of an event: the body of the request, the same at each try."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from app.models import Environment, Event

_WORD = re.compile(r"_?([a-z0-9]+)")
TEST = "webhook:test"
"""The code of a test, which is no event and stands in no record."""


def payload(event: Event, environment: Environment, domain: str | None) -> str:
    """Return the body of the request that tells of an event.

    Args:
        environment: of the webhook.
        domain: slug of the event's organization; None if it belongs to none.
    """
    return _written(
        environment=environment,
        domain=domain,
        event_id=event.id,
        code=event.kind,
        at=event.at,
        data={
            "__type__": _type_of(event.kind),
            "actor": event.actor,
            "address": event.address,
            "user_id": _text(event.user_id),
            "application": _text(event.application_id),
            "gateway_session_id": event.gateway_session_id,
            "detail": event.detail,
        },
    )


def test_payload(environment: Environment, domain: str | None, at: datetime) -> str:
    """Return the body of a request that tells of nothing."""
    data = {"__type__": "Webhook", "detail": {"test": True}}
    return _written(
        environment=environment, domain=domain, event_id=None, code=TEST, at=at, data=data
    )


def _written(
    *,
    environment: Environment,
    domain: str | None,
    event_id: int | None,
    code: str,
    at: datetime,
    data: dict[str, Any],
) -> str:
    told = {
        "__type__": "Event",
        "__domain__": domain,
        "__environment__": environment.value,
        "id": event_id,
        "code": code,
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _type_of(kind: str) -> str:
    """Return the subject of a kind as types are written: `TrustedBrowser`."""
    return _WORD.sub(lambda word: word[1].capitalize(), kind.partition(":")[0])


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)
