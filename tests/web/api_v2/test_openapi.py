"""The OpenAPI document and its page: true, whole, and what the calls really do."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.services.audit import OPERATOR
from tests.actors import Page, Phone, Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.headless import challenges, confirms, connects, enrolls, has_phone

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 15
"""Requests that are made up for each call."""


def document(harbor: Harbor) -> dict[str, Any]:
    reply = harbor.wire.request("GET", "/api/v2/openapi.json")
    assert reply.status == 200
    return dict(reply.json)


_OTHERS = ("reference", "duo.", "cryptr_tokens.")
"""What is there for people to read, and calls of other protocols, described by their own."""


def calls(told: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, call)
        for path, methods in told["paths"].items()
        for method, call in methods.items()
    ]


@ONE_DATABASE
def test_every_route_of_the_api_is_in_the_document(harbor: Harbor) -> None:
    told = document(harbor)
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/oauth/")) and not rule.endpoint.startswith(_OTHERS)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in calls(told)} == routes
    ids = [call["operationId"] for _, _, call in calls(told)]
    assert len(set(ids)) == len(ids)


@ONE_DATABASE
def test_the_document_is_openapi_3_1(harbor: Harbor) -> None:
    told = document(harbor)
    assert told["openapi"] == "3.1.0"
    assert told["servers"] == [{"url": harbor.base_url}]
    known = set(told["components"]["schemas"])
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(told)):
        assert reference.removeprefix("#/components/schemas/") in known
    for name, schema in told["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        made = name.startswith(("Listing_", "Deleted_"))
        assert schema.get("description") or "enum" in schema or made, name
    for method, path, call in calls(told):
        assert call["summary"].endswith("."), (method, path)
        assert re.findall(r"{(\w+)}", path) == [
            one["name"] for one in call["parameters"] if one["in"] == "path"
        ]
        assert any(status.startswith("2") for status in call["responses"]), (method, path)


@ONE_DATABASE
def test_the_page_names_every_call_and_every_error(harbor: Harbor) -> None:
    reply = harbor.wire.request("GET", "/api/v2/reference")
    assert reply.status == 200
    page = Page(reply.text)
    assert page.heading == "REST API v2"
    words = page.text.replace("\u200b", "").replace(" ", "")
    for method, path, _ in calls(document(harbor)):
        assert f"{method}{path}" in words, path
    ids = {found["id"] for _, found in page.tags if found.get("id")}
    wanted = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert wanted <= ids
    assert harbor.notes.client_secret not in reply.text


@ONE_DATABASE
def test_an_error_points_to_its_line_of_the_page(harbor: Harbor) -> None:
    reply = harbor.backend.calls("GET", "/org/nobody/users")
    [address] = reply.json["error"]["doc_urls"]
    assert address == f"{harbor.base_url}/api/v2/reference#error-not_found"
    page = harbor.wire.request("GET", "/api/v2/reference").text
    assert 'id="error-not_found"' in page


# Its examples


def values(harbor: Harbor) -> dict[str, str]:
    """Real values for what stands in braces in a path."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, active=True)
    made = harbor.backend.calls("GET", "/applications").json["data"]
    phone = Phone(enrolls(harbor).json["otp_uri"])
    confirms(harbor, harbor.code(phone))
    found = harbor.backend.calls("GET", f"/org/harbor/users/{harbor.ada}/authenticators").json
    session = harbor.notes.opens(harbor.ada)["id"]
    body = {"name": "a", "event_codes": ["*"], "target_url": "https://93.184.216.34/"}
    webhook = harbor.backend.calls("POST", "/webhooks", json=body)
    keep_all(webhook)
    return {
        "webhook_id": webhook.json["id"],
        "domain": "harbor",
        "id_or_email": harbor.ada,
        "user_id": harbor.ada,
        "client_id": made[0]["client_id"],
        "authenticator_id": found["data"][0]["id"],
        "session_id": session,
    }


REFUSED = {
    # What these need is no constant: a result, a code.
    "gateway_sessions.redeem.post": "result_invalid",
    "magic_link_challenges.exchange.post": "code_invalid",
    "passkeys.finish.put": "no_pending_enrollment",
    "passkeys.verify.post": "not_enrolled",
    "totp_enrollments.confirm.put": "no_pending_enrollment",
}
"""Examples that are well-formed, but can't be granted as they stand."""


@ONE_DATABASE
def test_every_example_is_granted(harbor: Harbor, subtests: pytest.Subtests) -> None:
    told = document(harbor)
    real = values(harbor)
    bodies = [one for one in calls(told) if "requestBody" in one[2]]
    # What deletes goes last.
    for method, path, call in sorted(bodies, key=lambda one: one[0] == "DELETE"):
        with subtests.test(call["operationId"]):
            [(media, content)] = call["requestBody"]["content"].items()
            example = filled(harbor, call, content["example"])
            address = re.sub(r"{(\w+)}", lambda found: real[found[1]], path)
            if path.startswith("/api/v2/api-keys/"):
                address = path.replace("{client_id}", harbor.key().client_id)
            reply = sent(harbor, call, method, address, media, example)
            if refusal := REFUSED.get(call["operationId"]):
                assert reply.error == refusal, reply.text
                continue
            good = next(status for status in call["responses"] if status.startswith("2"))
            assert str(reply.status) == good, reply.text
            schema = call["responses"][good]["content"]["application/json"]["schema"]
            whole = {**schema, "components": told["components"]}
            jsonschema_rs.validate(whole, reply.json)


def filled(harbor: Harbor, call: dict[str, Any], example: Any) -> Any:
    """Put real ids in the place of the example's."""
    text = json.dumps(example)
    real = {
        "0d34d179-8a81-49e8-b572-289d0e522691": harbor.person(f"{call['operationId']}@a.example"),
        "b7bde828-4df1-4f62-9a3a-d1541a2fc9e4": harbor.backend.client_id,
        "79cef058-530c-4c19-a12d-ff57ff5e592b": harbor.backend.client_secret,
        "5f0c9a5e-54ff-4a5f-8a3e-6b4a5a8a5b0e": harbor.notes.client_id,
    }
    real["https://hooks.example.com/gatehouse"] = "https://93.184.216.34/gatehouse"
    if "magic_link_challenges" in call["tags"]:
        real["emilie@communitiz-app.co"] = "ada@harbor.example"
        real["communitiz-app"] = "harbor"
    if "applications" not in call["tags"]:
        real["https://app.example/callback"] = harbor.notes.redirect_uri
    for name, value in real.items():
        text = text.replace(name, value)
    return json.loads(text)


def sent(
    harbor: Harbor, call: dict[str, Any], method: str, path: str, media: str, example: Any
) -> Reply:
    schemes = [name for one in call["security"] for name in one]
    headers = {"Content-Type": media}
    if "bearer" in schemes:
        headers["Authorization"] = f"Bearer {harbor.backend.token}"
    elif "application" in schemes:
        headers |= harbor.notes.basic()
    data = json.dumps(example).encode()
    reply = harbor.wire.request(method, path, headers=headers, data=data)
    keep_all(reply)
    return reply


def keep_all(reply: Reply) -> None:
    """Keep what must not be logged, whichever answer it stands in."""
    if not reply.text.startswith("{"):
        return
    for name in ("access_token", "client_secret", "signature_key", "recovery_codes", "code"):
        if isinstance(told := reply.json.get(name), str):
            for secret in told.split():
                keep_secret(secret)


# What nobody thought of


@ONE_DATABASE
def test_no_made_up_request_breaks_what_the_document_says(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    has_phone(harbor)
    connects(harbor, methods=["app", "sms"])
    challenges(harbor)
    told = document(harbor)
    schema = schemathesis.openapi.from_dict(told)
    real = {"domain": "harbor", "id_or_email": harbor.ada, "user_id": harbor.ada}
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if any(body.media_type != "application/json" for body in operation.body):
            continue  # lines of JSON and CSV are in test_imports
        with subtests.test(operation.label):
            explore(harbor, operation, real)


def explore(harbor: Harbor, operation: Any, real: dict[str, str]) -> None:
    @hypothesis.given(case=operation.as_strategy(), known=hypothesis.strategies.booleans())
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def one(case: Any, known: bool) -> None:
        if known and operation.method != "delete":
            case.path_parameters = {
                name: real.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        given = case.as_transport_kwargs(base_url=harbor.base_url)
        headers = {**given.get("headers", {}), "Authorization": f"Bearer {harbor.backend.token}"}
        answer = harbor.wire.client.open(  # type: ignore[attr-defined]
            given["url"].removeprefix(harbor.base_url) or "/",
            method=given["method"],
            headers=headers,
            query_string=given.get("params"),
            json=given.get("json"),
            data=given.get("data"),
            base_url=harbor.base_url,
        )
        case.validate_response(answer, checks=CHECKS)

    one()
