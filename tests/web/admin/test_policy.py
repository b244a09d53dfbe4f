"""The policy in the admin area: rules, what they come to, and who may change them."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import (
    Event,
    Organization,
    Policy,
    PolicyMode,
    PolicySkip,
    Role,
    User,
)
from app.services.audit import OPERATOR
from app.services.lockouts import Obstacle, Preview
from app.services.policies import Rule, is_stricter
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, Harbor

pytestmark = pytest.mark.both_databases

CHECK = "/policy/check?"


def asks(nadia: Administrator, **rule: Any) -> Administrator:
    """Open the page that asks whether a rule shall hold."""
    nadia.at(CHECK + urlencode(rule))
    return nadia


def sets(nadia: Administrator, **rule: Any) -> Administrator:
    """Go there and press the button."""
    asks(nadia, **rule)
    assert nadia.status == 200, nadia.text
    nadia.browser.goes_to(
        nadia.place + CHECK + urlencode(rule),
        "POST",
        data={"csrf_token": nadia.browser.form_token},
    )
    return nadia


def days(harbor: Harbor, number: int) -> str:
    return (harbor.clock.now() + timedelta(days=number)).date().isoformat()


def rules(harbor: Harbor) -> list[tuple[Any, ...]]:
    return [
        (one.mode.value, one.required_from and one.required_from.date().isoformat(), one.skips)
        for (one,) in harbor.rows(sa.select(Policy).order_by(Policy.updated_at))
    ]


def preview(harbor: Harbor, rule: Rule) -> Preview:
    with harbor.services.database.reading() as tx:
        organization = tx.get(Organization, harbor.organization.id)
        assert organization is not None
        policy = harbor.services.policies.find(tx, organization)
        return harbor.services.lockouts.preview(tx, organization, rule, policy)


# Setting a rule


def test_without_a_rule_it_is_required(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/policy")
    assert "Now: Required." in nadia.text
    assert "Every application follows this rule" in nadia.text


@pytest.mark.parametrize(
    ("rule", "name"), [("off", "Off"), ("optional", "Optional"), ("required", "Required")]
)
def test_a_rule_holds_after_it_was_confirmed(harbor: Harbor, rule: str, name: str) -> None:
    nadia = harbor.administrator()
    asks(nadia, rule=rule)
    assert rules(harbor) == []
    sets(nadia, rule=rule)
    assert f"{name}. It holds from the next visit on." in nadia.text
    assert f"Now: {name}." in nadia.text
    assert rules(harbor) == [(rule, None, None)]
    [(event,)] = harbor.rows(sa.select(Event).where(Event.kind == "policy:changed"))
    assert event.actor.startswith("administrator:")
    assert event.detail["mode"] == rule


def test_a_date_with_a_number_of_times(harbor: Harbor) -> None:
    nadia, day = harbor.administrator(), days(harbor, 30)
    sets(nadia, rule="dated", required_from=day, skips="3")
    assert rules(harbor) == [("required", day, 3)]
    assert "may put it off 3 times" in nadia.text
    assert "Required from" in harbor.visits(harbor.ada).page.text
    form = next(one["fields"] for one in nadia.page.forms if "skips" in one["fields"])
    assert (form["required_from"], form["skips"]) == (day, "3")
    sets(nadia, rule="dated", required_from=day, skips="")
    assert rules(harbor) == [("required", day, None)]


def test_the_form_sends_what_was_typed_to_the_page_that_asks(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/policy")
    forms = [one for tag, one in nadia.page.tags if tag == "form" and one["method"] == "get"]
    assert [one["action"] for one in forms] == [f"{nadia.place}/policy/check"]
    radios = [one["value"] for tag, one in nadia.page.tags if one.get("type") == "radio"]
    assert radios == ["required", "dated", "optional", "off"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("required_from", "", "Choose a day"),
        ("required_from", "soon", "Choose a day"),
        ("required_from", "2020-01-01", "Choose a day that is still to come"),
        ("required_from", "2099-01-01", "within 5 years"),
        ("skips", "x", "Use a whole number"),
        ("skips", "0", "Use a number from 1 to 100"),
        ("skips", "-1", "Use a number from 1 to 100"),
        ("skips", "101", "Use a number from 1 to 100"),
        ("skips", "9" * 5000, "Use a whole number"),
        ("rule", "none", "Choose one of the four"),
        ("rule", "", "Choose one of the four"),
    ],
)
@ONE_DATABASE
def test_what_can_not_be_is_said_at_its_field(
    harbor: Harbor, field: str, value: str, says: str
) -> None:
    nadia = harbor.administrator()
    typed = {"rule": "dated", "required_from": days(harbor, 9), "skips": "2", field: value}
    asks(nadia, **typed)
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.title.startswith("Error: ")
    fields = next(one["fields"] for one in nadia.page.forms if "skips" in one["fields"])
    if field != "rule":
        assert fields[field] == value
    assert rules(harbor) == []
    posted = nadia.does(CHECK + urlencode(typed))
    assert posted.status == 422
    assert rules(harbor) == []


@ONE_DATABASE
def test_what_belongs_to_no_other_choice_is_not_judged(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    sets(nadia, rule="optional", required_from="soon", skips="x")
    assert rules(harbor) == [("optional", None, None)]


def test_the_same_rule_again_changes_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    sets(nadia, rule="optional")
    asks(nadia, rule="optional")
    assert "Nothing was changed" in nadia.text
    assert len(harbor.rows(sa.select(Event).where(Event.kind == "policy:changed"))) == 1


@ONE_DATABASE
def test_a_later_date_says_that_the_count_starts_anew(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    sets(nadia, rule="dated", required_from=days(harbor, 10), skips=2)
    harbor.visits(harbor.ada).sends("not-now")
    assert harbor.rows(sa.select(PolicySkip.used)) == [(1,)]
    asks(nadia, rule="dated", required_from=days(harbor, 5), skips=2)
    assert "still counts" in nadia.text
    asks(nadia, rule="dated", required_from=days(harbor, 20), skips=2)
    assert "count starts now" in nadia.text
    sets(nadia, rule="dated", required_from=days(harbor, 20), skips=2)
    assert harbor.rows(sa.select(PolicySkip)) == []


@ONE_DATABASE
def test_a_rule_is_stricter_than_another_or_not(harbor: Harbor) -> None:
    now = harbor.clock.now()

    def dated(days: int, skips: int | None = None) -> Rule:
        return Rule(required_from=now + timedelta(days=days), skips=skips)

    order = [
        Rule(mode=PolicyMode.OFF),
        Rule(mode=PolicyMode.OPTIONAL),
        dated(30),
        dated(30, 5),
        dated(30, 2),
        dated(20),
        dated(20, 2),
        dated(-1),
    ]
    for place, rule in enumerate(order):
        for other, second in enumerate(order):
            assert is_stricter(rule, second, now) is (place < other), (rule, second)
    assert not is_stricter(dated(-1), Rule(), now)
    assert not is_stricter(Rule(), dated(-1), now)


# Rules of applications


def test_the_rule_of_an_application_is_added_changed_and_removed(harbor: Harbor) -> None:
    nadia, notes = harbor.administrator(), harbor.notes.client_id
    nadia.at("/policy/applications/new")
    assert "Harbor Notes" in nadia.text
    sets(nadia, application=notes, rule="optional")
    assert "Harbor Notes: Optional." in nadia.text
    assert "Not now" in harbor.visits(harbor.ada).page.text
    nadia.at(f"/policy/applications/{notes}")
    assert "Rule of Harbor Notes" in nadia.text
    sets(nadia, application=notes, rule="required")
    assert rules(harbor) == [("required", None, None)]
    nadia.at(f"/policy/applications/{notes}/remove")
    assert "Remove the rule of Harbor Notes?" in nadia.text
    nadia.browser.submits(1)
    assert "Harbor Notes follows the organization’s rule again." in nadia.text
    assert rules(harbor) == []
    kinds = [kind for (kind,) in harbor.rows(sa.select(Event.kind).order_by(Event.id))]
    assert kinds[-1] == "policy:removed"
    nadia.at("/policy/applications/new")
    assert "Harbor Notes" in nadia.text


@ONE_DATABASE
def test_a_wrong_date_of_an_application_keeps_what_was_typed(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia, application=harbor.notes.client_id, rule="dated", required_from="x")
    assert nadia.status == 422
    assert "Rule of Harbor Notes" in nadia.text
    assert "Choose a day" in nadia.text


def test_the_applications_of_others_are_unknown(harbor: Harbor) -> None:
    """F79: by id in the path, and in the query."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
        theirs, _ = harbor.services.applications.create(
            tx,
            OPERATOR,
            environment=pier.environment,
            name="Pier Wiki",
            redirect_uris=["https://pier.example/back"],
            organizations=[pier],
        )
        client_id = theirs.client_id
    nadia = harbor.administrator()
    assert "Pier Wiki" not in nadia.at("/policy/applications/new").text
    for unknown in (client_id, str(uuid.uuid4())):
        assert nadia.at(f"/policy/applications/{unknown}").status == 404
        assert nadia.at(f"/policy/applications/{unknown}/remove").status == 404
        assert nadia.does(f"/policy/applications/{unknown}/remove").status == 404
        query = CHECK + urlencode({"application": unknown, "rule": "off"})
        assert nadia.at(query).status == 404
        nadia.at("/policy")
        assert nadia.does(query).status == 404
    assert rules(harbor) == []


def test_the_rule_is_that_of_the_organization_in_the_address(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
    nadia = harbor.administrator()
    nadia.at("/policy")
    mine, nadia.place = nadia.place, "/admin/sandbox/pier"
    assert nadia.at(CHECK + "rule=off").status == 404
    assert nadia.does(CHECK + "rule=off").status == 404
    nadia.place = mine
    sets(nadia, rule="off")
    [(organization_id,)] = harbor.rows(sa.select(Policy.organization_id))
    assert organization_id == harbor.organization.id != pier.id


# Who may


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.HELPDESK])
def test_a_lower_role_changes_nothing(harbor: Harbor, role: Role) -> None:
    somebody = harbor.administrator(role)
    somebody.at("/policy")
    if role is Role.AUDITOR:
        assert "Now: Required." in somebody.text
        assert "Check the change" not in somebody.text
    else:
        assert somebody.status == 403
    for path in (CHECK + "rule=off", "/policy/applications/new"):
        assert somebody.at(path).status == 403
    assert somebody.does(CHECK + "rule=off").status == 403
    assert rules(harbor) == []


def test_a_change_wants_a_fresh_second_factor_and_comes_back_to_it(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/policy")
    harbor.clock.advance(20 * 60)
    asks(nadia, rule="optional")
    assert "Make the second step optional?" not in nadia.text
    assert rules(harbor) == []


def test_a_rule_is_not_set_without_the_form(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia, rule="off")
    nadia.browser.goes_to(nadia.place + CHECK + "rule=off", "POST", data={})
    assert nadia.status == 400
    assert rules(harbor) == []


# Who would be locked out


def crowd(harbor: Harbor) -> dict[str, uuid.UUID]:
    names = ("bo", "cleo", "dara", "emil", "fatou", "gil")
    for name in names:
        harbor.person(f"{name}@harbor.example")
    rows = harbor.rows(sa.select(User.email, User.id))
    ids = {email.partition("@")[0]: user_id for email, user_id in rows}

    def change(name: str, **values: Any) -> None:
        harbor.executes(sa.update(User).where(User.id == ids[name]).values(values))

    change("bo", suspended_at=harbor.clock.now())
    change("cleo", failures=100)
    change("dara", enrollment_open=False)
    return ids


def test_the_preview_tells_who_must_set_up_and_who_can_not_get_in(harbor: Harbor) -> None:
    harbor.enrolls()
    crowd(harbor)
    found = preview(harbor, Rule())
    assert (found.users, found.set_up, found.held_up) == (7, 3, 3)
    assert [(user.label.partition("@")[0], why) for user, why in found.first] == [
        ("bo", Obstacle.SUSPENDED),
        ("cleo", Obstacle.LOCKED),
        ("dara", Obstacle.CLOSED),
    ]
    optional = preview(harbor, Rule(mode=PolicyMode.OPTIONAL))
    assert (optional.set_up, optional.held_up) == (0, 3)
    off = preview(harbor, Rule(mode=PolicyMode.OFF))
    assert (off.set_up, off.held_up) == (0, 1)
    later = Rule(required_from=harbor.clock.now() + timedelta(days=3), skips=1)
    assert preview(harbor, later).set_up == 0


def test_the_preview_shows_a_re_enrollment_that_is_due(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    [code, *_] = browser.saves_codes()
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(code)
    assert preview(harbor, Rule()).held[Obstacle.REENROLLMENT] == 1
    harbor.executes(sa.update(User).values(reenrollment_approved=True))
    assert preview(harbor, Rule()).held_up == 0


def test_the_preview_says_that_no_method_is_offered(harbor: Harbor) -> None:
    crowd(harbor)
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    found = preview(harbor, Rule())
    assert (found.set_up, found.held_up) == (0, 7)
    assert found.held[Obstacle.NO_METHOD] == 6
    assert preview(harbor, Rule(mode=PolicyMode.OFF)).held_up == 1


def test_the_preview_counts_who_has_put_it_off_as_often_as_possible(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    harbor.person("bo@harbor.example")
    sets(nadia, rule="dated", required_from=days(harbor, 10), skips=2)
    harbor.visits(harbor.ada).sends("not-now")
    sooner = Rule(required_from=harbor.clock.now() + timedelta(days=5), skips=1)
    assert preview(harbor, sooner).set_up == 1
    later = Rule(required_from=harbor.clock.now() + timedelta(days=50), skips=1)
    assert preview(harbor, later).set_up == 0
    asks(nadia, rule="dated", required_from=days(harbor, 5), skips=1)
    assert "The new rule is stricter." in nadia.text
    assert "Today, 1 user must set up a method first." in nadia.text


@ONE_DATABASE
def test_the_page_that_asks_shows_the_first_by_name(harbor: Harbor) -> None:
    crowd(harbor)
    nadia = harbor.administrator()
    asks(nadia, rule="required")
    assert "cleo@harbor.example" in nadia.text
    assert "Locked after wrong codes" in nadia.text
    places = [nadia.text.index(f"{name}@harbor.example") for name in ("bo", "cleo", "dara")]
    assert places == sorted(places)


def many(harbor: Harbor, number: int) -> None:
    """Add so many users at once, of whom a third is enrolled and each thousandth closed."""
    now = harbor.clock.now()
    rows = [
        {
            "id": uuid.uuid4(),
            "organization_id": harbor.organization.id,
            "email": f"u{n}@harbor.example",
            "email_key": f"u{n}@harbor.example",
            "profile": {},
            "name_key": f"user {n % 997:03d}",
            "family_name_key": "",
            "enrolled": n % 3 == 0,
            "enrollment_open": n % 1000 != 1,
            "reenrollments": 0,
            "reenrollment_approved": False,
            "failures": 0,
            "recovery_failures": 0,
            "created_at": now,
            "updated_at": now,
        }
        for n in range(number)
    ]
    with harbor.services.database.writing() as tx:
        tx.execute(sa.insert(User), rows)
    with harbor.services.database.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE"))
        connection.commit()


def test_the_preview_shows_the_first_twenty_of_many(harbor: Harbor) -> None:
    many(harbor, 60)
    harbor.executes(sa.update(User).values(suspended_at=harbor.clock.now()))
    found = preview(harbor, Rule())
    assert found.held_up == 61
    by_name = harbor.rows(sa.select(User.id).order_by(User.name_key, User.email_key))
    assert [user.id for user, _ in found.first] == [row[0] for row in by_name[:20]]


def test_the_preview_of_many_users_reads_indexes_alone(harbor: Harbor) -> None:
    many(harbor, 20_000)
    engine, seen = harbor.services.database.engine, []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def listen(_c: Any, _u: Any, statement: str, given: Any, *_: Any) -> None:
        if "FROM users" in statement:
            seen.append((statement, given))

    found = preview(harbor, Rule())
    sa.event.remove(engine, "before_cursor_execute", listen)
    assert found.users == 20_001
    assert len(found.first) == 14  # every thousandth but those that are enrolled
    is_sqlite = engine.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    with engine.connect() as connection:
        if not is_sqlite:  # which reads small tables whole, index or not
            connection.exec_driver_sql("SET enable_seqscan = off")
        for statement, given in seen:
            plan = str(connection.exec_driver_sql(explain + statement, given).all())
            # An index of the refused, or of the suspended, holds few: it may be read whole.
            whole = r"SCAN \w+\b(?! USING)" if is_sqlite else "Seq Scan"
            assert not re.search(whole, plan), plan
