"""Setting up where codes are sent: numbers in any spelling, the first code, what comes after."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Message, RecoveryCode
from tests.actors import Browser
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import (
    ADA,
    MOBILE,
    Outbox,
    allow,
    answer,
    enroll,
    know_number,
    switch,
    wrong,
)


@pytest.fixture
def outbox(harbor: Harbor) -> Outbox:
    switch(harbor)
    return Outbox(harbor)


def authenticators(harbor: Harbor) -> list[tuple[str, str, str]]:
    rows = harbor.rows(
        sa.select(Authenticator.kind, Authenticator.status, Authenticator.recipient).order_by(
            Authenticator.created_at
        )
    )
    return [(kind, status.value, recipient) for kind, status, recipient in rows]


def at_number(harbor: Harbor, kind: str = "sms", **ask: str) -> Browser:
    """Stand at the page that asks for a number."""
    browser = harbor.visits(harbor.ada, **ask)
    browser.goes_to(browser.address(f"set-up/{kind}"))
    assert browser.reply.status == 200
    return browser


def refuses(browser: Browser, sentence: str) -> None:
    assert browser.reply.status == 422, browser.reply.status
    assert sentence in browser.page.text, browser.page.text


def notices(harbor: Harbor) -> list[str]:
    rows = harbor.rows(
        sa.select(Message.subject).where(Message.name != "code").order_by(Message.created_at)
    )
    return [subject for (subject,) in rows]


@pytest.mark.parametrize(
    ("kind", "channel", "recipient", "notice"),
    [
        ("sms", "sms", MOBILE, "A phone number was added to your account"),
        ("sms", "whatsapp", MOBILE, "A phone number was added to your account"),
        ("sms", "voice", MOBILE, "A phone number was added to your account"),
        ("email", "email", ADA, "An email address was added to your account"),
        ("dual", "dual", f"{ADA}:{MOBILE}", "Your email and a phone number were added"),
    ],
)
def test_a_first_code_by_each_channel_sets_it_up_and_recovery_codes_follow(
    harbor: Harbor, outbox: Outbox, kind: str, channel: str, recipient: str, notice: str
) -> None:
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("set-up"))
    if kind != "email":
        browser.goes_to(browser.address(f"set-up/{kind}"))
    browser.presses(channel, number=MOBILE)
    assert authenticators(harbor) == [(kind, "pending", recipient)]
    assert "Add a method" in browser.page.text
    answer(browser, outbox, ADA if kind == "email" else MOBILE)
    assert len(browser.saves_codes()) == 5
    claims = harbor.notes.checks(browser.back["result"])
    assert (claims["status"], claims["mfa_method"]) == ("enrolled", channel)
    assert authenticators(harbor) == [(kind, "active", recipient)]
    assert notices(harbor)[-1].startswith(notice)


def test_methods_are_offered_the_safest_first_with_the_reason(
    harbor: Harbor, outbox: Outbox
) -> None:
    text = harbor.visits(harbor.ada).page.text
    order = ("Set up authenticator app", "By message", "Phone number", "Email and phone", "Code to")
    places = [text.index(name) for name in order]
    assert places == sorted(places)
    assert "a text can be intercepted" in text
    assert "a•••••@harbor.example" in text
    switch(harbor, active=False)
    assert "By message" not in harbor.visits(harbor.ada).page.text


def test_the_phone_is_offered_only_beside_something_stronger_unless_the_risk_is_accepted(
    harbor: Harbor, outbox: Outbox
) -> None:
    path = f"/org/{harbor.organization.domain}/totp-connection"
    assert harbor.backend.calls("PUT", path, json={"active": False}).status == 200
    text = harbor.visits(harbor.ada).page.text
    assert "Phone number" not in text
    assert "Email" in text
    browser = harbor.visits(harbor.ada)
    browser.sends("set-up/sms", channel="sms", number=MOBILE)
    assert outbox.all() == []
    allow(harbor, risk_accepted=True)
    assert "Phone number" in harbor.visits(harbor.ada).page.text


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("06 12 34 56 78", "FR"),
        ("06.12.34.56.78", "FR"),
        ("+33 6 12 34 56 78", "FR"),
        ("+33612345678", "DE"),
        ("0033 6 12 34 56 78", "FR"),
        ("+33 (0)6 12 34 56 78", "FR"),
        ("\uff10\uff16 12 34 56 78", "FR"),
    ],
)
@ONE_DATABASE
def test_every_spelling_of_a_number_is_the_same_number(
    harbor: Harbor, outbox: Outbox, number: str, country: str
) -> None:
    browser = at_number(harbor)
    browser.presses("sms", number=number, country=country)
    assert authenticators(harbor) == [("sms", "pending", MOBILE)]
    assert "Sent to +33 6 12 34 56 78" in browser.page.text  # as typed, so that a slip is seen


@pytest.mark.parametrize(
    ("number", "channel", "sentence"),
    [
        ("", "sms", "That is not a phone number."),
        ("12", "sms", "That is not a phone number."),
        ("ada@harbor.example", "sms", "That is not a phone number."),
        ("0612345678;0699999999", "sms", "That is not a phone number."),
        ("0", "voice", "That is not a phone number."),
        ("01 42 68 53 00", "sms", "We can’t send messages to this number. Use a mobile number"),
        ("0899 70 12 34", "voice", "We can’t call this number."),
        ("+44 7400 123456", "sms", "Harbor sends no codes to numbers in United Kingdom."),
        ("+881 612 345 678", "sms", "We can’t send messages to this number."),
    ],
)
@ONE_DATABASE
def test_a_number_that_gets_no_code_is_refused_in_words(
    harbor: Harbor, outbox: Outbox, number: str, channel: str, sentence: str
) -> None:
    browser = at_number(harbor)
    browser.presses(channel, number=number)
    refuses(browser, sentence)
    assert authenticators(harbor) == []
    assert outbox.all() == []
    assert browser.page.attribute("input", "aria-invalid") == "true"
    browser.presses("sms", number=MOBILE)
    assert browser.path.endswith("/enroll")


@ONE_DATABASE
def test_the_number_on_record_is_shown_in_part_and_another_may_be_typed(
    harbor: Harbor, outbox: Outbox
) -> None:
    know_number(harbor)
    browser = at_number(harbor)
    assert "Harbor knows your number: +33 • •• •• 56 78" in browser.page.text
    assert "612345678" not in browser.reply.text
    browser.presses("sms")
    assert "Sent to +33 • •• •• 56 78" in browser.page.text
    assert authenticators(harbor) == [("sms", "pending", MOBILE)]
    browser.sends("set-up/sms", channel="sms", number="06 99 99 99 99", country="FR")
    assert authenticators(harbor) == [("sms", "pending", "+33699999999")]


@ONE_DATABASE
def test_without_a_number_on_record_none_is_guessed(harbor: Harbor, outbox: Outbox) -> None:
    browser = at_number(harbor)
    browser.sends("set-up/sms", channel="sms")
    refuses(browser, "That is not a phone number.")
    assert outbox.all() == []


def test_looking_at_pages_sends_and_begins_nothing(harbor: Harbor, outbox: Outbox) -> None:
    browser = harbor.visits(harbor.ada)
    for page in ("set-up/sms", "set-up/email", "set-up/dual", "set-up/totp", "enroll/send"):
        for method in ("GET", "HEAD"):
            browser.goes_to(browser.address(page), method)
    assert outbox.all() == []
    assert authenticators(harbor) == []


def test_a_second_tap_neither_sends_again_nor_loses_the_first(
    harbor: Harbor, outbox: Outbox
) -> None:
    browser = harbor.visits(harbor.ada)
    for _ in range(2):
        browser.sends("set-up/email", channel="email")
        assert browser.path.endswith("/enroll")
    assert len(outbox.all()) == 1
    answer(browser, outbox, ADA)
    assert browser.path.endswith("/recovery-codes")


def test_wrong_first_codes_are_counted_and_end_the_visit(harbor: Harbor, outbox: Outbox) -> None:
    browser = harbor.visits(harbor.ada)
    browser.sends("set-up/email", channel="email")
    code = outbox.code(browser, to=ADA)
    for left in (4, 3, 2, 1):
        browser.types(wrong(code))
        refuses(browser, "That code is not right. Check the message with the reference")
        tries = "1 try left" if left == 1 else f"{left} tries left"
        assert tries in browser.page.text
    browser.types(wrong(code))
    assert browser.path.endswith("/ended")
    assert authenticators(harbor) == [("email", "pending", ADA)]


def test_begin_and_give_up_in_a_loop_sends_no_more_than_the_caps_allow(
    harbor: Harbor, outbox: Outbox
) -> None:
    """F53."""
    allow(harbor, per_user_day=3)
    for index in range(8):
        browser = at_number(harbor)
        browser.presses("sms", number=f"+3361234{index:04d}")
        browser.sends("cancel")
    assert len(outbox.all()) == 3


def test_a_new_code_is_asked_for_where_the_first_was_sent(harbor: Harbor, outbox: Outbox) -> None:
    browser = at_number(harbor)
    browser.presses("sms", number=MOBILE)
    browser.presses("whatsapp")
    refuses(browser, "The last code was sent a moment ago.")
    harbor.clock.advance(30)
    browser.goes_to(browser.address("enroll"))
    browser.presses("whatsapp")
    assert "Enter the code we sent by WhatsApp" in browser.page.text
    answer(browser, outbox, MOBILE)
    browser.saves_codes()
    assert harbor.notes.checks(browser.back["result"])["mfa_method"] == "whatsapp"


def test_what_gets_codes_already_is_not_added_twice(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.presses("sms")
    answer(browser, outbox, MOBILE)
    harbor.clock.advance(60)
    browser.goes_to(browser.address("set-up/sms"))
    browser.presses("sms", number="06 12 34 56 78")
    refuses(browser, "Your codes can go there already.")
    assert len(authenticators(harbor)) == 1


# Recovery codes


def codes(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(RecoveryCode.id)))


def adds_app(harbor: Harbor, outbox: Outbox) -> Browser:
    """Verify by email, and add an authenticator app."""
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.goes_to(browser.address("choose"))
    browser.presses("email")
    answer(browser, outbox, ADA)
    harbor.clock.advance(60)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    return browser


def test_codes_come_once_with_the_first_method_of_any_kind(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "email")
    kept = harbor.rows(sa.select(RecoveryCode.code_hash))
    browser = adds_app(harbor, outbox)
    assert "result" in browser.back
    assert harbor.rows(sa.select(RecoveryCode.code_hash)) == kept


def test_who_never_got_codes_gets_them_with_the_first_app(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "email")
    harbor.executes(sa.delete(RecoveryCode))
    browser = adds_app(harbor, outbox)
    assert browser.path.endswith("/recovery-codes")
    assert len(browser.saves_codes()) == 5
    assert "result" in browser.back
    harbor.executes(sa.delete(RecoveryCode))
    second = adds_app(harbor, outbox)  # not with a second one
    assert "result" in second.back
    assert codes(harbor) == 0


def test_after_a_recovery_code_the_user_chooses_anew(harbor: Harbor, outbox: Outbox) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    saved = browser.saves_codes()
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(saved[0])
    assert browser.path.endswith("/set-up")
    assert "Your recovery code was accepted. You have 4 codes left." in browser.page.text
    assert "What you had before has stopped working." in browser.page.text
    browser.presses("email")
    answer(browser, outbox, ADA)
    claims = harbor.notes.checks(browser.back["result"])
    assert (claims["status"], claims["recovery_code_used"]) == ("verified", True)
    assert [row[:2] for row in authenticators(harbor)] == [
        ("totp", "removed"),
        ("email", "active"),
    ]
