"""The list of error types: whole, true, and each of them met on the way."""

from __future__ import annotations

import ast
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, User
from app.services.audit import OPERATOR
from app.web.api_v2 import MOST_BYTES
from app.web.api_v2.errors import (
    ERRORS,
    EVERYWHERE,
    OAUTH_ERRORS,
    OF_POSTS,
    ROW_ERRORS,
    error_types,
)
from app.web.support.error_pages import _CODES
from tests.actors import Reply, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, ROOT, Harbor, stage
from tests.web.admin.furniture import cryptr_application
from tests.web.api_v2.headless import (
    by_sms,
    challenges,
    confirms,
    connects,
    enrolls,
    has_phone,
    verifies,
)
from tests.web.api_v2.shapes import FORM, JSON, raw

USERS, SESSIONS = "/org/harbor/users", "/org/harbor/gateway-sessions"
PROVOKED: dict[str, Callable[[Harbor], Reply]] = {}
"""For each type of error a request that is answered by it."""


def provokes(act: Callable[[Harbor], Reply]) -> Callable[[Harbor], Reply]:
    """Enter an act in the list under its own name, which is the type's."""
    PROVOKED[act.__name__] = act
    return act


def posts(harbor: Harbor, path: str, key: str | None = None, **fields: Any) -> Reply:
    headers = {} if key is None else {"Idempotency-Key": key}
    return harbor.backend.calls("POST", path, headers=headers, json=fields)


def adds(harbor: Harbor, key: str | None = None, **fields: Any) -> Reply:
    return posts(harbor, USERS, key, **{"email": "new@harbor.example"} | fields)


def asks(harbor: Harbor, **more: Any) -> Reply:
    fields = {
        "user_id": harbor.ada,
        "redirect_uri": REDIRECT_URI,
        "client_id": harbor.notes.client_id,
    }
    return posts(harbor, SESSIONS, None, **fields | more)


def verified(harbor: Harbor) -> tuple[str, str]:
    """Verify in a visit; return the gateway session's id, and its result."""
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    browser.types(harbor.code(browser.sets_up()))
    browser.saves_codes()
    return session["id"], browser.back["result"]


@provokes
def already_enrolled(harbor: Harbor) -> Reply:
    has_phone(harbor)
    return enrolls(harbor)


@provokes
def api_key_blocked(harbor: Harbor) -> Reply:
    path = f"/api-keys/{harbor.key().client_id}"
    assert harbor.backend.calls("POST", f"{path}/blocklist").status == 200
    return harbor.backend.calls("POST", f"{path}/replacement", json={})


@provokes
def secret_not_replaceable(harbor: Harbor) -> Reply:
    client_id = cryptr_application(harbor)
    return harbor.backend.calls("POST", f"/applications/{client_id}/secret", json={})


@provokes
def application_not_found(harbor: Harbor) -> Reply:
    return asks(harbor, client_id=str(uuid.uuid4()))


@provokes
def bad_request(harbor: Harbor) -> Reply:
    """The sender breaks off in the middle of the body."""
    answer = harbor.wire.client.post(  # type: ignore[attr-defined]
        f"/api/v2{USERS}",
        headers={"Authorization": f"Bearer {harbor.backend.token}", "Content-Type": JSON},
        data=b'{"email": ',
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    return Reply(answer.status_code, {"content-type": answer.content_type}, answer.text)


@provokes
def channel_unavailable(harbor: Harbor) -> Reply:
    key = harbor.key(Environment.PRODUCTION)
    assert key.calls("POST", "/organizations", json={"name": "Harbor"}).status == 201
    path = "/org/harbor/totp-connection"
    return key.calls("PUT", path, json={"sms_delivery": "gateway", "methods": ["app", "sms"]})


def enrolls_by_sms(harbor: Harbor, number: str) -> Reply:
    """Have us send the first code."""
    user = by_sms(harbor, number)
    assert connects(harbor, sms_delivery="gateway").status == 200
    return enrolls(harbor, user, method="sms")


@provokes
def country_not_allowed(harbor: Harbor) -> Reply:
    return enrolls_by_sms(harbor, "+4915112345678")


@provokes
def number_refused(harbor: Harbor) -> Reply:
    return enrolls_by_sms(harbor, "+33899701234")


@provokes
def code_invalid(harbor: Harbor) -> Reply:
    return harbor.notes.exchanges("x")


@provokes
def email_taken(harbor: Harbor) -> Reply:
    return adds(harbor, email="ada@harbor.example")


@provokes
def enrollment_closed(harbor: Harbor) -> Reply:
    has_phone(harbor)
    with harbor.services.database.writing() as tx:
        user = tx.get_one(User, uuid.UUID(harbor.ada))
        user.organization = harbor.organization
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, user, reopen=False)
    return enrolls(harbor)


@provokes
def external_id_taken(harbor: Harbor) -> Reply:
    assert adds(harbor, external_id="crm-1").status == 201
    return adds(harbor, email="other@harbor.example", external_id="crm-1")


@provokes
def forbidden(harbor: Harbor) -> Reply:
    return harbor.key(only=True).calls("GET", "/organizations")


@provokes
def idempotency_in_flight(harbor: Harbor) -> Reply:
    adds(harbor, "once")
    harbor.executes(sa.text("UPDATE idempotency_keys SET status = NULL"))
    return adds(harbor, "once")


@provokes
def idempotency_key_invalid(harbor: Harbor) -> Reply:
    return adds(harbor, "x" * 256)


@provokes
def idempotency_key_reused(harbor: Harbor) -> Reply:
    adds(harbor, "once")
    return adds(harbor, "once", email="other@harbor.example")


@provokes
def internal_error(harbor: Harbor) -> Reply:
    harbor.executes(sa.text("ALTER TABLE events RENAME TO lost"))
    return adds(harbor)


@provokes
def invalid_request(harbor: Harbor) -> Reply:
    return posts(harbor, USERS)


@provokes
def locked(harbor: Harbor) -> Reply:
    phone, _ = has_phone(harbor)
    for code in harbor.wrong_codes(phone, 5):
        assert verifies(harbor, code).status == 200
    return verifies(harbor, harbor.code(phone))


@provokes
def method_not_allowed(harbor: Harbor) -> Reply:
    return harbor.backend.calls("DELETE", "/organizations")


@provokes
def misdirected_request(harbor: Harbor) -> Reply:
    return harbor.backend.calls("GET", "/organizations", headers={"Host": "other.example"})


@provokes
def no_pending_enrollment(harbor: Harbor) -> Reply:
    return confirms(harbor, "123456")


@provokes
def not_enrolled(harbor: Harbor) -> Reply:
    return challenges(harbor)


@provokes
def not_found(harbor: Harbor) -> Reply:
    return harbor.backend.calls("GET", f"{USERS}/{uuid.uuid4()}")


@provokes
def passkeys_inactive(harbor: Harbor) -> Reply:
    return harbor.backend.calls("POST", f"/org/harbor/passkey-authentication/{harbor.ada}")


@provokes
def phone_number_taken(harbor: Harbor) -> Reply:
    assert posts(harbor, USERS, phone_number="+33612345678").status == 201
    return posts(harbor, USERS, phone_number="+33 6 12 34 56 78")


@provokes
def rate_limited(harbor: Harbor) -> Reply:
    config = harbor.services.config
    with stage(
        config.database, config.data_dir, harbor.clock, address_limit="1 per minute"
    ) as strict:
        strict.wire.request("GET", "/api/v2/organizations")
        return strict.wire.request("GET", "/api/v2/organizations")


@provokes
def redirect_uri_not_registered(harbor: Harbor) -> Reply:
    return asks(harbor, redirect_uri=f"{REDIRECT_URI}/")


@provokes
def reenrollment_limit_reached(harbor: Harbor) -> Reply:
    _, codes = has_phone(harbor)
    assert verifies(harbor, codes[0]).json["success"] is True
    harbor.executes(sa.update(User).values(reenrollments=5))
    return enrolls(harbor)


@provokes
def result_already_redeemed(harbor: Harbor) -> Reply:
    session, result = verified(harbor)
    assert harbor.notes.redeems(session, result).status == 200
    return harbor.notes.redeems(session, result)


@provokes
def result_expired(harbor: Harbor) -> Reply:
    session, result = verified(harbor)
    harbor.clock.advance(180)
    return harbor.notes.redeems(session, result)


@provokes
def result_invalid(harbor: Harbor) -> Reply:
    session, _ = verified(harbor)
    return harbor.notes.redeems(session, "x")


@provokes
def too_large(harbor: Harbor) -> Reply:
    return harbor.backend.calls("POST", USERS, **raw(b" " * (MOST_BYTES + 1)))


@provokes
def too_many_authenticators(harbor: Harbor) -> Reply:
    phone = harbor.enrolls()
    for _ in range(9):
        phone = harbor.adds_another(phone)
    return asks(harbor, intent="enroll")


@provokes
def too_many_rows(harbor: Harbor) -> Reply:
    rows = b"\n".join([b"email", *[b"x"] * 100_001])
    return harbor.backend.calls("POST", f"{USERS}/import", **raw(rows, "text/csv"))


@provokes
def too_many_webhooks(harbor: Harbor) -> Reply:
    body = {"name": "a", "event_codes": ["*"], "target_url": "https://93.184.216.34/"}
    for _ in range(20):
        made = harbor.backend.calls("POST", "/webhooks", json=body)
        keep_secret(made.json["signature_key"])
    return harbor.backend.calls("POST", "/webhooks", json=body)


@provokes
def totp_connection_inactive(harbor: Harbor) -> Reply:
    harbor.backend.calls("PUT", "/org/harbor/totp-connection", json={"active": False})
    return enrolls(harbor)


@provokes
def unauthorized(harbor: Harbor) -> Reply:
    return harbor.wire.request("GET", "/api/v2/organizations")


@provokes
def unsupported_media_type(harbor: Harbor) -> Reply:
    return harbor.backend.calls("POST", USERS, **raw(b"<a/>", "application/xml"))


@provokes
def use_get(harbor: Harbor) -> Reply:
    return harbor.backend.calls("POST", USERS, **raw(b"page=1&per_page=10", FORM))


@provokes
def user_not_found(harbor: Harbor) -> Reply:
    return asks(harbor, user_id=str(uuid.uuid4()))


@provokes
def user_frozen(harbor: Harbor) -> Reply:
    harbor.executes(sa.update(User).values(frozen_at=harbor.clock.now()))
    return enrolls(harbor)


@provokes
def user_suspended(harbor: Harbor) -> Reply:
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.user_care.suspend(
            tx, OPERATOR, harbor.organization, user, why="Laptop stolen."
        )
    return asks(harbor)


@ONE_DATABASE
@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_type_of_error_is_met(harbor: Harbor, name: str) -> None:
    reply = PROVOKED[name](harbor)
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert error["type"] == name, reply.text
    assert reply.status == ERRORS[name].status
    assert error["message"]
    assert error["doc_urls"] == [f"{harbor.base_url}/api/v2/reference#error-{name}"]
    assert set(error) - {"retry_at"} == {"type", "message", "doc_urls"}
    assert ("retry_at" in error) is ("retry-after" in reply.headers)
    if "retry_at" in error:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", error["retry_at"])
        assert int(reply.headers["retry-after"]) >= 1
    assert (name in {"locked", "rate_limited", "idempotency_in_flight"}) is ("retry_at" in error)


@ONE_DATABASE
def test_a_body_that_cannot_be_read_comes_with_the_other_status(harbor: Harbor) -> None:
    also = [name for name, error in ERRORS.items() if error.also]
    assert also == ["internal_error", "invalid_request"]  # the first: tests/web/test_health.py
    reply = harbor.backend.calls("POST", USERS, **raw(b"{"))
    assert (reply.status, reply.error) == (ERRORS["invalid_request"].also, "invalid_request")


OAUTH: dict[str, dict[str, Any]] = {
    "invalid_client": {"client_secret": "x"},
    "invalid_request": {"client_id": 1},
    "invalid_target": {"domain": "elsewhere"},
    "unsupported_grant_type": {"grant_type": "password"},
}


@ONE_DATABASE
@pytest.mark.parametrize("name", sorted(OAUTH_ERRORS))
def test_every_type_of_error_of_the_token_call_is_met(harbor: Harbor, name: str) -> None:
    reply = harbor.backend.asks_token(**OAUTH[name])
    assert set(reply.json) == {"error", "error_description"}
    assert (reply.status, reply.json["error"]) == (OAUTH_ERRORS[name].status, name)


# The code and the list

ELSEWHERE = {
    **dict.fromkeys(
        (
            "already_administrator",
            "invitation_used",
            "invited_another",
            "last_owner",
            "shared_administrator",
            "sign_in_first",
        ),
        "administrators are invited and changed in the admin area",
    ),
    **dict.fromkeys(
        ("import_over", "too_many_imports"), "files are brought in the admin area, too"
    ),
    **dict.fromkeys(
        ("budget_spent", "form_sent_before", "provider_changed", "sandbox"),
        "providers, and what is shown once, are of the admin area",
    ),
    **dict.fromkeys(
        (
            "contact_mismatch",
            "contact_required",
            "invalid_api_key",
            "invalid_code",
            "invalid_email",
            "invalid_phone_number",
            "invalid_type",
            "method_disabled",
            "recovery_limited",
            "reenrollment_due",
            "unsupported_version",
            "verification_required",
        ),
        "API v1 has a list of its own",
    ),
    **dict.fromkeys(
        ("delivery_pending", "webhook_off"), "what went to a webhook is in the admin area"
    ),
    **dict.fromkeys(
        (
            "invalid_client",
            "invalid_grant",
            "organization_unknown",
            "request_used",
            "unsupported_grant_type",
            "user_ambiguous",
        ),
        "other protocols have words of their own",
    ),
    "too_early": "a vendor reports of a message",
    "domain_taken": "the command line alone lets somebody choose a domain",
    "next_key_too_young": "keys are rotated on the command line",
    "secret_replaced": "a form of the admin area was sent twice",
    "user_not_suspended": "suspensions are lifted in the admin area",
    "phone_number_ambiguous": "no call names a user by a number, but for rows of an import",
    "seed_removed": "of a row of an import",
}
"""Refusals that no call of the API is answered by."""
GENERAL = {
    "app/errors.py",
    "app/services/import_work.py",
    "app/web/support/error_pages.py",
}
"""Where a type is handed on, and has no name yet."""


def named(kinds: dict[str, int], only: str = "") -> Iterator[str]:
    """Yield the types of error that the code writes out, as arguments of these functions."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if only not in place:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in kinds:
                continue
            position = kinds[node.func.id]  # type: ignore[attr-defined]
            by_name = [one.value for one in node.keywords if one.arg == "code"]
            for given in by_name or node.args[position : position + 1]:
                if isinstance(given, ast.Constant):
                    yield str(given.value)
                else:
                    handed_on = isinstance(given, ast.Attribute) and given.attr == "code"
                    assert handed_on or place in GENERAL, f"{place}:{node.lineno}: name the type"


def test_every_type_that_the_code_names_is_in_the_list_and_no_other() -> None:
    kinds = {"Refusal": 0, "Invalid": 9, "api_error": 0, "_tell": 0}
    found = {*named(kinds), *_CODES.values(), "not_found", "invalid_request"}
    assert found - set(ELSEWHERE) == set(ERRORS)
    assert set(ELSEWHERE) <= found
    assert set(PROVOKED) == set(ERRORS)


def test_the_look_at_the_code_sees_every_way_to_name_a_type() -> None:
    found = set(named({"Refusal": 0, "Invalid": 9, "api_error": 0, "_tell": 0}))
    wanted = {"email_taken", "idempotency_key_invalid", "result_already_redeemed", "internal_error"}
    assert wanted <= found


def test_every_type_that_the_token_call_names_is_in_its_list_and_no_other() -> None:
    assert set(named({"_error": 0}, "app/web/api_v2/token.py")) == set(OAUTH_ERRORS)


def test_every_type_of_a_row_is_in_its_list_and_met() -> None:
    places = ("app/services/import_batches.py", "app/services/user_fields.py")
    refusals = {name for place in places for name in named({"Refusal": 0}, place)}
    assert {*named({"BadRow": 9}), *refusals} == set(ROW_ERRORS)
    tests = Path(__file__).with_name("test_imports.py").read_text()
    assert [name for name in ROW_ERRORS if f'"{name}"' not in tests] == []


def test_what_each_call_declares_is_in_the_list(harbor: Harbor) -> None:
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    operations = [getattr(view, "operation", None) for view in app.view_functions.values()]
    declared = {name for one in operations if one is not None for name in one.refusals}
    assert declared <= set(ERRORS) | set(OAUTH_ERRORS)
    assert set(error_types([*EVERYWHERE, *OF_POSTS])) <= set(ERRORS)
    # And a type is either declared by the calls that answer it, or may come from any.
    general = {*EVERYWHERE, *OF_POSTS, "method_not_allowed"}
    assert set(ERRORS) - general <= declared


def test_every_meaning_is_one_sentence() -> None:
    meanings = [error.meaning for error in (*ERRORS.values(), *OAUTH_ERRORS.values())]
    for meaning in [*meanings, *ROW_ERRORS.values()]:
        assert re.fullmatch(r"[A-Z].*[^.]\.", meaning)
        assert ". " not in meaning
    for name in [*ERRORS, *OAUTH_ERRORS, *ROW_ERRORS]:
        assert re.fullmatch(r"[a-z0-9_]+", name)
