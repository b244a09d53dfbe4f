"""Policies on the hosted pages: who passes, who may put it off, and what the result says of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Event, Organization, PolicyMode, PolicySkip, Result, User, Verification
from app.models.application import Application
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Browser
from tests.conftest import ONE_DATABASE, Harbor

NOT_NOW = "Not now"
NOTHING = {"status": "skipped", "amr": [], "acr": "urn:gatehouse:acr:none", "mfa_method": "none"}


def sets(harbor: Harbor, mode: str, *, days: float | None = None, skips: int | None = None) -> None:
    """Set the organization's rule."""
    harbor_rule(harbor, rule(harbor, mode, days, skips))


def rule(harbor: Harbor, mode: str, days: float | None = None, skips: int | None = None) -> Rule:
    date = None if days is None else harbor.clock.now() + timedelta(days=days)
    return Rule(mode=PolicyMode(mode), required_from=date, skips=skips)


def harbor_rule(harbor: Harbor, wanted: Rule, application: str | None = None) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.get(Organization, harbor.organization.id)
        [found] = (
            tx.scalars(sa.select(Application).where(Application.name == application))
            if application
            else [None]
        )
        assert organization is not None
        harbor.services.policies.change(tx, OPERATOR, organization, wanted, found)


def puts_off(browser: Browser) -> Browser:
    """Press "Not now", which is the second form of the page."""
    assert NOT_NOW in browser.page.text, browser.page.text
    browser.sends("not-now")
    return browser


def claims_of(harbor: Harbor, browser: Browser) -> dict[str, Any]:
    return harbor.notes.checks(browser.back["result"])


def kinds(harbor: Harbor, *kinds: str) -> Sequence[Any]:
    return harbor.rows(sa.select(Event.kind).where(Event.kind.in_(kinds)).order_by(Event.id))


def says_nothing(claims: dict[str, Any]) -> None:
    assert {name: claims[name] for name in NOTHING} == NOTHING
    assert "recovery_code_used" not in claims


# Off


def test_with_the_policy_off_the_visit_goes_straight_back(harbor: Harbor) -> None:
    sets(harbor, "off")
    browser = harbor.visits(harbor.ada)
    says_nothing(claims_of(harbor, browser))
    asked = browser.back["session_id"]
    assert harbor.notes.looks_at(asked).json["status"] == "skipped"
    redeemed = harbor.notes.redeems(asked, browser.back["result"])
    assert redeemed.status == 200
    says_nothing(redeemed.json["claims"])
    assert harbor.notes.redeems(asked, browser.back["result"]).status == 409
    [(passed,)] = harbor.rows(sa.select(Verification))
    assert (passed.purpose, passed.kind, passed.accepted) == ("skip", "none", True)
    assert kinds(harbor, "policy:passed", "policy:skipped") == [("policy:passed",)]
    [(user,)] = harbor.rows(sa.select(User))
    assert user.last_verified_at is None


def test_with_the_policy_off_who_has_an_authenticator_passes_too(harbor: Harbor) -> None:
    harbor.enrolls()
    sets(harbor, "off")
    says_nothing(claims_of(harbor, harbor.visits(harbor.ada)))


def test_with_the_policy_off_no_method_has_to_be_on_offer(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    assert harbor.notes.asks(harbor.ada).error == "totp_connection_inactive"
    sets(harbor, "off")
    says_nothing(claims_of(harbor, harbor.visits(harbor.ada)))
    assert harbor.notes.asks(harbor.ada, intent="enroll").error == "totp_connection_inactive"


def test_with_the_policy_off_a_form_brings_the_result_back(harbor: Harbor) -> None:
    sets(harbor, "off")
    browser = harbor.visits(harbor.ada, response_mode="form_post")
    assert browser.path.endswith("/return")
    assert "You are confirmed" not in browser.page.text
    result = next(form["fields"]["result"] for form in browser.page.forms if form["fields"])
    says_nothing(harbor.notes.checks(result))
    browser.goes_to(browser.address("ended"))
    assert browser.page.heading == "You can go on"
    assert "Nothing was confirmed" in browser.page.text


def test_with_the_policy_off_a_suspended_user_stays_out(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    sets(harbor, "off")
    harbor.executes(sa.update(User).values(suspended_at=harbor.clock.now()))
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/blocked")
    assert harbor.rows(sa.select(Result)) == []


def test_with_the_policy_off_who_comes_to_enroll_enrolls(harbor: Harbor) -> None:
    sets(harbor, "off")
    browser = harbor.visits(harbor.ada, intent="enroll")
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    assert claims_of(harbor, browser)["status"] == "enrolled"


def test_with_the_policy_off_a_forced_enrollment_stays_one(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    sets(harbor, "off")
    path = f"/org/{harbor.organization.domain}/gateway-sessions"
    ask = {
        "user_id": harbor.ada,
        "redirect_uri": harbor.notes.redirect_uri,
        "client_id": harbor.notes.client_id,
        "force_enroll": True,
    }
    opened = harbor.backend.calls("POST", path, json=ask)
    assert opened.status == 201, opened.text
    browser = harbor.browser()
    browser.goes_to(opened.json["url"])
    assert browser.sets_up().key != phone.key
    assert NOT_NOW not in browser.page.text


def test_with_the_policy_off_a_link_checker_binds_and_ends_nothing(harbor: Harbor) -> None:
    sets(harbor, "off")
    opened, browser = harbor.notes.opens(harbor.ada), harbor.browser()
    for more in ({"headers": {"Sec-Purpose": "prefetch"}}, {"method": "HEAD"}):
        browser.goes_to(opened["url"], **more)
        assert harbor.notes.looks_at(opened["id"]).json["status"] == "pending"


# Optional


def test_with_an_optional_policy_a_user_without_anything_may_go_on(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    assert "You can set it up at a later visit." in browser.page.text
    says_nothing(claims_of(harbor, puts_off(browser)))
    assert kinds(harbor, "policy:passed", "policy:skipped") == [("policy:skipped",)]
    assert harbor.rows(sa.select(PolicySkip)) == []
    puts_off(harbor.visits(harbor.ada))


def test_not_now_is_one_plain_way_below_the_one_main_button(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    buttons = [found["class"] for tag, found in browser.page.tags if tag == "button"]
    assert [name for name in buttons if name and "btn-primary" in name] == ["btn btn-primary wide"]
    assert buttons.index("choice") > buttons.index("btn btn-primary wide")


def test_with_an_optional_policy_one_may_set_up_and_change_ones_mind(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    says_nothing(claims_of(harbor, puts_off(browser)))
    browser.sends("enroll", code=harbor.code(phone))
    assert browser.page.heading == "You can go on"
    [(user,)] = harbor.rows(sa.select(User))
    assert not user.enrolled
    harbor.enrolls()


def test_with_an_optional_policy_who_has_an_authenticator_verifies(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/verify")
    assert NOT_NOW not in browser.page.text
    browser.sends("not-now")
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert claims_of(harbor, browser)["status"] == "verified"


def test_who_used_a_recovery_code_never_gets_through_by_not_now(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(codes[0])
    assert browser.path.endswith("/enroll"), browser.page.text
    for _ in range(2):  # in the same visit, and in the next one
        assert NOT_NOW not in browser.page.text
        browser.sends("not-now")
        assert browser.reply.status == 200, browser.reply.location
        assert NOT_NOW not in browser.page.text
        browser = harbor.visits(harbor.ada)
        assert browser.path.endswith("/due")
    harbor.executes(sa.update(User).values(reenrollment_approved=True))
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/set-up")
    assert NOT_NOW not in browser.page.text
    browser.sends("not-now")
    assert browser.path.endswith("/set-up")
    assert kinds(harbor, "policy:skipped") == []


def test_who_was_reset_without_reopening_can_not_put_it_off(harbor: Harbor) -> None:
    harbor.enrolls()
    sets(harbor, "optional")
    with harbor.services.database.writing() as tx:
        user = tx.scalars(sa.select(User)).one()
        organization = tx.get(Organization, harbor.organization.id)
        assert organization is not None
        harbor.services.enrollment.reset(tx, OPERATOR, organization, user, reopen=False)
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/blocked")
    browser.sends("not-now")
    assert browser.path.endswith("/blocked")


# Required


@pytest.mark.parametrize("stands", [True, False])
def test_with_a_required_policy_nothing_is_put_off(harbor: Harbor, stands: bool) -> None:
    if stands:
        sets(harbor, "required")
    browser = harbor.visits(harbor.ada)
    assert NOT_NOW not in browser.page.text
    browser.sends("not-now")
    assert browser.path.endswith("/set-up")
    browser.sets_up()
    browser.sends("not-now")
    assert browser.path.endswith("/enroll")
    assert harbor.rows(sa.select(Result)) == []


# From a date on


def test_before_the_date_it_can_be_put_off_so_often(harbor: Harbor) -> None:
    sets(harbor, "required", days=30, skips=2)
    browser = harbor.visits(harbor.ada)
    assert "Required from" in browser.page.text
    assert "You can put it off 2 more times." in browser.page.text
    says_nothing(claims_of(harbor, puts_off(browser)))
    browser = harbor.visits(harbor.ada)
    assert "You can put it off 1 more time." in browser.page.text
    puts_off(browser)
    browser = harbor.visits(harbor.ada)
    assert NOT_NOW not in browser.page.text
    browser.sends("not-now")
    assert browser.path.endswith("/set-up")
    assert harbor.rows(sa.select(PolicySkip.used)) == [(2,)]
    assert len(kinds(harbor, "policy:skipped")) == 2


def test_another_user_has_times_of_their_own(harbor: Harbor) -> None:
    sets(harbor, "required", days=30, skips=1)
    puts_off(harbor.visits(harbor.ada))
    puts_off(harbor.visits(harbor.person("bob@harbor.example")))
    assert NOT_NOW not in harbor.visits(harbor.ada).page.text


def test_without_a_number_it_can_be_put_off_until_the_date(harbor: Harbor) -> None:
    sets(harbor, "required", days=1)
    for _ in range(5):
        browser = harbor.visits(harbor.ada)
        assert "You can put it off until then." in browser.page.text
        puts_off(browser)
    late = harbor.visits(harbor.ada)
    assert NOT_NOW in late.page.text
    harbor.clock.advance(24 * 3600 - 60)
    late = harbor.visits(harbor.ada)
    assert NOT_NOW in late.page.text
    harbor.clock.advance(61)
    late.sends("not-now")  # the page was open when the date came
    assert late.path.endswith("/set-up")
    assert NOT_NOW not in late.page.text
    assert NOT_NOW not in harbor.visits(harbor.ada).page.text


def test_before_the_date_who_has_an_authenticator_verifies(harbor: Harbor) -> None:
    harbor.enrolls()
    sets(harbor, "required", days=30, skips=5)
    browser = harbor.visits(harbor.ada)
    browser.sends("not-now")
    assert browser.path.endswith("/verify")
    assert harbor.rows(sa.select(PolicySkip)) == []


def test_only_a_later_date_gives_the_times_back(harbor: Harbor) -> None:
    first = rule(harbor, "required", days=30, skips=1)
    harbor_rule(harbor, first)
    puts_off(harbor.visits(harbor.ada))

    def may_put_off(days: float, skips: int = 1) -> bool:
        sets(harbor, "required", days=days, skips=skips)
        return NOT_NOW in harbor.visits(harbor.ada).page.text

    assert not may_put_off(20)
    assert may_put_off(20, skips=2)  # a greater number leaves one of two
    assert not may_put_off(20, skips=1)
    assert may_put_off(40)
    assert harbor.rows(sa.select(PolicySkip)) == []
    [*_, (last,)] = harbor.rows(
        sa.select(Event.detail).where(Event.kind == "policy:changed").order_by(Event.id)
    )
    assert last["skips_anew"] is True


# The rule of one application


def test_the_rule_of_an_application_goes_before(harbor: Harbor) -> None:
    pier = harbor.registers("Pier", "https://pier.example/back")
    sets(harbor, "off")
    harbor_rule(harbor, Rule(), "Pier")
    browser = harbor.browser()
    browser.goes_to(pier.opens(harbor.ada)["url"])
    assert browser.path.endswith("/set-up")
    assert NOT_NOW not in browser.page.text
    says_nothing(claims_of(harbor, harbor.visits(harbor.ada)))
    sets(harbor, "required")
    harbor_rule(harbor, rule(harbor, "required", days=3, skips=1), "Pier")
    browser.goes_to(pier.opens(harbor.ada)["url"])
    puts_off(browser)
    assert NOT_NOW not in harbor.visits(harbor.ada).page.text


@ONE_DATABASE
def test_the_rule_of_one_organization_is_not_that_of_another(harbor: Harbor) -> None:
    sets(harbor, "off")
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
        harbor.services.method_settings.change(tx, OPERATOR, pier, active=True)
        bob = harbor.services.directory.create(tx, OPERATOR, pier, email="bob@pier.example")
    notes = harbor.notes
    notes.organization = "pier"
    browser = harbor.browser()
    browser.goes_to(notes.opens(str(bob.id))["url"])
    assert browser.path.endswith("/set-up")
    assert NOT_NOW not in browser.page.text


# Browsers


def test_a_double_tap_on_not_now_counts_once(harbor: Harbor) -> None:
    sets(harbor, "required", days=3, skips=5)
    browser = harbor.visits(harbor.ada)
    puts_off(browser)
    first = browser.back["result"]
    browser.sends("not-now")
    assert harbor.notes.checks(browser.back["result"]) == harbor.notes.checks(first)
    assert harbor.rows(sa.select(PolicySkip.used)) == [(1,)]
    browser.goes_to(browser.address("set-up"))  # the back button
    assert browser.page.heading == "You can go on"


def test_not_now_needs_the_form_and_the_browser(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    stranger = harbor.visits(harbor.person("bob@harbor.example"))
    page = browser.address("not-now")
    browser.goes_to(page, "POST", data={})
    assert browser.reply.status == 400
    browser.goes_to(page)
    assert browser.reply.status == 405
    stranger.goes_to(page, "POST", data={"csrf_token": stranger.form_token})
    assert stranger.reply.status == 403
    assert harbor.rows(sa.select(Result)) == []


def test_not_now_comes_too_late_on_an_expired_page(harbor: Harbor) -> None:
    sets(harbor, "required", days=3, skips=5)
    browser = harbor.visits(harbor.ada)
    harbor.clock.advance(31 * 60)
    browser.sends("not-now")
    assert browser.page.heading == "This page has expired"
    assert harbor.rows(sa.select(PolicySkip)) == []
    assert harbor.rows(sa.select(Result)) == []


def test_not_now_after_going_back_changes_nothing(harbor: Harbor) -> None:
    sets(harbor, "optional")
    browser = harbor.visits(harbor.ada)
    browser.sends("cancel")
    browser.sends("not-now")
    assert browser.page.heading == "You went back"
    assert harbor.rows(sa.select(Result)) == []


# What asks explicitly


def test_a_backend_that_asks_itself_is_not_answered_by_a_policy(harbor: Harbor) -> None:
    sets(harbor, "off")
    asked = {"user_id": harbor.ada}
    challenge = harbor.backend.calls(
        "POST", f"/org/{harbor.organization.domain}/totp-challenge", json=asked
    )
    assert challenge.status != 200, challenge.text


def test_a_magic_link_is_asked_for_with_the_policy_off_too(harbor: Harbor) -> None:
    sets(harbor, "off")
    asked = harbor.backend.asks_link(
        "ada@harbor.example", harbor.notes.redirect_uri, org_domain=harbor.organization.domain
    )
    assert asked.status == 200, asked.text
    browser = harbor.browser()
    browser.goes_to(asked.json["waiting_url"])
    assert browser.reply.status == 200
    assert "/gateway/" in browser.path
    assert harbor.rows(sa.select(Result)) == []
