"""JSON from outside: one object, nothing in it twice, nothing that no database takes."""

from __future__ import annotations

import json
import math
import re
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import Invalid, Refusal

Body = dict[str, Any]
Model = TypeVar("Model", bound="Fields")

MOST_DEPTH = 16
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class Fields(BaseModel):
    """The fields of one call; unknown ones are ignored, and a string must be a string."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    EXAMPLE: ClassVar[Body | None] = None
    """A good body, for the reference."""


def validated(model: type[Model], body: Body) -> Model:
    """Return a body that was read as the fields of a call.

    Raises:
        Invalid: a field is missing, or of a wrong type.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise wrong_field(error) from None


def json_object(data: bytes) -> Body:
    """Return JSON text that must be an object and can be stored.

    Raises:
        Refusal: 400 if it is not.
        Invalid: it holds what no database takes.
    """
    try:
        body = json.loads(data, object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise unreadable("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise unreadable("The body must be a JSON object.")
    refuse_unstorable(body)
    return body


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> Body:
    body: Body = {}
    for name, value in pairs:
        if name in body:
            raise unreadable(f"{name[:100]}: the field is there twice.")
        body[name] = value
    return body


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which only Python takes for JSON (RFC 8259 section 6)."""
    raise ValueError(name)


def refuse_unstorable(value: Any, depth: int = 0) -> None:
    """Refuse what no database takes: NUL, halves of surrogate pairs, infinity, endless nesting."""
    if depth > MOST_DEPTH:
        raise unreadable("The body is nested too deeply.")
    if isinstance(value, dict):
        for name, inner in value.items():
            refuse_unstorable(name)
            refuse_unstorable(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            refuse_unstorable(inner, depth + 1)
    elif isinstance(value, str) and _UNSTORABLE.search(value):
        raise Invalid("body", "text must be valid Unicode without NUL.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Invalid("body", "a number is too large.")


def wrong_field(error: ValidationError) -> Invalid:
    """Return the refusal that names the first field that is wrong."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "body"
    return Invalid(name, f"{first['msg'].removeprefix('Value error, ')}.")


def unreadable(message: str) -> Refusal:
    """Return the refusal of what can't be read at all."""
    return Refusal("invalid_request", message, status=400)
