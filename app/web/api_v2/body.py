"""Reading what a client sent: JSON, forms with brackets, and JSON under a form's content type."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, get_origin

from flask import request
from pydantic import BaseModel, BeforeValidator, ValidationError

from app.errors import Refusal
from app.json_objects import (
    MOST_DEPTH,
    Body,
    Fields,
    Model,
    json_object,
    refuse_unstorable,
    unreadable,
    validated,
    wrong_field,
)

__all__ = ["Body", "Fields", "Number", "read", "read_body", "read_given", "read_query"]

Query = TypeVar("Query", bound=BaseModel)

_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DIGITS = re.compile(r"[0-9]{1,15}")


def _plain(value: object) -> object:
    """Refuse what only Python takes for a whole number: signs, spaces, underscores, true."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DIGITS.fullmatch(value)):
        raise ValueError("use a whole number, in digits")
    return value


Number = Annotated[int, BeforeValidator(_plain)]
"""A whole number, also as a form or a query has it."""


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


def read_query(model: type[Query]) -> Query:
    """Return the request's query as the fields of a call.

    Raises:
        Invalid: a field has a value that it can't have.
    """
    try:
        return model.model_validate(_query_of(model))
    except ValidationError as error:
        raise wrong_field(error) from None


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
    refuse_unstorable(body)
    return body


def _is_json(data: bytes) -> bool:
    """Tell how to read a body; curl -d sends JSON as a form, and the guides do just that."""
    return request.is_json or (request.mimetype in _FORMS and data.lstrip().startswith(b"{"))


def _without_blanks(body: Body) -> Body:
    kept = ((name, _pruned(value)) for name, value in body.items())
    return {name: value for name, value in kept if value not in ("", {})}


def _pruned(value: Any) -> Any:
    return _without_blanks(value) if isinstance(value, dict) else value


def _read_form() -> Body:
    body: Body = {}
    for name, values in request.form.lists():
        match = _NAME.fullmatch(name)
        if match is None:
            raise unreadable(f"{name[:100]}: the field's name can't be read.")
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(path) > MOST_DEPTH:
            raise unreadable(f"{name[:100]}: the field is nested too deeply.")
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
            raise unreadable(f"{name[:100]}: the field is there twice, in two shapes.")
    if last in body or (len(values) > 1 and not is_list):
        raise unreadable(f"{name[:100]}: the field is there twice.")
    body[last] = values if is_list else values[0]
