"""/totp-enrollment: a backend enrolls its users on pages of its own, by the guides' rules."""

from __future__ import annotations

import base64
import io
import re
import uuid

import pytest
import sqlalchemy as sa
import zxingcpp
from PIL import Image

from app.models import Authenticator, Event, Message, RecoveryCode, User
from app.services.audit import OPERATOR
from tests.actors import Phone
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.headless import (
    PATH,
    by_sms,
    challenges,
    confirms,
    connects,
    enrolls,
    has_phone,
    has_sms,
    next_day,
    verifies,
)
from tests.web.api_v2.shapes import WAYS

CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}")


# A first enrollment


def test_an_enrollment_holds_all_that_a_user_needs(harbor: Harbor) -> None:
    reply = enrolls(harbor)
    assert reply.status == 201
    begun = reply.json
    phone = Phone(begun["otp_uri"])
    codes = begun["recovery_codes"].split("\n")
    assert len(set(codes)) == 5
    assert all(CODE.fullmatch(code) for code in codes)
    assert re.fullmatch(r"totp-enrollment_[0-9A-Za-z]{27}", begun["request_id"])
    assert begun == {
        "__type__": "TotpEnrollment",
        "__domain__": "harbor",
        "__environment__": "sandbox",
        "request_id": begun["request_id"],
        "user_id": harbor.ada,
        "method": "app",
        "otp_uri": phone.uri,
        "qr_code": begun["qr_code"],
        "qr_code_svg": begun["qr_code_svg"],
        "recovery_codes": "\n".join(codes),
        "recovery_codes_remaining": 0,
        "code": None,
        "validated_at": None,
        "success": False,
        "reason": None,
        "retry_at": None,
        "attempts_remaining": None,
        "expires_at": "2026-03-01T12:30:05Z",
    }
    picture = Image.open(io.BytesIO(base64.b64decode(begun["qr_code"])))
    scanned = zxingcpp.read_barcode(picture.convert("L"))
    assert scanned is not None
    assert scanned.text == phone.uri
    assert begun["qr_code_svg"].startswith("<svg ")
    done = confirms(harbor, harbor.code(phone))
    assert done.status == 200
    assert done.json["success"] is True
    assert done.json["validated_at"] == "2026-03-01T12:00:05.000000"
    assert done.json["request_id"] == begun["request_id"]
    assert done.json["recovery_codes_remaining"] == 5
    assert done.json["otp_uri"] is done.json["recovery_codes"] is done.json["qr_code"] is None
    harbor.clock.advance(30)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True


@ONE_DATABASE
def test_every_way_of_writing_and_both_spellings_enroll(harbor: Harbor) -> None:
    for number, way in enumerate(WAYS):
        user = harbor.person(f"user{number}@harbor.example")
        body = {"user_id": user, "force_enroll": "false"}
        reply = harbor.backend.calls("POST", f"{PATH}/totp-enrollment", **way(body))
        assert reply.status == 201, reply.text
        assert reply.json["user_id"] == user
        path = f"{PATH}/totp-enrollment/{user}"
        again = harbor.backend.calls("POST", path, **way({"force_enroll": "false"}))
        assert again.status == 201
        code = harbor.code(Phone(again.json["otp_uri"]))
        path = f"{PATH}/totp-enrollment/validation/{user}"
        done = harbor.backend.calls("PUT", path, **way({"code": code}))
        assert done.json["success"] is True, done.text


@ONE_DATABASE
def test_a_user_may_be_named_by_address(harbor: Harbor) -> None:
    phone = Phone(enrolls(harbor, "ada@harbor.example").json["otp_uri"])
    assert confirms(harbor, harbor.code(phone), "Ada@Harbor.example").json["success"] is True
    harbor.clock.advance(30)
    assert verifies(harbor, harbor.code(phone), "ada@harbor.example").json["success"] is True


def test_nothing_counts_before_the_first_code(harbor: Harbor) -> None:
    begun = enrolls(harbor).json
    phone, [first, *_] = Phone(begun["otp_uri"]), begun["recovery_codes"].split()
    assert (verifies(harbor, harbor.code(phone)).error) == "not_enrolled"
    assert verifies(harbor, first).error == "not_enrolled"
    wrong = confirms(harbor, harbor.wrong_codes(phone)[0])
    assert (wrong.status, wrong.json["success"], wrong.json["reason"]) == (200, False, "wrong")
    assert wrong.json["validated_at"] is None
    assert wrong.json["attempts_remaining"] == 4
    assert confirms(harbor, harbor.code(phone)).json["success"] is True


@ONE_DATABASE
def test_a_new_enrollment_gives_the_one_before_up_with_its_codes(harbor: Harbor) -> None:
    old, new = enrolls(harbor).json, enrolls(harbor).json
    assert confirms(harbor, harbor.code(Phone(old["otp_uri"]))).json["success"] is False
    assert confirms(harbor, harbor.code(Phone(new["otp_uri"]))).json["success"] is True
    assert verifies(harbor, old["recovery_codes"].split()[0]).json["reason"] == "wrong"
    assert verifies(harbor, new["recovery_codes"].split()[0]).json["success"] is True


@ONE_DATABASE
def test_an_enrollment_that_nobody_confirms_is_over_after_half_an_hour(harbor: Harbor) -> None:
    phone = Phone(enrolls(harbor).json["otp_uri"])
    harbor.clock.advance(30 * 60)
    assert confirms(harbor, harbor.code(phone)).error == "no_pending_enrollment"
    assert confirms(harbor, "123456").status == 422


@ONE_DATABASE
def test_what_a_browser_began_is_not_the_backend_s_and_the_other_way_round(
    harbor: Harbor,
) -> None:
    browser = harbor.visits(harbor.ada)
    shown = browser.sets_up()
    assert confirms(harbor, harbor.code(shown)).error == "no_pending_enrollment"
    told = Phone(enrolls(harbor).json["otp_uri"])
    assert "not" in browser.types(harbor.code(told)).text
    assert confirms(harbor, harbor.code(told)).json["success"] is True
    # The first that is confirmed closes the door to the other.
    browser.types(harbor.code(shown))
    assert harbor.rows(sa.select(sa.func.count()).where(Authenticator.status == "active")) == [(1,)]


@ONE_DATABASE
def test_who_has_an_authenticator_is_already_enrolled(harbor: Harbor) -> None:
    has_phone(harbor)
    reply = enrolls(harbor)
    assert (reply.status, reply.error) == (422, "already_enrolled")
    assert "force_enroll" in reply.json["error"]["message"]


@ONE_DATABASE
def test_the_connection_must_be_active(harbor: Harbor) -> None:
    phone, codes = has_phone(harbor)
    connects(harbor, active=False)
    calls = [
        enrolls(harbor),
        enrolls(harbor, force_enroll=True),
        confirms(harbor, "123456"),
        challenges(harbor),
        verifies(harbor, harbor.code(phone)),
        verifies(harbor, codes[0]),
    ]
    assert {(call.status, call.error) for call in calls} == {(422, "totp_connection_inactive")}
    connects(harbor, active=True)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True


def test_the_code_that_confirms_is_used_up(harbor: Harbor) -> None:
    phone = Phone(enrolls(harbor).json["otp_uri"])
    code = harbor.code(phone)
    assert confirms(harbor, code).json["success"] is True
    assert verifies(harbor, code).json["reason"] == "replayed"
    assert confirms(harbor, code).error == "no_pending_enrollment"


# Force


def test_a_forced_enrollment_replaces_all_with_new_codes(harbor: Harbor) -> None:
    phone, old = has_phone(harbor)
    begun = enrolls(harbor, force_enroll=True).json
    new = begun["recovery_codes"].split()
    assert len(new) == 5
    # The old codes die at once, the new ones do not work yet, the old authenticator does.
    assert verifies(harbor, old[0]).json["reason"] == "wrong"
    assert verifies(harbor, new[0]).json["reason"] == "wrong"
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    replaced = Phone(begun["otp_uri"])
    assert confirms(harbor, harbor.code(replaced)).json["recovery_codes_remaining"] == 5
    harbor.clock.advance(30)
    assert verifies(harbor, harbor.code(phone)).json["reason"] == "wrong"
    assert verifies(harbor, harbor.code(replaced)).json["success"] is True
    assert verifies(harbor, new[0]).json["recovery_code_used"] is True


@ONE_DATABASE
def test_a_closed_enrollment_needs_force(harbor: Harbor) -> None:
    has_phone(harbor)
    with harbor.services.database.writing() as tx:
        [user] = tx.scalars(sa.select(User).where(User.id == uuid.UUID(harbor.ada)))
        user.organization = harbor.organization
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, user, reopen=False)
    assert enrolls(harbor).error == "enrollment_closed"
    assert enrolls(harbor, force_enroll=True).status == 201


# Recovery and re-enrollment


def test_a_recovery_code_suspends_and_leads_to_a_plain_re_enrollment(harbor: Harbor) -> None:
    phone, codes = has_phone(harbor)
    used = verifies(harbor, codes[0].replace("-", "").lower())
    assert used.status == 200
    assert (used.json["success"], used.json["recovery_code_used"]) == (True, True)
    assert used.json["code"] is None
    refused = verifies(harbor, harbor.code(phone))
    assert (refused.status, refused.json["reason"]) == (200, "reenrollment_due")
    second = verifies(harbor, codes[1])
    assert second.json["reason"] == "recovery_limited"
    assert second.json["retry_at"] == "2026-03-02T12:00:35Z"
    begun = enrolls(harbor)
    assert begun.status == 201
    assert begun.json["recovery_codes"] is None
    assert begun.json["recovery_codes_remaining"] == 4
    new = Phone(begun.json["otp_uri"])
    assert confirms(harbor, harbor.code(new)).json["recovery_codes_remaining"] == 4
    harbor.clock.advance(30)
    assert verifies(harbor, harbor.code(new)).json["success"] is True
    assert verifies(harbor, harbor.code(phone)).json["success"] is False
    assert enrolls(harbor).error == "already_enrolled"


def test_five_re_enrollments_then_a_human(harbor: Harbor) -> None:
    _, codes = has_phone(harbor)
    for code in codes:
        assert verifies(harbor, code).json["recovery_code_used"] is True
        begun = enrolls(harbor).json
        assert begun["recovery_codes"] is None
        assert confirms(harbor, harbor.code(Phone(begun["otp_uri"]))).json["success"] is True
        next_day(harbor)
    # The sixth time there is no code left, and none would be judged.
    last = verifies(harbor, codes[0])
    assert (last.status, last.error) == (422, "reenrollment_limit_reached")
    assert enrolls(harbor).error == "already_enrolled"
    # Lost again: only force helps, and counts anew.
    _, codes = has_phone(harbor, force_enroll=True)
    assert verifies(harbor, codes[0]).json["recovery_code_used"] is True
    has_phone(harbor)


def test_the_sixth_plain_re_enrollment_is_refused_even_if_one_is_due(harbor: Harbor) -> None:
    _, codes = has_phone(harbor)
    assert verifies(harbor, codes[0]).json["success"] is True
    harbor.executes(sa.update(User).values(reenrollments=5))
    assert enrolls(harbor).error == "reenrollment_limit_reached"
    assert enrolls(harbor, force_enroll=True).status == 201


@ONE_DATABASE
def test_an_approval_lets_a_due_user_enroll_again(harbor: Harbor) -> None:
    _, codes = has_phone(harbor)
    assert verifies(harbor, codes[0]).json["success"] is True
    harbor.executes(sa.update(User).values(reenrollment_approved=True, reenrollments=0))
    has_phone(harbor)
    assert harbor.rows(sa.select(User.reenrollments).where(User.email == "ada@harbor.example")) == [
        (0,)
    ]


# Codes by SMS


def test_a_user_enrolls_with_codes_by_sms_that_the_application_sends(harbor: Harbor) -> None:
    user = by_sms(harbor)
    begun = enrolls(harbor, user, method="sms").json
    assert re.fullmatch(r"\d{6}", begun["code"])
    assert (begun["method"], begun["otp_uri"], begun["qr_code"]) == ("sms", None, None)
    assert len(begun["recovery_codes"].split()) == 5
    other = "000000" if begun["code"] != "000000" else "111111"
    assert confirms(harbor, other, user).json["reason"] == "wrong"
    done = confirms(harbor, begun["code"], user).json
    assert (done["success"], done["method"], done["code"]) == (True, "sms", None)
    assert harbor.rows(
        sa.select(Authenticator.kind, Authenticator.recipient, Authenticator.secret)
    ) == [("sms", "+33612345678", None)]
    assert harbor.rows(sa.select(Message.id).where(Message.channel == "sms")) == []


@ONE_DATABASE
def test_a_method_must_be_offered_and_possible(harbor: Harbor) -> None:
    for method in ("sms", "email", "", "APP", "totp"):
        reply = enrolls(harbor, method=method)
        if method == "":
            assert reply.status == 201  # nothing was chosen
            continue
        assert (reply.status, reply.error) == (422, "invalid_request"), method
        assert reply.json["error"]["message"].startswith("method: ")
    connects(harbor, methods=["sms"])
    assert "phone_number" in enrolls(harbor).json["error"]["message"]
    assert enrolls(harbor, method="app").status == 422


@ONE_DATABASE
def test_the_first_method_of_the_connection_is_meant_if_none_is_named(harbor: Harbor) -> None:
    user = by_sms(harbor)
    assert enrolls(harbor, user).json["method"] == "app"
    connects(harbor, methods=["sms", "app"])
    assert enrolls(harbor, user).json["method"] == "sms"


@ONE_DATABASE
def test_the_gateway_s_own_delivery_never_returns_the_code(harbor: Harbor) -> None:
    user = by_sms(harbor)
    assert connects(harbor, sms_delivery="gateway").status == 200
    begun = enrolls(harbor, user, method="sms").json
    assert begun["code"] is None
    [message] = harbor.rows(sa.select(Message).where(Message.channel == "sms"))
    text = harbor.text_of(message[0])
    [code, bound] = re.findall(r"\b\d{6}\b", text)
    assert text.endswith(f"\n\n@localhost #{bound}\n")
    assert code == bound
    assert code not in message[0].body
    assert message[0].recipient == "+33612345678"
    assert confirms(harbor, code, user).json["success"] is True
    harbor.clock.advance(60)
    posed = challenges(harbor, user).json
    assert posed["code"] is None
    assert posed["sent_at"] == posed["challenged_at"]


# Settings


@pytest.mark.parametrize(
    ("settings", "digits", "period", "algorithm"),
    [
        ({"digits": 8}, 8, 30, "sha1"),
        ({"period": 60}, 6, 60, "sha1"),
        ({"algorithm": "SHA256", "digits": 7}, 7, 30, "sha256"),
        ({"algorithm": "SHA512"}, 6, 30, "sha512"),
    ],
)
@ONE_DATABASE
def test_new_authenticators_follow_the_connection(
    harbor: Harbor, settings: dict, digits: int, period: int, algorithm: str
) -> None:
    old, _ = has_phone(harbor, harbor.person("bo@harbor.example"))
    connects(harbor, issuer="Harbor Bank", **settings)
    phone, _ = has_phone(harbor)
    assert phone.settings["issuer"] == "Harbor Bank"
    assert (phone.digits, phone.period, phone.algorithm) == (digits, period, algorithm)
    harbor.clock.advance(period)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    # Who enrolled before keeps what the phone was told then.
    assert verifies(harbor, harbor.code(old), "bo@harbor.example").json["success"] is True


@ONE_DATABASE
def test_the_number_and_length_of_recovery_codes_follow_the_connection(harbor: Harbor) -> None:
    connects(harbor, recovery_codes=8, recovery_code_length=24)
    _, codes = has_phone(harbor)
    assert len(codes) == 8
    assert {len(code.replace("-", "")) for code in codes} == {24}
    assert verifies(harbor, codes[7]).json["recovery_code_used"] is True
    # Eight codes are not eight re-enrollments.
    harbor.executes(sa.update(User).values(reenrollments=5))
    next_day(harbor)
    assert verifies(harbor, codes[0]).error == "reenrollment_limit_reached"


# What is kept and told


def test_codes_and_seeds_are_kept_from_whoever_steals_the_database(harbor: Harbor) -> None:
    """F85: recovery codes as HMAC under a key outside the database, seeds sealed."""
    phone, codes = has_phone(harbor)
    user, others = has_sms(harbor)
    sent = challenges(harbor, user).json["code"]
    dump = harbor.dump()
    for secret in (phone.key, *codes, *others, *(one.replace("-", "") for one in codes)):
        assert secret not in dump
    assert f"'{sent}'" not in dump


@ONE_DATABASE
def test_a_client_can_not_choose_its_codes(harbor: Harbor) -> None:
    """F85: what a client supplies as codes or secret is ignored."""
    mine = "AAAA-BBBB-CCCC-DDDD"
    begun = enrolls(harbor, recovery_codes=mine, secret="A" * 32, code="123456").json
    assert mine not in begun["recovery_codes"]
    assert "A" * 32 not in begun["otp_uri"]
    confirms(harbor, harbor.code(Phone(begun["otp_uri"])))
    assert verifies(harbor, mine).json["success"] is False


@ONE_DATABASE
def test_a_thousand_codes_are_all_different(harbor: Harbor) -> None:
    seen: set[str] = set()
    for _ in range(50):
        connects(harbor, recovery_codes=20)
        seen |= set(enrolls(harbor).json["recovery_codes"].split())
    assert len(seen) == 1000
    # Those of enrollments that were given up are gone.
    assert harbor.rows(sa.select(sa.func.count()).select_from(RecoveryCode)) == [(20,)]


@ONE_DATABASE
def test_every_step_is_recorded_without_a_secret(harbor: Harbor) -> None:
    phone, codes = has_phone(harbor)
    verifies(harbor, codes[0])
    enrolls(harbor)
    rows = harbor.rows(
        sa.select(Event.kind, Event.actor, Event.user_id, Event.gateway_session_id, Event.detail)
        .where(Event.user_id == uuid.UUID(harbor.ada))
        .order_by(Event.id)
    )
    assert [row.kind for row in rows] == [
        "user:created",
        "enrollment:begun",
        "recovery_codes:issued",
        "verification:accepted",
        "authenticator:confirmed",
        "recovery_codes:used",
        "authenticator:suspended",
        "verification:accepted",
        "enrollment:begun",
    ]
    assert {row.actor for row in rows[1:]} == {f"api_key:{harbor.backend.client_id}"}
    assert {row.gateway_session_id for row in rows} == {None}
    assert phone.key not in repr(rows)
    assert codes[0] not in repr(rows)
