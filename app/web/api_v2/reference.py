"""The API's reference: an OpenAPI document for programs, and a page for people."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from app.web.api_v2.errors import ERRORS, OAUTH_ERRORS, ROW_ERRORS
from app.web.api_v2.openapi import Endpoint, document, endpoints, example_of
from app.web.support import services

blueprint = Blueprint("reference", __name__, url_prefix="/api/v2")
_MAX_AGE = 300
_CODE = re.compile(r"`([^`]+)`")
_TITLES = {
    "token": "Tokens",
    "api_keys": "API keys",
    "organizations": "Organizations",
    "applications": "Applications",
    "users": "Users",
    "imports": "Import of users",
    "authenticators": "What a user has",
    "totp_connection": "TOTP connection",
    "totp_enrollments": "TOTP enrollment",
    "totp_challenges": "TOTP challenge",
    "passkeys": "Passkeys",
    "gateway_sessions": "Gateway sessions",
    "magic_link_challenges": "Magic links",
    "messages": "Captured messages",
    "webhooks": "Webhooks",
}


@blueprint.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Return the OpenAPI 3.1 document."""
    return _kept(jsonify(document(current_app, services().config.base_url)))


@blueprint.get("/reference")
def page() -> ResponseReturnValue:
    """Show the same to a person."""
    told = document(current_app, services().config.base_url)
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in endpoints(current_app):
        groups.setdefault(one.group, []).append(_shown(one, told))
    html = render_template(
        "reference/page.html",
        groups=[(name, _TITLES[name], shown) for name, shown in groups.items()],
        errors=sorted(ERRORS.items()),
        oauth_errors=sorted(OAUTH_ERRORS.items()),
        row_errors=sorted(ROW_ERRORS.items()),
        base_url=services().config.base_url,
    )
    return _kept(Response(html))


def _kept(response: Response) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={_MAX_AGE}"
    return response


def _shown(one: Endpoint, told: dict[str, Any]) -> dict[str, Any]:
    described = told["paths"][one.path][one.method.lower()]
    schemas = told["components"]["schemas"]
    good = described["responses"].get(str(one.operation.status), {})
    answer = good.get("content", {}).get("application/json", {}).get("schema")
    media = described.get("requestBody", {}).get("content", {})
    body = next((content["schema"] for content in media.values()), None)
    return {
        "id": one.name.replace(".", "-"),
        "method": one.method,
        "path": one.path,
        "text": _marked(one.text),
        "permission": one.operation.permission,
        "applications": one.operation.applications,
        "query": [_row(it["name"], it["schema"], False, schemas) for it in _in_query(described)],
        "body": _rows(body, schemas),
        "answer": _rows(answer, schemas),
        "status": one.operation.status,
        "refusals": sorted(one.operation.refusals),
        "curl": _curl(one),
    }


def _marked(text: str) -> Markup:
    """Return a text with what stands in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped)


def _in_query(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in described["parameters"] if one["in"] == "query"]


def _rows(schema: dict[str, Any] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of an object, one a row."""
    if schema is None:
        return []
    found = _resolved(schema, schemas)
    required = set(found.get("required", []))
    fields = found.get("properties", {}).items()
    return [_row(name, field, name in required, schemas) for name, field in fields]


def _row(
    name: str, schema: dict[str, Any], required: bool, schemas: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": _kind(schema, schemas),
        "required": required,
        "text": _marked(schema.get("description", "")),
    }


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schemas[reference.rpartition("/")[2]] if reference else schema


def _kind(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return a type as a person says it."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one, schemas) for one in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if "$ref" in schema:
        found = _resolved(schema, schemas)
        return _kind(found, schemas) if "enum" in found else str(found.get("title", "object"))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), schemas)}"
    return str(schema.get("format") or schema.get("type") or "any")


def _curl(one: Endpoint) -> str:
    """Return a command to copy; what stands in braces or after a dollar sign is the reader's."""
    words = ["curl"] if one.method == "GET" else ["curl", "-X", one.method]
    lines = [" ".join([*words, f'"$GATEHOUSE{one.path}"'])]
    if one.operation.permission is not None:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    elif one.operation.applications:
        lines.append('-u "$CLIENT_ID:$CLIENT_SECRET"')
    if example := example_of(one.operation):
        lines.append(f"--json {shlex.quote(json.dumps(example, indent=2, ensure_ascii=False))}")
    return " \\\n  ".join(lines)
