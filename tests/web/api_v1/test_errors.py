"""The list of error types of API v1: whole, true, documented, and each of them met."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import User
from app.services.api_keys import Permission
from app.services.audit import OPERATOR
from app.web.api_v1.errors import ERRORS
from tests.actors import Phone, Reply
from tests.conftest import ONE_DATABASE, ROOT, FixedClock, Harbor, stage
from tests.web.api_v1.backend import EMAIL, PHONE, Devrift

PROVOKED: dict[str, Callable[[Harbor, Devrift], Reply]] = {}
"""For each type of error a request that is answered by it."""


def provokes(act: Callable[[Harbor, Devrift], Reply]) -> Callable[[Harbor, Devrift], Reply]:
    """Enter an act in the list under its own name, which is the type's."""
    PROVOKED[act.__name__] = act
    return act


def has_app(harbor: Harbor, backend: Devrift) -> Phone:
    phone = Phone(backend.asks(EMAIL, "APP").json["otp_uri"])
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).status == 200
    return phone


def recovers(harbor: Harbor, backend: Devrift) -> list[str]:
    has_app(harbor, backend)
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    codes = backend.backup_codes(EMAIL)
    assert backend.verifies(EMAIL, "EMAIL", codes[0]).status == 200
    return codes[1:]


def sharing(harbor: Harbor, *names: str) -> None:
    for name in names:
        fields = {"email": f"{name}@harbor.example", "phone_number": PHONE}
        assert harbor.backend.calls("POST", "/org/harbor/users", json=fields).status == 201


@provokes
def already_enrolled(harbor: Harbor, backend: Devrift) -> Reply:
    has_app(harbor, backend)
    return backend.asks(EMAIL, "APP")


@provokes
def api_error(harbor: Harbor, backend: Devrift) -> Reply:
    """A message can't be written, which is the fault of nobody outside."""
    harbor.executes(sa.text("ALTER TABLE messages RENAME TO gone"))
    reply = backend.asks(EMAIL, "EMAIL")
    harbor.executes(sa.text("ALTER TABLE gone RENAME TO messages"))
    return reply


@provokes
def bad_request(harbor: Harbor, backend: Devrift) -> Reply:
    """The sender breaks off in the middle of the body."""
    answer = harbor.wire.client.post(  # type: ignore[attr-defined]
        "/v1/mfa",
        headers={**backend.headers, "Content-Type": "application/json"},
        data=b'{"User": ',
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    return Reply(answer.status_code, {"content-type": answer.content_type}, answer.text)


@provokes
def contact_mismatch(harbor: Harbor, backend: Devrift) -> Reply:
    sharing(harbor, "sam")
    return backend.asks(f"{EMAIL}:{PHONE}", "DUAL")


@provokes
def contact_required(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.backs_up(EMAIL, "APP")


@provokes
def country_not_allowed(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.asks("+447400123456", "SMS")


@provokes
def enrollment_closed(harbor: Harbor, backend: Devrift) -> Reply:
    has_app(harbor, backend)
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, EMAIL)
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, user, reopen=False)
    return backend.asks(EMAIL, "APP")


@provokes
def forbidden(harbor: Harbor, backend: Devrift) -> Reply:
    return Devrift(harbor, permissions=[Permission.READ_USERS]).asks(EMAIL, "EMAIL")


@provokes
def invalid_api_key(harbor: Harbor, backend: Devrift) -> Reply:
    return harbor.wire.request("GET", "/v1/hello", headers={"Authorization": "Bearer sk_test_x"})


@provokes
def invalid_code(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.verifies(EMAIL, "EMAIL", "000000")


@provokes
def invalid_email(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.asks("ada@", "EMAIL")


@provokes
def invalid_phone_number(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.asks("0612345678", "SMS")


@provokes
def invalid_request(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.calls("/mfa", "Type=EMAIL")


@provokes
def invalid_type(harbor: Harbor, backend: Devrift) -> Reply:
    reply = backend.asks(EMAIL, "HSM")
    message = reply.json["error"]["message"]
    assert all(name in message for name in ("EMAIL", "SMS", "WHATSAPP", "CALL", "APP", "DUAL"))
    assert "gateway session" in message
    return reply


@provokes
def locked(harbor: Harbor, backend: Devrift) -> Reply:
    backend.sends(EMAIL, "EMAIL")
    for _ in range(5):
        backend.verifies(EMAIL, "EMAIL", "000000")
    return backend.verifies(EMAIL, "EMAIL", "000000")


@provokes
def method_disabled(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.asks(PHONE, "CALL")


@provokes
def method_not_allowed(harbor: Harbor, backend: Devrift) -> Reply:
    return harbor.wire.request("GET", "/v1/mfa", headers=backend.headers)


@provokes
def misdirected_request(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.calls("/mfa", f"User={EMAIL}, Type=EMAIL", Host="evil.example")


@provokes
def not_enrolled(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.verifies(EMAIL, "APP", "123456")


@provokes
def not_found(harbor: Harbor, backend: Devrift) -> Reply:
    return harbor.wire.request("GET", "/v1/magic", headers=backend.headers)


@provokes
def number_refused(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.asks("+33899123456", "SMS")


@provokes
def phone_number_ambiguous(harbor: Harbor, backend: Devrift) -> Reply:
    sharing(harbor, "sam", "kit")
    return backend.asks(PHONE, "SMS")


@provokes
def rate_limited(harbor: Harbor, backend: Devrift) -> Reply:
    assert backend.asks(PHONE, "SMS").status == 200
    return backend.asks(PHONE, "SMS")


@provokes
def recovery_limited(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.verifies(EMAIL, "EMAIL", recovers(harbor, backend)[0])


@provokes
def reenrollment_due(harbor: Harbor, backend: Devrift) -> Reply:
    recovers(harbor, backend)
    return backend.asks(EMAIL, "EMAIL")


@provokes
def reenrollment_limit_reached(harbor: Harbor, backend: Devrift) -> Reply:
    recovers(harbor, backend)
    harbor.executes(sa.update(User).values(reenrollments=5))
    return backend.asks(EMAIL, "APP")


@provokes
def too_large(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.calls("/mfa", "x" * 70_000)


@provokes
def unsupported_media_type(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.calls("/mfa", "<User/>", "application/xml")


@provokes
def unsupported_version(harbor: Harbor, backend: Devrift) -> Reply:
    return backend.calls("/mfa", f"User={EMAIL}, Type=EMAIL", **{"DevRIFT-Version": "1999-01-01"})


@provokes
def user_frozen(harbor: Harbor, backend: Devrift) -> Reply:
    harbor.executes(sa.update(User).values(frozen_at=harbor.clock.now()))
    return backend.asks(EMAIL, "APP")


@provokes
def user_suspended(harbor: Harbor, backend: Devrift) -> Reply:
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, EMAIL)
        harbor.services.user_care.suspend(tx, OPERATOR, harbor.organization, user, why="Stolen")
    return backend.asks(EMAIL, "EMAIL")


@provokes
def verification_required(harbor: Harbor, backend: Devrift) -> Reply:
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    backend.later()
    return backend.asks(EMAIL, "APP")


@ONE_DATABASE
@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_type_of_error_is_met(harbor: Harbor, name: str) -> None:
    reply = PROVOKED[name](harbor, Devrift(harbor))
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert error["type"] == name, reply.text
    assert reply.status in ERRORS[name]
    assert error["message"].endswith(".")
    assert set(error) - {"retry_at"} == {"type", "message"}
    timed = name in {"locked", "rate_limited", "recovery_limited"}
    assert ("retry_at" in error) is timed
    assert ("retry-after" in reply.headers) is timed
    assert ("www-authenticate" in reply.headers) is (reply.status == 401)


@ONE_DATABASE
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("POST", "/v1/mfa/", 404),
        ("GET", "/v1/mfa/verify", 405),
        ("DELETE", "/v1/hello", 405),
        ("POST", "/v1//mfa", 404),
        ("GET", "/v1/%00", 404),
        ("POST", "/v1/mfa/../../api/v2/organizations", 404),
    ],
)
def test_whatever_is_asked_below_v1_is_told_in_the_envelope(
    harbor: Harbor, method: str, path: str, status: int
) -> None:
    reply = harbor.wire.request(method, path)
    assert reply.status == status, reply.text
    assert set(reply.json["error"]) == {"type", "message"}
    assert reply.headers["devrift-version"] == "2023-01-01"
    assert ("allow" in reply.headers) is (status == 405)


@ONE_DATABASE
def test_beside_it_errors_are_told_as_before(harbor: Harbor) -> None:
    assert "text/html" in harbor.wire.request("GET", "/v10/mfa").headers["content-type"]
    assert "doc_urls" in harbor.wire.request("GET", "/api/v2/nothing").json["error"]


def test_too_many_requests_are_told_in_the_envelope(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock, address_limit="3 per minute") as harbor:
        found = [harbor.wire.request("GET", "/v1/hello") for _ in range(4)]
    assert [one.status for one in found] == [401, 401, 401, 429]
    assert found[-1].error == "rate_limited"
    assert set(found[-1].json["error"]) == {"type", "message", "retry_at"}


# The code, the list, the page


def named(node: ast.AST) -> Iterator[str]:
    """Yield the types of error that a module writes out."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") not in {
            "Refusal",
            "Invalid",
        }:
            continue
        given = [one.value for one in call.keywords if one.arg == "code"]
        if getattr(call.func, "id", "") == "Refusal":
            given += call.args[:1]
        yield from (str(one.value) for one in given if isinstance(one, ast.Constant))


def test_every_type_that_the_code_names_is_in_the_list() -> None:
    services = ("contacts", "contact_codes", "contact_methods", "recovery_messages")
    paths = [
        *(ROOT / "app/web/api_v1").glob("*.py"),
        *(ROOT / f"app/services/{name}.py" for name in services),
    ]
    found = {name for path in paths for name in named(ast.parse(path.read_text()))}
    assert len(found) > 12
    assert found <= set(ERRORS)
    assert set(PROVOKED) == set(ERRORS)


def test_the_guide_explains_every_type_and_no_other() -> None:
    text = (ROOT / "docs/v1.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([0-9, ]+) \|", text, re.MULTILINE)
    told = {name: tuple(int(one) for one in statuses.split(",")) for name, statuses in rows}
    assert told == ERRORS
