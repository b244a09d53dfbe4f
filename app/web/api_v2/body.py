"""Reading what a client sent: JSON, forms with brackets, and JSON under a form's content type."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, ClassVar, TypeVar, get_origin

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from app.errors import Invalid, Refusal

Body = dict[str, Any]
Model = TypeVar("Model", bound="Fields")
Query = TypeVar("Query", bound=BaseModel)

_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_DIGITS = re.compile(r"[0-9]{1,15}")
_MOST_DEPTH = 16


def _plain(value: object) -> object:
    """Refuse what only Python takes for a whole number: signs, spaces, underscores, true."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DIGITS.fullmatch(value)):
        raise ValueError("use a whole number, in digits")
    return value


Number = Annotated[int, BeforeValidator(_plain)]
"""A whole number, also as a form or a query has it."""


class Fields(BaseModel):
    """The fields of one call; unknown ones are ignored, and a string must be a string."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)
    EXAMPLE: ClassVar[Body | None] = None
    """A good body, for the reference."""


def read(model: type[Model]) -> Model:
    """Return the request's body as the fields of a call.

    Raises:
        Refusal: 400 for a body that can't be read, 415 for a kind that we don't read.
        Invalid: a field is missing, of a wrong type, or can't be stored.
    """
    return validated(model, read_body())


def read_given(model: type[Model]) -> Model:
    """Return the body of an update, in which an empty field of a form counts as not sent.

    Clients send forms of a whole resource, blanks included; only JSON says "nothing" on purpose.

    Raises:
        Refusal: 400 for a body that can't be read, 415 for a kind that we don't read.
        Invalid: a field is of a wrong type, or can't be stored.
    """
    body = read_body()
    is_json = _is_json(request.get_data(cache=True, parse_form_data=False))
    return validated(model, body if is_json else _without_blanks(body))


def validated(model: type[Model], body: Body) -> Model:
    """Return a body that was read as the fields of a call.

    Raises:
        Invalid: a field is missing, or of a wrong type.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _wrong_field(error) from None


def read_query(model: type[Query]) -> Query:
    """Return the request's query as the fields of a call.

    Raises:
        Invalid: a field has a value that it can't have.
    """
    try:
        return model.model_validate(_query_of(model))
    except ValidationError as error:
        raise _wrong_field(error) from None


def _query_of(model: type[BaseModel]) -> Body:
    """Return the query; a name comes several times only if its field is a list."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    lists = {name for name, field in fields.items() if get_origin(field.annotation) is list}
    given = request.args
    return {name: given.getlist(name) if name in lists else given[name] for name in given}


def read_body() -> Body:
    """Return the request's body as nested dicts, lists and strings."""
    data = request.get_data(cache=True, parse_form_data=False)
    if not data.strip():
        return {}
    if _is_json(data):
        return json_object(data)
    if request.mimetype in _FORMS:
        body = _read_form()
    else:
        raise Refusal(
            "unsupported_media_type",
            "Send application/json or application/x-www-form-urlencoded.",
            status=415,
        )
    _refuse_unstorable(body)
    return body


def _is_json(data: bytes) -> bool:
    """Tell how to read a body; curl -d sends JSON as a form, and the guides do just that."""
    return request.is_json or (request.mimetype in _FORMS and data.lstrip().startswith(b"{"))


def _without_blanks(body: Body) -> Body:
    kept = ((name, _pruned(value)) for name, value in body.items())
    return {name: value for name, value in kept if value not in ("", {})}


def _pruned(value: Any) -> Any:
    return _without_blanks(value) if isinstance(value, dict) else value


def json_object(data: bytes) -> Body:
    """Return JSON text that must be an object and can be stored.

    Raises:
        Refusal: 400 if it is not.
        Invalid: it holds what no database takes.
    """
    try:
        body = json.loads(data, object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _unreadable("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise _unreadable("The body must be a JSON object.")
    _refuse_unstorable(body)
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


def _wrong_field(error: ValidationError) -> Invalid:
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "body"
    return Invalid(name, f"{first['msg'].removeprefix('Value error, ')}.")


def _unreadable(message: str) -> Refusal:
    return Refusal("invalid_request", message, status=400)
