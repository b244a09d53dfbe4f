"""Limits of messages in the admin area: countries, caps, waits, the budget, and what was used."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Event, Role, SendScope
from app.services.audit import OPERATOR
from app.services.send_counts import Slot, Window, add, add_refused
from app.services.sending_rules import Rules
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, Harbor

CAPS = {
    "monthly_budget": "5000",
    "alarm_percent": "75",
    "per_organization_day": "900",
    "emails_per_organization_day": "8000",
    "per_number_day": "9",
    "per_user_day": "11",
    "per_address_hour": "50",
    "per_prefix_hour": "25",
    "prefix_digits": "6",
    "cooldowns": "20, 40 600",
}


def rules(harbor: Harbor) -> Rules:
    with harbor.services.database.reading() as tx:
        return harbor.services.sending_rules.of(tx, harbor.organization)


def sent(
    harbor: Harbor, scope: SendScope, window: Window, key: str, count: int, refused: int = 0
) -> None:
    slot, now = Slot(harbor.organization.id, scope, window, key), harbor.clock.now()
    with harbor.services.database.writing() as tx:
        if count:
            add(tx, slot, count, None, now)
        for _ in range(refused):
            add_refused(tx, slot, now)


def changes(harbor: Harbor) -> list[Event]:
    wanted = sa.select(Event).where(Event.kind == "sending_rules:changed").order_by(Event.id)
    return [event for (event,) in harbor.rows(wanted)]


def asks(nadia: Administrator, **changed: str) -> str:
    """Send the form of the page, as it stands but for these, and return where that led."""
    nadia.at("/messages/limits")
    form = next(one for one in nadia.page.forms if "monthly_budget" in one["fields"])
    assert form["action"] == f"{nadia.place}/messages/limits/check"
    path = f"/messages/limits/check?{urlencode({**form['fields'], **changed})}"
    nadia.at(path)
    return path


def ticked(nadia: Administrator) -> set[str]:
    boxes = re.findall(r"<input[^>]*\bchecked\b[^>]*>", nadia.browser.reply.text)
    return {value for one in boxes for value in re.findall(r'value="([^"]*)"', one)}


# Caps, waits and the budget


def test_every_rule_is_changed_once_it_is_confirmed(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    before = rules(harbor)
    path = asks(nadia, **CAPS)
    assert "Change the limits?" in nadia.text
    assert rules(harbor) == before
    nadia.does(path)
    assert "Saved. It holds from the next message on." in nadia.text
    assert rules(harbor) == Rules(
        countries=before.countries,
        monthly_budget=5000,
        alarm_percent=75,
        per_organization_day=900,
        emails_per_organization_day=8000,
        per_number_day=9,
        per_user_day=11,
        per_address_hour=50,
        per_prefix_hour=25,
        prefix_digits=6,
        cooldowns=(20, 40, 600),
    )


def test_the_page_before_shows_only_what_changes(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia, per_number_day="9", alarm_percent="75")
    assert "To one recipient in a day 20 9" in nadia.text
    assert "Alarm at 80 % 75 %" in nadia.text
    assert "To one user in a day" not in nadia.text


def test_a_change_is_on_record_with_what_it_was_and_what_it_is(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    path = asks(nadia, per_number_day="9")
    nadia.does(path)
    [event] = changes(harbor)
    assert event.actor.startswith("administrator:")
    assert event.detail["changed"] == "per_number_day"
    assert event.detail["before"] == "per_number_day 20"
    assert event.detail["after"] == "per_number_day 9"


def test_nothing_changed_is_no_change(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia)
    assert "Nothing was changed" in nadia.text
    assert changes(harbor) == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("monthly_budget", "many", "Use a whole number."),
        ("monthly_budget", "", "Use a whole number."),
        ("monthly_budget", "-1", "Use a whole number."),
        ("monthly_budget", "1.5", "Use a whole number."),
        ("monthly_budget", "9" * 400, "Use a whole number."),
        ("monthly_budget", "٣", "Use a whole number."),
        ("monthly_budget", "0", "Use a number from 1 to 100000000."),
        ("alarm_percent", "101", "Use a number from 1 to 100."),
        ("per_organization_day", "0", "Use a number from 1 to 10000000."),
        ("emails_per_organization_day", "0", "Use a number from 1 to 10000000."),
        ("per_number_day", "1001", "Use a number from 1 to 1000."),
        ("per_user_day", "1001", "Use a number from 1 to 1000."),
        ("per_address_hour", "10001", "Use a number from 1 to 10000."),
        ("per_prefix_hour", "0", "Use a number from 1 to 100000."),
        ("prefix_digits", "1", "Use a number from 2 to 8."),
        ("cooldowns", "soon", "Use whole numbers."),
        ("cooldowns", "", "Use 1 to 10 numbers of seconds"),
        ("cooldowns", "60, 30", "none less than the one before it"),
        ("cooldowns", "5", "each from 10 to 86400"),
    ],
)
def test_what_can_not_be_is_said_at_its_field_and_all_stays_as_typed(
    harbor: Harbor, field: str, typed: str, says: str
) -> None:
    nadia = harbor.administrator()
    asks(nadia, **{**CAPS, field: typed})
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.title.startswith("Error: ")
    found = next(one for one in nadia.page.forms if "monthly_budget" in one["fields"])["fields"]
    assert {name: found[name] for name in CAPS} == {**CAPS, field: typed}
    assert f'id="{field}-error"' in nadia.browser.reply.text
    assert changes(harbor) == []


@ONE_DATABASE
def test_every_wrong_field_is_told_at_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia, monthly_budget="many", prefix_digits="12")
    for field in ("monthly_budget", "prefix_digits"):
        assert f'id="{field}-error"' in nadia.browser.reply.text


@ONE_DATABASE
def test_a_forged_confirmation_of_what_can_not_be_changes_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    nadia.does("/messages/limits/check?monthly_budget=0")
    assert nadia.status == 422
    nadia.does("/messages/limits/countries/check?country=XX")
    assert nadia.status == 422
    assert changes(harbor) == []


# What was used


def test_the_use_of_each_cap_stands_beside_it(harbor: Harbor) -> None:
    sent(harbor, SendScope.BUDGET, Window.MONTH, "", 8100, 3)
    sent(harbor, SendScope.ORGANIZATION, Window.DAY, "phone", 412)
    sent(harbor, SendScope.ORGANIZATION, Window.DAY, "email", 1312, 4)
    sent(harbor, SendScope.NUMBER, Window.DAY, "one", 20, 7)
    sent(harbor, SendScope.NUMBER, Window.DAY, "another", 3, 1)
    sent(harbor, SendScope.USER, Window.DAY, "one", 12)
    sent(harbor, SendScope.ADDRESS, Window.HOUR, "one", 41)
    sent(harbor, SendScope.PREFIX, Window.HOUR, "one", 29, 2)
    nadia = harbor.administrator()
    for person in (nadia, harbor.administrator(Role.AUDITOR)):
        person.at("/messages/limits")
        for words in (
            "This month: 8,100, 3 refused.",
            "Today: 412.",
            "Today: 1,312, 4 refused.",
            "Most today: 20, 8 refused.",
            "Most today: 12.",
            "Most this hour: 41.",
            "Most this hour: 29, 2 refused.",
            "Most of the month’s budget is spent.",
        ):
            assert words in person.text, words


def test_the_use_of_yesterday_and_of_others_is_not_counted(harbor: Harbor) -> None:
    sent(harbor, SendScope.NUMBER, Window.DAY, "one", 19)
    sent(harbor, SendScope.ORGANIZATION, Window.DAY, "phone", 88)
    harbor.clock.advance(86_400)
    with harbor.services.database.writing() as tx:
        other = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
        slot = Slot(other.id, SendScope.USER, Window.DAY, "one")
        add(tx, slot, 17, None, harbor.clock.now())
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    for number in ("19", "88", "17"):
        assert not re.search(rf"\b{number}\b", nadia.text), number


def test_a_spent_budget_is_told_with_when_it_ends(harbor: Harbor) -> None:
    sent(harbor, SendScope.BUDGET, Window.MONTH, "", 10_000, 1)
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    assert "The month’s budget is spent. No code goes out by phone before 1 April" in nadia.text


def test_what_a_change_stops_is_told_before(harbor: Harbor) -> None:
    sent(harbor, SendScope.BUDGET, Window.MONTH, "", 6000)
    sent(harbor, SendScope.ORGANIZATION, Window.DAY, "phone", 950)
    sent(harbor, SendScope.ORGANIZATION, Window.DAY, "email", 1)
    sent(harbor, SendScope.NUMBER, Window.DAY, "one", 9)
    nadia = harbor.administrator()
    path = asks(nadia, **{**CAPS, "emails_per_organization_day": "1"})
    for words in (
        "6,000 were sent this month. So no codes by phone go out before the next month.",
        "950 were sent today. So no codes by phone go out before midnight (UTC).",
        "1 was sent today. So no codes by email go out before midnight (UTC).",
        "One recipient was sent 9 today. What has reached the new number gets none before",
    ):
        assert words in nadia.text, words
    assert "One user" not in nadia.text
    nadia.does(path)
    asks(nadia, monthly_budget="7000")
    assert "Codes by phone go out again at once." in nadia.text


def test_an_alarm_that_is_passed_by_a_change_is_told_before(harbor: Harbor) -> None:
    sent(harbor, SendScope.BUDGET, Window.MONTH, "", 6000)
    nadia = harbor.administrator()
    asks(nadia, alarm_percent="60")
    assert "6,000 were sent this month. That is past the alarm" in nadia.text
    asks(nadia, alarm_percent="61")
    assert "past the alarm" not in nadia.text


# Countries


def test_countries_are_chosen_and_what_that_comes_to_is_told(harbor: Harbor) -> None:
    home = rules(harbor).countries
    nadia = harbor.administrator()
    nadia.at("/messages/limits/countries")
    assert "The organization’s own: France." in nadia.text
    assert ticked(nadia) == {*home}
    assert "Allowed France +33 Not allowed Afghanistan +93 Åland Islands" in nadia.text
    path = "/messages/limits/countries/check?country=BE&country=DE"
    nadia.at(path)
    assert "Nobody with a number of France gets a code by phone any more." in nadia.text
    assert "Codes also go to numbers of Belgium, Germany." in nadia.text
    assert rules(harbor).countries == home
    nadia.does(path)
    assert rules(harbor).countries == ("BE", "DE")
    [event] = changes(harbor)
    assert event.detail["countries"] == "BE DE"
    nadia.at("/messages/limits")
    assert "Belgium" in nadia.text
    assert "France" not in nadia.text


@ONE_DATABASE
@pytest.mark.parametrize("query", ["", "?country=XX", "?country=fr&country=BE"])
def test_no_country_and_what_is_none_are_refused(harbor: Harbor, query: str) -> None:
    nadia = harbor.administrator()
    nadia.at(f"/messages/limits/countries/check{query}")
    assert nadia.status == 422
    assert "Name at least one country" in nadia.text
    assert ticked(nadia) == {"BE"} & {*query.split("=")}
    assert changes(harbor) == []


def test_refused_countries_of_today_are_told(harbor: Harbor) -> None:
    sent(harbor, SendScope.COUNTRY, Window.DAY, "LV", 0, 3)
    sent(harbor, SendScope.COUNTRY, Window.DAY, "BE", 0, 5)
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    assert "Refused today: Belgium 5, Latvia 3." in nadia.text


# Conversion


def test_which_codes_come_back_is_told_by_country_and_channel(harbor: Harbor) -> None:
    for key, number, back in (("FR:sms", 200, 180), ("LV:sms", 50, 1), (":email", 10, 10)):
        sent(harbor, SendScope.SENT, Window.DAY, key, number)
        sent(harbor, SendScope.CONFIRMED, Window.DAY, key, back)
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    assert "France Text message 200 180 90%" in nadia.text
    assert "Latvia Text message 50 1 2% Few come back" in nadia.text
    assert "By email Email 10 10 100%" in nadia.text
    assert nadia.text.count("Few come back") == 1


def test_before_the_first_code_the_table_says_so(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/limits")
    assert "No code was sent yet" in nadia.text


def test_the_rules_that_were_set_hold(harbor: Harbor) -> None:
    """From the form to a refused message."""
    nadia = harbor.administrator()
    nadia.at("/messages")
    nadia.does("/messages/channels/email/switch-on")
    path = asks(nadia, emails_per_organization_day="1", cooldowns="10")
    nadia.does(path)
    refusals = []
    for _ in range(2):
        with harbor.services.database.writing() as tx:
            ada = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
            one = Authenticator(
                user_id=ada.id,
                kind="email",
                status="active",
                recipient=ada.email,
                created_at=harbor.clock.now(),
            )
            tx.add(one)
            tx.flush()
            asked = harbor.services.message_codes.send(tx, OPERATOR, ada, one, channel="email")
            refusals.append(getattr(asked, "reason", None))
            harbor.clock.advance(60)
    assert [str(one) for one in refusals] == ["None", "send_limit"]


# Who may


@ONE_DATABASE
def test_an_auditor_reads_and_changes_nothing(harbor: Harbor) -> None:
    before = rules(harbor)
    auditor = harbor.administrator(Role.AUDITOR)
    auditor.at("/messages/limits")
    assert "To one recipient in a day 20" in auditor.text
    for button in ("Check the change", "Change the countries"):
        assert button not in auditor.text
    assert auditor.at("/messages/limits/check").status == 403
    assert auditor.does("/messages/limits/check?monthly_budget=1").status == 403
    assert rules(harbor) == before


@ONE_DATABASE
def test_the_help_desk_does_not_come_here(harbor: Harbor) -> None:
    helper = harbor.administrator(Role.HELPDESK)
    assert helper.at("/messages/limits").status == 403
