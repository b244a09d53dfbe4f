"""Reading what a client of API v1 sent: the guide's one string, ordinary forms, JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import parse_qsl

from flask import request
from pydantic import Field

from app.errors import Refusal
from app.json_objects import (
    Body,
    Fields,
    Model,
    json_object,
    refuse_unstorable,
    unreadable,
    validated,
)

_FORM, _PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
_MOST_FIELDS = 100
_NAME = "[A-Za-z][A-Za-z0-9_-]{0,40}"
_BETWEEN = re.compile(rf",\s*(?={_NAME}=)")
"""What parts the fields of the guide's string; a value may hold other commas."""
_AMPERSAND = re.compile(r"&(?:User|Type|Code)=")
_LOST_PLUS = re.compile(r"(^|:) (?=[1-9][0-9]{6,14}$)")
"""Where a number's plus stood before a form was decoded that should have said %2B."""


class MfaFields(Fields):
    """Whom to send something, and how."""

    user: str = Field(alias="User", min_length=1, max_length=400)
    type: str = Field(alias="Type", min_length=1, max_length=40)

    EXAMPLE: ClassVar[Body] = {"User": "ada@harbor.example", "Type": "EMAIL"}


class VerifyFields(MfaFields):
    """What somebody typed, too."""

    code: str = Field(alias="Code", min_length=1, max_length=1000)

    EXAMPLE: ClassVar[Body] = {"User": "ada@harbor.example", "Type": "EMAIL", "Code": "123456"}


def read(model: type[Model]) -> Model:
    """Return the request's body as the fields of a call.

    Raises:
        Refusal: 400 for a body that can't be read, 415 for a kind that we don't read.
        Invalid: a field is missing, of a wrong type, or can't be stored.
    """
    body = _read()
    refuse_unstorable(body)
    return validated(model, body)


def _read() -> Body:
    data = request.get_data(cache=True, parse_form_data=False)
    if not data.strip():
        return {}
    is_form = request.mimetype in {_FORM, _PARTS}
    if request.is_json or (is_form and data.lstrip().startswith(b"{")):
        return json_object(data)
    if request.mimetype == _FORM and (text := _guide_text(data)):
        return _read_guide(text)
    if request.mimetype == _FORM:
        return _read_form(data)
    if is_form:
        return _gathered((name, value) for name, values in request.form.lists() for value in values)
    raise Refusal(
        "unsupported_media_type",
        "Send application/x-www-form-urlencoded or application/json.",
        status=415,
    )


def _guide_text(data: bytes) -> str | None:
    """Return the guide's one string, such as `User=a@b.c, Type=EMAIL`, if the body is one."""
    text = data.decode("utf-8", "replace")
    if not _BETWEEN.search(text):
        return None
    if _AMPERSAND.search(text):
        raise unreadable("Part the fields by commas or by ampersands, not by both.")
    if "\ufffd" in text:
        raise unreadable("The body is not UTF-8.")
    return text.strip()


def _read_guide(text: str) -> Body:
    """Read `Name=value, Name=value` as it stands: nothing is decoded, so a plus stays a plus."""
    body: Body = {}
    for part in _BETWEEN.split(text):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(_NAME, name.strip()):
            raise unreadable("Write each field as Name=value.")
        _put(body, name.strip(), value.strip())
    return body


def _read_form(data: bytes) -> Body:
    try:
        pairs = parse_qsl(
            data.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise unreadable("The form is not UTF-8, or has too many fields.") from None
    body = _gathered(pairs)
    if "User" in body:
        body["User"] = _LOST_PLUS.sub(r"\1+", body["User"])
    return body


def _gathered(pairs: Iterable[tuple[str, str]]) -> Body:
    body: Body = {}
    for name, value in pairs:
        _put(body, name, value)
    return body


def _put(body: Body, name: str, value: str) -> None:
    if name in body:
        raise unreadable(f"{name[:100]}: the field is there twice.")
    body[name] = value
