"""POST /v1/mfa and /v1/mfa/verify: codes to contacts that the key vouches for."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Challenge, Event, Message, Organization, User, Verification
from app.services.audit import OPERATOR
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v1.backend import EMAIL, OTHER, PHONE, Devrift, wrong


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def switches(harbor: Harbor, kind: str, **settings: object) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.channels.change(tx, OPERATOR, organization, kind, **settings)  # type: ignore[arg-type]


def statuses(harbor: Harbor) -> list[tuple[str, str]]:
    found = sa.select(Authenticator.kind, Authenticator.status)
    return sorted((row.kind, row.status.value) for row in harbor.rows(found))


# One method after the other


@pytest.mark.parametrize(
    ("sent", "verified", "user", "to"),
    [
        ("EMAIL", "EMAIL", EMAIL, EMAIL),
        ("SMS", "PHONE", PHONE, PHONE),
        ("DUAL", "DUAL", f"{EMAIL}:{PHONE}", EMAIL),
        ("DUAL", "DUAL", f"{EMAIL}:{PHONE}", PHONE),
    ],
)
def test_a_code_reaches_its_user_alone_and_works_once(
    backend: Devrift, sent: str, verified: str, user: str, to: str
) -> None:
    reply = backend.asks(user, sent)
    assert reply.status == 200
    assert set(reply.json) == {
        *("success", "type", "user_id", "id", "status", "reference", "expires_at"),
    }  # fmt: skip
    assert (reply.json["status"], reply.json["expires_at"]) == ("pending", "2026-03-01T12:10:05Z")
    code = backend.code(to)
    assert code not in reply.text
    assert any(reply.json["reference"] in one["text"] for one in backend.messages(to))
    refused = backend.verifies(user, verified, wrong(code))
    assert (refused.status, refused.error) == (401, "invalid_code")
    accepted = backend.verifies(user, verified, code)
    assert accepted.status == 200, accepted.text
    assert accepted.json == {
        "success": True,
        "type": verified,
        "user_id": reply.json["user_id"],
        "status": "verified",
        "verified_at": "2026-03-01T12:00:05Z",
        "recovery_code_used": False,
        "reenrollment_due": False,
    }
    again = backend.verifies(user, verified, code)
    assert (again.status, again.text) == (401, refused.text)


@pytest.mark.parametrize(("sent", "channel"), [("WHATSAPP", "whatsapp"), ("CALL", "voice")])
def test_other_ways_to_the_phone_are_verified_as_phone(
    harbor: Harbor, backend: Devrift, sent: str, channel: str
) -> None:
    assert backend.asks(PHONE, sent).error == "method_disabled"
    switches(harbor, channel, active=True)
    assert backend.asks(PHONE, sent).status == 200
    [message] = backend.messages(PHONE)
    assert message["channel"] == channel
    [(challenge,)] = harbor.rows(sa.select(Challenge))
    assert challenge.channel == channel
    refused = backend.verifies(PHONE, "PHONE", "000000")
    assert refused.error == "invalid_code"
    assert [row.kind for row in harbor.rows(sa.select(Authenticator.kind))] == ["sms"]


def test_the_first_right_code_binds_and_the_next_verifies(harbor: Harbor, backend: Devrift) -> None:
    code = backend.sends(EMAIL, "EMAIL")
    assert statuses(harbor) == [("email", "pending")]
    assert backend.verifies(EMAIL, "EMAIL", wrong(code)).status == 401
    assert statuses(harbor) == [("email", "pending")]
    assert backend.verifies(EMAIL, "EMAIL", code).status == 200
    assert statuses(harbor) == [("email", "active")]
    backend.later()
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    purposes = sa.select(Verification.purpose).where(Verification.accepted)
    found = [row.purpose.value for row in harbor.rows(purposes.order_by(Verification.at))]
    assert found == ["enrollment", "verification"]
    grounds = [
        row.detail["ground"]
        for row in harbor.rows(
            sa.select(Event.detail).where(Event.kind == "authenticator:confirmed")
        )
    ]
    assert grounds == ["contact"]


def test_what_else_the_user_has_stays_as_it_is(harbor: Harbor, backend: Devrift) -> None:
    phone = harbor.enrolls()
    left = harbor.services.recovery.remaining
    with harbor.services.database.reading() as tx:
        before = left(tx, tx.get_one(User, uuid.UUID(harbor.ada)))
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    assert statuses(harbor) == [("email", "active"), ("totp", "active")]
    assert backend.verifies(EMAIL, "APP", harbor.code(phone)).status == 200
    with harbor.services.database.reading() as tx:
        assert left(tx, tx.get_one(User, uuid.UUID(harbor.ada))) == before == 5


def test_the_user_is_told_that_codes_were_set_up(backend: Devrift) -> None:
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    told = {one["subject"]: one["text"] for one in backend.messages(EMAIL)}
    assert "Codes sent to it can confirm" in told["An email address was added to your account"]


def test_no_other_door_takes_over_what_a_v1_key_began(harbor: Harbor, backend: Devrift) -> None:
    """Its ground is the key's word for the contact: REST API v2 has other rules."""
    code = backend.sends(EMAIL, "EMAIL")
    path = f"/org/harbor/totp-enrollment/validation/{harbor.ada}"
    reply = harbor.backend.calls("PUT", path, json={"code": code})
    assert (reply.status, reply.error) == (422, "no_pending_enrollment")
    begun = harbor.backend.calls("POST", f"/org/harbor/totp-enrollment/{harbor.ada}")
    assert begun.status == 201
    assert backend.verifies(EMAIL, "EMAIL", code).status == 200


# Bound, limited, expiring


def test_a_code_is_of_one_user_one_contact_and_one_channel(
    harbor: Harbor, backend: Devrift
) -> None:
    """F16: everywhere else it is refused, and each time that counts."""
    harbor.person("bo@harbor.example")
    for user, type_ in ((EMAIL, "EMAIL"), ("bo@harbor.example", "EMAIL"), (PHONE, "SMS")):
        assert backend.asks(user, type_).status == 200
    mails, texts = backend.code(EMAIL), backend.code(PHONE)
    for user, type_, code in (
        ("bo@harbor.example", "EMAIL", mails),
        (PHONE, "PHONE", mails),
        (EMAIL, "EMAIL", texts),
    ):
        assert backend.verifies(user, type_, code).error == "invalid_code"
    failures = sa.select(Authenticator.failures)
    assert [row.failures for row in harbor.rows(failures)] == [1, 1, 1]
    assert backend.verifies(EMAIL, "EMAIL", mails).status == 200
    assert backend.verifies(PHONE, "PHONE", texts).status == 200


@pytest.mark.parametrize(("seconds", "status"), [(599, 200), (601, 401)])
def test_a_code_lives_ten_minutes(
    harbor: Harbor, backend: Devrift, seconds: int, status: int
) -> None:
    """F17."""
    code = backend.sends(EMAIL, "EMAIL")
    harbor.clock.advance(seconds)
    assert backend.verifies(EMAIL, "EMAIL", code).status == status


def test_a_resend_keeps_the_code_before_but_no_older_and_prolongs_none(
    harbor: Harbor, backend: Devrift
) -> None:
    codes = [backend.sends(EMAIL, "EMAIL")]
    for wait in (31, 61):
        harbor.clock.advance(wait)
        codes.append(backend.sends(EMAIL, "EMAIL"))
    assert backend.verifies(EMAIL, "EMAIL", codes[0]).status == 401
    assert backend.verifies(EMAIL, "EMAIL", codes[1]).status == 200
    assert backend.verifies(EMAIL, "EMAIL", codes[2]).status == 401


def test_wrong_codes_add_up_over_resends_and_other_methods(
    harbor: Harbor, backend: Devrift
) -> None:
    """F09."""
    backend.sends(EMAIL, "EMAIL")
    for _ in range(4):
        assert backend.verifies(EMAIL, "EMAIL", "000000").error == "invalid_code"
    harbor.clock.advance(31)
    assert backend.asks(f"{EMAIL}:{PHONE}", "DUAL").status == 200
    harbor.clock.advance(3600)  # also once the pending one died of old age
    harbor.backend._token = ""
    assert backend.asks(EMAIL, "EMAIL").status == 200
    fifth = backend.verifies(EMAIL, "EMAIL", "000000")
    assert fifth.error == "invalid_code"
    locked = backend.verifies(EMAIL, "EMAIL", backend.code(EMAIL))
    assert (locked.status, locked.error) == (429, "locked")
    assert locked.json["error"]["retry_at"] == "2026-03-01T13:01:06Z"
    assert int(locked.headers["retry-after"]) == 30
    harbor.clock.advance(31)
    assert backend.verifies(EMAIL, "EMAIL", backend.code(EMAIL)).status == 200


def test_a_locked_contact_is_sent_nothing(harbor: Harbor, backend: Devrift) -> None:
    backend.sends(EMAIL, "EMAIL")
    for _ in range(8):
        backend.verifies(EMAIL, "EMAIL", "000000")
    sent = len(backend.messages(EMAIL))
    reply = backend.asks(EMAIL, "EMAIL")
    assert (reply.status, reply.error) == (429, "locked")
    assert len(backend.messages(EMAIL)) == sent


def test_of_many_at_once_one_answer_is_accepted(harbor: Harbor, backend: Devrift) -> None:
    """F06: of the code that binds, and of one that verifies."""
    for _ in range(2):
        code = backend.sends(EMAIL, "EMAIL")
        with ThreadPoolExecutor(8) as pool:
            each = [code] * 12
            found = list(pool.map(lambda it: backend.verifies(EMAIL, "EMAIL", it).status, each))
        assert found.count(200) == 1
        assert set(found) <= {200, 401, 429}
        backend.later()


def test_of_many_at_once_one_message_is_sent_and_one_user_added(
    harbor: Harbor, backend: Devrift
) -> None:
    """F53: a flood of parallel asks for a new contact costs one message."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: backend.asks(OTHER, "SMS").status, range(8)))
    assert sorted(found) == [200, *[429] * 7]
    assert len(backend.messages(OTHER)) == 1
    assert len(harbor.rows(sa.select(User.id).where(User.phone_number == OTHER))) == 1
    assert statuses(harbor) == [("sms", "pending")]


def test_asking_again_waits_longer_each_time(harbor: Harbor, backend: Devrift) -> None:
    assert backend.asks(PHONE, "SMS").status == 200
    reply = backend.asks(PHONE, "SMS")
    assert (reply.status, reply.error) == (429, "rate_limited")
    assert reply.json["error"]["retry_at"] == "2026-03-01T12:00:35Z"
    harbor.clock.advance(30)
    assert backend.asks(PHONE, "SMS").status == 200
    harbor.clock.advance(30)
    assert backend.asks(PHONE, "SMS").json["error"]["retry_at"] == "2026-03-01T12:01:35Z"


@pytest.mark.parametrize(
    ("number", "type_", "error"),
    [
        ("+447400123456", "SMS", "country_not_allowed"),
        ("+33899123456", "SMS", "number_refused"),
        ("+870773111632", "SMS", "number_refused"),
    ],
)
def test_what_is_dear_or_far_away_is_never_texted(
    harbor: Harbor, backend: Devrift, number: str, type_: str, error: str
) -> None:
    """F53."""
    reply = backend.asks(number, type_)
    assert (reply.status, reply.error) == (422, error), reply.text
    assert harbor.rows(sa.select(Message.id).where(Message.recipient == number)) == []
    assert harbor.rows(sa.select(User.id).where(User.phone_number == number)) == []


# Dual


def test_dual_sends_one_code_to_both(backend: Devrift) -> None:
    user = f"{EMAIL}:{PHONE}"
    assert backend.asks(user, "DUAL").status == 200
    assert backend.code(EMAIL) == backend.code(PHONE)


def test_strict_dual_wants_both_in_one_answer_and_does_not_say_which_was_wrong(
    harbor: Harbor, backend: Devrift
) -> None:
    """F33."""
    switches(harbor, "dual", strict=True)
    user = f"{EMAIL}:{PHONE}"
    assert backend.asks(user, "DUAL").status == 200
    mail, text = backend.code(EMAIL), backend.code(PHONE)
    bad = [mail, f"{mail} {mail}", f"{mail} {wrong(text)}", f"{wrong(mail)} {text}"]
    told = [backend.verifies(user, "DUAL", code) for code in bad]
    assert {one.status for one in told} == {401}
    assert len({one.text for one in told}) == 1
    assert [row.failures for row in harbor.rows(sa.select(Authenticator.failures))] == [4]
    assert backend.verifies(user, "DUAL", f"{mail}, {text}").status == 200


# Switched off


@pytest.mark.parametrize(
    ("kind", "sent", "verified", "user"),
    [
        ("email", "EMAIL", "EMAIL", EMAIL),
        ("sms", "SMS", "PHONE", PHONE),
        ("dual", "DUAL", "DUAL", f"{EMAIL}:{PHONE}"),
    ],
)
def test_what_is_switched_off_refuses_every_call(
    harbor: Harbor, backend: Devrift, kind: str, sent: str, verified: str, user: str
) -> None:
    """F32: also a code that was sent before."""
    code = backend.sends(user, sent, user.rpartition(":")[2])
    switches(harbor, kind, active=False)
    backend.later()
    for reply in (
        backend.asks(user, sent),
        backend.verifies(user, verified, code),
        backend.backs_up(user, sent),
    ):
        assert (reply.status, reply.error) == (403, "method_disabled")
    other = backend.asks("unheard@harbor.example", "EMAIL") if kind == "email" else None
    assert other is None or other.error == "method_disabled"
    new = sa.select(User.id).where(User.email == "unheard@harbor.example")
    assert harbor.rows(new) == []


def test_a_suspended_user_is_let_in_by_no_call(harbor: Harbor, backend: Devrift) -> None:
    code = backend.sends(EMAIL, "EMAIL")
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.find(tx, harbor.organization, EMAIL)
        harbor.services.user_care.suspend(tx, OPERATOR, harbor.organization, user, why="Stolen")
    for reply in (
        backend.verifies(EMAIL, "EMAIL", code),
        backend.asks(EMAIL, "EMAIL"),
        backend.asks(EMAIL, "APP"),
        backend.backs_up(EMAIL, "EMAIL"),
    ):
        assert (reply.status, reply.error) == (422, "user_suspended")


@ONE_DATABASE
def test_to_verify_an_unknown_contact_adds_nobody_and_tells_nothing(
    harbor: Harbor, backend: Devrift
) -> None:
    """F55."""
    backend.sends(EMAIL, "EMAIL")
    unknown = backend.verifies("nobody@harbor.example", "EMAIL", "000000")
    known = backend.verifies(EMAIL, "EMAIL", "000000")
    assert (unknown.status, unknown.text) == (known.status, known.text)
    assert len(harbor.rows(sa.select(User.id).where(User.email.like("nobody%")))) == 0


@ONE_DATABASE
def test_what_the_client_says_of_itself_changes_no_message_and_no_limit(
    harbor: Harbor, backend: Devrift
) -> None:
    """F51, F52."""
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    addresses = ("a", "", "::1", "1.2.3.4, " * 50)
    first = backend.calls("/mfa", f"User={PHONE}, Type=SMS", **forged)
    assert first.status == 200
    assert "evil.example" not in str(backend.messages(PHONE))
    for address in addresses:
        again = backend.calls(
            "/mfa", f"User={PHONE}, Type=SMS", **{**forged, "X-Forwarded-For": address}
        )
        assert again.error == "rate_limited"
    misdirected = backend.calls("/mfa", f"User={EMAIL}, Type=EMAIL", Host="evil.example")
    assert (misdirected.status, misdirected.error) == (421, "misdirected_request")
