"""What is told to users who have no e-mail address: by SMS where that can be, and recorded else."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Event, Message, SendCount, SendScope, User
from app.services.audit import OPERATOR
from tests.actors import Phone
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import allow, switch
from tests.web.api_v1.backend import PHONE, Devrift

WHOLE = (
    "Harbor: An administrator checked that it’s you. If this was not you, tell an administrator of "
    "Harbor at once.\n"
)


class Kim:
    """Somebody who is known by a number alone."""

    def __init__(self, harbor: Harbor) -> None:
        self.harbor, self.backend = harbor, Devrift(harbor)
        code = self.backend.sends(PHONE, "SMS")
        known = sa.select(User.id).where(User.phone_number == PHONE)
        [[found]] = harbor.rows(known)
        self.id = str(found)
        assert self.backend.verifies(PHONE, "PHONE", code).status == 200

    def is_approved(self, user: str = "") -> None:
        """Have something happen to the account that its user has to know."""
        path = f"/org/harbor/users/{user or self.id}/reenrollment-approval"
        reply = self.harbor.backend.calls("POST", path)
        assert reply.status == 200, reply.text

    def notices(self) -> list[tuple[str, str, str]]:
        rows = self.harbor.rows(sa.select(Message).where(Message.name != "code"))
        return [
            (one.Message.channel, one.Message.recipient, self.harbor.text_of(one.Message))
            for one in rows
        ]

    def untold(self) -> list[dict[str, Any]]:
        event = sa.select(Event).where(Event.kind == "notice:not_sent")
        return [row.Event.detail for row in self.harbor.rows(event)]

    def budget(self) -> int:
        counted = sa.select(SendCount.count).where(SendCount.scope == SendScope.BUDGET)
        return sum(row.count for row in self.harbor.rows(counted))


@pytest.fixture
def kim(harbor: Harbor) -> Kim:
    return Kim(harbor)


def test_who_has_a_confirmed_number_alone_is_told_by_sms(kim: Kim) -> None:
    kim.is_approved()
    assert kim.notices() == [("sms", PHONE, WHOLE)]
    assert kim.untold() == []


@ONE_DATABASE
def test_the_number_is_not_told_of_itself_but_of_an_app_beside_it(kim: Kim) -> None:
    assert kim.notices() == []
    begun = kim.backend.asks(PHONE, "APP").json
    phone = Phone(begun["otp_uri"])
    assert kim.backend.verifies(PHONE, "APP", kim.harbor.code(phone)).status == 200
    [(channel, _, text)] = kim.notices()
    assert channel == "sms"
    assert text.startswith("Harbor: An authenticator app was added to your account. ")


@ONE_DATABASE
def test_it_speaks_the_user_s_language(kim: Kim) -> None:
    kim.harbor.executes(sa.update(User).values(profile={"locale": "fr"}))
    kim.is_approved()
    [(_, _, text)] = kim.notices()
    assert text == (
        "Harbor : Un administrateur a vérifié que c’est bien vous. Si ce n’était pas vous, "
        "prévenez tout de suite un administrateur de Harbor.\n"
    )


def test_a_notice_is_counted_in_the_budget_and_no_limit_of_codes_stops_it(kim: Kim) -> None:
    allow(kim.harbor, monthly_budget=1, per_user_day=1, per_number_day=1)
    assert kim.budget() == 1  # the code
    assert kim.backend.asks(PHONE, "SMS").status == 429
    for _ in range(2):
        kim.is_approved()
    assert len(kim.notices()) == 2
    assert kim.budget() == 3


@ONE_DATABASE
def test_it_rings_the_alarm_of_the_budget_too(kim: Kim) -> None:
    allow(kim.harbor, monthly_budget=2, alarm_percent=100)
    kim.is_approved()
    rung = sa.select(Event.id).where(Event.kind == "sending:budget_alarmed")
    assert len(kim.harbor.rows(rung)) == 1


@ONE_DATABASE
def test_notices_take_nothing_from_the_caps_of_codes(kim: Kim) -> None:
    allow(kim.harbor, per_user_day=2, per_number_day=2)
    for _ in range(3):
        kim.is_approved()
    kim.backend.later()
    assert kim.backend.asks(PHONE, "SMS").status == 200


@ONE_DATABASE
@pytest.mark.parametrize("why", ["channel off", "country", "never confirmed", "other number"])
def test_that_nobody_could_be_told_is_recorded(kim: Kim, why: str) -> None:
    user = kim.id
    if why == "channel off":
        switch(kim.harbor, "dual", "sms", active=False)
    elif why == "country":
        allow(kim.harbor, countries=("DE",))
    elif why == "other number":
        kim.harbor.executes(sa.update(User).values(phone_number="+33698765432"))
    else:
        made = kim.harbor.backend.calls(
            "POST", "/org/harbor/users", json={"phone_number": "+33698765431"}
        )
        user = made.json["id"]
    kim.is_approved(user)
    assert kim.notices() == []
    assert kim.untold() == [{"notice": "reenrollment_approved"}]


@ONE_DATABASE
def test_who_was_deleted_is_told_at_the_number_that_we_knew(kim: Kim) -> None:
    with kim.harbor.services.database.writing() as tx:
        organization = tx.merge(kim.harbor.organization)
        user = kim.harbor.services.directory.find(tx, organization, kim.id)
        kim.harbor.services.user_care.delete(tx, OPERATOR, organization, user, why="asked for it")
    [(channel, number, text)] = kim.notices()
    assert (channel, number) == ("sms", PHONE)
    assert "Your account was deleted" in text


@ONE_DATABASE
def test_the_admin_area_says_how_somebody_is_told(kim: Kim) -> None:
    person = kim.harbor.administrator()
    page = person.at(f"/users/{kim.id}/unlock")
    assert f"We tell {PHONE} by text message." in page.text
    kim.is_approved()
    switch(kim.harbor, "dual", "sms", active=False)
    kim.is_approved()
    assert "Nobody could be told: reenrollment approved" in person.at("/audit").text


def changes_number(kim: Kim, number: str) -> None:
    path = f"/org/harbor/users/{kim.id}"
    reply = kim.harbor.backend.calls("PATCH", path, json={"phone_number": number})
    assert reply.status == 200, reply.text


def test_the_old_number_is_told_that_another_is_on_record(kim: Kim) -> None:
    """F38: whoever changes it does not hear of it alone."""
    changes_number(kim, "+33698765432")
    [(channel, number, text)] = kim.notices()
    assert (channel, number) == ("sms", PHONE)
    assert "The phone number of your account was changed" in text
    # The new one is nobody's before its user showed that they read there.
    kim.is_approved()
    assert len(kim.notices()) == 1
    assert kim.untold() == [{"notice": "reenrollment_approved"}]


@ONE_DATABASE
def test_who_has_an_address_is_told_there_of_another_number(kim: Kim) -> None:
    kim.harbor.executes(sa.update(User).values(email="kim@harbor.example"))
    changes_number(kim, "+33698765432")
    [(channel, address, text)] = kim.notices()
    assert (channel, address) == ("email", "kim@harbor.example")
    assert "+33 • •• •• 56 78" in text
    assert PHONE not in text
