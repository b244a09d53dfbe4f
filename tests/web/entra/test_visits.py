"""Users whom Entra sends: what they may confirm with, and what Entra is told of it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import EntraAccount, GatewaySession, PolicyMode, Result, User
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.conftest import BOTH_DATABASES, ONE_DATABASE, Harbor
from tests.entra import OID, TENANT, asked, connected, tricky
from tests.outbox import MOBILE, Outbox, answer, enroll, switch
from tests.web.gateway import test_passkey as passkeys


def visits_of(harbor: Harbor) -> int:
    return int(harbor.rows(sa.select(sa.func.count()).select_from(GatewaySession))[0][0])


@BOTH_DATABASES
def test_a_user_who_confirms_is_told_of_with_one_amr_and_the_class_that_was_asked(
    harbor: Harbor,
) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits()
    assert "ada@harbor.example" in browser.page.text
    browser.types(harbor.code(phone))
    claims = entra.accepts(browser)
    assert claims["amr"] == ["otp"]
    assert claims["acr"] == "possessionorinherence"
    assert set(claims) == {"iss", "aud", "sub", "exp", "iat", "nonce", "acr", "amr"}


@ONE_DATABASE
def test_somebody_who_comes_first_sets_up_and_that_counts(harbor: Harbor) -> None:
    entra = connected(harbor)
    browser = entra.visits()
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert entra.accepts(browser)["amr"] == ["otp"]


@ONE_DATABASE
@pytest.mark.parametrize("acr", ["possession", "knowledgeorpossession"])
def test_the_class_goes_back_as_it_was_asked(harbor: Harbor, acr: str) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits(claims=asked("inherence", acr, "possessionorinherence"))
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["acr"] == acr


@ONE_DATABASE
@pytest.mark.parametrize("number", range(8))
def test_state_and_nonce_come_back_byte_for_byte(harbor: Harbor, number: int) -> None:
    value = list(tricky())[number]
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits(state=value, nonce=value)
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["nonce"] == value
    refused = entra.visits(state=value, id_token_hint="none")
    assert entra.answered(refused) == {"error": "access_denied", "state": value}


@ONE_DATABASE
def test_what_was_not_sent_does_not_come_back(harbor: Harbor) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits(state=None, nonce=None)
    browser.types(harbor.code(phone))
    fields = entra.answered(browser)
    assert set(fields) == {"id_token"}
    assert "nonce" not in entra.verified(fields["id_token"])[1]


@ONE_DATABASE
def test_who_goes_back_without_confirming_is_denied(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits()
    browser.sends("cancel")
    assert entra.refuses(browser) == "access_denied"


@ONE_DATABASE
def test_the_answer_can_be_given_again_and_not_after_two_minutes(harbor: Harbor) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits()
    browser.types(harbor.code(phone))
    first = entra.answered(browser)
    browser.goes_to(browser.path)
    again = entra.answered(browser)
    assert entra.verified(again["id_token"])[1] == entra.verified(first["id_token"])[1]
    harbor.clock.advance(120)
    browser.goes_to(browser.path)
    assert entra.refuses(browser) == "access_denied"


@ONE_DATABASE
def test_no_other_browser_gets_the_answer(harbor: Harbor) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits()
    browser.types(harbor.code(phone))
    entra.answered(browser)
    stranger = harbor.browser()
    assert stranger.goes_to(browser.path).status == 403
    assert "id_token" not in stranger.reply.text


# A hint that comes again


@BOTH_DATABASES
def test_a_hint_that_comes_again_leads_the_same_browser_back_to_its_visit(harbor: Harbor) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    browser = entra.visits()
    visit, count = browser.path, visits_of(harbor)
    entra.sends(browser, **entra.sent)
    assert (browser.path, visits_of(harbor)) == (visit, count)
    browser.types(harbor.code(phone))
    token = entra.answered(browser)["id_token"]
    entra.sends(browser, **entra.sent)
    assert browser.path.endswith("/ended")
    [link] = [one for one in browser.page.links if one.endswith("/return")] or [""]
    browser.goes_to(link or browser.address("return"))
    assert entra.verified(entra.answered(browser)["id_token"]) == entra.verified(token)
    assert visits_of(harbor) == count


@BOTH_DATABASES
def test_a_hint_that_was_taken_away_opens_nothing_in_another_browser(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    entra.visits()
    count = visits_of(harbor)
    taken = entra.visits(**{**entra.sent, "state": "of the thief", "nonce": "of the thief"})
    assert taken.reply.status == 403
    assert "another browser" in taken.page.text
    assert visits_of(harbor) == count


@BOTH_DATABASES
def test_a_browser_that_never_came_can_begin_anew_and_the_first_address_is_dead(
    harbor: Harbor,
) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    sent = entra.request()
    path = f"/entra/{entra.connection_id}/authorize"
    first = harbor.wire.request("POST", path, data=sent)
    browser = entra.visits(**sent)
    browser.types(harbor.code(phone))
    entra.accepts(browser)
    late = harbor.browser()
    assert late.goes_to(first.location).status == 403


# Who it is


@ONE_DATABASE
def test_an_account_is_known_by_its_object_id_whatever_it_is_called_later(harbor: Harbor) -> None:
    phone, entra = harbor.enrolls(), connected(harbor)
    entra.visits().types(harbor.code(phone))
    harbor.person("grace@harbor.example")
    hint = entra.hint(preferred_username="grace@harbor.example")
    browser = entra.visits(id_token_hint=hint)
    assert "ada@harbor.example" in browser.page.text
    [(tid, oid)] = harbor.rows(sa.select(EntraAccount.tenant_id, EntraAccount.object_id))
    assert (tid, oid) == (TENANT, OID)


@ONE_DATABASE
def test_another_account_of_the_same_name_is_not_the_user(harbor: Harbor) -> None:
    """Names are given anew when somebody leaves; what the one had is not the other's."""
    harbor.enrolls()
    entra = connected(harbor)
    entra.visits()
    other = entra.visits(id_token_hint=entra.hint(oid=str(uuid.UUID(int=7))))
    assert entra.refuses(other) == "access_denied"


@ONE_DATABASE
def test_nobody_is_linked_by_name_where_that_is_off(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor, links_by_name=False)
    assert entra.refuses(entra.visits()) == "access_denied"
    assert harbor.rows(sa.select(EntraAccount.id)) == []


@ONE_DATABASE
@pytest.mark.parametrize("name", ["id", "external_id", "phone"])
def test_no_name_but_an_e_mail_address_links(harbor: Harbor, name: str) -> None:
    user = {"email": "marie@harbor.example", "external_id": "crm-1", "phone_number": "+33612345678"}
    made = harbor.backend.calls("POST", "/org/harbor/users", json=user).json
    called = {"id": made["id"], "external_id": "crm-1", "phone": "+33612345678"}[name]
    entra = connected(harbor)
    browser = entra.visits(id_token_hint=entra.hint(preferred_username=called))
    assert entra.refuses(browser) == "access_denied"


@ONE_DATABASE
def test_somebody_unknown_becomes_a_user_only_where_that_is_on(harbor: Harbor) -> None:
    hint: dict[str, Any] = {"preferred_username": "new@harbor.example"}
    off = connected(harbor)
    assert off.refuses(off.visits(id_token_hint=off.hint(**hint))) == "access_denied"
    entra = connected(harbor, name="Another", creates_users=True)
    browser = entra.visits(id_token_hint=entra.hint(**hint))
    assert "new@harbor.example" in browser.page.text
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert entra.accepts(browser)["amr"] == ["otp"]


@ONE_DATABASE
def test_somebody_whose_address_is_another_s_becomes_a_user_of_their_own(harbor: Harbor) -> None:
    entra = connected(harbor, creates_users=True, links_by_name=False)
    browser = entra.visits()
    assert browser.path.endswith("/set-up")
    made = harbor.rows(sa.select(User.email, User.external_id).where(User.email.is_(None)))
    assert made == [(None, f"{TENANT}:{OID}")]


@ONE_DATABASE
def test_a_suspended_user_is_denied(harbor: Harbor) -> None:
    entra = connected(harbor)
    suspend = sa.update(User).where(User.id == uuid.UUID(harbor.ada))
    harbor.executes(suspend.values(suspended_at=harbor.clock.now()))
    assert entra.refuses(entra.visits()) == "access_denied"


# With what


@ONE_DATABASE
@pytest.mark.parametrize(("channel", "amr"), [("sms", "sms"), ("voice", "tel")])
def test_a_code_to_the_phone_is_told_by_the_way_it_came(
    harbor: Harbor, channel: str, amr: str
) -> None:
    switch(harbor)
    outbox = Outbox(harbor)
    enroll(harbor, "sms", "sms")
    entra = connected(harbor)
    browser = entra.visits()
    assert 'value="whatsapp"' not in browser.reply.text
    browser.presses(channel)
    answer(browser, outbox, MOBILE)
    assert entra.accepts(browser)["amr"] == [amr]


@ONE_DATABASE
def test_a_passkey_is_told_as_fido(harbor: Harbor) -> None:
    passkeys.demand(harbor, active=True)
    device = passkeys.enrolls(harbor)
    entra = connected(harbor)
    browser = entra.visits()
    forms = browser.page.forms
    place = next(n for n, form in enumerate(forms) if "credential" in form["fields"])
    browser.submits(place, credential=device.get(passkeys.options(browser)))
    assert entra.accepts(browser)["amr"] == ["fido"]


@ONE_DATABASE
def test_a_code_by_whatsapp_is_no_way_even_for_a_forger(harbor: Harbor) -> None:
    """F32: what the page doesn't offer is refused when it is posted."""
    switch(harbor)
    outbox = Outbox(harbor)
    enroll(harbor, "sms", "whatsapp")
    entra, before = connected(harbor), len(outbox.all())
    browser = entra.visits()
    browser.submits(0, channel="whatsapp")
    assert len(outbox.all()) == before


@ONE_DATABASE
def test_email_is_not_offered_though_the_organization_does(harbor: Harbor) -> None:
    """F31, F32: Entra has no word for it, so it can't be tried."""
    with harbor.services.database.writing() as tx:
        for kind in ("email", "dual", "sms", "whatsapp"):
            harbor.services.channels.change(tx, OPERATOR, harbor.organization, kind, active=True)
    entra = connected(harbor)
    browser = entra.visits()
    offered = [button.get("value") for form in browser.page.forms for button in form["buttons"]]
    offered += [form["fields"].get("kind") for form in browser.page.forms]
    assert "email" not in offered
    assert "dual" not in offered
    assert {"totp", "sms"} & set(offered)
    browser.sends("set-up/codes", kind="email")
    browser.goes_to(browser.address(""))
    assert browser.path.endswith("/set-up")


@ONE_DATABASE
def test_only_methods_that_were_asked_are_offered(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits(claims=asked(amr=["fido", "face"]))
    assert not browser.path.endswith("/verify")
    browser.sends("cancel")
    assert entra.refuses(browser) == "access_denied"


@ONE_DATABASE
@pytest.mark.parametrize(
    "claims",
    [asked("knowledge"), asked("inherence"), asked("knowledgeorinherence"), asked(amr=["vbm"])],
    ids=["knowledge", "inherence", "knowledgeorinherence", "vbm"],
)
def test_what_nobody_could_meet_is_denied_before_anybody_tries(harbor: Harbor, claims: str) -> None:
    harbor.enrolls()
    entra, count = connected(harbor), visits_of(harbor)
    assert entra.refuses(entra.visits(claims=claims)) == "access_denied"
    assert visits_of(harbor) == count


@ONE_DATABASE
def test_a_policy_that_lets_everybody_pass_lets_nobody_pass_to_entra(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    with harbor.services.database.writing() as tx:
        rule = Rule(mode=PolicyMode.OFF)
        harbor.services.policies.change(tx, OPERATOR, harbor.organization, rule)
    entra = connected(harbor)
    browser = entra.visits()
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["amr"] == ["otp"]


@ONE_DATABASE
def test_no_browser_is_trusted_for_entra(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.trust_rules.change(tx, OPERATOR, harbor.organization, days=30)
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    assert "trust" in browser.reply.text
    browser.submits(code=harbor.code(phone), trust="on")
    harbor.clock.advance(30)
    entra = connected(harbor)
    entra.sends(browser)
    assert browser.path.endswith("/verify")
    assert 'name="trust"' not in browser.reply.text
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["amr"] == ["otp"]


def with_recovery_codes(harbor: Harbor) -> list[str]:
    with harbor.services.database.writing() as tx:
        ada = tx.get_one(User, uuid.UUID(harbor.ada))
        ada.organization = harbor.organization
        return harbor.services.recovery.issue(tx, OPERATOR, ada)


@ONE_DATABASE
def test_after_a_recovery_code_it_counts_what_was_set_up_in_its_place(harbor: Harbor) -> None:
    """A recovery code is no method of Entra's; the app that replaces the lost one is."""
    harbor.enrolls()
    entra = connected(harbor)
    code = with_recovery_codes(harbor)[0]
    browser = entra.visits()
    browser.goes_to(browser.address("recover"))
    browser.types(code)
    assert not browser.path.endswith("/return")
    phone = browser.sets_up() if browser.path.endswith("/set-up") else browser.scans()
    browser.types(harbor.code(phone))
    if browser.path.endswith("/codes"):
        browser.saves_codes()
    assert entra.accepts(browser)["amr"] == ["otp"]
    [(claims,)] = harbor.rows(sa.select(Result.claims))
    assert claims["recovery_code_used"] is True


@ONE_DATABASE
def test_a_recovery_code_alone_ends_nothing_well(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    browser = entra.visits()
    browser.goes_to(browser.address("recover"))
    browser.types(with_recovery_codes(harbor)[0])
    browser.sends("cancel")
    assert entra.refuses(browser) == "access_denied"
    assert harbor.rows(sa.select(Result.id)) == []


@ONE_DATABASE
def test_a_bypass_code_is_none_of_the_ways_to_entra(harbor: Harbor) -> None:
    harbor.enrolls()
    entra = connected(harbor)
    with harbor.services.database.writing() as tx:
        ada = tx.get_one(User, uuid.UUID(harbor.ada))
        ada.organization = harbor.organization
        given = harbor.services.bypass_codes.give(tx, OPERATOR, ada, minutes=10, why="lost")
    browser = entra.visits()
    assert "bypass" not in browser.reply.text
    browser.goes_to(browser.address("bypass"))
    assert browser.path.endswith("/verify")
    browser.sends("bypass", code=given.code)
    assert browser.path.endswith("/verify")
    assert harbor.rows(sa.select(Result.id)) == []
