"""Step-up: an application asks a minimum; pages offer only what reaches it, and nothing else is
taken, whatever a browser posts."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Application,
    Authenticator,
    Event,
    GatewaySession,
    Organization,
    PolicyMode,
    Purpose,
    Result,
    Verification,
)
from app.services.audit import OPERATOR, SYSTEM
from app.services.policies import Rule
from tests.actors import Browser, Phone
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import ADA, Outbox, answer, enroll, switch
from tests.software_authenticator import BE, UP, UV, Maker, SoftwareAuthenticator
from tests.web.api_v2.headless import verifies
from tests.web.gateway.test_bypass import gives
from tests.web.gateway.test_passkey import enrolls as enrolls_a_passkey
from tests.web.gateway.test_passkey import options, uses
from tests.web.gateway.test_recovery import enrolls

PHR, OTP = "phr", "urn:gatehouse:acr:otp"
SMS, EMAIL = "urn:gatehouse:acr:sms", "urn:gatehouse:acr:email"
UNMET = "unmet_authentication_requirements"


@pytest.fixture
def outbox(harbor: Harbor) -> Outbox:
    switch(harbor, "sms", "email")
    return Outbox(harbor)


def both(harbor: Harbor) -> Phone:
    """Give Ada codes by e-mail and an authenticator app."""
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.presses("email")
    answer(browser, Outbox(harbor), ADA)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    assert "result" in browser.back
    harbor.clock.advance(60)
    return phone


def one_of(harbor: Harbor, kind: str) -> str:
    found = sa.select(Authenticator.id).where(Authenticator.kind == kind)
    return str(harbor.rows(found)[0][0])


def claims_of(harbor: Harbor, browser: Browser) -> dict[str, Any]:
    return harbor.notes.checks(browser.back["result"])


def results(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(Result.id)))


def rule(harbor: Harbor, mode: PolicyMode) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.policies.change(tx, OPERATOR, organization, Rule(mode=mode))


def offers(harbor: Harbor, **methods: bool) -> None:
    """Switch the authenticator app off, or on."""
    with harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, harbor.organization.id)
        harbor.services.method_settings.change(tx, OPERATOR, organization, **methods)


# What is asked


def test_the_ask_is_kept_and_shown_without_what_nobody_knows(harbor: Harbor) -> None:
    asked = harbor.notes.opens(harbor.ada, acr_values=[OTP, "gold", PHR], max_age=300)
    shown = harbor.notes.looks_at(asked["id"]).json
    for told in (asked, shown):
        assert told["acr_values"] == [OTP, PHR]
        assert told["max_age"] == 300
    plain = harbor.notes.opens(harbor.ada)
    assert (plain["acr_values"], plain["max_age"]) == ([], None)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        ({"acr_values": ["gold"]}, "acr_values: none of them is known. Use one or more of phrh, "),
        ({"acr_values": [""]}, "acr_values: none of them is known."),
        ({"acr_values": "phr"}, "acr_values: "),
        ({"acr_values": [OTP] * 11}, "acr_values: "),
        ({"max_age": -1}, "max_age: "),
        ({"max_age": "soon"}, "max_age: "),
        ({"max_age": 31_536_001}, "max_age: "),
    ],
)
@ONE_DATABASE
def test_an_ask_that_can_not_be_kept_is_refused(
    harbor: Harbor, ask: dict[str, Any], told: str
) -> None:
    refused = harbor.notes.asks(harbor.ada, **ask)
    assert (refused.status, refused.error) == (422, "invalid_request")
    assert refused.json["error"]["message"].startswith(told)
    assert harbor.rows(sa.select(GatewaySession.id)) == []


# What satisfies, and what does not


@pytest.mark.parametrize("wanted", [[OTP], [SMS], [EMAIL], [PHR, OTP]])
def test_what_reaches_the_minimum_confirms(harbor: Harbor, wanted: list[str]) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, acr_values=wanted)
    browser.types(harbor.code(phone))
    claims = claims_of(harbor, browser)
    assert (claims["acr"], claims["status"]) == (OTP, "verified")


def test_pages_offer_only_what_reaches_the_minimum(harbor: Harbor, outbox: Outbox) -> None:
    both(harbor)
    plain = harbor.visits(harbor.ada)
    plain.goes_to(plain.address("choose"))
    assert "Email" in plain.page.text
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    assert browser.page.heading == "Enter the code from your authenticator app"
    assert not any(link.endswith(("/choose", "/recover", "/bypass")) for link in browser.page.links)
    assert "A recovery code is not enough." in browser.page.text
    browser.goes_to(browser.address("choose"))
    assert "Authenticator app" in browser.page.text
    assert "Email" not in browser.page.text
    assert "recovery code" not in " ".join(browser.page.links)


def test_an_address_typed_by_hand_leads_to_nothing_weaker(harbor: Harbor, outbox: Outbox) -> None:
    phone = both(harbor)
    email = one_of(harbor, "email")
    before, done = len(outbox.all()), results(harbor)
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    for page in (f"verify/{email}", f"verify/{email}/progress", "recover", "bypass", "link"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/verify"), page
    browser.goes_to(browser.address(f"verify/{email}"))
    for page, fields in (
        (f"verify/{email}/send", {"channel": "email"}),
        (f"verify/{email}", {"code": "123456"}),
        ("set-up", {"kind": "totp"}),
        ("set-up/email", {"channel": "email"}),
        ("not-now", {}),
        ("link", {"code": "ABC123"}),
        ("bypass", {"code": "AAAAA-BBBBB"}),
        ("recover", {"code": "AAAA-BBBB-CCCC-DDDD"}),
        ("recovery-codes", {}),
    ):
        browser.sends(page, **fields)
        assert browser.path.endswith("/verify"), page
    assert len(outbox.all()) == before
    browser.sends("verify", code=harbor.code(phone))
    assert claims_of(harbor, browser)["acr"] == OTP
    assert results(harbor) == done + 1


def test_a_code_sent_in_another_visit_does_not_confirm_in_this_one(
    harbor: Harbor, outbox: Outbox
) -> None:
    both(harbor)
    email = one_of(harbor, "email")
    plain = harbor.visits(harbor.ada)
    plain.sends(f"verify/{email}/send", channel="email")
    code = outbox.code(plain, to=ADA)
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    for page in (f"verify/{email}", "verify"):
        browser.sends(page, code=code)
        assert "/verify" in browser.path
    assert results(harbor) == 2  # of the two enrollments
    plain.types(code)
    assert claims_of(harbor, plain)["acr"] == EMAIL


def test_a_recovery_code_is_no_way_round_and_is_not_used_up(harbor: Harbor) -> None:
    phone, codes = enrolls(harbor)
    browser = harbor.visits(harbor.ada, acr_values=[EMAIL])
    browser.sends("recover", code=codes[0])
    assert browser.path.endswith("/verify")
    assert [row[0].value for row in harbor.rows(sa.select(Authenticator.status))] == ["active"]
    browser.types(harbor.code(phone))
    assert "recovery_code_used" not in claims_of(harbor, browser)
    plain = harbor.visits(harbor.ada)
    plain.sends("recover", code=codes[0])
    assert "Your recovery code was accepted." in plain.page.text


def test_a_code_from_the_help_desk_is_no_way_round_and_is_not_used_up(harbor: Harbor) -> None:
    harbor.enrolls()
    code = gives(harbor)
    browser = harbor.visits(harbor.ada, acr_values=[EMAIL])
    browser.sends("bypass", code=code)
    assert browser.path.endswith("/verify")
    assert results(harbor) == 0
    plain = harbor.visits(harbor.ada)
    plain.sends("bypass", code=code)
    assert claims_of(harbor, plain)["acr"] == "urn:gatehouse:acr:bypass"


@pytest.mark.parametrize("ask", [{"acr_values": [EMAIL]}, {"max_age": 60}])
def test_a_policy_that_lets_everybody_pass_is_no_way_round(
    harbor: Harbor, ask: dict[str, Any]
) -> None:
    phone = harbor.enrolls()
    rule(harbor, PolicyMode.OFF)
    browser = harbor.visits(harbor.ada, **ask)
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["acr"] == OTP


@pytest.mark.parametrize("ask", [{"acr_values": [EMAIL]}, {"max_age": 60}])
def test_not_now_is_no_way_round(harbor: Harbor, ask: dict[str, Any]) -> None:
    rule(harbor, PolicyMode.OPTIONAL)
    browser = harbor.visits(harbor.ada, **ask)
    assert browser.path.endswith("/set-up")
    assert "Not now" not in browser.page.text
    browser.sends("not-now")
    assert browser.path.endswith("/set-up")
    assert results(harbor) == 0


# Setting something up on the way


def test_who_has_nothing_sets_up_only_what_reaches_the_minimum(
    harbor: Harbor, outbox: Outbox
) -> None:
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    assert "Authenticator app" not in {one["action"] for one in browser.page.forms}
    assert "By message" not in browser.page.text
    for page, fields in (
        ("set-up/email", {"channel": "email"}),
        ("set-up/sms", {"channel": "sms", "number": "+33612345678"}),
        ("set-up", {"kind": "email"}),
    ):
        browser.sends(page, **fields)
        assert browser.path.endswith("/set-up"), page
    assert outbox.all() == []
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    claims = claims_of(harbor, browser)
    assert (claims["status"], claims["acr"]) == ("enrolled", OTP)


def test_what_is_begun_dies_with_the_method_that_reached_it(harbor: Harbor, outbox: Outbox) -> None:
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    phone = browser.sets_up()
    offers(harbor, active=False)
    browser.sends("enroll", code=harbor.code(phone))
    assert browser.path.endswith("/unmet")
    assert results(harbor) == 0


def test_who_has_too_little_confirms_with_it_and_sets_up_more(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    assert "Harbor Notes asks for a safer method." in browser.page.text
    browser.presses("email")
    answer(browser, outbox, ADA)
    assert browser.path.endswith("/set-up")
    assert "a safer method than the one that you have just used" in browser.page.text
    assert results(harbor) == 1  # of the enrollment alone
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    claims = claims_of(harbor, browser)
    assert (claims["status"], claims["acr"]) == ("enrolled", OTP)


def test_what_was_confirmed_for_more_is_not_told_before_more_is_there(
    harbor: Harbor, outbox: Outbox
) -> None:
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    browser.presses("email")
    answer(browser, outbox, ADA)
    for page in ("resume", "return", "ended", "choose", "verify"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/set-up"), page
    browser.sends("cancel")
    assert browser.back["error"] == "access_denied"
    assert results(harbor) == 1


def test_where_the_policy_is_off_nobody_is_made_to_set_up(harbor: Harbor) -> None:
    rule(harbor, PolicyMode.OFF)
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    assert browser.path.endswith("/unmet")
    browser.sends("set-up", kind="totp")
    assert browser.path.endswith("/unmet")
    asked = harbor.visits(harbor.ada, acr_values=[OTP], intent="enroll")
    assert asked.path.endswith("/set-up")


# Passkeys


def takes_passkeys(harbor: Harbor, **rules: Any) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, active=True, **rules)


def in_hardware(harbor: Harbor) -> SoftwareAuthenticator:
    """Give Ada a passkey whose maker vouches that it stays in its hardware."""
    maker = Maker()
    model = str(uuid.UUID(bytes=SoftwareAuthenticator().aaguid))
    takes_passkeys(harbor, attestation="direct", models=(model,), roots=maker.pem)
    return enrolls_a_passkey(harbor, SoftwareAuthenticator(maker=maker))


def test_who_has_an_app_alone_confirms_with_it_and_sets_up_a_passkey(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    takes_passkeys(harbor)
    browser = harbor.visits(harbor.ada, acr_values=[PHR])
    assert "Harbor Notes asks for a safer method." in browser.page.text
    browser.sends("verify", code=harbor.code(phone))
    assert browser.path.endswith("/set-up")
    assert "authenticator app" not in browser.page.text
    browser.sends("set-up", kind="totp")
    assert browser.path.endswith("/set-up")
    browser.sends("set-up", kind="passkey")
    device = SoftwareAuthenticator()
    browser.submits(credential=device.create(options(browser)))
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    claims = claims_of(harbor, browser)
    assert (claims["status"], claims["acr"]) == ("enrolled", PHR)
    harbor.clock.advance(30)
    again = harbor.visits(harbor.ada, acr_values=[PHR])
    again.sends("verify", code=harbor.code(phone))  # which was only good for setting up
    assert "/verify" in again.path
    found = claims_of(harbor, uses(harbor, device, acr_values=[PHR]))
    assert (found["status"], found["acr"]) == ("verified", PHR)


def test_a_passkey_that_may_be_copied_is_no_hardware(harbor: Harbor) -> None:
    takes_passkeys(harbor)
    enrolls_a_passkey(harbor)
    assert harbor.visits(harbor.ada, acr_values=["phrh"]).path.endswith("/unmet")


def test_a_key_whose_maker_vouches_reaches_it_in_the_visit_that_sets_it_up(harbor: Harbor) -> None:
    """Only while the organization takes no other; and only as what the device proved."""
    phone, maker = harbor.enrolls(), Maker()
    model = str(uuid.UUID(bytes=SoftwareAuthenticator().aaguid))
    takes_passkeys(harbor)
    assert harbor.visits(harbor.ada, acr_values=["phrh"]).path.endswith("/unmet")
    takes_passkeys(harbor, attestation="direct", models=(model,), roots=maker.pem)
    browser = harbor.visits(harbor.ada, acr_values=["phrh"])
    browser.sends("verify", code=harbor.code(phone))
    browser.sends("set-up", kind="passkey")
    before = results(harbor)
    for flags in (UP, UP | UV | BE):
        asked = options(browser)
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["attestation"] == "direct"
        browser.submits(credential=SoftwareAuthenticator(maker=maker, flags=flags).create(asked))
        assert browser.reply.status == 422, flags
        browser.goes_to(browser.address("return"))
        assert browser.path.endswith("/enroll"), browser.path
    assert results(harbor) == before
    device = SoftwareAuthenticator(maker=maker)
    browser.submits(credential=device.create(options(browser)))
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    claims = claims_of(harbor, browser)
    assert (claims["status"], claims["acr"]) == ("enrolled", "phrh")
    assert claims["amr"] == ["hwk", "user", "mfa"]


def test_a_touch_alone_of_a_hardware_key_is_too_little(harbor: Harbor) -> None:
    device = in_hardware(harbor)
    for wanted, asked in (("phrh", "required"), (PHR, "preferred")):
        browser = harbor.visits(harbor.ada, acr_values=[wanted])
        assert options(browser)["userVerification"] == asked
    device.flags = UP
    touched = uses(harbor, device, acr_values=["phrh"])
    assert touched.reply.status == 422
    assert "A touch alone is not enough here." in touched.page.text
    for page in ("set-up", "return", "resume"):
        touched.goes_to(touched.address(page))
        assert touched.path.endswith("/verify"), page
    assert results(harbor) == 1  # of the enrollment
    found = claims_of(harbor, uses(harbor, device, acr_values=[PHR]))
    assert (found["acr"], found["amr"]) == (PHR, ["hwk", "user"])
    device.flags = UP | UV
    found = claims_of(harbor, uses(harbor, device, acr_values=["phrh"]))
    assert (found["acr"], found["amr"]) == ("phrh", ["hwk", "user", "mfa"])


def test_a_passkey_without_its_owners_check_is_two_factors_only_if_vouched_for(
    harbor: Harbor,
) -> None:
    takes_passkeys(harbor)
    device = enrolls_a_passkey(harbor, SoftwareAuthenticator(flags=UP))
    assert "mfa" not in claims_of(harbor, uses(harbor, device))["amr"]
    vouches(harbor)
    assert claims_of(harbor, uses(harbor, device))["amr"] == ["pop", "user", "mfa"]


# Nothing satisfies


def test_nothing_satisfies_is_a_page_with_a_way_back_and_a_stable_code(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada, acr_values=[PHR], state="s")
    assert browser.path.endswith("/unmet")
    assert browser.page.heading == "Another method is needed"
    for page in ("verify", "choose", "recover", "bypass", "set-up", "enroll", "due", "blocked"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/unmet"), page
    browser.submits()
    back = browser.back
    assert (back["error"], back["state"]) == (UNMET, "s")
    assert back["error_description"] == "The user has nothing that reaches what acr_values ask."
    assert harbor.notes.looks_at(back["session_id"]).json["status"] == "unmet"
    [event] = harbor.rows(sa.select(Event).where(Event.kind == "gateway_session:unmet"))
    assert event.Event.actor == "user"
    browser.goes_to(browser.address("ended"))
    assert browser.page.heading == "Nothing was confirmed"
    assert results(harbor) == 0


def test_nothing_satisfies_comes_back_by_form_as_well(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada, acr_values=[PHR], response_mode="form_post")
    browser.submits()
    assert browser.path.endswith("/return")
    assert any(form["fields"].get("error") == UNMET for form in browser.page.forms)


def test_who_was_reset_and_may_not_enroll_is_told_the_same(harbor: Harbor) -> None:
    harbor.enrolls()
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, person, reopen=False)
    assert harbor.visits(harbor.ada).path.endswith("/blocked")
    assert harbor.visits(harbor.ada, acr_values=[OTP]).path.endswith("/unmet")


def test_a_suspended_user_stays_out_whatever_is_asked(harbor: Harbor) -> None:
    harbor.enrolls()
    browser = harbor.visits(harbor.ada, acr_values=[PHR])
    harbor.executes(sa.text("UPDATE users SET suspended_at = created_at"))
    browser.goes_to(browser.address("resume"))
    assert browser.path.endswith("/blocked")


# No door besides the pages


def test_a_backends_verification_completes_no_visit(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, acr_values=[OTP])
    assert verifies(harbor, harbor.code(phone)).status == 200
    browser.goes_to(browser.address("resume"))
    assert browser.path.endswith("/verify")
    assert results(harbor) == 0


@pytest.mark.parametrize("kind", ["totp", "recovery_code", "bypass_code", "none"])
@ONE_DATABASE
def test_no_result_is_issued_below_what_was_asked_whoever_asks_for_it(
    harbor: Harbor, kind: str
) -> None:
    asked = harbor.notes.opens(harbor.ada, acr_values=[PHR])
    with harbor.services.database.writing() as tx:
        session = harbor.services.gateway_sessions.find(tx, harbor.organization, asked["id"])
        made = Verification(
            user_id=session.user_id,
            organization_id=session.user.organization_id,
            gateway_session_id=session.id,
            kind=kind,
            purpose=Purpose.VERIFICATION,
            accepted=True,
            at=harbor.clock.now(),
        )
        tx.add(made)
        tx.flush()
        with pytest.raises(ValueError, match="at least what the application asked"):
            harbor.services.tokens.issue_result(tx, SYSTEM, session, made)
    assert results(harbor) == 0


# A first factor that the application vouches for


def vouches(harbor: Harbor, *, answer: bool = True) -> None:
    changed = sa.update(Application).values(vouches_for_first_factor=answer)
    harbor.executes(changed)


def test_mfa_stands_in_a_result_only_if_the_application_vouches(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    for told, amr in ((False, ["otp"]), (True, ["otp", "mfa"])):
        vouches(harbor, answer=told)
        browser = harbor.visits(harbor.ada)
        browser.types(harbor.code(phone))
        assert claims_of(harbor, browser)["amr"] == amr
        harbor.clock.advance(30)
    issued = harbor.rows(sa.select(Event).where(Event.kind == "result:issued").order_by(Event.id))
    assert [row.Event.detail["vouched"] for row in issued] == [False, True]


def test_an_email_is_no_second_factor_whoever_vouches(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor, "email")
    vouches(harbor)
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    answer(browser, outbox, ADA)
    assert claims_of(harbor, browser)["amr"] == ["otp"]


def test_neither_a_recovery_code_nor_a_bypass_code_is_a_second_factor(harbor: Harbor) -> None:
    _, codes = enrolls(harbor)
    vouches(harbor)
    browser = harbor.visits(harbor.ada)
    browser.sends("bypass", code=gives(harbor))
    assert claims_of(harbor, browser)["amr"] == []
    browser = harbor.visits(harbor.ada)
    browser.sends("recover", code=codes[0])
    phone = browser.scans()
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["amr"] == ["otp"]
