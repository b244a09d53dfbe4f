"""Confirming a user with a code that is sent: by each channel, and what counts as an answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    Challenge,
    GatewaySession,
    Message,
    MessageStatus,
    Purpose,
    Result,
    Verification,
)
from tests.actors import Browser
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import ADA, MOBILE, Outbox, allow, answer, enroll, switch, wrong
from tests.web.gateway.test_parallel import at_once, twin

WRONG = "That code is not right."
USED = "That code does not work any more"
OLD = "That code is too old. Ask for a new one."


@pytest.fixture
def outbox(harbor: Harbor) -> Outbox:
    switch(harbor)
    return Outbox(harbor)


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


def asks(harbor: Harbor, channel: str = "sms", **ask: str) -> Browser:
    """Visit, and have a code sent from the page that comes first."""
    browser = harbor.visits(harbor.ada, **ask)
    assert browser.path.endswith("/verify"), browser.path
    browser.presses(channel)
    assert browser.reply.status == 200, browser.page.text
    return browser


def alone(harbor: Harbor) -> None:
    """Forget all waits, so that nothing but the rule of the test is in the way."""
    harbor.executes(sa.text("DELETE FROM send_cooldowns"))


# By each channel


@pytest.mark.parametrize(
    ("kind", "channel", "to", "amr", "acr"),
    [
        ("sms", "sms", MOBILE, ["sms", "otp"], "sms"),
        ("sms", "whatsapp", MOBILE, ["otp"], "sms"),
        ("sms", "voice", MOBILE, ["tel", "otp"], "sms"),
        ("email", "email", ADA, ["otp"], "email"),
        ("dual", "dual", ADA, ["otp"], "email"),
        ("dual", "dual", MOBILE, ["otp"], "email"),
    ],
)
def test_a_code_by_each_channel_confirms_the_user(
    harbor: Harbor, outbox: Outbox, kind: str, channel: str, to: str, amr: list[str], acr: str
) -> None:
    enroll(harbor, kind, channel)
    browser = asks(harbor, channel, nonce="n-1")
    answer(browser, outbox, to)
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["status"] == "verified"
    assert claims["amr"] == amr
    assert claims["acr"] == f"urn:gatehouse:acr:{acr}"
    assert claims["mfa_method"] == channel


def test_looking_at_pages_sends_nothing(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    before = len(outbox.all())
    browser = harbor.visits(harbor.ada)
    one = harbor.rows(sa.select(Authenticator.id))[0][0]
    for page in ("verify", f"verify/{one}", f"verify/{one}/send", f"verify/{one}/progress"):
        for method in ("GET", "HEAD"):
            browser.goes_to(browser.address(page), method)
    browser.goes_to(browser.address("choose"))
    browser.goes_to(browser.address("verify"))
    assert "Send code to +33 • •• •• 56 78" in browser.page.text
    assert len(outbox.all()) == before


def test_the_page_says_where_to_by_which_reference_and_until_when(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor)
    browser = asks(harbor)
    text = browser.page.text
    reference = harbor.rows(sa.select(Challenge.reference).order_by(Challenge.created_at.desc()))[
        0
    ][0]
    assert "Sent to +33 • •• •• 56 78 at 12:01 UTC" in text
    assert f"The message carries the reference {reference}" in text
    assert "It works until 12:11 UTC" in text
    assert f"Ref. {reference}" in outbox.all(to=MOBILE)[0]["text"]
    assert MOBILE not in browser.reply.text
    assert "612345678" not in browser.reply.text
    assert "A text can be intercepted. An authenticator app is safer" in text


def test_both_addresses_stand_on_the_page_of_dual(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "dual")
    browser = asks(harbor, "dual")
    assert "Sent to a•••••@harbor.example and +33 • •• •• 56 78 at" in browser.page.text


def test_the_last_successful_way_comes_first(harbor: Harbor, outbox: Outbox) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.types(harbor.code(phone))
    harbor.clock.advance(5)
    browser.goes_to(browser.address("set-up/sms"))
    browser.presses("whatsapp", number=MOBILE)
    answer(browser, outbox, MOBILE)
    assert "result" in browser.back
    harbor.clock.advance(60)
    browser = harbor.visits(harbor.ada)
    assert "We send you a code by WhatsApp." in browser.page.text
    browser.goes_to(browser.address("choose"))
    text = browser.page.text
    order = [text.index(name) for name in ("WhatsApp", "Last used", "Authenticator app")]
    assert order == sorted(order)
    assert text.index("By message") < text.index("Text message") < text.index("Phone call")
    app = next(link for link in browser.page.links if "/verify/" in link)
    browser.goes_to(app)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    harbor.clock.advance(60)
    assert "Enter the code from your authenticator app" in harbor.visits(harbor.ada).page.text


def test_another_channel_is_one_tap_away_and_its_code_counts_as_its_own(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor)
    browser = asks(harbor)
    first = outbox.code(browser, to=MOBILE)
    harbor.clock.advance(30)
    browser.presses("voice")
    assert "Enter the code from our call" in browser.page.text
    browser.types(wrong(first))
    refuses(browser, WRONG)
    assert "reference" not in browser.page.text  # a voice says none
    browser.types(first)  # the text may still arrive first
    claims = harbor.notes.checks(browser.back["result"])
    assert (claims["mfa_method"], claims["amr"]) == ("sms", ["sms", "otp"])


# What counts as an answer


def test_a_code_works_once(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = asks(harbor)
    code = answer(browser, outbox, MOBILE)
    assert results(harbor) == 2
    again = asks(harbor)
    again.types(code)
    refuses(again, WRONG)  # of another session, it is none at all
    assert results(harbor) == 2


def test_a_code_is_told_to_be_used_replaced_or_too_old(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = asks(harbor)
    first = outbox.code(browser, to=MOBILE)
    for _ in range(2):
        harbor.clock.advance(130)
        browser.presses("sms")
    browser.types(first)
    refuses(browser, USED)
    newest = outbox.code(browser, to=MOBILE)
    harbor.clock.advance(601)
    browser.types(newest)
    refuses(browser, OLD)
    assert judged(harbor, browser) == 2
    assert "Send code to" in browser.page.text


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_a_code_works_to_the_second_and_a_resend_prolongs_none(
    harbor: Harbor, outbox: Outbox, channel: str
) -> None:
    """F17: ten minutes."""
    to = enroll(harbor, channel)
    browser = asks(harbor, channel)
    first = outbox.code(browser, to=to)
    harbor.clock.advance(300)
    browser.presses(channel)
    harbor.clock.advance(301)
    browser.types(first)
    refuses(browser, OLD)
    second = asks(harbor, channel)
    code = outbox.code(second, to=to)
    harbor.clock.advance(599)
    second.types(code)
    assert "result" in second.back


@ONE_DATABASE
def test_a_shorter_life_is_kept(harbor: Harbor, outbox: Outbox) -> None:
    switch(harbor, "sms", minutes=2, digits=8)
    enroll(harbor)
    browser = asks(harbor)
    assert "Eight-digit code" in browser.page.text
    code = outbox.code(browser, to=MOBILE)
    assert len(code) == 8
    harbor.clock.advance(121)
    browser.types(code)
    refuses(browser, OLD)


def test_the_two_newest_codes_work_until_one_is_used(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = asks(harbor)
    codes = [outbox.code(browser, to=MOBILE)]
    for _ in range(2):
        harbor.clock.advance(130)
        browser.presses("sms")
        codes.append(outbox.code(browser, to=MOBILE))
    window = twin(browser)
    browser.types(codes[0])
    refuses(browser, USED)
    window.types(codes[1])
    assert "result" in window.back
    assert results(harbor) == 2


def test_attempts_add_up_over_resends_and_channels(harbor: Harbor, outbox: Outbox) -> None:
    """F09: neither a new code nor another way forgets a wrong answer."""
    enroll(harbor)
    browser = asks(harbor)
    for number, channel in enumerate(("whatsapp", "sms", "sms", "voice"), start=1):
        browser.types(wrong(outbox.code(browser, to=MOBILE)))
        refuses(browser, WRONG)
        assert judged(harbor, browser) == number
        alone(harbor)
        browser.presses(channel)
    browser.types(wrong(outbox.code(browser, to=MOBILE)))
    assert browser.path.endswith("/ended"), browser.page.text
    assert "Too many wrong codes" in browser.page.text


def test_refusals_add_up_over_visits_until_there_is_a_wait(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    for _ in range(2):
        browser = asks(harbor)
        for _ in range(3):
            if browser.path.endswith("/ended") or "Wait" in browser.page.text:
                break
            browser.types(wrong(outbox.code(browser, to=MOBILE)))
        alone(harbor)
    assert "There were too many wrong codes. Wait" in browser.page.text
    before = len(outbox.all())
    browser.presses("sms")
    refuses(browser, "There were too many wrong codes. Wait")
    assert len(outbox.all()) == before


# F16: a code belongs to its session, user, purpose and authenticator


def test_a_code_of_another_session_confirms_nobody(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    first = asks(harbor)
    code = outbox.code(first, to=MOBILE)
    alone(harbor)
    second = asks(harbor)
    second.types(code)
    refuses(second, WRONG)
    assert judged(harbor, second) == 1


def test_a_code_of_another_user_confirms_nobody(harbor: Harbor, outbox: Outbox) -> None:
    bob = harbor.person("bob@harbor.example")
    enroll(harbor, "email")
    enroll_bob(harbor, outbox, bob)
    ada, other = asks(harbor, "email"), harbor.visits(bob)
    other.presses("email")
    other.types(outbox.code(ada, to=ADA))
    refuses(other, WRONG)
    assert judged(harbor, other) == 1


def enroll_bob(harbor: Harbor, outbox: Outbox, bob: str) -> None:
    browser = harbor.visits(bob)
    browser.goes_to(browser.address("set-up"))
    browser.presses("email")
    answer(browser, outbox, "bob@harbor.example")
    browser.saves_codes()
    harbor.clock.advance(60)


def test_a_code_that_enrolls_does_not_confirm(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "email")
    browser = asks(harbor, "email", intent="enroll")
    answer(browser, outbox, ADA)
    browser.goes_to(browser.address("set-up/sms"))
    browser.presses("sms", number=MOBILE)
    code = outbox.code(browser, to=MOBILE)
    [[one, session]] = harbor.rows(
        sa.select(Authenticator.id, Authenticator.gateway_session_id).where(
            Authenticator.kind == "sms"
        )
    )
    assert session.endswith(browser.path.split("/")[2])
    browser.sends(f"verify/{one}", code=code)
    assert browser.path.endswith("/enroll")
    assert judged(harbor, browser) == 1
    harbor.clock.advance(60)
    other = asks(harbor, "email")
    other.types(code)
    refuses(other, WRONG)
    [[purpose]] = harbor.rows(sa.select(Challenge.purpose).where(Challenge.authenticator_id == one))
    assert purpose is Purpose.ENROLLMENT


def test_a_code_that_was_made_to_enroll_confirms_nobody_though_it_be_left_alive(
    harbor: Harbor, outbox: Outbox
) -> None:
    """No door leaves one: it is put into the visit here."""
    enroll(harbor, "email")
    code = outbox.code(to=ADA)
    browser = asks(harbor, "email")
    visit = f"gateway-session_{browser.path.split('/')[2]}"
    later = harbor.clock.now() + timedelta(minutes=5)
    harbor.executes(
        sa.update(Challenge)
        .where(Challenge.purpose == Purpose.ENROLLMENT)
        .values(gateway_session_id=visit, used_at=None, expires_at=later)
    )
    browser.types(code)
    refuses(browser, WRONG)
    assert judged(harbor, browser) == 1


def test_a_code_by_text_is_none_of_the_mailbox(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "email")
    browser = asks(harbor, "email", intent="enroll")
    answer(browser, outbox, ADA)
    browser.goes_to(browser.address("set-up/sms"))
    browser.presses("sms", number=MOBILE)
    answer(browser, outbox, MOBILE)
    harbor.clock.advance(60)
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("choose"))
    browser.presses("sms")
    code = outbox.code(browser, to=MOBILE)
    browser.goes_to(browser.address("choose"))
    browser.presses("email")
    browser.types(code)
    refuses(browser, WRONG)
    assert judged(harbor, browser) == 1
    assert results(harbor) == 2


# F06 and F32


def test_of_many_at_once_one_answer_counts(harbor: Harbor, outbox: Outbox) -> None:
    """F06."""
    enroll(harbor, "email")
    browser = asks(harbor, "email")
    code = outbox.code(browser, to=ADA)
    windows = [twin(browser) for _ in range(12)]
    at_once([lambda it=it: it.types(code) for it in windows])  # type: ignore[misc]
    sent = {harbor.notes.checks(it.back["result"])["jti"] for it in windows}
    assert len(sent) == 1
    accepted = sa.select(Verification.id).where(
        Verification.accepted, Verification.purpose == Purpose.VERIFICATION
    )
    assert len(harbor.rows(accepted)) == 1
    assert results(harbor) == 2


def test_of_many_taps_at_once_one_sends(harbor: Harbor, outbox: Outbox) -> None:
    """F53: in parallel."""
    enroll(harbor)
    before = len(outbox.all())
    browser = harbor.visits(harbor.ada)
    windows = [twin(browser) for _ in range(12)]
    with ThreadPoolExecutor(len(windows)) as pool:
        list(pool.map(lambda it: it.presses("sms"), windows))
    assert len(outbox.all()) == before + 1
    assert {it.reply.status for it in windows} == {200}
    assert {it.page.heading for it in windows} == {"Enter the code we texted you"}


def test_what_is_switched_off_is_refused_however_it_is_asked(
    harbor: Harbor, outbox: Outbox
) -> None:
    """F32: by direct requests, with codes that are on their way."""
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.types(harbor.code(phone))
    harbor.clock.advance(5)
    browser.goes_to(browser.address("set-up/sms"))
    browser.presses("sms", number=MOBILE)
    answer(browser, outbox, MOBILE)
    harbor.clock.advance(60)
    visit = asks(harbor)
    code, one = outbox.code(visit, to=MOBILE), visit.path.split("/")[-1]
    adding = harbor.visits(harbor.ada, intent="enroll")
    adding.goes_to(next(link for link in choices(adding) if "/verify/" in link))
    adding.types(harbor.code(phone))
    before = len(outbox.all())
    switch(harbor, "sms", "whatsapp", "voice", active=False)
    for fields in ({"channel": "sms"}, {"channel": "whatsapp", "again": "yes"}):
        visit.sends(f"verify/{one}/send", **fields)
        assert "authenticator app" in visit.page.heading
    visit.sends(f"verify/{one}", code=code)
    assert "authenticator app" in visit.page.heading
    for kind in ("sms", "whatsapp", "voice"):
        adding.sends(f"set-up/{kind}", channel="sms", number="+33612345699")
        adding.sends("set-up", kind=kind)
    assert adding.path.endswith("/set-up")
    assert "Phone number" not in adding.page.text
    assert (len(outbox.all()), results(harbor)) == (before, 1)


def choices(browser: Browser) -> list[str]:
    browser.goes_to(browser.address("choose"))
    return browser.page.links


def test_a_code_of_a_channel_that_was_switched_off_confirms_nobody(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor)
    browser = asks(harbor)
    code = outbox.code(browser, to=MOBILE)
    switch(harbor, "sms", active=False)
    browser.types(code)
    refuses(browser, WRONG)
    assert judged(harbor, browser) == 1
    switch(harbor, "whatsapp", active=True)
    alone(harbor)
    browser.sends(f"verify/{browser.path.split('/')[-1]}/send", channel="sms")
    refuses(browser, "Harbor sends no codes this way. Choose another way.")


# Dual, and its strict form


def test_of_two_codes_only_both_together_confirm_and_no_hint_is_given(
    harbor: Harbor, outbox: Outbox
) -> None:
    """F33."""
    enroll(harbor, "dual")
    switch(harbor, "dual", strict=True)
    told = []
    for answers in STRICT_ANSWERS:
        browser = asks(harbor, "dual")
        assert "Enter both codes we sent you" in browser.page.text
        mail, text = outbox.code(browser, to=ADA), outbox.code(browser, to=MOBILE)
        assert mail != text
        words = {"mail": mail, "text": text, "wrong": wrong(mail)}
        browser.submits(code=[words[each] for each in answers])
        told.append((browser.reply.status, browser.page.text.replace(mail, "").replace(text, "")))
        assert browser.reply.status == 422, answers
        assert judged(harbor, browser) == 1, answers
        harbor.executes(sa.update(Authenticator).values(failures=0, retry_at=None))
        alone(harbor)
    sentences = {"These codes are not right together." in text for _, text in told}
    assert sentences == {True}
    browser = asks(harbor, "dual")
    mail, text = outbox.code(browser, to=ADA), outbox.code(browser, to=MOBILE)
    browser.submits(code=[mail, text])
    assert "result" in browser.back


STRICT_ANSWERS = (
    ("mail",),
    ("text",),
    ("mail", "mail"),
    ("text", "text"),
    ("mail", "wrong"),
    ("wrong", "text"),
    ("wrong", "wrong"),
)


@pytest.mark.both_databases
def test_of_many_pairs_at_once_no_more_than_five_are_judged(harbor: Harbor, outbox: Outbox) -> None:
    """F33: whoever reads one of the two mailboxes guesses the other code, fifty at once."""
    enroll(harbor, "dual")
    switch(harbor, "dual", strict=True)
    browser = asks(harbor, "dual")
    mail, text = outbox.code(browser, to=ADA), outbox.code(browser, to=MOBILE)
    near = [f"{(int(text) + step) % 10**6:06d}" for step in range(1, 50)]
    windows = [twin(browser) for _ in range(50)]
    pairs = [[mail, guess] for guess in (*near[:24], text, *near[24:])]
    at_once(
        [
            lambda it=it, pair=pair: it.submits(code=pair)  # type: ignore[misc]
            for it, pair in zip(windows, pairs, strict=True)
        ]
    )
    assert judged(harbor, browser) <= 5
    through = {it.back["result"] for it in windows if "result" in it.reply.location}
    assert len(through) <= 1
    assert results(harbor) == 1 + len(through)
    told = [it for it in windows if "result" not in it.reply.location]
    hints = ("email", "phone")
    for one in told:
        sentence = one.page.text.partition("not right together")[2][:60]
        assert not [hint for hint in hints if f"{hint} is wrong" in sentence.lower()]


@ONE_DATABASE
def test_the_other_code_of_an_earlier_message_does_not_complete_this_one(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor, "dual")
    switch(harbor, "dual", strict=True)
    browser = asks(harbor, "dual")
    earlier = outbox.code(browser, to=MOBILE)
    harbor.clock.advance(60)
    browser.presses("dual")
    browser.submits(code=[outbox.code(browser, to=ADA), earlier])
    refuses(browser, "These codes are not right together.")
    both = f"{outbox.code(browser, to=ADA)} {outbox.code(browser, to=MOBILE)}"
    browser.types(both)
    assert "result" in browser.back


# How the message stands


def set_status(harbor: Harbor, status: MessageStatus) -> None:
    harbor.executes(
        sa.update(Message)
        .where(Message.name == "code")
        .values(status=status, sent_at=harbor.clock.now(), delivered_at=harbor.clock.now())
    )


@ONE_DATABASE
def test_the_page_tells_how_the_message_stands(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = asks(harbor)
    page = browser.path
    told = {
        MessageStatus.CAPTURED: "Captured in the sandbox, not sent",
        MessageStatus.QUEUED: "Sending Look again",
        MessageStatus.SENDING: "Sending Look again",
        MessageStatus.SENT: "Sent 12:01 UTC Look again",
        MessageStatus.DELIVERED: "Delivered 12:01 UTC",
        MessageStatus.FAILED: "Not delivered The message did not get through.",
    }
    for status, words in told.items():
        set_status(harbor, status)
        for address in (page, f"{page}/progress"):
            browser.goes_to(address)
            assert browser.reply.status == 200
            assert words in browser.page.text, (status, browser.page.text)


def test_after_a_lost_message_another_channel_need_not_wait(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = asks(harbor)
    set_status(harbor, MessageStatus.FAILED)
    harbor.clock.advance(5)
    before = len(outbox.all())
    browser.presses("sms")
    refuses(browser, "The last code was sent a moment ago.")
    browser.goes_to(browser.address(browser.path.split("/", 3)[3].removesuffix("/send")))
    browser.presses("whatsapp")
    assert "Enter the code we sent by WhatsApp" in browser.page.text
    assert len(outbox.all()) == before + 1
    answer(browser, outbox, MOBILE)
    assert "result" in browser.back


def test_the_next_code_waits_longer_each_time_and_the_page_says_how_long(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor)
    browser = asks(harbor)
    page = browser.path
    for seconds in (30, 60, 120):
        browser.goes_to(page)
        at = harbor.clock.now().timestamp() + seconds
        minute, second = divmod(int(at) % 3600, 60)
        assert f"New code from 12:{minute:02d}:{second:02d} UTC" in browser.page.text
        assert browser.page.attribute("span", "data-wait") == str(seconds)
        harbor.clock.advance(seconds - 1)
        browser.presses("sms")
        refuses(browser, "You can ask for the next one in 1 second.")
        browser.goes_to(page)
        harbor.clock.advance(1)
        browser.presses("sms")
        assert browser.reply.status == 200, browser.page.text


def test_limits_are_told_each_in_its_own_words(harbor: Harbor, outbox: Outbox) -> None:
    """F53: on the page."""
    enroll(harbor)
    organization = harbor.organization.name
    for rules, sentence in (
        ({"per_user_day": 1}, "So many codes were sent that we send no more for now. Wait"),
        ({"per_number_day": 1}, "So many codes were sent that we send no more for now. Wait"),
        ({"monthly_budget": 1}, f"{organization} sends no more codes by phone this month."),
        ({"countries": ["DE"]}, f"{organization} sends no codes to numbers in France."),
    ):
        allow(harbor, **rules)
        before = len(outbox.all())
        browser = harbor.visits(harbor.ada)
        browser.presses("sms")
        refuses(browser, sentence)
        assert len(outbox.all()) == before
        assert "Try another way" in browser.page.text
        allow(harbor, **dict.fromkeys(rules))
    browser = asks(harbor)
    answer(browser, outbox, MOBILE)
    assert "result" in browser.back


def test_a_hundred_taps_send_no_more_than_the_caps_allow(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    allow(harbor, per_number_day=4)
    browser = asks(harbor)
    one = browser.path.split("/")[-1]
    for _ in range(25):
        harbor.clock.advance(30)
        browser.sends(f"verify/{one}/send", channel="sms", again="yes")
    sent = [message for message in outbox.all(to=MOBILE) if message["channel"] == "sms"]
    assert len(sent) == 4


@ONE_DATABASE
def test_every_sentence_is_told_in_french_too(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    browser = harbor.visits(harbor.ada, locale="fr")
    assert "Envoyer le code à +33 • •• •• 56 78" in browser.page.text
    browser.presses("sms")
    assert "Saisissez le code reçu par SMS" in browser.page.text
    browser.types("000000")
    refuses(browser, "Ce code n’est pas le bon. Vérifiez le message qui porte la référence")
    browser.presses("sms")
    refuses(browser, "Le dernier code vient d’être envoyé. Vous pourrez demander le suivant dans")
