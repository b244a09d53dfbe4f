"""Confirming a user with a code: which codes count, how often, and what the page says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.factors import SECRET_FACTORS
from app.factors.base import Outcome
from app.models import Authenticator, Event, GatewaySession, Result, Verification
from tests.actors import Browser, Phone
from tests.conftest import ONE_DATABASE, Harbor

WRONG = "That code is not right."
USED = "That code was already used."
MALFORMED = "A code has six digits."


def judged(harbor: Harbor, browser: Browser) -> int:
    """Return how many answers were charged to the browser's visit."""
    visit_id = f"gateway-session_{browser.path.split('/')[2]}"
    asked = sa.select(GatewaySession.judged).where(GatewaySession.id == visit_id)
    return int(harbor.rows(asked)[0][0])


def results(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(Result.id)))


def refuses(browser: Browser, sentence: str) -> None:
    assert browser.reply.status == 422, browser.reply.status
    assert sentence in browser.page.text, browser.page.text


# Which codes count


def test_a_code_works_once_even_while_it_is_valid(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    code = harbor.code(phone)
    harbor.visits(harbor.ada).types(code)
    assert results(harbor) == 1
    again = harbor.visits(harbor.ada)
    for seconds in (1, 28):
        harbor.clock.advance(seconds)
        again.types(code)
        refuses(again, USED)
    assert results(harbor) == 1
    again.types(harbor.code(phone))
    assert "result" in again.back


def test_a_visit_that_runs_out_while_its_code_is_judged_still_ends_well(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a clock is set forward just then: what was confirmed in time counts."""
    phone = harbor.enrolls()
    browser, totp = harbor.visits(harbor.ada), SECRET_FACTORS["totp"]
    code, check = harbor.code(phone), totp.check

    def slowly(*given: Any, **more: Any) -> Outcome:
        outcome = check(*given, **more)
        harbor.clock.advance(3600)
        return outcome

    monkeypatch.setattr(totp, "check", slowly)
    browser.types(code)
    assert harbor.notes.checks(browser.back["result"])["status"] == "verified"


def test_a_code_is_used_up_with_those_before_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.clock.advance(60)
    harbor.visits(harbor.ada).types(harbor.code(phone))
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone, -1))
    refuses(browser, USED)


def test_the_code_that_confirmed_the_enrollment_confirms_nobody(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    code = harbor.code(phone)
    browser.types(code)
    browser.saves_codes()
    second = harbor.visits(harbor.ada)
    second.types(code)
    refuses(second, USED)
    assert results(harbor) == 1


def test_another_users_code_confirms_nobody(harbor: Harbor) -> None:
    harbor.enrolls()
    bobs = harbor.enrolls(harbor.person("bob@harbor.example"))
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(bobs))
    refuses(browser, WRONG)
    assert judged(harbor, browser) == 1


def test_a_code_of_a_phone_that_is_not_confirmed_confirms_nobody(harbor: Harbor) -> None:
    harbor.enrolls()
    other = harbor.visits(harbor.ada, intent="enroll")
    harbor.clock.advance(30)
    browser = harbor.visits(harbor.ada)
    phone = harbor.enrolls(harbor.person("bob@harbor.example"))
    other.types(harbor.code(phone))
    refuses(other, WRONG)
    browser.types(harbor.code(phone))
    refuses(browser, WRONG)


def test_the_users_old_phone_does_not_confirm_the_new_one(harbor: Harbor) -> None:
    old = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.types(harbor.code(old))
    new = browser.sets_up()
    harbor.clock.advance(30)
    browser.types(harbor.code(old))
    refuses(browser, WRONG)
    elsewhere = harbor.visits(harbor.ada)
    elsewhere.types(harbor.code(new))
    refuses(elsewhere, WRONG)
    assert (judged(harbor, browser), judged(harbor, elsewhere)) == (2, 1)


def test_one_step_either_side_is_accepted_and_two_are_not(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.clock.advance(300)
    for steps, seconds, way in ((-2, 60, "slow"), (2, 60, "fast")):
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone, steps))
        refuses(browser, f"Your phone’s clock is about {seconds} seconds {way}.")
    for steps in (-1, 0, 1):  # in this order, as each step uses up those before it
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone, steps))
        assert "result" in browser.back, steps


@ONE_DATABASE
@pytest.mark.parametrize("year", [2040, 2110])
def test_codes_work_beyond_2038(harbor: Harbor, year: int) -> None:
    harbor.clock.moment = harbor.clock.now().replace(year=year)
    phone = harbor.enrolls()
    code = harbor.code(phone)
    harbor.visits(harbor.ada).types(code)
    assert results(harbor) == 1
    again = harbor.visits(harbor.ada)
    again.types(code)
    refuses(again, USED)


def test_a_leading_zero_must_be_typed(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    harbor.clock.advance(60)
    while not harbor.code(phone).startswith("0"):
        harbor.clock.advance(30)
    browser = harbor.visits(harbor.ada)
    code = harbor.code(phone)
    browser.types(code[1:])
    refuses(browser, MALFORMED)
    browser.types(code[1:] + "0")
    assert browser.reply.status == 422
    browser.types(code)
    assert "result" in browser.back


@ONE_DATABASE
def test_a_pasted_code_is_taken_as_it_is_meant(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for spelled in ("{0} {1}", "{0}\N{NO-BREAK SPACE}{1}\r\n", "{0}-{1}"):
        code = harbor.code(phone)
        browser = harbor.visits(harbor.ada)
        browser.types(spelled.format(code[:3], code[3:]))
        assert "result" in browser.back, spelled
        harbor.clock.advance(30)


# Answers of odd types and shapes

FORM = "application/x-www-form-urlencoded"


def odd_answers(code: str) -> dict[str, tuple[list[str], int]]:
    """Return answers that hold the right code or look like it, and how many attempts each costs."""
    return {
        "no field": ([], 0),
        "empty": ([""], 0),
        "blank": ([" \N{NO-BREAK SPACE}"], 0),
        "letters": (["abcdef"], 0),
        "too short": ([code[:5]], 0),
        "NUL": (["\0\0\0\0\0\0"], 0),
        "12 digits": ([code * 2], 1),
        "60 codes": ([code * 60], 1),
        "twice the same": ([code, code], 1),
        "wrong and right": (["000000", code], 1),
        "right and wrong": ([code, "000000"], 1),
        "right and empty": ([code, ""], 1),
        "two halves": ([code[:3], code[3:]], 1),
        "quoted": ([f"'{code}'"], 1),
        "a JSON list": ([f'["{code}"]'], 1),
        "two lines": ([f"{code}\r\n000000"], 1),
    }


def test_an_answer_of_an_odd_shape_is_refused(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for name, (answer, charged) in odd_answers(harbor.code(phone)).items():
        browser = harbor.visits(harbor.ada)
        browser.sends("verify", code=answer)
        assert browser.reply.status == 422, name
        assert judged(harbor, browser) == charged, name
        harbor.executes(sa.update(Authenticator).values(failures=0, retry_at=None))
    assert results(harbor) == 0
    harbor.visits(harbor.ada).types(harbor.code(phone))
    assert results(harbor) == 1


def odd_bodies(token: str, code: str) -> dict[str, tuple[str, str, int]]:
    """Return bodies that hold the right code where none is looked for, with their kind."""
    right = f"csrf_token={token}&code={code}"
    return {
        "JSON": ("application/json", json.dumps({"csrf_token": token, "code": code}), 400),
        "text": ("text/plain", right, 400),
        "no kind": ("", right, 400),
        "no parts": ("multipart/form-data", right, 400),
        "a list": (FORM, f"csrf_token={token}&code[]={code}", 422),
        "capitals": (FORM, f"csrf_token={token}&CODE={code}", 422),
        "not UTF-8": (FORM, f"csrf_token={token}&code=%FF%FE%00", 422),
        "1 MB": (FORM, f"csrf_token={token}&code={'1' * 1_000_000}", 413),
        "2 MB": (FORM, f"{right}&code={'1' * 2_000_000}", 413),
        "many fields": (FORM, right + "&x=1" * 200_000, 413),
    }


@ONE_DATABASE
def test_a_body_of_an_odd_kind_is_refused(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    page = browser.path
    bodies = odd_bodies(browser.form_token, harbor.code(phone))
    for name, (kind, body, status) in bodies.items():
        browser.goes_to(page, "POST", data=body.encode(), headers={"Content-Type": kind})
        assert browser.reply.status == status, name
        assert judged(harbor, browser) == 0, name
    assert results(harbor) == 0
    browser.sends("verify", code=harbor.code(phone))
    assert "result" in browser.back


@ONE_DATABASE
def test_a_file_in_place_of_the_code_is_refused(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    body = part.format("csrf_token", "", browser.form_token)
    body += part.format("code", '; filename="a"', harbor.code(phone)) + "--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert browser.goes_to(browser.path, "POST", data=body.encode(), headers=headers).status == 422
    assert results(harbor) == 0


@ONE_DATABASE
def test_a_code_in_the_address_is_not_an_answer(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    query = urlencode({"code": harbor.code(phone)})
    browser.goes_to(f"{browser.path}?{query}")
    assert browser.reply.status == 200
    browser.goes_to(f"{browser.path}?{query}", "POST", data={"csrf_token": browser.form_token})
    assert browser.reply.status == 422
    assert results(harbor) == 0


# How often


def test_five_wrong_answers_close_the_session(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada, state="s")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    *four, fifth = harbor.wrong_codes(phone, 5)
    for code, left in zip(four, ("4 tries", "3 tries", "2 tries", "1 try"), strict=True):
        browser.types(code)
        refuses(browser, WRONG)
        assert f"{left} left before this page closes." in browser.page.text
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "pending"
    browser.types(fifth)
    assert browser.path.endswith("/ended")
    assert browser.page.heading == "Too many wrong codes"
    assert "start again from Harbor Notes." in browser.page.text
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "failed"
    browser.sends("verify", code=harbor.code(phone))
    assert browser.page.heading == "Too many wrong codes"
    assert results(harbor) == 0
    browser.goes_to(browser.address("return"))
    assert browser.back == {
        "state": "s",
        "session_id": opened["id"],
        "error": "access_denied",
        "error_description": "There were too many wrong answers.",
    }
    assert len(harbor.rows(sa.select(Event).where(Event.kind == "gateway_session:failed"))) == 1


def test_the_right_code_may_be_the_fifth_answer(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, 4):
        browser.types(code)
    browser.types(harbor.code(phone))
    assert "result" in browser.back


def test_a_used_code_and_one_of_another_time_are_charged(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    used = harbor.code(phone, -1)
    browser = harbor.visits(harbor.ada)
    for number in range(1, 5):
        browser.types(used if number % 2 else harbor.code(phone, 5))
        assert judged(harbor, browser) == number
    browser.types(used)
    assert browser.page.heading == "Too many wrong codes"


def test_setting_up_and_confirming_share_the_five_answers(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    phone = browser.sets_up()
    for code in harbor.wrong_codes(phone, 3):
        browser.types(code)
    assert browser.path.endswith("/enroll")
    browser.sends("set-up", kind="totp")  # a fresh secret brings no fresh answers
    phone = browser.scans()
    for code in harbor.wrong_codes(phone, 2):
        browser.types(code)
    assert browser.page.heading == "Too many wrong codes"
    browser.sends("enroll", code=harbor.code(phone))
    browser.goes_to(browser.address("return"))
    assert browser.back["error"] == "access_denied"
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "failed"


def test_who_used_up_the_answers_before_adding_a_phone_is_sent_back(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada, intent="enroll")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    for code in harbor.wrong_codes(phone, 4):
        browser.types(code)
    browser.types(harbor.code(phone))
    added = browser.sets_up()
    browser.types(harbor.code(added))
    assert browser.page.heading == "Too many wrong codes"
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "failed"
    assert results(harbor) == 0


def test_a_charge_outlives_whatever_breaks_after_it(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    [[sealed]] = harbor.rows(sa.select(Authenticator.secret))
    harbor.executes(sa.update(Authenticator).values(secret="v1:gone:AAAA"))
    for broken in range(1, 6):
        browser.goes_to(browser.address("verify"))
        browser.types(harbor.code(phone))
        assert browser.reply.status == 500
        assert browser.page.heading == "The fault is ours"
        assert judged(harbor, browser) == broken
    assert len(harbor.rows(sa.select(Verification))) == 1
    harbor.executes(sa.update(Authenticator).values(secret=sealed))
    harbor.clock.advance(30)  # five charges in a row cost a wait
    browser.sends("verify", code=harbor.code(phone))
    assert browser.page.heading == "Too many wrong codes"
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "failed"
    fresh = harbor.visits(harbor.ada)
    fresh.types(harbor.code(phone))
    assert "result" in fresh.back


# What the page says


def shown(harbor: Harbor, browser: Browser) -> str:
    """Return what the page says beyond what stands on every page."""
    return browser.page.text.split("ada@harbor.example", 1)[1].split("Cancel and return")[0]


def said(harbor: Harbor, phone: Phone) -> dict[str, str]:
    """Return what the page says to every answer that is refused."""
    wrong = harbor.wrong_codes(phone, 5)
    answers = {
        "missing": "",
        "short": "123",
        "wrong": wrong[0],
        "used": harbor.code(phone, -1),
        "slow": harbor.code(phone, -10),
        "fast": harbor.code(phone, 10),
    }
    texts = {}
    for name, answer in answers.items():
        browser = harbor.visits(harbor.ada)
        browser.types(answer)
        assert browser.page.title.startswith("Error: "), name
        assert browser.page.attribute("input", "aria-invalid") == "true"
        texts[name] = shown(harbor, browser)
    harbor.executes(sa.update(Authenticator).values(failures=0, retry_at=None))
    browser = harbor.visits(harbor.ada)
    for answer in wrong:
        browser.types(answer)
    texts["too many"] = shown(harbor, browser)
    browser = harbor.visits(harbor.ada)
    harbor.clock.advance(15 * 60)
    browser.types(harbor.code(phone))
    texts["expired"] = shown(harbor, browser)
    return texts


def test_every_refusal_has_its_own_sentence_and_says_what_to_do(harbor: Harbor) -> None:
    texts = said(harbor, harbor.enrolls())
    assert len(set(texts.values())) == len(texts)
    next_steps = {
        "missing": "Type the six digits that the app shows.",
        "short": "Type all six that the app shows.",
        "wrong": "Type the code that the app shows now.",
        "used": "Type the next one when it appears.",
        "slow": "300 seconds slow. Set it to automatic time, then type the next code.",
        "fast": "300 seconds fast. Set it to automatic time, then type the next code.",
        "too many": "Then start again from Harbor Notes.",
        "expired": "Start again from Harbor Notes.",
    }
    for name, sentence in next_steps.items():
        assert sentence in texts[name], name


@ONE_DATABASE
def test_what_was_typed_stays_in_the_field(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.types('12 "345')
    assert browser.page.forms[0]["fields"]["code"] == '12 "345'
    assert judged(harbor, browser) == 0
