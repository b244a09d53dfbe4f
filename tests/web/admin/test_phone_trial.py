"""Testing a provider of text messages and calls: what it is asked, what it costs, what is shown."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa

from app.models import Event, Organization, SendScope
from app.services.audit import OPERATOR
from app.services.send_counts import Slot, Window, add, find
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.providers.servers import Authority, Web, web
from tests.web.admin.production import production, reaching, runs

NUMBER = "+33612345678"
SIGNING = "whsec_" + base64.b64encode(bytes(range(24))).decode()
SECRET_OF_THE_ANSWER = "who-reads-this-reads-the-inner-network"


@pytest.fixture
def vendor(certificate: ssl.SSLContext) -> Iterator[Web]:
    """Twilio, or a gateway, on this machine."""
    with web(certificate, host="localhost") as made:
        made.answers(201, {"sid": "SM" + "0a" * 16, "status": "queued"})
        yield made


@pytest.fixture
def reached(
    database_url: str, tmp_path: Path, clock: FixedClock, authority: Authority, vendor: Web
) -> Iterator[Harbor]:
    settings = {"ca_file": authority.file, "twilio_url": vendor.url}
    networks = "127.0.0.0/8,::1/128"
    with reaching(database_url, tmp_path, clock, outbound_networks=networks, **settings) as harbor:
        yield harbor


@pytest.fixture
def harbors(reached: Harbor) -> Organization:
    return production(reached)


@pytest.fixture
def nadia(reached: Harbor, harbors: Organization) -> Administrator:
    return runs(reached, harbors)


def twilio(nadia: Administrator) -> str:
    """Add an account at Twilio, and return the address where it is tested."""
    return added(
        nadia,
        "twilio",
        channels=["sms", "whatsapp", "voice"],
        setting_account_sid="AC" + "0a" * 16,
        setting_auth_token=keep_secret("a token of the tests, and long"),
        setting_sms_from="Harbor",
        setting_whatsapp_from="+15005550006",
        setting_voice_from="+15005550006",
        setting_content_sids="en=HX" + "0a" * 16,
    )


def gateway(nadia: Administrator, vendor: Web) -> str:
    return added(
        nadia,
        "http",
        channels=["sms"],
        setting_url=f"{vendor.url}/send",
        setting_signing_secret=keep_secret(SIGNING),
        setting_format="json",
    )


def added(nadia: Administrator, kind: str, **fields: object) -> str:
    nadia.at(f"/messages/providers/new/{kind}")
    nadia.browser.submits(1, name="Phones of Harbor", **fields)
    assert "as the last choice" in nadia.text, nadia.text
    return f"/messages/providers/{nadia.browser.path.rpartition('/')[2]}/test"


def budget(harbor: Harbor, organization: Organization) -> int:
    slot = Slot(organization.id, SendScope.BUDGET, Window.MONTH)
    with harbor.services.database.reading() as tx:
        row = find(tx, slot, harbor.clock.now())
        return row.count if row else 0


def events(harbor: Harbor) -> list[Event]:
    rows = harbor.rows(sa.select(Event).where(Event.kind == "provider:tested").order_by(Event.id))
    return [event for (event,) in rows]


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "voice"])
def test_a_test_goes_to_the_number_that_was_typed_and_counts_against_the_budget(
    reached: Harbor, harbors: Organization, nadia: Administrator, vendor: Web, channel: str
) -> None:
    nadia.at(twilio(nadia))
    assert "costs what the provider takes for it" in nadia.text
    nadia.browser.submits(1, channel=channel, recipient="06 12 34 56 78")
    assert "Phones of Harbor took the message." in nadia.text
    assert NUMBER in nadia.text
    asked = vendor.only
    resource = "Calls" if channel == "voice" else "Messages"
    assert asked.path.endswith(f"/{resource}.json")
    to = f"whatsapp:{NUMBER}" if channel == "whatsapp" else NUMBER
    form = parse_qs(asked.body.decode())
    assert form["To"] == [to]
    if channel == "sms":
        [body] = form["Body"]
        assert "This is a test. The code works nowhere." in body
        assert "123456 is your code for Harbor." in body
    assert budget(reached, harbors) == 1
    [event] = events(reached)
    assert (event.detail["channel"], event.detail["outcome"]) == (channel, "taken")
    assert event.detail["recipient"] == "+33 ••• 78"


def test_what_the_vendor_refuses_is_told_in_its_words_without_the_number(
    reached: Harbor, nadia: Administrator, vendor: Web
) -> None:
    vendor.answers(400, {"code": 21211, "message": f"Invalid 'To' Phone Number: {NUMBER}"})
    nadia.at(twilio(nadia))
    nadia.browser.submits(1, channel="sms", recipient=NUMBER)
    assert "Phones of Harbor did not take the message." in nadia.text
    assert "21211: Invalid 'To' Phone Number: …" in nadia.text
    assert "It refuses this recipient." in nadia.text
    assert events(reached)[0].detail["outcome"] == "twilio_21211"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("recipient", "says"),
    [
        ("", "Write a number such as +33612345678."),
        ("ada@harbor.example", "Write a number such as +33612345678."),
        ("+3361234567", "Write a number such as +33612345678."),
        ("+32470123456", "Numbers of BE are not allowed here."),
        ("+33899123456", "A number of this kind is never texted or called."),
        ("+870772345678", "is never texted or called"),
    ],
)
def test_a_number_that_no_code_could_go_to_gets_no_test_either(
    reached: Harbor,
    harbors: Organization,
    nadia: Administrator,
    vendor: Web,
    recipient: str,
    says: str,
) -> None:
    nadia.at(twilio(nadia))
    nadia.browser.submits(1, channel="sms", recipient=recipient)
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.forms[1]["fields"]["recipient"] == recipient
    assert vendor.came == []
    assert budget(reached, harbors) == 0


def test_without_a_budget_there_is_no_test(
    reached: Harbor, harbors: Organization, nadia: Administrator, vendor: Web
) -> None:
    with reached.services.database.writing() as tx:
        reached.services.sending_rules.change(tx, OPERATOR, harbors, monthly_budget=3)
        slot = Slot(harbors.id, SendScope.BUDGET, Window.MONTH)
        add(tx, slot, 3, None, reached.clock.now())
    nadia.at(twilio(nadia))
    nadia.browser.submits(1, channel="sms", recipient=NUMBER)
    assert nadia.status == 429
    assert "The month’s budget for messages is spent." in nadia.text
    assert "There are new ones from 1 April 2026" in nadia.text
    assert (vendor.came, events(reached)) == ([], [])


# A gateway by HTTP


@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_body_of_a_gateway_s_answer_is_shown_nowhere(
    reached: Harbor, nadia: Administrator, vendor: Web, status: int
) -> None:
    """F76: who names the address must not read what is there, by a test or by the log."""
    vendor.answers(status, SECRET_OF_THE_ANSWER.encode(), **{"X-Inner": SECRET_OF_THE_ANSWER})
    nadia.at(gateway(nadia, vendor))
    nadia.browser.submits(1, recipient=NUMBER)
    assert f"HTTP {status}" in nadia.text
    assert SECRET_OF_THE_ANSWER not in nadia.browser.reply.text
    [event] = events(reached)
    assert SECRET_OF_THE_ANSWER not in str(event.detail)


@pytest.mark.parametrize("status", [200, 404])
def test_neither_is_it_kept_in_the_log(
    reached: Harbor, harbors: Organization, nadia: Administrator, vendor: Web, status: int
) -> None:
    vendor.answers(status, SECRET_OF_THE_ANSWER.encode())
    gateway(nadia, vendor)
    with reached.services.database.writing() as tx:
        services, organization = reached.services, tx.merge(harbors)
        services.channels.change(tx, OPERATOR, organization, "sms", active=True)
        services.sending_rules.change(tx, OPERATOR, organization, risk_accepted=True)
        ada = services.directory.create(tx, OPERATOR, organization, phone_number=NUMBER)
        tx.flush()
        services.delivery.send_recovery_codes(
            tx, ada, ["aaaa-bbbb-cccc"], channel="sms", recipient=NUMBER
        )
    keep_secret("aaaa-bbbb-cccc")
    assert reached.services.sender.send_next()
    assert vendor.only.path == "/send"
    nadia.at("/messages/log")
    [link] = [one for one in nadia.page.links if "/messages/log/" in one][:1]
    nadia.browser.goes_to(link)
    assert f"HTTP {status}" in nadia.text
    assert SECRET_OF_THE_ANSWER not in nadia.browser.reply.text
    engine = reached.services.database.engine
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM messages")).all()
    assert SECRET_OF_THE_ANSWER not in repr(rows)
    assert "aaaa-bbbb-cccc" not in nadia.browser.reply.text
