"""Trusted browsers in the admin area: their rules, and those of a user."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Application, Event, Role, TrustedBrowser, TrustRule
from app.services.audit import OPERATOR
from app.services.roles import MAY, Action
from tests.actors import Administrator
from tests.conftest import Harbor
from tests.web.gateway.test_trusted_browsers import goes_on, is_asked, rule, trusts

RULES = "/policy/trusted-browsers"


def rules(harbor: Harbor) -> list[tuple[str | None, int]]:
    found = sa.select(Application.name, TrustRule.days).select_from(TrustRule)
    rows = harbor.rows(found.outerjoin(Application).order_by(Application.name))
    return sorted((name or "", days) for name, days in rows)


def user_page(harbor: Harbor, nadia: Administrator) -> str:
    return str(nadia.at(f"/users/{harbor.ada}").page.text)


def told(harbor: Harbor, kind: str) -> list[dict[str, Any]]:
    found = sa.select(Event).where(Event.kind == kind).order_by(Event.id)
    return [row.Event.detail for row in harbor.rows(found)]


# The rules


def test_an_administrator_sets_for_how_many_days(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    assert "No browser is trusted." in nadia.at("/policy").page.text
    assert "Now: No browser is trusted." in nadia.at(RULES).page.text
    nadia.does(RULES, days="30")
    assert nadia.browser.path.endswith(RULES)
    assert "Now: A browser can be trusted for 30 days." in nadia.text
    assert nadia.page.forms[-1]["fields"]["days"] == "30"
    assert "A browser can be trusted for 30 days." in nadia.at("/policy").page.text
    nadia.does(RULES, days=" ")
    assert "Now: No browser is trusted." in nadia.text
    assert rules(harbor) == [("", 0)]
    assert [one["days"] for one in told(harbor, "trust_rule:changed")] == [30, 0]


@pytest.mark.parametrize("days", ["91", "-1", "1.5", "soon", "٣", "1" * 5000])
def test_days_that_can_not_be_are_explained_at_the_field(harbor: Harbor, days: str) -> None:
    nadia = harbor.administrator()
    nadia.does(RULES, days=days)
    assert nadia.status == 422
    assert "1 to 90" in nadia.text
    assert rules(harbor) == []


def test_an_application_gets_a_rule_of_its_own_and_loses_it(harbor: Harbor) -> None:
    harbor.registers("Wiki", "https://wiki.example/callback")
    nadia = harbor.administrator()
    nadia.at(f"{RULES}/applications/new")
    assert "Wiki" in nadia.text
    nadia.does(f"{RULES}/applications/new", application=harbor.notes.client_id, days="7")
    assert "Harbor Notes: A browser can be trusted for 7 days." in nadia.text
    place = f"{RULES}/applications/{harbor.notes.client_id}"
    nadia.at(f"{RULES}/applications/new")
    assert harbor.notes.client_id not in nadia.browser.reply.text
    nadia.at(place)
    assert nadia.page.forms[-1]["fields"]["days"] == "7"
    nadia.does(place, days="")
    assert rules(harbor) == [("Harbor Notes", 0)]
    nadia.does(place, days="1000")
    assert nadia.status == 422
    assert "Remove the rule of Harbor Notes?" in nadia.at(f"{place}/remove").page.text
    nadia.does(f"{place}/remove")
    assert "Harbor Notes follows the organization’s rule again." in nadia.text
    assert rules(harbor) == []
    assert len(told(harbor, "trust_rule:removed")) == 1
    for path in (place, f"{place}/remove"):
        assert nadia.at(path).status == 404
        assert nadia.does(path, days="7").status == 404
    assert rules(harbor) == []


def test_a_rule_is_for_an_application_that_serves_the_organization(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
        foreign, _ = harbor.services.applications.create(
            tx,
            OPERATOR,
            environment=harbor.organization.environment,
            name="Foreign",
            redirect_uris=["https://pier.example/callback"],
            organizations=[pier],
        )
    for named in (foreign.client_id, "nothing", ""):
        nadia.does(f"{RULES}/applications/new", application=named, days="7")
        assert nadia.status == 404
    assert rules(harbor) == []


@pytest.mark.parametrize("role", Role)
def test_who_may_change_the_rules_and_who_may_read_them(harbor: Harbor, role: Role) -> None:
    somebody = harbor.administrator(role)
    sees, changes = (one in MAY[role] for one in (Action.SEE_SETTINGS, Action.CHANGE_POLICY))
    assert somebody.at(RULES).status == (200 if sees else 403)
    assert ("Save the rule" in somebody.text) is changes
    somebody.does(RULES, days="30")
    assert rules(harbor) == ([("", 30)] if changes else [])


# A user's


def test_the_browsers_of_a_user_are_listed_and_one_is_revoked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    first = trusts(harbor, phone)
    harbor.clock.advance(3600)
    second = trusts(harbor, phone)
    goes_on(harbor, second)
    nadia = harbor.administrator()
    page = user_page(harbor, nadia)
    assert "Trusted browsers Revoke all" in page
    assert "for Harbor Notes · until 31 March 2026" in page
    assert page.count("not used since") == 1
    links = [one for one in nadia.page.links if "/trusted-browsers/" in one]
    revoke = next(one for one in links if not one.endswith("trusted-browsers/revoke"))
    nadia.browser.goes_to(revoke)
    assert "confirms again at the next visit there" in nadia.text
    nadia.browser.submits(-1)
    assert "The browser is trusted no more." in nadia.text
    assert "Revoke all" not in nadia.text
    is_asked(harbor, second)  # the newest stood first
    goes_on(harbor, first)
    [event] = harbor.rows(sa.select(Event).where(Event.kind == "trusted_browser:revoked"))
    assert event.Event.actor.startswith("administrator:")
    assert nadia.browser.goes_to(revoke).status == 404
    assert nadia.does(revoke.removeprefix(nadia.place)).status == 404


def test_all_browsers_of_a_user_are_revoked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    both = [trusts(harbor, phone), trusts(harbor, phone)]
    nadia = harbor.administrator()
    nadia.at(f"/users/{harbor.ada}/trusted-browsers/revoke")
    assert "2 browsers are trusted now." in nadia.text
    nadia.browser.submits(-1)
    assert harbor.rows(sa.select(TrustedBrowser.id)) == []
    assert "Trusted browsers" not in nadia.text
    for browser in both:
        is_asked(harbor, browser)
    assert len(told(harbor, "trusted_browser:revoked")) == 2


def test_a_browser_is_revoked_only_at_its_own_user_and_organization(harbor: Harbor) -> None:
    phone, bob = harbor.enrolls(), harbor.person("bob@harbor.example")
    rule(harbor, 30)
    trusts(harbor, phone)
    [(one,)] = harbor.rows(sa.select(TrustedBrowser.id))
    nadia = harbor.administrator()
    for path in (f"/users/{bob}/trusted-browsers/{one}/revoke",):
        assert nadia.at(path).status == 404
        assert nadia.does(path).status == 404
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
    there = harbor.administrator(Role.OWNER, "pia@gatehouse.example", organization=pier)
    for path in (f"/users/{harbor.ada}/trusted-browsers/{one}/revoke",):
        assert there.at(path).status == 404
        assert there.does(path).status == 404
    assert there.does(f"/users/{harbor.ada}/trusted-browsers/revoke").status == 404
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == 1


@pytest.mark.parametrize("role", Role)
def test_who_may_revoke(harbor: Harbor, role: Role) -> None:
    phone = harbor.enrolls()
    rule(harbor, 30)
    trusts(harbor, phone)
    somebody = harbor.administrator(role)
    may = Action.REVOKE_BROWSERS in MAY[role]
    assert may is (role is not Role.AUDITOR)
    page = user_page(harbor, somebody)
    assert "Trusted browsers" in page
    assert ("Revoke" in page) is may
    somebody.does(f"/users/{harbor.ada}/trusted-browsers/revoke")
    assert len(harbor.rows(sa.select(TrustedBrowser.id))) == (0 if may else 1)
