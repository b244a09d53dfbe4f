"""The overview: its numbers are those of what was done through the front door."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    CountedDay,
    Environment,
    Organization,
    PolicyMode,
    Purpose,
    Role,
    User,
    Verification,
)
from app.services.audit import OPERATOR
from app.services.overview import PERIODS
from app.services.policies import Rule
from tests.actors import Administrator, Phone
from tests.conftest import Harbor

pytestmark = pytest.mark.both_databases

DAY = 86400


def verifies(harbor: Harbor, phone: Phone, *, wrong: int = 0, seconds: float = 0) -> None:
    """Have Ada confirm with a code, after so many wrong ones and so long a time."""
    browser = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, wrong):
        browser.types(code)
    harbor.clock.advance(seconds)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    harbor.clock.advance(30)


def tile(administrator: Administrator, name: str) -> str:
    """Return what one of the four big figures says."""
    tiles = re.search(r'<dl class="tiles">(.*?)</dl>', administrator.browser.reply.text, re.S)
    assert tiles, administrator.text
    for one in re.findall(r"<div.*?</div>", tiles[1], re.S):
        words = " ".join(re.sub(r"<[^>]+>", " ", one).split())
        if words.startswith(name):
            return words.removeprefix(name).strip()
    raise AssertionError(f"no tile {name}")


def rows(administrator: Administrator) -> list[list[str]]:
    """Return the rows of the chart's table."""
    html = administrator.browser.reply.text
    found = re.findall(r"<tr role=\"row\">(<th role=\"rowheader\".*?)</tr>", html, re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in found]
    return [[" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in row] for row in cells]


def bars(administrator: Administrator, tone: str) -> int:
    return administrator.browser.reply.text.count(f'<rect class="{tone}" x=')


def fill(
    harbor: Harbor, number: int, *, days_ago: float, accepted: bool = True, **more: object
) -> None:
    """Put verifications into the past, which the front door can't go to."""
    at = harbor.clock.now() - timedelta(days=days_ago)
    row = {
        "user_id": uuid.UUID(harbor.ada),
        "organization_id": harbor.organization.id,
        "kind": "totp",
        "purpose": Purpose.VERIFICATION,
        "accepted": accepted,
        "at": at,
        **more,
    }
    with harbor.services.database.writing() as tx:
        tx.execute(sa.insert(Verification), [{**row, "id": uuid.uuid4()} for _ in range(number)])


# The figures


def test_right_and_wrong_codes_are_counted_by_outcome(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    verifies(harbor, phone, wrong=2, seconds=6)
    verifies(harbor, phone, seconds=6)
    verifies(harbor, phone, seconds=60)
    nadia = harbor.administrator()
    nadia.at("/")
    assert tile(nadia, "Answers accepted") == "60% Nothing to compare with before"
    assert tile(nadia, "Answers judged") == "5 2 of them refused"
    assert tile(nadia, "Time to complete") == "6.0 s Median. Slowest tenth: 1 min or more"
    assert tile(nadia, "Users enrolled") == "1 of 1. 1 set up a method in this time"
    days = rows(nadia)
    assert (days[0][0], days[-1][0], len(days)) == ("16 February", "1 March", 14)
    assert days[-1] == ["1 March", "3", "2", "3 + 2 refused"]
    assert {tuple(day[1:3]) for day in days[:-1]} == {("0", "0")}
    assert (bars(nadia, "yes"), bars(nadia, "no")) == (1, 1)


def test_the_chart_says_its_own_name_and_the_same_as_its_table(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    verifies(harbor, phone, wrong=2)
    fill(harbor, 1234, days_ago=3)
    fill(harbor, 7, days_ago=3, accepted=False)
    nadia = harbor.administrator()
    nadia.at("/")
    html = nadia.browser.reply.text
    [svg] = re.findall(r'<svg class="chart" height.*?</svg>', html, re.S)
    assert (
        'role="img" aria-labelledby="verifications-title" aria-describedby="verifications-note"'
        in svg
    )
    assert (
        '<title id="verifications-title">Verifications by day: 16 February to 1 March</title>'
        in svg
    )
    assert '<desc id="verifications-note">The table below holds the same numbers.</desc>' in svg
    drawn = re.findall(r"<g><title>(.*?): ([\d,]+) accepted, ([\d,]+) refused</title>", svg)
    assert [list(bar) for bar in drawn] == [day[:3] for day in rows(nadia)]
    assert ["26 February", "1,234", "7"] in [list(bar) for bar in drawn]


def test_methods_have_their_share_and_can_be_looked_at_alone(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    for _ in range(3):
        verifies(harbor, phone)
    lost = harbor.visits(harbor.ada)
    lost.goes_to(lost.address("recover"))
    lost.types(codes[0])
    nadia = harbor.administrator()
    nadia.at("/")
    shares = re.findall(r'value="(\d+)" aria-label="([^"]+)"', nadia.browser.reply.text)
    assert shares == [("75", "Authenticator app"), ("25", "Recovery code")]
    assert rows(nadia)[-1][3:] == ["3", "1"]
    nadia.at("/?method=recovery_code")
    assert rows(nadia)[-1][1:3] == ["1", "0"]
    nadia.at("/?method=nonsense")
    assert rows(nadia)[-1][1:3] == ["4", "0"]


def test_one_application_can_be_looked_at_alone(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    verifies(harbor, phone, wrong=1, seconds=3)
    other = harbor.registers("Harbor Mail")
    browser = harbor.browser()
    browser.goes_to(other.opens(harbor.ada)["url"])
    harbor.clock.advance(20)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    nadia = harbor.administrator()
    nadia.at(f"/?application={other.client_id}")
    assert "Last 14 days, Harbor Mail" in nadia.text
    assert tile(nadia, "Answers judged") == "1 0 of them refused"
    assert tile(nadia, "Time to complete").startswith("20 s")
    nadia.at(f"/?application={harbor.notes.client_id}&period=24h")
    assert tile(nadia, "Answers judged") == "2 1 of them refused"
    foreign = harbor.registers("Elsewhere", environment=Environment.PRODUCTION)
    nadia.at(f"/?application={foreign.client_id}")
    assert "all applications" in nadia.text


def test_hours_are_shown_for_the_last_day(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    verifies(harbor, phone)
    harbor.clock.advance(2 * 3600)
    verifies(harbor, phone, wrong=1)
    nadia = harbor.administrator()
    nadia.at("/?period=24h")
    hours = rows(nadia)
    assert len(hours) == 24
    assert hours[-1][:3] == ["1 March, 14:00 to 15:00", "1", "1"]
    assert hours[-3][:3] == ["1 March, 12:00 to 13:00", "1", "0"]


@pytest.mark.parametrize("counted", [False, True])
def test_a_period_is_compared_with_the_one_before(harbor: Harbor, counted: bool) -> None:
    """Whether or not the worker counted the finished days."""
    fill(harbor, 8, days_ago=20)
    fill(harbor, 2, days_ago=20, accepted=False)
    fill(harbor, 9, days_ago=3)
    fill(harbor, 1, days_ago=3, accepted=False)
    fill(harbor, 10, days_ago=0)
    if counted:
        while harbor.services.tallies.count_finished():
            pass
        assert len(harbor.rows(sa.select(CountedDay.day))) == 20
    nadia = harbor.administrator()
    nadia.at("/")
    assert tile(nadia, "Answers accepted") == "95% 15 points better than before"
    assert rows(nadia)[-4][:3] == ["26 February", "9", "1"]
    assert rows(nadia)[-1][:3] == ["1 March", "10", "0"]
    nadia.at("/?period=30d")
    assert tile(nadia, "Answers accepted") == "90% Nothing to compare with before"
    assert len(rows(nadia)) == 30
    for period in PERIODS:
        assert nadia.at(f"/?period={period}").status == 200


def test_a_finished_day_is_counted_once_and_kept(harbor: Harbor) -> None:
    fill(harbor, 1, days_ago=2)
    fill(harbor, 5, days_ago=1)
    fill(harbor, 3, days_ago=0)
    for _ in range(2):
        assert harbor.services.tallies.count_finished() is False
    kept = harbor.rows(sa.select(CountedDay.day, CountedDay.tally).order_by(CountedDay.day))
    assert [(str(day), tally["counts"]) for day, tally in kept] == [
        ("2026-02-27", [["", "verification", "totp", True, 1]]),
        ("2026-02-28", [["", "verification", "totp", True, 5]]),
    ]
    now = harbor.clock.now()
    yesterday = Verification.at.between(now - timedelta(days=1), now - timedelta(seconds=1))
    harbor.executes(sa.delete(Verification).where(yesterday))
    nadia = harbor.administrator()
    nadia.at("/")
    assert tile(nadia, "Answers judged") == "9 0 of them refused"


def test_what_happens_at_midnight_is_of_the_day_that_begins(harbor: Harbor) -> None:
    harbor.clock.moment = harbor.clock.moment.replace(hour=0, minute=0, second=0)
    fill(harbor, 4, days_ago=1)
    fill(harbor, 2, days_ago=0)
    harbor.clock.advance(3600)
    harbor.services.tallies.count_finished()
    [tally] = harbor.rows(sa.select(CountedDay.tally))[0]
    assert tally["counts"] == [["", "verification", "totp", True, 4]]
    nadia = harbor.administrator()
    nadia.at("/")
    assert [day[:2] for day in rows(nadia)[-2:]] == [["28 February", "4"], ["1 March", "2"]]


def test_a_day_that_was_counted_for_one_is_not_counted_for_all(harbor: Harbor) -> None:
    fill(harbor, 5, days_ago=1)
    harbor.services.tallies.count_finished()
    pier = organization(harbor, "Pier")
    fill(harbor, 2, days_ago=1, organization_id=pier.id)
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=pier)
    eve.at("/")
    assert tile(eve, "Answers judged") == "2 0 of them refused"
    harbor.services.tallies.count_finished()
    of_pier = sa.select(CountedDay.tally).where(CountedDay.organization_id == pier.id)
    [[tally]] = harbor.rows(of_pier)
    assert tally["counts"] == [["", "verification", "totp", True, 2]]


def test_a_day_is_not_counted_while_its_last_transactions_may_be_open(harbor: Harbor) -> None:
    harbor.clock.moment = harbor.clock.moment.replace(hour=0, minute=9, second=0)
    fill(harbor, 1, days_ago=0.5)
    harbor.services.tallies.count_finished()
    assert not harbor.rows(sa.select(CountedDay.day))
    harbor.clock.advance(60)
    harbor.services.tallies.count_finished()
    assert len(harbor.rows(sa.select(CountedDay.day))) == 1


def test_how_users_stand_is_counted_and_leads_to_them(harbor: Harbor) -> None:
    harbor.enrolls()
    people = [harbor.person(f"user{n}@harbor.example") for n in range(4)]
    now = harbor.clock.now()
    harbor.executes(sa.update(User).where(User.id == uuid.UUID(people[0])).values(suspended_at=now))
    harbor.executes(sa.update(Authenticator).values(retry_at=now + timedelta(hours=1)))
    nadia = harbor.administrator()
    nadia.at("/")
    for status, number in (("locked", 1), ("overdue", 3), ("suspended", 1)):
        assert re.search(rf'status={status}">{number}<', nadia.browser.reply.text), status
    assert tile(nadia, "Users enrolled").startswith("0 of 5.")


def test_another_organization_s_numbers_are_not_in_it(harbor: Harbor) -> None:
    """F79."""
    phone = harbor.enrolls()
    verifies(harbor, phone, wrong=1)
    fill(harbor, 4, days_ago=3)
    pier = organization(harbor, "Pier")
    fill(harbor, 2, days_ago=3, organization_id=pier.id)
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=pier)
    for counted in (False, True):
        while counted and harbor.services.tallies.count_finished():
            pass
        eve.at("/")
        assert tile(eve, "Answers judged") == "2 0 of them refused"
        assert tile(eve, "Users enrolled").startswith("0 of 0.")
    assert eve.browser.goes_to("/admin/sandbox/harbor/").status == 404


def organization(harbor: Harbor, name: str) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name=name
        )


# A new organization


def test_a_new_organization_sees_its_first_steps_instead_of_an_empty_chart(harbor: Harbor) -> None:
    new = organization(harbor, "Pier")
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=new)
    eve.at("/")
    assert "1 of 5 done" in eve.text  # an application serves all organizations
    assert '<svg class="chart"' not in eve.browser.reply.text
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, new, active=True)
        harbor.services.directory.create(tx, OPERATOR, new, email="bo@pier.example")
    harbor.administrator(Role.OWNER, "fay@pier.example", organization=new)
    eve.at("/")
    assert "4 of 5 done" in eve.text


def test_the_figures_come_with_the_first_verification(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/")
    assert "First steps" in nadia.text
    harbor.enrolls()
    nadia.at("/")
    assert "Verifications by day" in nadia.text
    assert "Nothing was confirmed in this time." in nadia.text


# What needs attention


def titles(administrator: Administrator) -> list[str]:
    html = administrator.at("/").text
    part = html[html.index("<h2>Needs attention</h2>") :]
    return re.findall(r"<strong>(.*?)</strong>", part.split("</section>")[0])


@pytest.fixture
def calm(harbor: Harbor) -> Administrator:
    """An organization in which all is well, and one of its two owners."""
    harbor.enrolls()
    harbor.administrator(Role.OWNER, "fay@harbor.example")
    nadia = harbor.administrator()
    settle(harbor)
    return nadia


def settle(harbor: Harbor) -> None:
    """Do what the worker does."""
    harbor.services.seals.seal()


def test_nothing_needs_attention_where_all_is_well(harbor: Harbor, calm: Administrator) -> None:
    assert titles(calm) == ["Nothing needs you now"]


def test_what_was_not_sealed_for_a_minute_is_told(harbor: Harbor, calm: Administrator) -> None:
    harbor.person("bo@harbor.example")
    with harbor.services.database.writing() as tx:
        harbor.services.policies.change(
            tx, OPERATOR, harbor.organization, Rule(mode=PolicyMode.OPTIONAL)
        )
    harbor.clock.advance(50)
    assert titles(calm) == ["Nothing needs you now"]
    harbor.clock.advance(20)
    assert titles(calm) == ["The audit record is not being sealed"]
    settle(harbor)
    assert titles(calm) == ["Nothing needs you now"]


def test_locked_and_overdue_users_are_told(harbor: Harbor, calm: Administrator) -> None:
    harbor.person("bo@harbor.example")
    harbor.executes(sa.update(User).where(User.id == uuid.UUID(harbor.ada)).values(failures=100))
    settle(harbor)
    assert titles(calm) == ["1 user is locked", "1 user is overdue"]
    hrefs = [link for link in calm.page.links if "status=" in link]
    assert any(link.endswith("status=locked") for link in hrefs)


def test_a_method_that_was_switched_off_under_users_is_told(
    harbor: Harbor, calm: Administrator
) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    settle(harbor)
    assert titles(calm) == ["No method is on"]


def test_a_deadline_is_told_two_weeks_before(harbor: Harbor, calm: Administrator) -> None:
    harbor.person("bo@harbor.example")
    moment = harbor.clock.now() + timedelta(days=20)
    rule = Rule(mode=PolicyMode.REQUIRED, required_from=moment)
    with harbor.services.database.writing() as tx:
        harbor.services.policies.change(tx, OPERATOR, harbor.organization, rule)
    settle(harbor)
    assert titles(calm) == ["Nothing needs you now"]
    harbor.clock.advance(7 * DAY)
    calm.signs_in()
    settle(harbor)
    assert titles(calm) == ["A method is required from 21 March 2026"]
    assert "1 user has none yet." in calm.text


def test_far_more_refusals_than_usual_are_told_with_the_numbers(
    harbor: Harbor, calm: Administrator
) -> None:
    for days in range(2, 12):
        fill(harbor, 10, days_ago=days, accepted=False)
    fill(harbor, 29, days_ago=0.01, accepted=False)
    assert titles(calm) == ["Nothing needs you now"]
    fill(harbor, 1, days_ago=0.01, accepted=False)
    assert titles(calm) == ["Far more refusals than usual"]
    assert "30 answers were refused in the last 24 hours. 10 a day is usual." in calm.text


def test_a_single_owner_is_told_to_owners_alone(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia, helper = harbor.administrator(), harbor.administrator(Role.HELPDESK)
    settle(harbor)
    assert titles(nadia) == ["There is only one owner"]
    assert titles(helper) == ["Nothing needs you now"]


def test_a_secret_that_still_overlaps_and_a_new_signing_key_are_told(
    harbor: Harbor, calm: Administrator
) -> None:
    own = harbor.registers("Harbor Mail", only=True)
    with harbor.services.database.writing() as tx:
        application = harbor.services.applications.find(tx, own.client_id)
        assert application
        harbor.services.applications.replace_secret(
            tx, OPERATOR, application, overlap=timedelta(hours=1)
        )
        harbor.services.signing_keys.rotate(tx, OPERATOR, at_once=True)
    settle(harbor)
    assert titles(calm) == [
        "Harbor Mail still has two secrets",
        "Another key signs results now",
    ]


# Many of everything


def test_no_question_of_the_page_reads_a_whole_table(harbor: Harbor, calm: Administrator) -> None:
    """100,000 users and 1,000,000 verifications stay usable because indexes answer."""
    asked: list[tuple[str, object]] = []
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    engine = app.extensions["gatehouse"].database.engine
    sa.event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _k, statement, values, _x, _m: asked.append((statement, values)),
    )
    for period in PERIODS:
        calm.at(f"/?period={period}")
    scans = [
        line
        for statement, values in asked
        if statement.startswith("SELECT")
        and re.search(r"\b(users|verifications|events)\b", statement)
        for line in plan(harbor, statement, values)
        if scans_whole(line)
    ]
    assert asked
    assert scans == []


BIG = r"(users|verifications|events|authenticators)(_\d+)?"


def plan(harbor: Harbor, statement: str, values: Any) -> list[str]:
    with harbor.services.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            return [row[-1] for row in rows]
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        return [row[0] for row in rows]


def scans_whole(line: str) -> bool:
    """Tell whether a step reads all of a big table, or of an index that holds all of it."""
    few = r"(?! USING (COVERING )?INDEX ix_\w+_(unsealed|refused|suspended)\b)"
    return bool(re.search(rf"(SCAN|Seq Scan on) {BIG}\b{few}", line))


def sends(harbor: Harbor, *numbers: str) -> None:
    """Ask for a message to each number, as the sending of codes does."""
    with harbor.services.database.writing() as tx:
        ada = tx.get_one(User, uuid.UUID(harbor.ada))
        for number in numbers:
            harbor.services.sending_limits.charge(
                tx, None, harbor.organization, ada, "sms", number, now=harbor.clock.now()
            )


def follows(administrator: Administrator, kind: str) -> str:
    """Follow the link to the events of a kind, and return what that page says."""
    (link,) = [one for one in administrator.page.links if one.endswith(f"kind={kind}")]
    administrator.browser.goes_to(link)
    return administrator.text


def leads(administrator: Administrator, path: str) -> str:
    """Follow the link to a page that mends something, and return what that says."""
    [link] = {one for one in administrator.page.links if one == f"{administrator.place}{path}"}
    administrator.browser.goes_to(link)
    return administrator.text


def rules(harbor: Harbor, **changes: Any) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.sending_rules.change(tx, OPERATOR, harbor.organization, **changes)


def test_a_budget_for_messages_is_told_when_most_of_it_and_when_all_is_spent(
    harbor: Harbor, calm: Administrator
) -> None:
    rules(harbor, monthly_budget=5)
    sends(harbor, "+33620345678", "+33621345678", "+33622345678")
    settle(harbor)
    assert titles(calm) == ["Nothing needs you now"]
    sends(harbor, "+33623345678")
    settle(harbor)
    assert titles(calm) == ["Most of the month’s budget for messages is spent"]
    assert "4 of 5 are sent. At the last one, sending stops." in calm.text
    assert "This month by phone 4 of 5, alarm at 4" in leads(calm, "/messages/limits")
    told = calm.at("/audit?kind=sending:budget_alarmed").page.text
    assert "Most of the month’s message budget spent: 4 of 5" in told
    sends(harbor, "+33624345678", "+33625345678")
    settle(harbor)
    assert titles(calm) == ["The month’s budget for messages is spent"]
    assert "All 5 are sent. No code goes out by text message, WhatsApp or call before" in calm.text
    assert "The month’s budget is spent." in leads(calm, "/messages/limits")
    told = calm.at("/audit?kind=sending:budget_spent").page.text
    assert "Month’s message budget spent, sending stopped at 5" in told
    rules(harbor, monthly_budget=50)
    settle(harbor)
    assert titles(calm) == ["Nothing needs you now"]


def test_a_cap_of_the_day_that_is_reached_is_told_until_the_day_is_over(
    harbor: Harbor, calm: Administrator
) -> None:
    rules(harbor, per_organization_day=2)
    sends(harbor, "+33620345678", "+33621345678", "+33622345678", "+33623345678")
    settle(harbor)
    assert titles(calm) == ["No more codes are sent by phone today"]
    assert "The day’s cap is reached; 2 messages were refused since." in calm.text
    assert "2 refused" in leads(calm, "/messages/limits")
    told = calm.at("/audit?kind=sending:refused").page.text
    said = "Message not sent: too many messages for the organization in a day, by text message"
    assert said in told
    harbor.clock.advance(43200)
    calm.signs_in()
    settle(harbor)
    assert titles(calm) == ["Nothing needs you now"]
