"""The link in a notice, by which a user stops a change that was not theirs."""

from __future__ import annotations

import re
import uuid

import pytest
import sqlalchemy as sa

from app.factors.base import Reason, Refused
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Event,
    FreezeLink,
    GatewaySession,
    Message,
    SessionStatus,
    TrustedBrowser,
    User,
)
from app.services.audit import OPERATOR
from app.services.enrollment import Ground
from app.services.verification import Occasion
from tests.actors import Browser, Phone, keep_secret
from tests.conftest import Harbor
from tests.web.api_v1.backend import EMAIL, PHONE, Devrift
from tests.web.gateway.test_account import (
    MINUTE,
    at_account,
    codes,
    letters,
    methods,
    state,
    the_one,
    trust_rule,
)

DAY = 24 * 60 * MINUTE


def link(harbor: Harbor, name: str = "authenticator_added") -> str:
    """Return the path in the newest notice of this name that has one."""
    found = [re.search(r"/stop/(\S+)", text) for text in letters(harbor, name)]
    tokens = [keep_secret(one[1]) for one in found if one]
    assert len(tokens) == 1, tokens
    return f"/stop/{tokens[0]}"


def adds(harbor: Harbor, browser: Browser) -> None:
    """Have whoever is at the browser add one more app."""
    browser.sends("account/add")
    browser.types(harbor.code(browser.sets_up()))
    assert browser.path.endswith("/account")


def statuses(harbor: Harbor) -> list[str]:
    found = sa.select(Authenticator.status).where(Authenticator.user_id == uuid.UUID(harbor.ada))
    return sorted(row.status.value for row in harbor.rows(found))


def frozen(harbor: Harbor) -> bool:
    (row,) = harbor.rows(sa.select(User.frozen_at).where(User.id == uuid.UUID(harbor.ada)))
    return row.frozen_at is not None


def kinds(harbor: Harbor) -> list[str]:
    return [row.kind for row in harbor.rows(sa.select(Event.kind).order_by(Event.id))]


def stops(harbor: Harbor, path: str) -> Browser:
    """Follow a link in a browser that was never here, and press its button."""
    browser = harbor.browser()
    browser.goes_to(path)
    assert browser.page.heading == "This was not you?"
    browser.submits()
    assert browser.page.heading == "The change is stopped", browser.page.text
    return browser


def test_opening_the_link_changes_nothing_and_names_nobody(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    adds(harbor, browser)
    before, path = (state(harbor), kinds(harbor)), link(harbor)
    reader = harbor.browser()
    for method in ("GET", "HEAD", "GET"):
        reader.goes_to(path, method)
        assert reader.reply.status == 200
        assert "ada@" not in reader.reply.text
    assert "What was added stops working." in reader.page.text
    assert (state(harbor), kinds(harbor)) == before
    assert not frozen(harbor)


def test_what_was_added_is_suspended_and_everything_open_ends(harbor: Harbor) -> None:
    trust_rule(harbor, 30)
    phone = harbor.enrolls()
    trusting = harbor.visits(harbor.ada)
    trusting.submits(code=harbor.code(phone), trust="yes")
    assert "result" in trusting.back
    harbor.clock.advance(30)
    intruder = at_account(harbor, phone)
    adds(harbor, intruder)
    one = min(methods(harbor), key=lambda each: each.created_at)
    path = link(harbor)
    with harbor.services.database.writing() as tx:  # adding a method forgets browsers
        tx.execute(sa.delete(TrustedBrowser))
    other = harbor.visits(harbor.ada)
    stops(harbor, path)
    assert [found.id for found in methods(harbor)] == [one.id]
    assert statuses(harbor) == ["active", "suspended"]
    assert frozen(harbor)
    assert kinds(harbor).count("user:frozen") == 1
    for browser in (intruder, other):
        browser.goes_to(browser.address("resume"))
        assert browser.path.endswith("/ended")
    pending = sa.select(GatewaySession).where(GatewaySession.status == SessionStatus.PENDING)
    assert harbor.rows(pending) == []


def test_browsers_are_no_longer_trusted(harbor: Harbor) -> None:
    trust_rule(harbor, 30)
    phone = harbor.enrolls()
    browser = at_account(harbor, phone)
    browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
    trusting = harbor.visits(harbor.ada)
    trusting.submits(code=harbor.code(phone), trust="yes")
    assert "result" in trusting.back
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == 1
    stops(harbor, link(harbor, "authenticator_renamed"))
    assert harbor.rows(sa.select(TrustedBrowser.id)) == []


def test_nothing_can_be_changed_until_an_administrator_unlocks(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    browser = at_account(harbor, phone)
    adds(harbor, browser)
    harbor.clock.advance(30)
    stops(harbor, link(harbor))
    before = state(harbor)
    for intent in ("manage", "enroll"):
        stopped = harbor.visits(harbor.ada, intent=intent)
        assert stopped.path.endswith("/blocked"), stopped.path
        assert stopped.page.heading == "Changes are stopped"
        for page in ("account/add", "account/recovery-codes", "set-up"):
            stopped.sends(page, kind="totp")
            assert stopped.path.endswith("/blocked")
    assert state(harbor) == before
    confirming = harbor.visits(harbor.ada)
    assert "Use a recovery code" not in confirming.page.text
    confirming.goes_to(confirming.address("recover"))
    assert confirming.path.endswith("/verify")
    confirming.types(harbor.code(phone))
    assert "result" in confirming.back


def test_an_administrator_reads_of_it_and_unlocks(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    adds(harbor, at_account(harbor, phone))
    stops(harbor, link(harbor))
    nadia = harbor.administrator()
    assert "ada@harbor.example says that a change was not theirs" in nadia.at("/").page.text
    shown = nadia.at(f"/users/{harbor.ada}").page
    assert "Frozen since" in shown.text
    assert f"/users/{harbor.ada}/unlock" in " ".join(shown.links)
    assert "stopped a change by the link" in nadia.at(f"/users/{harbor.ada}/unlock").page.text
    nadia.does(f"/users/{harbor.ada}/unlock")
    assert not frozen(harbor)
    assert statuses(harbor) == ["active", "removed"]
    assert len(letters(harbor, "user_freeze_lifted")) == 1
    assert letters(harbor, "user_unlocked") == []
    assert "says that a change was not theirs" not in nadia.at("/").page.text
    at_account(harbor, phone)


def test_a_backend_unlocks_as_an_administrator_does(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    adds(harbor, at_account(harbor, phone))
    stops(harbor, link(harbor))
    reply = harbor.backend.calls("POST", f"/org/harbor/users/{harbor.ada}/unlock")
    assert reply.status == 200, reply.text
    assert not frozen(harbor)
    assert len(letters(harbor, "user_freeze_lifted")) == 1
    assert letters(harbor, "user_unlocked") == []


def test_new_recovery_codes_that_were_not_the_user_s_die(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends("account/recovery-codes")
    path = link(harbor, "recovery_codes_made")
    reader = harbor.browser()
    reader.goes_to(path)
    assert "The new recovery codes stop working." in reader.page.text
    stops(harbor, path)
    assert codes(harbor) == set()


@pytest.mark.parametrize("days", [7, 400])
def test_the_link_works_for_seven_days(harbor: Harbor, days: int) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
    path = link(harbor, "authenticator_renamed")
    reader = harbor.browser()
    reader.goes_to(path)
    harbor.clock.advance(days * DAY)
    reader.submits()
    assert reader.reply.status == 410
    assert reader.page.heading == "This link no longer works"
    reader.goes_to(path)
    assert reader.reply.status == 410
    assert not frozen(harbor)


def test_the_link_works_once(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
    path = link(harbor, "authenticator_renamed")
    late = harbor.browser()
    late.goes_to(path)
    stops(harbor, path)
    harbor.clock.advance(30)
    nadia = harbor.administrator()
    nadia.at(f"/users/{harbor.ada}")
    nadia.does(f"/users/{harbor.ada}/unlock")
    late.submits()
    assert late.reply.status == 410
    assert not frozen(harbor)


def test_a_link_that_nobody_made_and_a_forged_form_lead_nowhere(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
    path = link(harbor, "authenticator_renamed")
    reader = harbor.browser()
    reader.goes_to("/stop/" + "x" * 32)
    assert reader.reply.status == 404
    reader.goes_to(path, "POST", data={})
    assert reader.reply.status == 400
    assert not frozen(harbor)
    assert path.rpartition("/")[2] not in harbor.dump()


def test_a_change_by_an_administrator_s_hand_has_no_link(harbor: Harbor) -> None:
    harbor.enrolls()
    harbor.clock.advance(30)
    nadia = harbor.administrator()
    one = the_one(harbor)
    nadia.at(f"/users/{harbor.ada}/authenticators/{one}/reset")
    nadia.does(f"/users/{harbor.ada}/authenticators/{one}/reset", reason="Lost", after="closed")
    (told,) = letters(harbor, "authenticators_reset")
    assert "/stop/" not in told


def test_a_user_of_another_organization_s_link_is_theirs_alone(harbor: Harbor) -> None:
    bob = harbor.person("bob@harbor.example")
    phone = harbor.enrolls(bob)
    browser = at_account(harbor, phone, bob)
    adds(harbor, browser)
    harbor.enrolls()
    stops(harbor, link(harbor))
    assert not frozen(harbor)
    assert len(methods(harbor)) == 1
    assert len(methods(harbor, bob)) == 1


def test_every_change_on_the_page_is_told_with_a_link(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    other = harbor.adds_another(phone)
    browser = at_account(harbor, other)
    first = min(methods(harbor), key=lambda one: one.created_at)
    harbor.executes(sa.delete(Message))
    browser.sends(f"account/{first.id}/name", name="Old")
    browser.sends(f"account/{first.id}/remove")
    browser.sends("account/recovery-codes")
    names = ("authenticator_renamed", "authenticator_removed", "recovery_codes_made")
    assert len({link(harbor, name) for name in names}) == 3
    assert AuthenticatorStatus.SUSPENDED.value not in statuses(harbor)


# Nothing is added meanwhile


def freezes(harbor: Harbor) -> None:
    """Stop what Ada, or somebody in her name, might change."""
    ada = sa.update(User).where(User.id == uuid.UUID(harbor.ada))
    harbor.executes(ada.values(frozen_at=harbor.clock.now()))


def test_a_backend_that_vouches_for_a_contact_binds_none(harbor: Harbor) -> None:
    """What API v1 has bound before goes on; nothing is added, not even by a code sent before."""
    backend = Devrift(harbor)
    harbor.executes(sa.update(User).values(phone_number=PHONE))
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200
    code = backend.sends(PHONE, "SMS")
    before = statuses(harbor)
    assert before == ["active", "pending"]
    freezes(harbor)
    harbor.clock.advance(60)
    for reply in (
        backend.verifies(PHONE, "PHONE", code),
        backend.asks(PHONE, "SMS"),
        backend.asks(EMAIL, "APP"),
    ):
        assert (reply.status, reply.error) == (422, "user_frozen"), reply.text
    assert statuses(harbor) == before
    assert backend.verifies(EMAIL, "EMAIL", backend.sends(EMAIL, "EMAIL")).status == 200


def test_a_backend_adds_nothing_even_if_it_says_that_a_human_looked(harbor: Harbor) -> None:
    """Whoever looked unlocks; that is recorded, and the user is told."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, active=True)
    harbor.enrolls()
    freezes(harbor)
    for path in ("totp-enrollment", "passkey-registration"):
        for body in ({}, {"force_enroll": True}):
            call = f"/org/harbor/{path}/{harbor.ada}"
            reply = harbor.backend.calls("POST", call, json=body)
            assert (reply.status, reply.error) == (422, "user_frozen"), (path, body, reply.text)
    assert statuses(harbor) == ["active"]


def test_a_change_that_was_begun_before_does_not_get_through(harbor: Harbor) -> None:
    """It is looked at once more where the ground is used up, in the row that freezing locks."""
    services = harbor.services
    harbor.enrolls()
    with services.database.writing() as tx:
        user = services.directory.find(tx, harbor.organization, harbor.ada)
        pending = services.enrollment.begin(tx, OPERATOR, user, "totp")
        ada = sa.update(User).where(User.id == user.id)
        tx.execute(
            ada.values(frozen_at=harbor.clock.now()),
            execution_options={"synchronize_session": False},
        )
        assert user.frozen_at is None, "as whoever looked a moment earlier saw it"
        first = Phone(services.enrollment.prompt(tx, pending, user).view["uri"])
        verdict = services.enrollment.confirm(
            tx, OPERATOR, user, pending, harbor.code(first),
            ground=Ground.VOUCHED, occasion=Occasion(challenge_id="none"),
        )  # fmt: skip
    assert verdict == Refused(reason=Reason.EXPIRED)
    assert statuses(harbor) == ["active", "pending"]


# What becomes of the links


def links(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(FreezeLink.id)))


def test_links_that_are_over_are_deleted_a_month_later(harbor: Harbor) -> None:
    browser = at_account(harbor, harbor.enrolls())
    browser.sends(f"account/{the_one(harbor)}/name", name="Mine")
    assert links(harbor) > 0
    for days in (7, 29.9):
        harbor.clock.advance(days * DAY)
        harbor.services.retention.purge()
        assert links(harbor) > 0
    harbor.clock.advance(DAY)
    assert not harbor.services.retention.purge()
    assert links(harbor) == 0


def test_a_link_that_froze_stays_until_somebody_has_looked(harbor: Harbor) -> None:
    """What it suspended is removed by unlocking, however late that is."""
    adds(harbor, at_account(harbor, harbor.enrolls()))
    stops(harbor, link(harbor))
    harbor.clock.advance(400 * DAY)
    harbor.services.retention.purge()
    assert links(harbor) == 1
    harbor.backend._token = ""
    assert harbor.backend.calls("POST", f"/org/harbor/users/{harbor.ada}/unlock").status == 200
    assert statuses(harbor) == ["active", "removed"]
    harbor.services.retention.purge()
    assert links(harbor) == 0
