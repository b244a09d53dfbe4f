"""How clients write a body, and what every refusal of the API looks like."""

from __future__ import annotations

import json
from typing import Any

from tests.actors import Reply

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"


def as_json(fields: dict[str, Any]) -> dict[str, Any]:
    return {"json": fields}


def as_form(fields: dict[str, Any]) -> dict[str, Any]:
    return {"data": fields}


def as_multipart(fields: dict[str, Any]) -> dict[str, Any]:
    return {"data": fields, "headers": {"Content-Type": MULTIPART}}


def as_curl_d(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON under the content type of a form, as `curl -d '{…}'` sends it."""
    return raw(json.dumps(fields).encode(), FORM)


def raw(body: bytes, content_type: str = JSON) -> dict[str, Any]:
    return {"data": body, "headers": {"Content-Type": content_type}}


WAYS = [as_json, as_form, as_multipart, as_curl_d]


def is_refused(reply: Reply, status: int, code: str, *named: str) -> None:
    """Check that a refusal has the API's shape, this code, and names what is wrong."""
    assert reply.status == status, (reply.status, reply.text[:300])
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert set(error) == {"type", "message", "doc_urls"}
    assert error["type"] == code
    [address] = error["doc_urls"]
    assert address.endswith(f"/api/v2/reference#error-{code}")
    assert error["message"].endswith(".") or code == "email_taken" or "taken" in code
    for name in named:
        assert name in error["message"], error["message"]
