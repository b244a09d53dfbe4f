"""An application that takes only some of the methods: nothing else works for it, by any door."""

from __future__ import annotations

import uuid

import pytest

from app.models import Application
from app.services.application_changes import ApplicationChanges
from app.services.audit import OPERATOR
from tests.conftest import ONE_DATABASE, Harbor
from tests.outbox import ADA, MOBILE, Outbox, enroll, know_number, switch
from tests.web.api_v1.backend import EMAIL, PHONE, Devrift


def takes(harbor: Harbor, *methods: str) -> Application:
    """Let Harbor Notes take these methods alone; without any, all."""
    services = harbor.services
    with services.database.writing() as tx:
        found = tx.get_one(Application, uuid.UUID(harbor.notes.client_id))
        services.applications.update(tx, OPERATOR, found, ApplicationChanges(methods=methods))
    return found


@pytest.fixture
def outbox(harbor: Harbor) -> Outbox:
    switch(harbor)
    return Outbox(harbor)


def test_only_what_it_takes_can_be_set_up(harbor: Harbor, outbox: Outbox) -> None:
    takes(harbor, "app", "email")
    browser = harbor.visits(harbor.ada)
    assert "Email" in browser.page.text
    assert "Text message" not in browser.page.text
    know_number(harbor)
    for kind, channel in (("sms", "sms"), ("sms", "voice"), ("dual", "dual")):
        browser.sends(f"set-up/{kind}", channel=channel, number=MOBILE)
        browser.sends("set-up", kind=kind)
    assert outbox.all() == []


def test_only_what_it_takes_confirms(harbor: Harbor, outbox: Outbox) -> None:
    """F32: by direct requests, and with a code that is on its way."""
    enroll(harbor, "email")
    browser = harbor.visits(harbor.ada)
    browser.presses("email")
    code, one = outbox.code(browser, to=ADA), browser.path.rpartition("/")[2]
    sent = len(outbox.all())
    takes(harbor, "app")
    browser.sends(f"verify/{one}", code=code)
    assert browser.reply.status != 303
    harbor.clock.advance(60)
    browser.sends(f"verify/{one}/send", channel="email")
    assert len(outbox.all()) == sent
    assert harbor.visits(harbor.ada).page.heading == "You can’t confirm here yet"
    takes(harbor)
    again = harbor.visits(harbor.ada)
    again.presses("email")
    again.types(outbox.code(again, to=ADA))
    assert "result" in again.back


def test_a_code_of_a_channel_that_it_takes_no_more_confirms_nobody(
    harbor: Harbor, outbox: Outbox
) -> None:
    """The number itself is still taken, by another channel."""
    enroll(harbor)
    browser = harbor.visits(harbor.ada)
    browser.presses("whatsapp")
    code = outbox.code(browser, to=MOBILE)
    takes(harbor, "app", "sms")
    browser.types(code)
    assert browser.reply.status == 422
    takes(harbor)
    browser.types(code)
    assert "result" in browser.back


@ONE_DATABASE
def test_the_channels_of_a_number_are_narrowed_too(harbor: Harbor, outbox: Outbox) -> None:
    enroll(harbor)
    takes(harbor, "app", "sms")
    browser = harbor.visits(harbor.ada)
    assert "WhatsApp" not in browser.page.text
    browser.presses("sms")
    assert "WhatsApp" not in browser.page.text
    sent = len(outbox.all())
    harbor.clock.advance(60)
    one = browser.path.rpartition("/")[2]
    browser.sends(f"verify/{one}/send", channel="whatsapp", again="yes")
    assert len(outbox.all()) == sent


def test_a_session_is_refused_where_nothing_is_on_that_it_takes(
    harbor: Harbor, outbox: Outbox
) -> None:
    takes(harbor, "voice")
    switch(harbor, "voice", active=False)
    refused = harbor.notes.asks(harbor.ada)
    assert (refused.status, refused.error) == (422, "totp_connection_inactive")
    assert "that this application takes" in refused.json["error"]["message"]


@ONE_DATABASE
def test_the_phone_is_no_stronger_for_an_application_that_takes_nothing_beside_it(
    harbor: Harbor, outbox: Outbox
) -> None:
    takes(harbor, "sms")
    assert harbor.notes.asks(harbor.ada).error == "totp_connection_inactive"
    with harbor.services.database.writing() as tx:
        harbor.services.sending_rules.change(
            tx, OPERATOR, tx.merge(harbor.organization), risk_accepted=True
        )
    assert harbor.notes.asks(harbor.ada).status == 201


def test_api_v1_answers_method_disabled_for_its_application(harbor: Harbor) -> None:
    backend = Devrift(harbor, application=takes(harbor, "email"))
    assert backend.asks(EMAIL, "EMAIL").status == 200
    for user, type_ in ((PHONE, "SMS"), (PHONE, "CALL"), (f"{EMAIL}:{PHONE}", "DUAL")):
        refused = backend.asks(user, type_)
        assert (refused.status, refused.error) == (403, "method_disabled"), type_
        assert "Harbor Notes" in refused.json["error"]["message"]
    assert backend.asks(EMAIL, "APP").error == "method_disabled"
    assert backend.backs_up(PHONE, "SMS").error == "method_disabled"
    assert backend.verifies(EMAIL, "APP", "123456").error == "method_disabled"
    # A key that names no application is not narrowed by one.
    assert Devrift(harbor).asks(PHONE, "SMS").status == 200


def test_a_code_by_phone_counts_no_more_once_it_takes_none(harbor: Harbor) -> None:
    """F32, by API v1."""
    backend = Devrift(harbor, application=takes(harbor))
    code = backend.sends(PHONE, "SMS")
    takes(harbor, "app", "email")
    refused = backend.verifies(PHONE, "PHONE", code)
    assert (refused.status, refused.error) == (403, "method_disabled")
    takes(harbor)
    assert backend.verifies(PHONE, "PHONE", code).status == 200
