"""The OpenAPI 3.1 document, made from what the calls say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from app.web.api_v2.access import Operation
from app.web.api_v2.errors import EVERYWHERE, OAUTH_ERRORS, OF_POSTS, error_types
from app.web.api_v2.wire import ErrorShown, OAuthErrorShown

VERSION = "2.0"
JSON = "application/json"
_PATH_VALUE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_OAUTH_STATUSES = {error.status for error in OAUTH_ERRORS.values()}
_SCHEMAS = "#/components/schemas/{model}"
_ABOUT = """\
Bodies are JSON objects, forms (nested names in brackets, as `profile[email]`) or multipart forms.
Unknown fields are ignored. Every answer has an `X-Request-Id`; every POST but those for tokens
and the import takes an `Idempotency-Key`. A list is one page of it; `page` and `per_page` choose
which.
"""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One call as it stands in the document.

    Attributes:
        group: of the calls that belong together.
        path: with its values in braces.
        text: what it does, from the view's docstring.
    """

    name: str
    group: str
    method: str
    path: str
    values: tuple[str, ...]
    text: str
    operation: Operation


def endpoints(app: Flask) -> list[Endpoint]:
    """Return every call of the API, in the order of the parts and of their code."""
    found = [one for rule in app.url_map.iter_rules() for one in _endpoints_of(app, rule)]
    order = list(app.blueprints)
    return sorted(found, key=lambda one: (order.index(one.group), one.path, one.method))


def document(app: Flask, base_url: str) -> dict[str, Any]:
    """Return the whole document (OpenAPI 3.1.0), as JSON will have it."""
    calls = endpoints(app)
    schemas, definitions = models_json_schema(
        list(_models(calls)), ref_template=_SCHEMAS, by_alias=True
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in calls:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatehouse REST API", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "application": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _endpoints_of(app: Flask, rule: Rule) -> Iterator[Endpoint]:
    view = app.view_functions[rule.endpoint]
    operation = getattr(view, "operation", None)
    if operation is None:
        return
    for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
        yield Endpoint(
            name=f"{rule.endpoint}.{method.lower()}",
            group=rule.endpoint.split(".")[0],
            method=method,
            path=_PATH_VALUE.sub(r"{\1}", rule.rule),
            values=tuple(_PATH_VALUE.findall(rule.rule)),
            text=" ".join((view.__doc__ or "").split()),
            operation=cast(Operation, operation),
        )


Schemas = Mapping[Any, dict[str, Any]]
"""By model and mode."""


def _models(calls: list[Endpoint]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    yield ErrorShown, "serialization"
    yield OAuthErrorShown, "serialization"
    for one in calls:
        if one.operation.body is not None:
            yield one.operation.body, "validation"
        if one.operation.query is not None:
            yield one.operation.query, "validation"
        if one.operation.answer is not None:
            yield one.operation.answer, "serialization"


def _described(one: Endpoint, schemas: Schemas) -> dict[str, Any]:
    operation = one.operation
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.group],
        "summary": one.text,
        "parameters": [*_path_values(one), *_query(operation)],
        "security": _security(operation),
        "responses": _responses(one, schemas),
    }
    if operation.permission is not None:
        described["description"] = f"Needs the permission `{operation.permission}`."
    if operation.body is not None:
        media: dict[str, Any] = {"schema": schemas[operation.body, "validation"]}
        if example := example_of(operation):
            media["example"] = example
        described["requestBody"] = {
            "required": operation.body.model_json_schema().get("required", []) != [],
            "content": {operation.media: media},
        }
    return described


def example_of(operation: Operation) -> dict[str, Any] | None:
    """Return a good body of a call, if it has one."""
    return cast("dict[str, Any] | None", getattr(operation.body, "EXAMPLE", None))


def _path_values(one: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in one.values
    ]


def _query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    fields = operation.query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in fields.items()
    ]


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.permission is None and not operation.applications:
        return []
    known: list[dict[str, list[str]]] = [{"bearer": []}] if operation.permission else []
    return [*known, {"application": []}] if operation.applications else known


def _responses(one: Endpoint, schemas: Schemas) -> dict[str, Any]:
    operation = one.operation
    responses: dict[str, Any] = {}
    if operation.answer is not None:
        responses[str(operation.status)] = {
            "description": (operation.answer.__doc__ or "").strip().split("\n")[0],
            "content": {"application/json": {"schema": schemas[operation.answer, "serialization"]}},
        }
    for status, names in sorted(_refusals(one).items()):
        oauth = operation.oauth_errors and status in _OAUTH_STATUSES
        schema = schemas[OAuthErrorShown if oauth else ErrorShown, "serialization"]
        responses[str(status)] = {
            "description": f"Error: {', '.join(f'`{name}`' for name in sorted(names))}.",
            "content": {"application/json": {"schema": schema}},
        }
    return responses


def _refusals(one: Endpoint) -> dict[int, set[str]]:
    """Return the types of error that a call may answer, by status."""
    operation = one.operation
    repeats = one.method == "POST" and operation.permission and operation.media == JSON
    of_posts = OF_POSTS if repeats else ()
    names = (*EVERYWHERE, *operation.refusals, *of_posts)
    known = {**error_types(names), **(OAUTH_ERRORS if operation.oauth_errors else {})}
    by_status: dict[int, set[str]] = {}
    for name, error in known.items():
        for status in filter(None, (error.status, error.also)):
            by_status.setdefault(status, set()).add(name)
    return by_status
