"""Type=APP: a QR code, and the first right code of the app that scanned it."""

from __future__ import annotations

import base64
import io

import pytest
import zxingcpp
from PIL import Image

from app.services.audit import OPERATOR
from tests.actors import Phone, Reply
from tests.conftest import Harbor
from tests.web.api_v1.backend import EMAIL, PHONE, Devrift


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def scans(reply: Reply) -> Phone:
    assert reply.status == 200, reply.text
    picture = Image.open(io.BytesIO(base64.b64decode(reply.json["qr_code"])))
    assert picture.format == "PNG"
    scanned = zxingcpp.read_barcode(picture.convert("L"))
    assert scanned is not None
    assert scanned.text == reply.json["otp_uri"]
    return Phone(scanned.text)


def enrolls(harbor: Harbor, backend: Devrift, user: str = EMAIL) -> Phone:
    phone = scans(backend.asks(user, "APP"))
    assert backend.verifies(user, "APP", harbor.code(phone)).status == 200
    harbor.clock.advance(30)
    return phone


def test_an_app_waits_until_its_first_right_code(harbor: Harbor, backend: Devrift) -> None:
    reply = backend.asks(EMAIL, "APP")
    assert set(reply.json) == {"success", "type", "user_id", "status", "qr_code", "otp_uri"}
    assert reply.json["status"] == "pending"
    phone = scans(reply)
    assert phone.label == "Harbor:ada%40harbor.example"
    [bad] = harbor.wrong_codes(phone)
    assert backend.verifies(EMAIL, "APP", bad).error == "invalid_code"
    listed = harbor.backend.calls("GET", f"/org/harbor/users/{EMAIL}/authenticators").json
    assert [one["status"] for one in listed["data"]] == ["pending"]
    code = harbor.code(phone)
    assert backend.verifies(EMAIL, "APP", code).status == 200
    assert backend.verifies(EMAIL, "APP", code).error == "invalid_code"
    harbor.clock.advance(30)
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).status == 200


def test_who_has_no_address_is_named_by_the_number_in_the_app(backend: Devrift) -> None:
    assert scans(backend.asks(PHONE, "APP")).label == "Harbor:%2B33612345678"


def test_a_second_ask_gives_the_first_up(harbor: Harbor, backend: Devrift) -> None:
    first, second = scans(backend.asks(EMAIL, "APP")), scans(backend.asks(EMAIL, "APP"))
    assert first.key != second.key
    assert backend.verifies(EMAIL, "APP", harbor.code(first)).status == 401
    assert backend.verifies(EMAIL, "APP", harbor.code(second)).status == 200


def test_with_a_live_one_and_nothing_due_there_is_no_other(
    harbor: Harbor, backend: Devrift
) -> None:
    enrolls(harbor, backend)
    reply = backend.asks(EMAIL, "APP")
    assert (reply.status, reply.error) == (422, "already_enrolled")


def test_an_app_from_our_pages_is_verified_too(harbor: Harbor, backend: Devrift) -> None:
    phone = harbor.enrolls()
    assert backend.asks(EMAIL, "APP").error == "already_enrolled"
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).status == 200


def test_beside_codes_by_message_one_of_these_has_to_be_verified_first(
    harbor: Harbor, backend: Devrift
) -> None:
    """F35: who knows the password alone adds no app to a user who has another method."""
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    backend.later(20 * 60)
    reply = backend.asks(EMAIL, "APP")
    assert (reply.status, reply.error) == (422, "verification_required")
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    enrolls(harbor, backend)


def test_a_wait_that_is_too_long_takes_the_ground_away(harbor: Harbor, backend: Devrift) -> None:
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    phone = scans(backend.asks(EMAIL, "APP"))
    backend.later(20 * 60)
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).error == "verification_required"


def test_after_a_reset_enrollment_is_closed_until_an_administrator_opens_it(
    harbor: Harbor, backend: Devrift
) -> None:
    enrolls(harbor, backend)
    for reopen, status in ((False, 422), (True, 200)):
        with harbor.services.database.writing() as tx:
            user = harbor.services.directory.find(tx, harbor.organization, EMAIL)
            harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, user, reopen=reopen)
        reply = backend.asks(EMAIL, "APP")
        assert reply.status == status
        assert status == 200 or reply.error == "enrollment_closed"


def test_without_an_app_there_is_nothing_to_verify(backend: Devrift) -> None:
    reply = backend.verifies(EMAIL, "APP", "123456")
    assert (reply.status, reply.error) == (422, "not_enrolled")


def test_a_connection_that_is_off_refuses_every_call(harbor: Harbor, backend: Devrift) -> None:
    """F32."""
    phone = enrolls(harbor, backend)
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    assert backend.asks("new@harbor.example", "APP").error == "method_disabled"
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).error == "method_disabled"


def test_wrong_codes_lock_as_everywhere(harbor: Harbor, backend: Devrift) -> None:
    phone = enrolls(harbor, backend)
    for code in harbor.wrong_codes(phone, 5):
        assert backend.verifies(EMAIL, "APP", code).error == "invalid_code"
    locked = backend.verifies(EMAIL, "APP", harbor.code(phone))
    assert (locked.status, locked.error) == (429, "locked")
    path = f"/org/harbor/totp-challenge/validation/{harbor.ada}"
    other = harbor.backend.calls("POST", path, json={"code": harbor.code(phone)})
    assert (other.status, other.error) == (429, "locked")
