"""The user's own page: methods, recovery codes, activity, and what may be done about them (F27)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Event,
    GatewaySession,
    Message,
    PolicyMode,
    RecoveryCode,
    TrustedBrowser,
    User,
)
from app.services.account_activity import TOLD
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Browser, Phone, Reply, Wire
from tests.conftest import FixedClock, Harbor, stage

MINUTE = 60


def at_account(harbor: Harbor, phone: Phone, user: str | None = None, **ask: Any) -> Browser:
    """Have a user come to manage, and confirm."""
    browser = harbor.visits(user or harbor.ada, intent="manage", **ask)
    assert browser.path.endswith("/verify"), browser.path
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/account"), (browser.path, browser.page.text)
    harbor.clock.advance(30)
    return browser


def methods(harbor: Harbor, user: str | None = None) -> list[Authenticator]:
    """Return what a user can confirm with."""
    found = sa.select(Authenticator).where(
        Authenticator.user_id == uuid.UUID(user or harbor.ada),
        Authenticator.status == AuthenticatorStatus.ACTIVE,
    )
    return [row.Authenticator for row in harbor.rows(found)]


def the_one(harbor: Harbor, user: str | None = None) -> str:
    (found,) = methods(harbor, user)
    return str(found.id)


def letters(harbor: Harbor, name: str) -> list[str]:
    """Return what was told by e-mail under this name."""
    found = sa.select(Message).where(Message.name == name)
    return [harbor.text_of(row.Message) for row in harbor.rows(found)]


def events(harbor: Harbor, kind: str) -> list[Event]:
    return [row.Event for row in harbor.rows(sa.select(Event).where(Event.kind == kind))]


def codes(harbor: Harbor) -> set[str]:
    return {row.code_hash for row in harbor.rows(sa.select(RecoveryCode.code_hash))}


def rule(harbor: Harbor, mode: PolicyMode) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.policies.change(tx, OPERATOR, organization, Rule(mode=mode))


def trust_rule(harbor: Harbor, days: int) -> None:
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.trust_rules.change(tx, OPERATOR, organization, days)


def trusted_by(harbor: Harbor, tx: Session, user: uuid.UUID) -> list[uuid.UUID]:
    """Return the ids of the browsers that a user trusts."""
    return [one.id for one in harbor.services.trusted_browsers.of(tx, tx.get_one(User, user))]


def changes(one: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return every address of the user's own page, as (method, page, fields)."""
    return [
        ("GET", "account", {}),
        ("POST", "account", {}),
        ("POST", "account/add", {}),
        ("POST", "account/leave", {}),
        ("GET", "account/recovery-codes", {}),
        ("POST", "account/recovery-codes", {}),
        ("GET", "account/browsers/forget", {}),
        ("POST", "account/browsers/forget", {}),
        ("GET", f"account/browsers/{one}/forget", {}),
        ("POST", f"account/browsers/{one}/forget", {}),
        ("GET", f"account/{one}/name", {}),
        ("POST", f"account/{one}/name", {"name": "Mine"}),
        ("GET", f"account/{one}/replace", {}),
        ("POST", f"account/{one}/replace", {}),
        ("GET", f"account/{one}/remove", {}),
        ("POST", f"account/{one}/remove", {}),
    ]


def goes(browser: Browser, method: str, page: str, fields: dict[str, str]) -> None:
    data = {"csrf_token": browser.form_token, **fields} if method == "POST" else None
    browser.goes_to(browser.address(page), method, data=data)


def state(harbor: Harbor) -> list[Any]:
    """Return all that the page could change."""
    rows = harbor.rows(
        sa.select(Authenticator.id, Authenticator.name, Authenticator.status).order_by(
            Authenticator.id
        )
    )
    errands = harbor.rows(sa.select(GatewaySession.errand, GatewaySession.replaces).distinct())
    return [rows, codes(harbor), errands]


# The way in and out


def test_a_user_confirms_looks_and_goes_back_with_the_verification_as_result(
    harbor: Harbor,
) -> None:
    phone = harbor.enrolls()
    browser = at_account(harbor, phone)
    assert browser.page.heading == "How you confirm it’s you"
    assert "Authenticator app" in browser.page.text
    assert (
        "Every change here is announced to your email address, with a way to stop it."
        in browser.page.text
    )
    browser.submits_to(browser.address("account"))
    claims = harbor.notes.checks(browser.back["result"])
    assert (claims["status"], claims["mfa_method"]) == ("verified", "totp")


def test_a_user_with_nothing_enrolls_first_saves_codes_and_is_there(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada, intent="manage")
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/recovery-codes")
    saved = browser.page.area.split()
    assert len(saved) == 5
    browser.submits(1)
    assert browser.path.endswith("/account"), browser.path
    assert "5 of 5 left." in browser.page.text
    browser.submits_to(browser.address("account"))
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"


def test_an_application_asks_to_manage_for_nothing_else(harbor: Harbor) -> None:
    harbor.enrolls()
    reply = harbor.notes.asks(harbor.ada, intent="manage", acr_values=["phr"])
    assert (reply.status, reply.error) == (422, "invalid_request"), reply.text
    assert "acr_values" in reply.text
    assert harbor.notes.opens(harbor.ada, intent="manage")["intent"] == "manage"


def test_no_policy_lets_a_user_manage_unconfirmed(harbor: Harbor) -> None:
    harbor.enrolls()
    rule(harbor, PolicyMode.OFF)
    browser = harbor.visits(harbor.ada, intent="manage")
    assert browser.path.endswith("/verify")


# Only with a fresh verification in this session (F27)


def test_nothing_of_it_is_there_before_the_user_confirmed_in_this_session(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    elsewhere = at_account(harbor, phone)
    browser = harbor.visits(harbor.ada, intent="manage")
    before = state(harbor)
    for method, page, fields in changes(the_one(harbor)):
        goes(browser, method, page, fields)
        assert browser.path.endswith("/verify"), (page, browser.path)
        assert state(harbor) == before, page
    elsewhere.goes_to(elsewhere.address("account"))
    assert elsewhere.path.endswith("/account")


@pytest.mark.parametrize("intent", ["verify", "enroll"])
def test_it_belongs_to_no_session_that_was_opened_for_something_else(
    harbor: Harbor, intent: str
) -> None:
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent=intent)
    if intent == "enroll":
        browser.types(harbor.code(phone))
        assert browser.path.endswith("/set-up")
    turn, before = browser.path, state(harbor)
    for method, page, fields in changes(the_one(harbor)):
        goes(browser, method, page, fields)
        assert browser.path == turn, (page, browser.path)
        assert state(harbor) == before, page


def test_after_20_minutes_the_user_confirms_again(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = at_account(harbor, phone)
    harbor.clock.advance(19 * MINUTE)
    browser.goes_to(browser.address("account"))
    assert browser.path.endswith("/account")
    harbor.clock.advance(1 * MINUTE)
    before = state(harbor)
    for method, page, fields in changes(the_one(harbor)):
        goes(browser, method, page, fields)
        assert browser.path.endswith("/verify"), (page, browser.path)
        assert state(harbor) == before, page
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/account")


def test_setting_up_one_more_makes_the_20_minutes_no_longer(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = at_account(harbor, phone)
    harbor.clock.advance(15 * MINUTE)
    browser.sends("account/add")
    added = browser.sets_up()
    browser.types(harbor.code(added))
    assert browser.path.endswith("/account")
    harbor.clock.advance(6 * MINUTE)
    browser.goes_to(browser.address("account"))
    assert browser.path.endswith("/verify")


def test_a_recovery_code_does_not_open_it_before_a_new_method_is_confirmed(
    harbor: Harbor,
) -> None:
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(browser.sets_up()))
    saved = browser.saves_codes()
    harbor.clock.advance(30)
    lost = harbor.visits(harbor.ada, intent="manage")
    lost.goes_to(lost.address("recover"))
    lost.types(saved[0])
    assert lost.path.endswith("/enroll"), lost.path
    for page in ("account", "account/recovery-codes"):
        lost.goes_to(lost.address(page))
        assert lost.path.endswith("/enroll"), lost.path
    phone = lost.scans()
    lost.types(harbor.code(phone))
    assert lost.path.endswith("/account"), lost.path
    harbor.clock.advance(20 * MINUTE)
    lost.goes_to(lost.address("account"))
    assert lost.path.endswith("/verify"), lost.path
    lost.types(harbor.code(phone))
    lost.sends("account")
    claims = harbor.notes.checks(lost.back["result"])
    assert claims["recovery_code_used"] is True


def test_another_browser_gets_nothing_of_it(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    stranger, before = harbor.browser(), state(harbor)
    stranger.goes_to("/admin/sign-in")  # for a form token of its own
    stranger.path = browser.path
    for method, page, fields in changes(the_one(harbor)):
        goes(stranger, method, page, fields)
        assert stranger.reply.status == 403, page
        assert "ada" not in stranger.page.text
        stranger.path = browser.path
    assert state(harbor) == before


def test_a_form_without_its_token_changes_nothing(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    before = state(harbor)
    for method, page, fields in changes(the_one(harbor)):
        if method == "POST":
            browser.goes_to(browser.address(page), "POST", data=fields)
            assert browser.reply.status == 400, page
    assert state(harbor) == before


def test_the_methods_of_somebody_else_are_not_there(harbor: Harbor) -> None:
    bob = harbor.person("bob@harbor.example")
    harbor.enrolls(bob)
    foreign = the_one(harbor, bob)
    browser = at_account(harbor, harbor.enrolls())
    before = state(harbor)
    for one in (foreign, str(uuid.uuid4())):
        for method, page, fields in changes(one):
            if one in page:
                goes(browser, method, page, fields)
                assert browser.path.endswith("/account"), (page, browser.path)
                assert "bob" not in browser.page.text
    assert state(harbor) == before


# What may be done


def test_a_method_gets_a_name_and_keeps_it(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    browser.goes_to(browser.address(f"account/{one}/name"))
    browser.submits(name="  Work <b>phone</b> ")
    assert browser.path.endswith("/account")
    assert "Work <b>phone</b>" in browser.page.text
    assert [found.name for found in methods(harbor)] == ["Work <b>phone</b>"]
    (told,) = letters(harbor, "authenticator_renamed")
    assert "Work <b>phone</b>" in told
    (event,) = events(harbor, "authenticator:renamed")
    assert event.detail["name"] == "Work <b>phone</b>"


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb", "a\u202eb", "\0"])
def test_a_name_has_1_to_60_printable_characters(harbor: Harbor, name: str) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.goes_to(browser.address(f"account/{the_one(harbor)}/name"))
    browser.submits(name=name)
    assert browser.reply.status == 422
    assert "That can’t be a name." in browser.page.text
    assert browser.page.title.startswith("Error: ")
    assert [found.name for found in methods(harbor)] == [None]
    assert letters(harbor, "authenticator_renamed") == []


def test_a_name_of_60_characters_fits(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.goes_to(browser.address(f"account/{the_one(harbor)}/name"))
    browser.submits(name="é" * 60)
    assert [found.name for found in methods(harbor)] == ["é" * 60]


def test_one_more_is_set_up_on_the_usual_pages_and_leads_back(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    kept = codes(harbor)
    browser.sends("account/add")
    assert browser.path.endswith("/set-up")
    assert browser.page.heading == "Add another method"
    added = browser.sets_up()
    assert "Back to your methods" in browser.page.text
    browser.types(harbor.code(added))
    assert browser.path.endswith("/account")
    assert len(methods(harbor)) == 2
    assert codes(harbor) == kept
    assert len(letters(harbor, "authenticator_added")) == 2
    browser.sends("account")
    assert harbor.notes.checks(browser.back["result"])["status"] == "verified"


def test_setting_up_may_be_left_for_the_page_again(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends("account/add")
    browser.sets_up()
    browser.sends("account/leave")
    assert browser.path.endswith("/account")
    pending = sa.select(Authenticator).where(Authenticator.status == AuthenticatorStatus.PENDING)
    assert harbor.rows(pending) == []
    browser.goes_to(browser.address("enroll"))
    assert browser.path.endswith("/account")


def test_the_tenth_is_the_last_that_may_be_added(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    assert "Add a method" in browser.page.text
    for number in range(9):
        more = sa.insert(Authenticator).values(
            id=uuid.uuid4(),
            user_id=uuid.UUID(harbor.ada),
            kind="email",
            status=AuthenticatorStatus.ACTIVE,
            recipient=f"ada{number}@harbor.example",
            confirmed_at=harbor.clock.now(),
            created_at=harbor.clock.now(),
        )
        harbor.executes(more)
    browser.goes_to(browser.address("account"))
    assert "Add a method" not in browser.page.text
    assert browser.page.text.count("Weaker") == 9
    assert "a•••••@harbor.example" in browser.page.text
    browser.sends("account/add")
    assert browser.path.endswith("/account")


def test_the_last_one_that_is_no_message_is_not_removed_unawares(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    more = sa.insert(Authenticator).values(
        id=uuid.uuid4(),
        user_id=uuid.UUID(harbor.ada),
        kind="email",
        status=AuthenticatorStatus.ACTIVE,
        recipient="ada@harbor.example",
        confirmed_at=harbor.clock.now(),
        created_at=harbor.clock.now(),
    )
    harbor.executes(more)
    browser.goes_to(browser.address(f"account/{one}/remove"))
    assert "Only codes by message are left then." in browser.page.text
    browser.submits()
    assert [found.kind for found in methods(harbor)] == ["email"]


def test_a_phone_is_replaced_in_the_moment_in_which_the_new_one_is_confirmed(
    harbor: Harbor,
) -> None:
    old = harbor.enrolls()
    browser = at_account(harbor, old)
    one, kept = the_one(harbor), codes(harbor)
    browser.goes_to(browser.address(f"account/{one}/replace"))
    assert browser.page.heading == "Replace Authenticator app?"
    browser.submits()
    new = browser.sets_up()
    browser.types(harbor.wrong_codes(new)[0])
    assert the_one(harbor) == one
    browser.types(harbor.code(new))
    assert browser.path.endswith("/account"), browser.page.text
    assert the_one(harbor) != one
    assert codes(harbor) == kept
    assert len(letters(harbor, "authenticator_added")) == 2
    assert len(letters(harbor, "authenticator_removed")) == 1
    harbor.clock.advance(30)
    again = harbor.visits(harbor.ada)
    again.types(harbor.code(old))
    assert again.reply.status == 422
    again.types(harbor.code(new))
    assert "result" in again.back


def test_what_was_to_be_replaced_stays_if_the_user_leaves_or_adds_instead(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    browser.sends(f"account/{one}/replace")
    browser.sends("account/leave")
    browser.sends(f"account/{one}/replace")
    browser.sends("account/add")
    browser.types(harbor.code(browser.sets_up()))
    assert one in [str(found.id) for found in methods(harbor)]
    assert len(methods(harbor)) == 2


def test_one_of_two_is_removed_and_stops_at_once(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    other = harbor.adds_another(phone)
    browser = at_account(harbor, other)
    first = min(methods(harbor), key=lambda one: one.created_at)
    browser.goes_to(browser.address(f"account/{first.id}/remove"))
    assert browser.page.heading == "Remove Authenticator app?"
    assert "It stops working at once" in browser.page.text
    browser.submits()
    assert browser.path.endswith("/account")
    assert [one.id for one in methods(harbor)] != [first.id]
    assert len(letters(harbor, "authenticator_removed")) == 1
    browser.sends(f"account/{first.id}/remove")  # a double tap
    assert browser.path.endswith("/account")
    assert len(letters(harbor, "authenticator_removed")) == 1


def test_whoever_removes_what_they_confirmed_with_confirms_with_the_rest(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    other = harbor.adds_another(phone)
    browser = at_account(harbor, other)
    used = max(methods(harbor), key=lambda one: one.last_used_at or one.created_at)
    browser.sends(f"account/{used.id}/remove")
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/account")


def test_the_last_one_stays_where_a_policy_demands_one(harbor: Harbor) -> None:
    rule(harbor, PolicyMode.REQUIRED)
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    browser.goes_to(browser.address(f"account/{one}/remove"))
    assert browser.page.heading == "Authenticator app is your last method"
    assert "Remove it" not in browser.page.text
    browser.sends(f"account/{one}/remove")
    assert browser.path.endswith("/account")
    assert the_one(harbor) == one


def test_the_last_one_goes_where_none_is_demanded_and_ends_the_visit(harbor: Harbor) -> None:
    rule(harbor, PolicyMode.OPTIONAL)
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    browser.goes_to(browser.address(f"account/{one}/remove"))
    assert "It is your last method." in browser.page.text
    browser.submits()
    claims = harbor.notes.checks(browser.back["result"])
    assert claims["status"] == "verified"
    assert methods(harbor) == []
    assert codes(harbor) == set()
    assert harbor.visits(harbor.ada, intent="manage").path.endswith("/set-up")


def test_new_codes_are_shown_once_and_the_old_ones_die(harbor: Harbor) -> None:
    phone = harbor.enrolls_on_the_pages()
    browser = at_account(harbor, phone)
    old = codes(harbor)
    browser.goes_to(browser.address("account/recovery-codes"))
    assert browser.page.heading == "Make new recovery codes?"
    assert codes(harbor) == old
    browser.submits()
    assert browser.path.endswith("/recovery-codes")
    shown = browser.page.area.split()
    assert len(shown) == 5
    assert not codes(harbor) & old
    assert len(letters(harbor, "recovery_codes_made")) == 1
    assert not any(code in letters(harbor, "recovery_codes_made")[0] for code in shown)
    browser.saves_codes()
    assert browser.path.endswith("/account")
    browser.goes_to(browser.address("recovery-codes"))
    assert browser.path.endswith("/account")


def test_codes_are_not_made_anew_on_their_page_after_20_minutes(harbor: Harbor) -> None:
    phone = harbor.enrolls_on_the_pages()
    browser = at_account(harbor, phone)
    browser.sends("account/recovery-codes")
    made = codes(harbor)
    harbor.clock.advance(20 * MINUTE)
    browser.sends("recovery-codes/new")
    assert browser.path.endswith("/verify")
    assert codes(harbor) == made


def test_trusted_browsers_are_listed_and_forgotten_one_by_one_or_all(harbor: Harbor) -> None:
    trust_rule(harbor, 30)
    phone = harbor.enrolls()
    bob = harbor.person("bob@harbor.example")
    for user, own in ((harbor.ada, phone), (bob, harbor.enrolls(bob))):
        for _ in range(3 if user == harbor.ada else 1):
            trusting = harbor.visits(user)
            trusting.submits(code=harbor.code(own), trust="yes")
            assert "result" in trusting.back
            harbor.clock.advance(30)
    browser = at_account(harbor, phone)
    assert browser.page.text.count("until 31 March 2026") == 3
    with harbor.services.database.reading() as tx:
        mine, theirs = (
            trusted_by(harbor, tx, user) for user in (uuid.UUID(harbor.ada), uuid.UUID(bob))
        )
    browser.sends(f"account/browsers/{theirs[0]}/forget")
    browser.goes_to(browser.address(f"account/browsers/{theirs[0]}/forget"))
    assert browser.path.endswith("/account")
    browser.goes_to(browser.address(f"account/browsers/{mine[0]}/forget"))
    assert browser.page.heading.startswith("Forget ")
    browser.submits()
    assert browser.page.text.count("until 31 March 2026") == 2
    browser.goes_to(browser.address("account/browsers/forget"))
    browser.submits()
    assert "Trusted browsers" not in browser.page.text
    left = harbor.rows(sa.select(TrustedBrowser.user_id))
    assert [str(row.user_id) for row in left] == [bob]
    assert len(letters(harbor, "browsers_forgotten")) == 2
    assert "Trusted browser forgotten" in browser.page.text


def test_a_trusted_browser_does_not_spare_the_verification(harbor: Harbor) -> None:
    trust_rule(harbor, 30)
    phone = harbor.enrolls()
    browser = harbor.visits(harbor.ada)
    browser.submits(code=harbor.code(phone), trust="yes")
    browser.goes_to(harbor.notes.opens(harbor.ada)["url"])
    assert "result" in browser.back
    browser.goes_to(harbor.notes.opens(harbor.ada, intent="manage")["url"])
    assert browser.path.endswith("/verify")


def test_the_page_says_what_happened_lately_from_where(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    wrong = harbor.visits(harbor.ada)
    wrong.types(harbor.wrong_codes(phone)[0])
    bob = harbor.person("bob@harbor.example")
    harbor.enrolls(bob)
    browser = at_account(harbor, phone)
    text = browser.page.text
    assert "Wrong answer: Authenticator app" in text
    assert "Confirmed for Harbor Notes: Authenticator app" in text
    assert text.count("Method added: Authenticator app") == 1
    assert "127.0.0.1" in text
    assert text.index("Confirmed for") < text.index("Wrong answer") < text.index("Method added")


def test_what_was_done_where_the_user_is_now_is_told_apart(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """By country and address, in the user's language; an IPv6 network counts as one place."""
    settings = {"trusted_proxies": "127.0.0.1", "country_header": "CF-IPCountry"}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        phone, wire = harbor.enrolls(), harbor.wire
        for address, country in (("203.0.113.9", "DE"), ("2001:db8:1:2::7", "FR")):
            harbor.wire = From(wire, address, country)
            harbor.visits(harbor.ada).types(harbor.wrong_codes(phone)[0])
        harbor.wire = From(wire, "2001:db8:1:2::1", "FR")
        browser = at_account(harbor, phone, locale="fr")
        text = browser.page.text
        assert "Allemagne · 203.0.113.9" in text
        assert "203.0.113.9 (là où vous êtes)" not in text
        assert "France · 2001:db8:1:2::7 (là où vous êtes)" in text
        assert "France · 2001:db8:1:2::1 (là où vous êtes)" in text
        browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
        (told,) = letters(harbor, "authenticator_renamed")
        assert "France, 2001:db8:1:2::1" in told
        audit = harbor.administrator().at("/audit").page.text
        assert "Country Germany" in audit


@dataclass
class From:
    """A wire by which requests come through a proxy that says from where."""

    wire: Wire
    address: str
    country: str

    def request(self, method: str, path: str, **more: Any) -> Reply:
        told = {"X-Forwarded-For": self.address, "CF-IPCountry": self.country}
        headers = {**(more.pop("headers", None) or {}), **told}
        return self.wire.request(method, path, headers=headers, **more)


def test_the_browser_itself_is_marked_among_those_that_are_trusted(harbor: Harbor) -> None:
    trust_rule(harbor, 30)
    phone = harbor.enrolls()
    browsers = []
    for _ in range(2):
        browser = harbor.visits(harbor.ada)
        browser.submits(code=harbor.code(phone), trust="yes")
        assert "result" in browser.back
        harbor.clock.advance(30)
        browsers.append(browser)
    for browser, marks in ((browsers[0], 1), (browsers[1], 1), (harbor.browser(), 0)):
        browser.goes_to(harbor.notes.opens(harbor.ada, intent="manage")["url"])
        browser.types(harbor.code(phone))
        harbor.clock.advance(30)
        assert browser.page.text.count("until 31 March 2026") == 2
        assert browser.page.text.count("This browser") == marks


def test_ten_things_are_told_at_most(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    one = the_one(harbor)
    for number in range(12):
        browser.sends(f"account/{one}/name", name=f"Name {number}")
    text = browser.page.text
    assert text.count("Method renamed:") == 10
    assert "Method renamed: Name 11" in text


def test_in_french_the_page_speaks_french(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls(), locale="fr")
    assert browser.page.heading == "Comment vous confirmez votre identité"
    assert "Vos méthodes" in browser.page.text
    one = the_one(harbor)
    for page in ("name", "replace", "remove"):
        browser.goes_to(browser.address(f"account/{one}/{page}"))
        assert "Retour à vos méthodes" in browser.page.text


def test_double_taps_on_the_way_back_give_the_same_result(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends("account")
    assert "result" in browser.back
    browser.path = browser.path or ""
    browser.sends("account")
    assert browser.path.endswith("/ended")


def test_the_visit_lasts_an_hour(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    harbor.clock.advance(60 * MINUTE)
    browser.goes_to(browser.address("account"))
    assert browser.path.endswith("/ended")


def test_the_page_has_words_for_each_kind_of_event_that_it_tells(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    for kind in TOLD:
        with harbor.services.database.writing() as tx:
            user = tx.get_one(User, uuid.UUID(harbor.ada))
            harbor.services.audit.record(tx, kind, OPERATOR, user=user)
        browser.goes_to(browser.address("account"))
        assert browser.reply.status == 200, kind
