"""Channels in the admin area: each one's switch, how its codes go, and the phone network's risk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Authenticator, AuthenticatorStatus, Event, MethodSetting, Role, User
from app.services.audit import OPERATOR
from app.services.challenges import Asked
from app.services.channels import ChannelSettings
from app.services.method_settings import MESSAGE_KINDS
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.providers.servers import post
from tests.web.admin.production import mail_account, production, reaching, runs

NAMES = {
    "email": "email",
    "sms": "text messages",
    "whatsapp": "WhatsApp",
    "voice": "phone calls",
    "dual": "email and text",
}


def settings(harbor: Harbor, kind: str) -> ChannelSettings:
    with harbor.services.database.reading() as tx:
        return harbor.services.channels.settings(tx, harbor.organization, kind)


def is_on(harbor: Harbor, kind: str) -> bool:
    rows = harbor.rows(sa.select(MethodSetting.kind).where(MethodSetting.active))
    return (kind,) in rows


def has(harbor: Harbor, user_id: str, *kinds: str) -> None:
    """Give a user authenticators of some kinds, as a backend's enrollment would."""
    with harbor.services.database.writing() as tx:
        found = harbor.services.directory.find(tx, harbor.organization, user_id)
        for kind in kinds:
            tx.add(
                Authenticator(
                    user_id=found.id,
                    kind=kind,
                    status=AuthenticatorStatus.ACTIVE,
                    recipient="+33612345678",
                    created_at=harbor.clock.now(),
                )
            )
        tx.execute(sa.update(User).where(User.id == found.id).values(enrolled=True))


def events(harbor: Harbor, kind: str) -> list[Event]:
    rows = harbor.rows(sa.select(Event).where(Event.kind == kind).order_by(Event.id))
    return [event for (event,) in rows]


# The switch


@pytest.mark.parametrize("kind", MESSAGE_KINDS)
def test_a_channel_is_switched_on_and_off(harbor: Harbor, kind: str) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    assert "By which codes go to the users of Harbor" in nadia.text
    nadia.at(f"/messages/channels/{kind}/switch-on")
    assert f"Switch {NAMES[kind]} on?" in nadia.text
    assert not is_on(harbor, kind)
    nadia.browser.submits(1)
    assert "is on." in nadia.text
    assert is_on(harbor, kind)
    nadia.at(f"/messages/channels/{kind}/switch-off")
    assert f"Switch {NAMES[kind]} off?" in nadia.text
    assert "No user has it set up." in nadia.text
    assert is_on(harbor, kind)
    nadia.browser.submits(1)
    assert not is_on(harbor, kind)
    *_, on, off = events(harbor, "method_setting:changed")
    assert (on.detail["kind"], on.detail["active"]) == (kind, True)
    assert (off.detail["kind"], off.detail["active"]) == (kind, False)
    assert on.actor.startswith("administrator:")


def test_a_user_is_offered_what_is_on(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/channels/email/switch-on")
    nadia.browser.submits(1)
    with harbor.services.database.reading() as tx:
        assert harbor.services.method_settings.by_message(tx, harbor.organization) == {"email"}


def test_whom_a_channel_leaves_with_nothing_is_told_before(harbor: Harbor) -> None:
    bo, cy, ada = harbor.person("bo@harbor.example"), harbor.person("cy@harbor.example"), harbor.ada
    has(harbor, ada, "email", "totp")
    has(harbor, bo, "email")
    has(harbor, cy, "totp")
    nadia = harbor.administrator()
    nadia.at("/messages")
    nadia.does("/messages/channels/email/switch-on")
    nadia.at("/messages/channels/email/switch-off")
    assert "2 users have it set up, and can’t confirm by email any more." in nadia.text
    assert "1 of them has nothing else" in nadia.text


def test_a_number_that_is_still_reached_in_another_way_is_no_loss(harbor: Harbor) -> None:
    has(harbor, harbor.ada, "sms")
    nadia = harbor.administrator()
    nadia.at("/messages")
    for kind in ("sms", "whatsapp"):
        nadia.does(f"/messages/channels/{kind}/switch-on")
    nadia.at("/messages/channels/sms/switch-off")
    assert "1 user has it set up. Their codes still come by WhatsApp." in nadia.text
    nadia.does("/messages/channels/whatsapp/switch-off")
    nadia.at("/messages/channels/sms/switch-off")
    assert "1 of them has nothing else" in nadia.text


@ONE_DATABASE
def test_a_channel_that_is_none_is_not_found(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    for path in ("", "/switch-on", "/switch-off"):
        assert nadia.at(f"/messages/channels/pigeon{path}").status == 404
        assert nadia.does(f"/messages/channels/pigeon{path}").status == 404


# Who carries it


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


def test_a_channel_that_nobody_carries_stays_off(reached: Harbor) -> None:
    organization = production(reached)
    nadia = runs(reached, organization)
    nadia.at("/messages")
    assert "Nobody carries emails" in nadia.text
    assert "Switch on" not in nadia.text
    nadia.at("/messages/channels/email")
    assert "It can’t be switched on before." in nadia.text
    nadia.does("/messages/channels/email/switch-on")
    assert nadia.status == 422
    assert "Add a provider first." in nadia.text
    with post("none") as mail:
        nadia.at("/messages/providers/new/smtp")
        nadia.browser.submits(1, **mail_account(mail))
        account = nadia.browser.path
        nadia.at("/messages/channels/email/switch-on")
        assert "Mail of Harbor can read the codes." in nadia.text
        nadia.browser.submits(1)
        assert "Email is on." in nadia.text
        assert "by Mail of Harbor" in nadia.at("/messages").text
        nadia.browser.goes_to(f"{account}/switch-off")
        nadia.browser.submits(1)
    nadia.at("/messages")
    assert "Email is on, and nobody carries emails." in nadia.text


# How codes go


def test_digits_lifetime_and_sender_are_set(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/channels/sms")
    nadia.browser.submits(1, digits="8", minutes="5", sender="Harbor")
    assert "Saved." in nadia.text
    assert settings(harbor, "sms") == ChannelSettings(digits=8, minutes=5, sender="Harbor")
    assert "8 digits for 5 minutes" in nadia.text
    *_, event = events(harbor, "method_setting:changed")
    assert event.detail["changed"] == "digits minutes sender"
    nadia.browser.submits(1, sender="")
    assert settings(harbor, "sms").sender is None


@ONE_DATABASE
@pytest.mark.parametrize(
    ("kind", "field", "value", "says"),
    [
        ("sms", "digits", "5", "Not a valid choice"),
        ("sms", "digits", "11", "Not a valid choice"),
        ("sms", "minutes", "11", "Not a valid choice"),
        ("sms", "minutes", "0", "Not a valid choice"),
        ("sms", "sender", "Harbor of Nice", "up to 11 letters and digits"),
        ("voice", "sender", "Harbor", "a number such as"),
        ("whatsapp", "sender", "0612345678", "a number such as"),
        ("email", "sender", "x" * 61, "1 to 60 printable characters"),
        ("email", "sender", "Harbor\x07", "1 to 60 printable characters"),
    ],
)
def test_what_can_not_be_is_said_at_its_field(
    harbor: Harbor, kind: str, field: str, value: str, says: str
) -> None:
    nadia = harbor.administrator()
    nadia.at(f"/messages/channels/{kind}")
    nadia.browser.submits(1, **{"digits": "9", field: value})
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.title.startswith("Error: ")
    if field != "digits":
        chosen = [one for one in nadia.browser.reply.text.splitlines() if "selected" in one]
        assert any('value="9"' in one for one in chosen)
    assert settings(harbor, kind) == ChannelSettings()


def test_dual_is_strict_on_demand(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/channels/dual")
    assert "one code goes to both, and either may be read" in nadia.text
    assert 'name="sender"' not in nadia.browser.reply.text
    nadia.browser.submits(1, strict="y")
    assert settings(harbor, "dual").strict
    assert "another code to each address" in nadia.text
    nadia.does("/messages/channels/email", digits="6", minutes="10", strict="y")
    assert not settings(harbor, "email").strict


def test_a_code_is_as_the_channel_says(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/channels/email")
    nadia.browser.submits(1, digits="10", minutes="3")
    nadia.does("/messages/channels/email/switch-on")
    has(harbor, harbor.ada, "email")
    with harbor.services.database.writing() as tx:
        ada = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        [authenticator] = tx.scalars(sa.select(Authenticator).where(Authenticator.kind == "email"))
        asked = harbor.services.message_codes.send(
            tx, OPERATOR, ada, authenticator, channel="email"
        )
    assert isinstance(asked, Asked)
    assert asked.challenge.expires_at - asked.challenge.created_at == timedelta(minutes=3)
    [message] = asked.messages
    assert "It works for 3 minutes." in harbor.text_of(message)


# The phone network


def test_the_phone_network_is_held_back_beside_nothing_stronger(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    nadia.does("/messages/channels/sms/switch-on")
    assert "Nobody is offered codes by phone." not in nadia.at("/messages").text
    assert "3.1.3.3 and 3.2.9" in nadia.text
    nadia.does("/methods/switch-off")
    nadia.at("/messages")
    assert "Nobody is offered codes by phone." in nadia.text
    nadia.at("/messages/channels/sms/switch-on")
    assert "the risk of the phone network is not accepted" in nadia.text


def test_the_risk_is_accepted_with_a_reason_and_withdrawn(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    nadia.does("/messages/channels/sms/switch-on")
    nadia.does("/methods/switch-off")

    def offered() -> set[str]:
        with harbor.services.database.reading() as tx:
            return harbor.services.method_settings.by_message(tx, harbor.organization)

    assert offered() == set()
    nadia.at("/messages/risk/accept")
    nadia.browser.submits(1)
    assert nadia.status == 422
    assert "Write in a few words why." in nadia.text
    assert offered() == set()
    nadia.browser.submits(1, reason="Passkeys follow in June.")
    assert offered() == {"sms"}
    [event] = events(harbor, "sending_rules:changed")
    assert event.reason == "Passkeys follow in June."
    assert event.detail["risk_accepted"] is True
    nadia.at("/messages")
    assert "The risk was accepted here" in nadia.text
    nadia.at("/messages/risk/withdraw")
    nadia.browser.submits(1)
    assert offered() == set()


def test_standards_frown_at_email_and_at_the_phone_network(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages")
    assert "Nothing against these settings." in nadia.text
    for kind in ("email", "dual"):
        nadia.does(f"/messages/channels/{kind}/switch-on")
    nadia.at("/messages")
    assert "An email proves no device" in nadia.text
    assert "it is as strong as the weaker one" in nadia.text
    assert "A text or a call can be intercepted" in nadia.text


# Who may


@ONE_DATABASE
def test_an_auditor_reads_and_changes_nothing(harbor: Harbor) -> None:
    auditor = harbor.administrator(Role.AUDITOR)
    auditor.at("/messages")
    assert "Text message" in auditor.text
    for button in ("Switch on", "Accept the risk", "Save"):
        assert button not in auditor.text
    auditor.at("/messages/channels/sms")
    assert "That of the provider’s account" in auditor.text
    assert "Save" not in auditor.text
    assert auditor.does("/messages/channels/sms", digits="8", minutes="5").status == 403
    assert settings(harbor, "sms") == ChannelSettings()
