"""/totp-challenge: a backend verifies its users on pages of its own; every rule holds here, too."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.models import Authenticator, User, Verification
from tests.actors import Phone
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.headless import (
    PATH,
    challenges,
    confirms,
    connects,
    enrolls,
    has_phone,
    has_sms,
    next_day,
    verifies,
)
from tests.web.api_v2.shapes import FORM, JSON, WAYS, raw

SHAPE = {
    "__type__": "TotpChallenge",
    "__domain__": "harbor",
    "__environment__": "sandbox",
    "code": None,
    "recovery_code_used": False,
    "sent_at": None,
    "success": False,
    "reason": None,
    "retry_at": None,
    "attempts_remaining": None,
    "expires_at": None,
}


def counts(harbor: Harbor) -> tuple[int, int]:
    """Return the failures of the user and of the one authenticator."""
    [(user,)] = harbor.rows(sa.select(User.failures).where(User.id == uuid.UUID(harbor.ada)))
    [(phone,)] = harbor.rows(
        sa.select(Authenticator.failures).where(Authenticator.status == "active")
    )
    return user, phone


# Right and wrong


def test_the_answer_has_exactly_the_published_fields_and_ours(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    right = verifies(harbor, harbor.code(phone))
    assert right.status == 200
    assert re.fullmatch(r"totp-challenge_[0-9A-Za-z]{27}", right.json["request_id"])
    assert right.json == {
        **SHAPE,
        "request_id": right.json["request_id"],
        "user_id": harbor.ada,
        "challenged_at": "2026-03-01T12:00:35.000000",
        "success": True,
    }
    wrong = verifies(harbor, harbor.wrong_codes(phone)[0])
    assert wrong.status == 200
    assert wrong.json == {
        **SHAPE,
        "request_id": wrong.json["request_id"],
        "user_id": harbor.ada,
        "challenged_at": "2026-03-01T12:00:35.000000",
        "reason": "wrong",
        "attempts_remaining": 4,
    }


@ONE_DATABASE
def test_every_way_of_writing_is_understood(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    for way in WAYS:
        path = f"{PATH}/totp-challenge/validation/{harbor.ada}"
        reply = harbor.backend.calls("POST", path, **way({"code": harbor.code(phone)}))
        assert reply.json["success"] is True, reply.text
        harbor.clock.advance(30)


def test_a_code_works_once(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    code = harbor.code(phone)
    assert verifies(harbor, code).json["success"] is True
    again = verifies(harbor, code).json
    assert (again["success"], again["reason"]) == (False, "replayed")


@ONE_DATABASE
def test_the_window_follows_the_connection(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    harbor.clock.advance(300)
    assert verifies(harbor, harbor.code(phone, -2)).json["success"] is False
    connects(harbor, window=2)
    assert verifies(harbor, harbor.code(phone, -2)).json["success"] is True
    connects(harbor, window=0)
    assert verifies(harbor, harbor.code(phone, 1)).json["success"] is False
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    connects(harbor, window=1, strict=True)
    assert verifies(harbor, harbor.code(phone, 1)).json["success"] is False
    connects(harbor, strict=False)
    assert verifies(harbor, harbor.code(phone, 1)).json["success"] is True


@ONE_DATABASE
def test_a_code_of_another_time_is_wrong_and_says_no_more(harbor: Harbor) -> None:
    """A backend's guesser is not told when a code would be right, so it may be right then."""
    phone, _ = has_phone(harbor)
    early = harbor.code(phone, 4)
    assert verifies(harbor, early).json["reason"] == "wrong"
    harbor.clock.advance(4 * 30)
    assert verifies(harbor, early).json["success"] is True


@ONE_DATABASE
def test_who_has_nothing_is_not_enrolled(harbor: Harbor) -> None:
    for reply in (challenges(harbor), verifies(harbor, "123456"), verifies(harbor, "A" * 16)):
        assert (reply.status, reply.error) == (422, "not_enrolled")
    assert harbor.rows(sa.select(Verification.id)) == []


@ONE_DATABASE
def test_a_challenge_for_an_app_is_an_id_and_no_code(harbor: Harbor) -> None:
    has_phone(harbor)
    posed = challenges(harbor)
    assert posed.status == 201
    assert posed.json == {
        **SHAPE,
        "request_id": posed.json["request_id"],
        "user_id": harbor.ada,
        "challenged_at": "2026-03-01T12:00:35.000000",
        "attempts_remaining": 5,
    }


# Codes by SMS


def test_a_code_by_sms_works_once_for_ten_minutes(harbor: Harbor) -> None:
    user, _ = has_sms(harbor)
    posed = challenges(harbor, user).json
    assert re.fullmatch(r"\d{6}", posed["code"])
    assert posed["sent_at"] is None
    assert posed["expires_at"] == "2026-03-01T12:10:05Z"
    assert verifies(harbor, posed["code"], user).json["success"] is True
    again = verifies(harbor, posed["code"], user).json
    assert (again["success"], again["reason"]) == (False, "replayed")
    late = challenges(harbor, user).json
    harbor.clock.advance(600)
    assert verifies(harbor, late["code"], user).json["reason"] == "expired"


def test_the_two_newest_codes_work_until_one_is_used(harbor: Harbor) -> None:
    """The one before may still be on its way; an older one is dead, and a resend extends none."""
    user, _ = has_sms(harbor)
    codes: list[str] = []
    while len(set(codes[-3:])) < 3:
        harbor.clock.advance(1)
        codes.append(challenges(harbor, user).json["code"])
    codes = codes[-3:]
    assert verifies(harbor, codes[0], user).json["success"] is False
    assert verifies(harbor, codes[1], user).json["success"] is True
    assert verifies(harbor, codes[2], user).json["success"] is False


@ONE_DATABASE
def test_a_code_of_one_user_is_nothing_for_another(harbor: Harbor) -> None:
    """F28."""
    sam, _ = has_sms(harbor)
    phone, codes = has_phone(harbor)
    posed = challenges(harbor, sam).json
    assert verifies(harbor, posed["code"]).json["success"] is False
    assert verifies(harbor, harbor.code(phone), sam).json["success"] is False
    assert verifies(harbor, codes[0], sam).json["success"] is False
    assert verifies(harbor, posed["code"], sam).json["success"] is True


@ONE_DATABASE
def test_new_codes_by_sms_do_not_give_a_guesser_new_attempts(harbor: Harbor) -> None:
    user, _ = has_sms(harbor)
    for number in range(5):
        code = challenges(harbor, user).json["code"]
        guess = f"{(int(code) + 1) % 1_000_000:06d}"
        assert verifies(harbor, guess, user).json["attempts_remaining"] == 4 - number
    reply = challenges(harbor, user)
    assert (reply.status, reply.error) == (429, "locked")
    assert reply.headers["retry-after"] == "30"


def test_who_has_an_app_and_sms_may_use_either(harbor: Harbor) -> None:
    user, _ = has_sms(harbor)
    begun = enrolls(harbor, user, method="app", force_enroll=True)
    assert begun.status == 201
    # A second one, without force: by the hosted pages, which ask for a code first.
    harbor.executes(sa.delete(Authenticator).where(Authenticator.status == "pending"))
    harbor.executes(sa.update(User).values(enrollment_open=True))
    phone, _ = has_phone(harbor)
    harbor.executes(
        sa.update(Authenticator).where(Authenticator.kind == "totp").values(user_id=uuid.UUID(user))
    )
    code = challenges(harbor, user).json["code"]
    assert verifies(harbor, harbor.code(phone), user).json["success"] is True
    assert verifies(harbor, code, user).json["success"] is True
    wrong = harbor.wrong_codes(phone)[0]
    assert verifies(harbor, wrong, user).json["attempts_remaining"] == 4
    failures = harbor.rows(
        sa.select(Authenticator.failures).where(Authenticator.status == "active")
    )
    assert failures == [(1,), (1,)]  # a guess against either counts against both


# Limits


def test_the_fifth_wrong_code_starts_a_wait(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    wrong = harbor.wrong_codes(phone)[0]
    told = [verifies(harbor, wrong).json for _ in range(5)]
    assert [one["attempts_remaining"] for one in told] == [4, 3, 2, 1, 0]
    assert told[-1]["retry_at"] == "2026-03-01T12:01:05Z"
    for code in (wrong, harbor.code(phone)):
        locked = verifies(harbor, code)
        assert (locked.status, locked.error) == (429, "locked")
        assert locked.headers["retry-after"] == "30"
        assert locked.json["error"]["retry_at"] == "2026-03-01T12:01:05Z"
    harbor.clock.advance(30)
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    assert counts(harbor) == (0, 0)


def test_a_lock_holds_at_every_door(harbor: Harbor) -> None:
    """F12: hosted page, verify, and a session that began before the lock."""
    phone, _ = has_phone(harbor)
    before = harbor.visits(harbor.ada)
    wrong = harbor.wrong_codes(phone)[0]
    for _ in range(5):
        verifies(harbor, wrong)
    assert "Wait" in before.types(harbor.code(phone)).text
    assert "Wait" in harbor.visits(harbor.ada).page.text
    assert verifies(harbor, harbor.code(phone)).status == 429
    opened = harbor.notes.opens(harbor.ada)
    assert harbor.notes.looks_at(opened["id"]).json["retry_at"] == "2026-03-01T12:01:05Z"


def test_the_page_s_failures_count_at_the_api_and_the_other_way_round(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    wrong = harbor.wrong_codes(phone)[0]
    browser = harbor.visits(harbor.ada)
    for _ in range(3):
        browser.types(wrong)
    assert verifies(harbor, wrong).json["attempts_remaining"] == 1
    browser.types(wrong)
    assert verifies(harbor, harbor.code(phone)).status == 429


def test_a_hundred_failures_lock_the_user_until_an_administrator_looks(harbor: Harbor) -> None:
    phone, codes = has_phone(harbor)
    harbor.executes(sa.update(User).values(failures=99))
    assert verifies(harbor, harbor.wrong_codes(phone)[0]).json["attempts_remaining"] == 0
    for answer in (harbor.code(phone), codes[0]):
        locked = verifies(harbor, answer)
        assert (locked.status, locked.error) == (429, "locked")
        assert "retry-after" not in locked.headers
        assert "administrator" in locked.json["error"]["message"]


@ONE_DATABASE
def test_recovery_codes_have_a_count_of_their_own(harbor: Harbor) -> None:
    phone, codes = has_phone(harbor)
    for number in range(5):
        told = verifies(harbor, f"AAAA-BBBB-CCCC-DDD{number}").json
        assert (told["reason"], told["attempts_remaining"]) == ("wrong", 4 - number)
    assert verifies(harbor, codes[0]).status == 429
    assert verifies(harbor, harbor.code(phone)).json["success"] is True
    harbor.clock.advance(30)
    assert verifies(harbor, codes[0]).json["recovery_code_used"] is True


def test_a_locked_enrollment_says_so(harbor: Harbor) -> None:
    enrolls(harbor)
    for number in range(5):
        confirms(harbor, f"00000{number}")
    reply = confirms(harbor, "123456")
    assert reply.status in {200, 429}
    assert reply.status == 429 or reply.json["success"] is False


# Types and shapes


ODD = [
    None,
    [],
    ["000000", "000001"],
    {"$ne": 1},
    {},
    True,
    123456,
    1e5,
    {"code": "123456"},
]


@ONE_DATABASE
def test_a_code_of_another_type_is_refused_by_name(harbor: Harbor) -> None:
    """F20: no success, no crash, nothing counted."""
    phone, _ = has_phone(harbor)
    for odd in ODD:
        for reply in (verifies(harbor, odd), confirms(harbor, odd)):
            assert (reply.status, reply.error) == (422, "invalid_request"), odd
            assert reply.json["error"]["message"].startswith("code"), reply.text
    path = f"{PATH}/totp-challenge/validation/{harbor.ada}"
    code = harbor.code(phone)
    for body in (
        raw(b"", JSON),
        raw(b"{}", JSON),
        raw(b"other=1", FORM),
        raw(f'{{"code": {int(code)}}}'.encode(), JSON),
    ):
        assert harbor.backend.calls("POST", path, **body).status == 422
    for body in (
        raw(f"code={code}&code=000000".encode(), FORM),
        raw(f'{{"code":"000000","code":"{code}"}}'.encode(), JSON),
        raw(f"code[]={code}".encode(), FORM),
    ):
        assert harbor.backend.calls("POST", path, **body).status in {400, 422}
    assert harbor.backend.calls("POST", path, **raw(code.encode(), "text/plain")).status == 415
    assert counts(harbor) == (0, 0)
    assert verifies(harbor, code).json["success"] is True


@ONE_DATABASE
def test_what_can_not_be_a_code_is_wrong_and_costs_nothing(harbor: Harbor) -> None:
    phone, _ = has_phone(harbor)
    for odd in ("", " ", "12345", "abcdef", "12 34", "%", "*", "\u0662", "١٢٣"):
        reply = verifies(harbor, odd)
        assert reply.status == 200, odd
        assert (reply.json["success"], reply.json["reason"]) == (False, "wrong")
    assert counts(harbor) == (0, 0)
    assert verifies(harbor, f" {harbor.code(phone)[:3]}-{harbor.code(phone)[3:]} ").json["success"]


@ONE_DATABASE
def test_a_leading_zero_is_part_of_the_code(harbor: Harbor) -> None:
    """F21."""
    phone, _ = has_phone(harbor)
    while not harbor.code(phone).startswith("0"):
        harbor.clock.advance(30)
    code = harbor.code(phone)
    assert verifies(harbor, code.lstrip("0")).json["success"] is False
    assert verifies(harbor, int(code)).status == 422
    assert verifies(harbor, code).json["success"] is True


@ONE_DATABASE
@pytest.mark.parametrize("user", ["%20", "%25", "*", "null", "[]", "a@x%2Cb@y", "ada", "%00"])
def test_an_odd_user_is_not_found_and_moves_no_counter(harbor: Harbor, user: str) -> None:
    """F15."""
    has_phone(harbor)
    for reply in (
        verifies(harbor, "000000", user),
        challenges(harbor, user),
        enrolls(harbor, user),
        confirms(harbor, "000000", user),
    ):
        assert (reply.status, reply.error) == (404, "not_found"), user
    for odd in ("", " ", "%", "*", None, ["a"], {"a": 1}, True, 1):
        reply = harbor.backend.calls("POST", f"{PATH}/totp-enrollment", json={"user_id": odd})
        assert reply.status in {404, 422}, odd
    assert counts(harbor) == (0, 0)


# At once


def test_of_many_at_once_one_is_accepted(live_harbor: Harbor) -> None:
    """F06: fifty right answers, fifty codes by SMS, fifty recovery codes."""
    harbor = live_harbor
    phone, codes = has_phone_now(harbor)
    user, _ = has_sms(harbor)
    sent = challenges(harbor, user).json["code"]
    for answer, who in ((harbor.code(phone, 1), harbor.ada), (sent, user), (codes[0], harbor.ada)):
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda _, a=answer, w=who: verifies(harbor, a, w), range(50)))
        accepted = [one for one in replies if one.status == 200 and one.json["success"]]
        assert len(accepted) == 1, Counter((one.status, one.text[:80]) for one in replies)
        assert {one.status for one in replies} <= {200, 429}
    kept = harbor.rows(
        sa.select(sa.func.count()).where(
            Verification.accepted, Verification.purpose != "enrollment"
        )
    )
    assert kept == [(3,)]


def has_phone_now(harbor: Harbor) -> tuple[Phone, list[str]]:
    """As `has_phone`, before servers whose clock nobody moves."""
    begun = enrolls(harbor)
    phone = Phone(begun.json["otp_uri"])
    assert confirms(harbor, harbor.code(phone)).json["success"] is True
    return phone, begun.json["recovery_codes"].split()


def test_five_guesses_at_once_are_five(live_harbor: Harbor) -> None:
    harbor = live_harbor
    phone, _ = has_phone_now(harbor)
    wrong = harbor.wrong_codes(phone, 40)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda code: verifies(harbor, code), wrong))
    assert Counter(reply.status for reply in replies) == {200: 5, 429: 35}
    refused = sa.select(sa.func.count()).where(sa.not_(Verification.accepted))
    assert harbor.rows(refused) == [(5,)]


@ONE_DATABASE
def test_a_day_s_one_recovery_code_holds_over_both_doors(harbor: Harbor) -> None:
    _, codes = has_phone(harbor)
    assert verifies(harbor, codes[0]).json["success"] is True
    browser = harbor.visits(harbor.ada)
    assert "administrator" in browser.page.text
    assert verifies(harbor, codes[1]).json["reason"] == "recovery_limited"
    next_day(harbor)
    assert verifies(harbor, codes[1]).json["success"] is True
