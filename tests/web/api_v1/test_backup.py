"""POST /v1/mfa/backup: codes that go to the user alone, and what using one means."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.models import Authenticator, User
from app.services.audit import OPERATOR
from tests.actors import Phone, holds
from tests.conftest import Harbor
from tests.web.api_v1.backend import EMAIL, OTHER, PHONE, Devrift

BOTH = f"{EMAIL}:{PHONE}"


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def has_app(harbor: Harbor, backend: Devrift) -> Phone:
    phone = Phone(backend.asks(EMAIL, "APP").json["otp_uri"])
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).status == 200
    harbor.clock.advance(30)
    return phone


@pytest.mark.parametrize(
    ("type_", "user", "to"),
    [
        ("EMAIL", EMAIL, [EMAIL]),
        ("SMS", PHONE, [PHONE]),
        ("DUAL", BOTH, [EMAIL, PHONE]),
    ],
)
def test_a_set_goes_to_the_user_and_never_to_the_caller(
    backend: Devrift, type_: str, user: str, to: list[str]
) -> None:
    reply = backend.backs_up(user, type_)
    assert reply.status == 200, reply.text
    assert set(reply.json) == {"success", "type", "user_id", "status", "count"}
    assert (reply.json["status"], reply.json["count"]) == ("sent", 5)
    sets = [backend.backup_codes(one) for one in to]
    assert len(sets[0]) == 5
    assert all(codes == sets[0] for codes in sets)
    assert not any(code in reply.text for code in sets[0])


def test_number_and_length_are_settings(harbor: Harbor, backend: Devrift) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(
            tx, OPERATOR, harbor.organization, recovery_codes=8, recovery_code_length=20
        )
    assert backend.backs_up(EMAIL, "EMAIL").json["count"] == 8
    codes = backend.backup_codes(EMAIL)
    assert len(codes) == 8
    assert {len(code.replace("-", "")) for code in codes} == {20}


def test_an_app_can_not_be_sent_anything(backend: Devrift) -> None:
    reply = backend.backs_up(EMAIL, "APP")
    assert (reply.status, reply.error) == (422, "contact_required")
    other = backend.backs_up(PHONE, "WHATSAPP")
    assert (other.status, other.error) == (422, "invalid_type")
    assert "EMAIL, SMS, DUAL" in other.json["error"]["message"]


@pytest.mark.parametrize("type_", ["EMAIL", "PHONE", "DUAL", "APP"])
def test_one_is_accepted_with_any_type_and_once(
    harbor: Harbor, backend: Devrift, type_: str
) -> None:
    assert backend.backs_up(BOTH, "DUAL").status == 200
    code = backend.backup_codes(EMAIL)[0]
    user = {"EMAIL": EMAIL, "PHONE": PHONE, "DUAL": BOTH, "APP": EMAIL}[type_]
    accepted = backend.verifies(user, type_, code.lower().replace("-", " "))
    assert accepted.status == 200, accepted.text
    assert accepted.json["recovery_code_used"] is True
    assert accepted.json["reenrollment_due"] is False
    assert backend.verifies(user, type_, code).error == "invalid_code"


def test_without_an_app_codes_are_single_use_and_nothing_else(
    harbor: Harbor, backend: Devrift
) -> None:
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    backend.later()
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    codes = backend.backup_codes(EMAIL)
    for code in codes:  # all five on one day
        assert backend.verifies(EMAIL, "EMAIL", code).status == 200
    [row] = harbor.rows(sa.select(User.recovery_used_at, User.reenrollments))
    assert tuple(row) == (None, 0)
    assert [row.status.value for row in harbor.rows(sa.select(Authenticator.status))] == ["active"]
    used = "A recovery code was used for your account"
    texts = [one["text"] for one in backend.messages(EMAIL) if one["subject"] == used]
    assert len(texts) == 5
    assert not any("authenticator app" in text for text in texts)
    backend.later()
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200


def test_with_an_app_one_suspends_it_and_a_new_one_is_due(harbor: Harbor, backend: Devrift) -> None:
    phone = has_app(harbor, backend)
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    backend.later()
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    codes = backend.backup_codes(EMAIL)
    used = backend.verifies(EMAIL, "EMAIL", codes[0])
    assert (used.json["recovery_code_used"], used.json["reenrollment_due"]) == (True, True)
    # Nothing stands in for the app that is due: no code by message, no old code.
    backend.later()
    assert backend.asks(EMAIL, "EMAIL").error == "reenrollment_due"
    assert backend.verifies(EMAIL, "EMAIL", "123456").error == "reenrollment_due"
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).error == "reenrollment_due"
    limited = backend.verifies(EMAIL, "APP", codes[1])
    assert (limited.status, limited.error) == (429, "recovery_limited")
    assert limited.json["error"]["retry_at"].startswith("2026-03-02T")
    new = has_app(harbor, backend)
    assert backend.verifies(EMAIL, "APP", harbor.code(new)).status == 200
    assert backend.asks(EMAIL, "EMAIL").status == 200


def test_a_code_that_was_sent_before_does_not_stand_in_either(
    harbor: Harbor, backend: Devrift
) -> None:
    has_app(harbor, backend)
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    recovery = backend.backup_codes(EMAIL)[0]
    backend.later()
    code = backend.sends(EMAIL, "EMAIL")
    assert backend.verifies(EMAIL, "EMAIL", recovery).status == 200
    assert backend.verifies(EMAIL, "EMAIL", code).error == "reenrollment_due"
    statuses = {row.status.value for row in harbor.rows(sa.select(Authenticator.status))}
    assert statuses == {"suspended", "pending"}


def test_the_fifth_re_enrollment_is_the_last_before_a_human_looks(
    harbor: Harbor, backend: Devrift
) -> None:
    has_app(harbor, backend)
    harbor.executes(sa.update(User).values(reenrollments=5))
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    refused = backend.verifies(EMAIL, "APP", backend.backup_codes(EMAIL)[0])
    assert (refused.status, refused.error) == (422, "reenrollment_limit_reached")


def test_a_new_set_ends_the_one_before(backend: Devrift) -> None:
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    old = backend.backup_codes(EMAIL)
    backend.later()
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    new = backend.backup_codes(EMAIL)
    assert not set(old) & set(new)
    assert backend.verifies(EMAIL, "EMAIL", old[0]).error == "invalid_code"
    assert backend.verifies(EMAIL, "EMAIL", new[0]).status == 200


def test_a_set_that_can_not_be_sent_ends_nothing(harbor: Harbor, backend: Devrift) -> None:
    """F53: the bill is guarded as for codes."""
    assert backend.backs_up(PHONE, "SMS").status == 200
    codes = backend.backup_codes(PHONE)
    again = backend.backs_up(PHONE, "SMS")
    assert (again.status, again.error) == (429, "rate_limited")
    assert len(backend.messages(PHONE)) == 1
    assert backend.verifies(PHONE, "PHONE", codes[0]).status == 200
    assert backend.backs_up("+447400123456", "SMS").error == "country_not_allowed"
    assert backend.asks(OTHER, "SMS").status == 200


def test_of_many_at_once_one_use_is_accepted(backend: Devrift) -> None:
    """F06."""
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    code = backend.backup_codes(EMAIL)[0]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: backend.verifies(EMAIL, "EMAIL", code).status, range(10)))
    assert found.count(200) == 1


def test_wrong_backup_codes_wait_as_everywhere(backend: Devrift) -> None:
    assert backend.backs_up(EMAIL, "EMAIL").status == 200
    for _ in range(5):
        assert backend.verifies(EMAIL, "EMAIL", "AAAA-AAAA-AAAA-AAAA").error == "invalid_code"
    locked = backend.verifies(EMAIL, "EMAIL", backend.backup_codes(EMAIL)[0])
    assert (locked.status, locked.error) == (429, "locked")
    assert "retry_at" in locked.json["error"]


def test_no_code_stands_in_the_database_or_in_events(harbor: Harbor, backend: Devrift) -> None:
    code = backend.sends(EMAIL, "EMAIL")
    assert backend.backs_up(PHONE, "SMS").status == 200
    dump = harbor.dump()
    assert not holds(dump, code)
    assert not any(one in dump for one in backend.backup_codes(PHONE))
    assert backend.secret not in dump
