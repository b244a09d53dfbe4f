"""Reading what a client sent: JSON, forms with brackets, and JSON under a form's content type."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import Invalid, Refusal

Body = dict[str, Any]
Model = TypeVar("Model", bound="Fields")

_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_MOST_DEPTH = 16


class Fields(BaseModel):
    """The fields of one call; unknown ones are ignored, and a string must be a string."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


def read(model: type[Model]) -> Model:
    """Return the request's body as the fields of a call.

    Raises:
        Refusal: 400 for a body that can't be read, 415 for a kind that we don't read.
        Invalid: a field is missing, of a wrong type, or can't be stored.
    """
    try:
        return model.model_validate(read_body())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise Invalid(name, f"{first['msg'].removeprefix('Value error, ')}.") from None


def read_body() -> Body:
    """Return the request's body as nested dicts, lists and strings."""
    data = request.get_data(cache=True, parse_form_data=False)
    if not data.strip():
        return {}
    # curl -d sends JSON under the form's content type; the guides do just that.
    if request.is_json or (request.mimetype in _FORMS and data.lstrip().startswith(b"{")):
        body = _read_json(data)
    elif request.mimetype in _FORMS:
        body = _read_form()
    else:
        raise Refusal(
            "unsupported_media_type",
            "Send application/json or application/x-www-form-urlencoded.",
            status=415,
        )
    _refuse_unstorable(body)
    return body


def _read_json(data: bytes) -> Body:
    try:
        body = json.loads(data, object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _unreadable("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise _unreadable("The body must be a JSON object.")
    return body


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> Body:
    body: Body = {}
    for name, value in pairs:
        if name in body:
            raise _unreadable(f"{name[:100]}: the field is there twice.")
        body[name] = value
    return body


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which only Python takes for JSON (RFC 8259 section 6)."""
    raise ValueError(name)


def _read_form() -> Body:
    body: Body = {}
    for name, values in request.form.lists():
        match = _NAME.fullmatch(name)
        if match is None:
            raise _unreadable(f"{name[:100]}: the field's name can't be read.")
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(path) > _MOST_DEPTH:
            raise _unreadable(f"{name[:100]}: the field is nested too deeply.")
        _place(body, path, values, name)
    return body


def _place(body: Body, path: list[str], values: list[str], name: str) -> None:
    *folders, last = path
    is_list = last == ""
    if is_list:
        *folders, last = folders
    for folder in folders:
        body = body.setdefault(folder, {})
        if not isinstance(body, dict):
            raise _unreadable(f"{name[:100]}: the field is there twice, in two shapes.")
    if last in body or (len(values) > 1 and not is_list):
        raise _unreadable(f"{name[:100]}: the field is there twice.")
    body[last] = values if is_list else values[0]


def _refuse_unstorable(value: Any, depth: int = 0) -> None:
    """Refuse what no database takes: NUL, halves of surrogate pairs, infinity, endless nesting."""
    if depth > _MOST_DEPTH:
        raise _unreadable("The body is nested too deeply.")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unstorable(name)
            _refuse_unstorable(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner, depth + 1)
    elif isinstance(value, str) and _UNSTORABLE.search(value):
        raise Invalid("body", "text must be valid Unicode without NUL.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Invalid("body", "a number is too large.")


def _unreadable(message: str) -> Refusal:
    return Refusal("invalid_request", message, status=400)
