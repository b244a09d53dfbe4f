"""Invitations: how somebody becomes an administrator, and how one starts over."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
import sqlalchemy as sa

from app.errors import Refusal
from app.models import Administrator, Environment, Event, Invitation, Role
from app.services.audit import OPERATOR, SYSTEM
from app.services.invitations import Invited
from app.services.passwords import hashed, matches
from tests.actors import Administrator as Person
from tests.actors import Browser, Phone, keep_secret
from tests.conftest import PASSWORD, Harbor

WORDS = "seven grey herons on a pontoon"


def invites(nadia: Person, email: str, role: Role = Role.HELPDESK) -> str:
    """Invite somebody through the pages, and return the link."""
    nadia.at("/administrators/invite")
    reply = nadia.browser.submits(1, email=email, role=role.value)
    assert reply.status == 200, nadia.text
    found = re.search(r"http://[^<\s]+/admin/invitation\?token=[\w-]+", reply.text)
    assert found, reply.text
    keep_secret(found[0].partition("=")[2])
    return found[0]


def accepts(harbor: Harbor, link: str, name: str = "Bo Ek") -> tuple[Browser, Phone]:
    """Follow a link as somebody new, all the way in."""
    browser = harbor.browser()
    browser.goes_to(link)
    assert browser.path == "/admin/invitation"
    browser.submits(name=name, password=WORDS)
    phone = browser.sets_up()
    browser.types(phone.code(harbor.clock.now()))
    browser.saves_codes()
    harbor.clock.advance(30)
    return browser, phone


def test_an_invitation_leads_to_password_second_factor_and_the_area(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    link = invites(nadia, "bo@harbor.example", Role.AUDITOR)
    bo, phone = accepts(harbor, link)
    assert bo.path == "/admin/sandbox/harbor/"
    assert bo.goes_to("/admin/sandbox/harbor/administrators").status == 200
    assert "Bo Ek" in bo.page.text
    assert bo.goes_to("/admin/sandbox/harbor/administrators/invite").status == 403
    again = Person(
        harbor.browser(), "bo@harbor.example", WORDS, phone, harbor.clock.now, nadia.place
    )
    again.signs_in()
    assert again.browser.path == "/admin/sandbox/harbor/"


def test_of_a_password_only_an_argon2id_hash_is_kept(harbor: Harbor) -> None:
    """With at least what OWASP's cheat sheet asks for: 19 MiB, two passes; and salt of its own."""
    nadia = harbor.administrator()
    for email in ("bo@harbor.example", "kit@harbor.example"):
        accepts(harbor, invites(nadia, email))
    chosen = Administrator.email.in_(["bo@harbor.example", "kit@harbor.example"])
    kept = [row[0] for row in harbor.rows(sa.select(Administrator.password_hash).where(chosen))]
    for one in kept:
        used = argon2.extract_parameters(one)
        assert used.type is argon2.Type.ID
        assert used.memory_cost >= 19 * 1024
        assert used.time_cost >= 2
        assert used.salt_len >= 16
        assert argon2.PasswordHasher().verify(one, WORDS)
    assert len({*kept}) == 2
    assert WORDS not in harbor.dump()


def test_opening_the_link_uses_nothing_up(harbor: Harbor) -> None:
    """F50: a scanner opens it in every way, then the person."""
    link = invites(harbor.administrator(), "bo@harbor.example")
    path = link.removeprefix(harbor.base_url)
    for method in ("HEAD", "GET", "OPTIONS", "GET", "GET"):
        harbor.wire.request(method, path)
        scanner = harbor.browser()
        scanner.goes_to(path)
    bo, _ = accepts(harbor, link)
    assert bo.path == "/admin/sandbox/harbor/"


def test_the_token_stands_in_no_address_of_a_page_with_a_form(harbor: Harbor) -> None:
    """F47."""
    link = invites(harbor.administrator(), "bo@harbor.example")
    browser = harbor.browser()
    browser.goes_to(link)
    assert browser.path == "/admin/invitation"
    assert link.partition("=")[2] not in browser.reply.text


def test_an_invitation_works_once(harbor: Harbor) -> None:
    link = invites(harbor.administrator(), "bo@harbor.example")
    second = harbor.browser()
    second.goes_to(link)
    accepts(harbor, link)
    assert second.submits(name="Eve", password=WORDS).status == 410
    assert harbor.browser().goes_to(link).status == 410
    assert len(harbor.rows(sa.select(Administrator.id))) == 2


def test_of_many_who_accept_at_once_one_becomes_administrator(live_harbor: Harbor) -> None:
    with live_harbor.services.database.writing() as tx:
        invited = live_harbor.services.invitations.invite(
            tx, OPERATOR, live_harbor.organization, email="bo@harbor.example", role=Role.OWNER
        )
    keep_secret(invited.link.partition("=")[2])
    browsers = [live_harbor.browser() for _ in range(6)]
    for browser in browsers:
        browser.goes_to(invited.link)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda one: one.submits(name="Bo", password=WORDS), browsers))
    assert sorted(reply.status for reply in replies)[:1] == [200]
    assert sum(reply.status == 200 for reply in replies) == 1
    assert len(live_harbor.rows(sa.select(Administrator.id))) == 1


@pytest.mark.parametrize("end", ["withdrawn", "replaced", "old", "organization deleted"])
def test_an_invitation_that_is_over_says_so(harbor: Harbor, end: str) -> None:
    nadia = harbor.administrator()
    link = invites(nadia, "bo@harbor.example")
    open_page = harbor.browser()
    open_page.goes_to(link)
    if end == "withdrawn":
        nadia.at("/administrators")
        nadia.browser.goes_to(next(one for one in nadia.page.links if "withdraw" in one))
        nadia.browser.submits(1)
    elif end == "replaced":
        invites(nadia, "BO@harbor.example")
    elif end == "old":
        harbor.clock.advance(7 * 86400)
    else:
        with harbor.services.database.writing() as tx:
            found = harbor.services.organizations.find(tx, Environment.SANDBOX, "harbor")
            harbor.services.organizations.delete(tx, OPERATOR, found)
    reply = harbor.browser().goes_to(link)
    assert reply.status == 410
    assert "This link is over" in reply.text
    assert open_page.submits(name="Bo", password=WORDS).status == 410


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", "at least 12"),
        ("x" * 129, "at most 128"),
        ("password123456", "soon guessed"),
        ("qwertyuiopasdf", "soon guessed"),
        ("P@ssw0rd!2345", "soon guessed"),
        ("aaaaaaaaaaaaaaa", "soon guessed"),
        ("bo@harbor.example", "soon guessed"),
        ("gatehousegatehouse", "soon guessed"),
    ],
)
def test_common_passwords_are_refused_and_the_name_is_kept(
    harbor: Harbor, password: str, told: str
) -> None:
    browser = harbor.browser()
    browser.goes_to(invites(harbor.administrator(), "bo@harbor.example"))
    reply = browser.submits(name="Bo Ek", password=password)
    assert reply.status == 422
    assert told in browser.page.text
    assert 'value="Bo Ek"' in reply.text
    assert password not in reply.text or "@" in password


def test_who_has_an_account_joins_by_signing_in(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    link = invites(harbor.administrator(organization=pier), "bo@harbor.example", Role.AUDITOR)
    bo = harbor.administrator(Role.HELPDESK, "bo@harbor.example", signed_in=False)
    bo.browser.goes_to(link)
    assert "You have an account here already" in bo.text
    bo.browser.submits()
    harbor.clock.advance(30)
    bo.browser.submits(email=bo.email, password=bo.password)
    bo.proves()
    assert bo.browser.path == "/admin/invitation"
    before = dict(bo.browser.cookies)
    bo.browser.submits()
    assert bo.browser.path == "/admin/organizations"
    assert "Pier" in bo.text
    old = Browser(harbor.wire, harbor.base_url, before)  # one organization more, one secret anew
    old.goes_to("/admin/profile")
    assert old.path == "/admin/sign-in"
    assert bo.browser.goes_to("/admin/sandbox/pier/administrators").status == 200


def test_an_invitation_is_for_its_address_alone(harbor: Harbor) -> None:
    """Somebody else who is signed in can't take it up."""
    nadia = harbor.administrator()
    eve = harbor.administrator(Role.AUDITOR, "eve@harbor.example")
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
        invited = harbor.services.invitations.invite(
            tx, OPERATOR, pier, email=nadia.email, role=Role.OWNER
        )
    keep_secret(invited.link.partition("=")[2])
    eve.browser.goes_to(invited.link)
    assert eve.browser.submits().status == 409
    assert f"The invitation is for {nadia.email}. Sign out, then open the link again." in eve.text
    assert harbor.rows(sa.select(Invitation.accepted_at)) == [(None,)]
    eve.browser.submits()  # signs out
    assert eve.browser.path == "/admin/sign-in"


def starts_over(nadia: Person, email: str, **choice: str) -> str:
    nadia.at("/administrators")
    paths = [one for one in nadia.page.links if one.endswith("/start-over")]
    for path in paths:
        nadia.browser.goes_to(path)
        if email.partition("@")[0].title() in nadia.text:
            reply = nadia.browser.submits(1, **choice)
            found = re.search(r"/admin/invitation\?token=[\w-]+", reply.text)
            assert found, nadia.text
            keep_secret(found[0].partition("=")[2])
            return found[0]
    raise AssertionError(paths)


def test_a_new_password_does_not_replace_the_second_factor(harbor: Harbor) -> None:
    """ASVS 6.4.3: starting over with the password alone still asks for the code."""
    nadia, bo = harbor.administrator(), harbor.administrator(Role.AUDITOR, "bo@harbor.example")
    link = starts_over(nadia, bo.email)
    assert bo.at("/administrators").status == 200  # nothing happens before the link is used
    fresh = harbor.browser()
    fresh.goes_to(link)
    fresh.submits(password=WORDS)
    assert fresh.path.endswith("/verify")
    bo.browser.goes_to("/admin/profile")
    assert bo.browser.path == "/admin/sign-in"
    harbor.clock.advance(30)
    fresh.types(bo.phone.code(harbor.clock.now()))
    assert fresh.path == "/admin/sandbox/harbor/"


def test_a_lost_phone_is_replaced_with_a_new_password(harbor: Harbor) -> None:
    nadia, bo = harbor.administrator(), harbor.administrator(Role.AUDITOR, "bo@harbor.example")
    link = starts_over(nadia, bo.email, phone_too="y")
    fresh = harbor.browser()
    fresh.goes_to(link)
    fresh.submits(password=WORDS)
    phone = fresh.sets_up()
    fresh.types(phone.code(harbor.clock.now()))
    fresh.saves_codes()
    assert fresh.path == "/admin/sandbox/harbor/"
    old = Person(harbor.browser(), bo.email, PASSWORD, bo.phone, harbor.clock.now, bo.place)
    old.browser.goes_to("/admin/sign-in")
    assert old.browser.submits(email=bo.email, password=PASSWORD).status == 422


def renewal(harbor: Harbor, email: str) -> Invited:
    """Let an administrator start over, with password and phone."""
    with harbor.services.database.writing() as tx:
        named = harbor.services.administrators.named(tx, email)
        assert named is not None
        seat = harbor.services.appointments.find(tx, harbor.organization, named.id)
        invited = harbor.services.invitations.start_over(
            tx, OPERATOR, harbor.organization, seat, phone_too=True
        )
        keep_secret(invited.link.partition("=")[2])
        return invited


@pytest.mark.both_databases
def test_of_two_who_saw_one_link_only_the_first_starts_over(harbor: Harbor) -> None:
    """Both looked while it was open; no address that must be unique stands in the second's way."""
    services = harbor.services
    bo = harbor.administrator(Role.AUDITOR, "bo@harbor.example")
    token = renewal(harbor, bo.email).link.partition("=")[2]
    with services.database.reading() as tx:
        seen = [services.invitations.find(tx, token) for _ in range(2)]

    def takes(invitation: Invitation | None, password: str) -> None:
        assert invitation is not None
        with services.database.writing() as tx:
            services.invitations.accept(
                tx, SYSTEM, invitation, name="", password_hash=hashed(password)
            )

    takes(seen[0], WORDS)
    kept = harbor.rows(sa.select(Administrator.email, Administrator.password_hash))
    with pytest.raises(Refusal, match="was used") as refused:
        takes(seen[1], "what the second would like")
    assert refused.value.code == "invitation_used"
    assert harbor.rows(sa.select(Administrator.email, Administrator.password_hash)) == kept
    accepted = sa.select(Event.id).where(Event.kind == "invitation:accepted")
    assert len(harbor.rows(accepted.where(Event.actor_label == bo.email))) == 1


@pytest.mark.both_databases
def test_of_many_who_start_over_at_once_one_does(live_harbor: Harbor) -> None:
    """The first to be written down chooses the password; the others find the link used."""
    harbor = live_harbor
    bo = harbor.administrator(Role.AUDITOR, "bo@harbor.example")
    link = renewal(harbor, bo.email).link
    browsers = [harbor.browser() for _ in range(6)]
    for browser in browsers:
        browser.goes_to(link)
    words = [f"{WORDS} number {number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one, word: one.submits(password=word), browsers, words))
    assert sorted(one.path.endswith("/set-up") for one in browsers) == [False] * 5 + [True]
    assert sum(one.reply.status == 410 for one in browsers) == 5
    accepted = sa.select(Event.id).where(Event.kind == "invitation:accepted")
    assert len(harbor.rows(accepted)) == 1
    password_hash = harbor.rows(
        sa.select(Administrator.password_hash).where(Administrator.email == bo.email)
    )[0][0]
    winner = next(number for number, one in enumerate(browsers) if one.path.endswith("/set-up"))
    assert matches(words[winner], password_hash)


def test_an_owner_of_one_can_not_make_somebody_of_two_start_over(harbor: Harbor) -> None:
    """F79: what other organizations rest on is not one owner's to replace."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    bo = harbor.administrator(Role.AUDITOR, "bo@harbor.example", signed_in=False)
    harbor.administrator(Role.OWNER, "bo@harbor.example", organization=pier, signed_in=False)
    nadia = harbor.administrator()
    del bo
    nadia.at("/administrators")
    for path in [one for one in nadia.page.links if one.endswith("/start-over")]:
        nadia.browser.goes_to(path)
        if "Bo" in nadia.page.heading:
            assert nadia.browser.submits(1).status == 409
            assert "runs other organizations" in nadia.text
            return
    raise AssertionError
