"""Passkeys by REST: the options that a browser parses, and what it made judged."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from app.services.audit import OPERATOR
from tests.actors import Reply, keep_secret
from tests.conftest import Harbor
from tests.software_authenticator import SoftwareAuthenticator, b64


@pytest.fixture(autouse=True)
def passkeys(harbor: Harbor) -> Iterator[None]:
    switch(harbor, active=True)
    yield


def switch(harbor: Harbor, **rules: Any) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, **rules)


def calls(harbor: Harbor, method: str, path: str, **body: Any) -> Reply:
    return harbor.backend.calls(method, f"/org/harbor/{path}/{harbor.ada}", json=body)


def begins(harbor: Harbor, **body: Any) -> dict[str, Any]:
    reply = calls(harbor, "POST", "passkey-registration", **body)
    assert reply.status == 201, reply.text
    for code in (reply.json["recovery_codes"] or "").split():
        keep_secret(code)
    return dict(reply.json)


def finishes(harbor: Harbor, answer: str) -> Reply:
    return calls(harbor, "PUT", "passkey-registration/validation", credential=json.loads(answer))


def registers(harbor: Harbor) -> SoftwareAuthenticator:
    device = SoftwareAuthenticator()
    reply = finishes(harbor, device.create(begins(harbor)["options"]))
    assert reply.status == 200, reply.text
    assert reply.json["success"] is True
    return device


def asks(harbor: Harbor) -> dict[str, Any]:
    reply = calls(harbor, "POST", "passkey-authentication")
    assert reply.status == 201, reply.text
    return dict(reply.json)


def verifies(harbor: Harbor, answer: str) -> Reply:
    return calls(harbor, "POST", "passkey-authentication/validation", credential=json.loads(answer))


def test_a_passkey_is_registered_and_verifies(harbor: Harbor) -> None:
    begun = begins(harbor)
    assert begun["__type__"] == "PasskeyRegistration"
    assert begun["options"]["rp"] == {"name": "Harbor", "id": "localhost"}
    assert begun["options"]["user"]["id"] == b64(uuid.UUID(harbor.ada).bytes)
    assert len(begun["recovery_codes"].split()) == 5
    assert begun["recovery_codes_remaining"] == 0
    device = SoftwareAuthenticator()
    done = finishes(harbor, device.create(begun["options"])).json
    assert done["success"] is True
    assert done["request_id"] == begun["request_id"]
    assert done["options"] is None
    assert done["recovery_codes_remaining"] == 5
    asked = asks(harbor)
    assert asked["options"]["allowCredentials"][0]["id"] == b64(device.credential_id)
    verified = verifies(harbor, device.get(asked["options"])).json
    assert verified["success"] is True
    assert verified["request_id"] == asked["request_id"]


def test_an_answer_works_once(harbor: Harbor) -> None:
    device = registers(harbor)
    answer = device.get(asks(harbor)["options"])
    assert verifies(harbor, answer).json["success"] is True
    again = verifies(harbor, answer).json
    assert (again["success"], again["reason"]) == (False, "replayed")


def test_a_wrong_answer_says_why_and_how_many_are_left(harbor: Harbor) -> None:
    device = registers(harbor)
    device.origin = "https://evil.example"
    wrong = verifies(harbor, device.get(asks(harbor)["options"])).json
    assert (wrong["success"], wrong["reason"], wrong["attempts_remaining"]) == (False, "wrong", 4)


def test_after_five_wrong_answers_there_is_a_wait(harbor: Harbor) -> None:
    device = registers(harbor)
    device.origin = "https://evil.example"
    for _ in range(5):
        assert verifies(harbor, device.get(asks(harbor)["options"])).status == 200
    device.origin = "http://localhost"
    locked = verifies(harbor, device.get(asks(harbor)["options"]))
    assert (locked.status, locked.error) == (429, "locked")


def test_a_question_on_a_page_is_not_answered_by_a_backend(harbor: Harbor) -> None:
    device = registers(harbor)
    browser = harbor.visits(harbor.ada)
    asked = browser.wire.request(
        "POST",
        browser.address("passkey"),
        cookies=browser.cookies,
        data={"csrf_token": browser.form_token},
    )
    assert verifies(harbor, device.get(asked.json)).json["success"] is False


def test_a_second_one_needs_the_first_a_moment_ago_or_a_human(harbor: Harbor) -> None:
    device = registers(harbor)
    harbor.clock.advance(21 * 60)
    reply = calls(harbor, "POST", "passkey-registration")
    assert (reply.status, reply.error) == (422, "already_enrolled")
    assert verifies(harbor, device.get(asks(harbor)["options"])).json["success"] is True
    begun = begins(harbor)
    assert begun["recovery_codes"] is None
    assert finishes(harbor, SoftwareAuthenticator().create(begun["options"])).json["success"]
    assert len(asks(harbor)["options"]["allowCredentials"]) == 2
    forced = begins(harbor, force_enroll=True)
    assert finishes(harbor, SoftwareAuthenticator().create(forced["options"])).json["success"]
    assert len(asks(harbor)["options"]["allowCredentials"]) == 1


def test_what_can_not_be_done_says_what_to_do(harbor: Harbor) -> None:
    reply = calls(harbor, "POST", "passkey-authentication")
    assert (reply.status, reply.error) == (422, "not_enrolled")
    reply = finishes(harbor, "{}")
    assert (reply.status, reply.error) == (422, "no_pending_enrollment")
    switch(harbor, active=False)
    for method, path in (
        ("POST", "passkey-registration"),
        ("POST", "passkey-authentication"),
        ("PUT", "passkey-registration/validation"),
        ("POST", "passkey-authentication/validation"),
    ):
        body: dict[str, Any] = {"credential": {}} if "validation" in path else {}
        reply = calls(harbor, method, path, **body)
        assert (reply.status, reply.error) == (422, "passkeys_inactive"), path


@pytest.mark.parametrize("credential", [{}, {"id": "x"}, {"id": 1, "response": []}])
def test_what_is_no_credential_is_refused_without_a_charge(
    harbor: Harbor, credential: dict[str, Any]
) -> None:
    registers(harbor)
    reply = calls(harbor, "POST", "passkey-authentication/validation", credential=credential)
    assert (reply.status, reply.json["success"], reply.json["reason"]) == (200, False, "wrong")
    reply = calls(harbor, "POST", "passkey-authentication/validation", credential="x")
    assert reply.status in (400, 422)


def test_a_waiting_passkey_is_not_confirmed_by_a_code(harbor: Harbor) -> None:
    begins(harbor)
    reply = harbor.backend.calls(
        "PUT", f"/org/harbor/totp-enrollment/validation/{harbor.ada}", json={"code": "123456"}
    )
    assert (reply.status, reply.error) == (422, "no_pending_enrollment")


def test_a_question_to_one_user_is_not_answered_by_another(harbor: Harbor) -> None:
    device = registers(harbor)
    ben = harbor.person("ben@harbor.example")
    path = f"/org/harbor/passkey-registration/{ben}"
    begun = harbor.backend.calls("POST", path, json={}).json
    for code in begun["recovery_codes"].split():
        keep_secret(code)
    bens = SoftwareAuthenticator()
    answer = json.loads(bens.create(begun["options"]))
    path = f"/org/harbor/passkey-registration/validation/{ben}"
    done = harbor.backend.calls("PUT", path, json={"credential": answer})
    assert done.json["success"] is True
    asked = harbor.backend.calls("POST", f"/org/harbor/passkey-authentication/{ben}").json
    reply = verifies(harbor, device.get(asked["options"]))
    assert (reply.json["success"], reply.json["reason"]) == (False, "expired")
    assert verifies(harbor, device.get(asks(harbor)["options"])).json["success"] is True
