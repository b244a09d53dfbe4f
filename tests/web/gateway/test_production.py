"""What reaches people: in production a message leaves, so it does for those alone who are there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Environment,
    Message,
    MessageStatus,
    Organization,
)
from app.services.audit import OPERATOR
from tests.actors import Application
from tests.conftest import FixedClock, Harbor, stage

BO = "bo@pier.example"
CARRIER = {"smtp_url": "smtp://mail.example:587", "mail_from": "mfa@gate.example"}


@pytest.fixture
def harbor(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    """The cast on a deployment with a mail server."""
    with stage(database_url, tmp_path, clock, **CARRIER) as found:
        yield found


@pytest.fixture
def pier(harbor: Harbor) -> Organization:
    """An organization in production whose one user confirms by email."""
    services = harbor.services
    with services.database.writing() as tx:
        pier = services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Pier"
        )
        services.method_settings.change(tx, OPERATOR, pier, active=True)
        services.channels.change(tx, OPERATOR, pier, "email", active=True)
        bo = services.directory.create(tx, OPERATOR, pier, email=BO)
        bo.enrollment_open, bo.enrolled = False, True
        tx.add(
            Authenticator(
                id=uuid.uuid4(),
                user_id=bo.id,
                kind="email",
                recipient=BO,
                status=AuthenticatorStatus.ACTIVE,
                created_at=harbor.clock.now(),
                confirmed_at=harbor.clock.now(),
            )
        )
    return pier


@pytest.fixture
def notes(harbor: Harbor, pier: Organization) -> Application:
    return harbor.registers(
        "Pier Notes", environment=Environment.PRODUCTION, organization=pier.domain
    )


def codes(harbor: Harbor) -> list[tuple[str, MessageStatus]]:
    sent = sa.select(Message.recipient, Message.status).where(Message.name == "code")
    return [(recipient, status) for recipient, status in harbor.rows(sent)]


def test_a_code_waits_for_a_sender_and_the_page_says_so(harbor: Harbor, notes: Application) -> None:
    browser = harbor.browser()
    browser.goes_to(notes.opens(BO)["url"])
    browser.presses("email")
    assert codes(harbor) == [(BO, MessageStatus.QUEUED)]
    assert "Sending" in browser.page.text


def test_an_administrator_who_tries_an_application_messages_nobody(
    harbor: Harbor, pier: Organization, notes: Application
) -> None:
    nadia = harbor.administrator(organization=pier)
    place = f"/applications/{notes.client_id}/try"
    nadia.at(place)
    nadia.does(place, email=BO)
    assert nadia.browser.path.endswith("/verify"), nadia.text
    nadia.browser.presses("email")
    assert nadia.status == 422
    assert "You are trying Pier Notes as an administrator, so nothing is sent" in nadia.text
    assert codes(harbor) == []


def test_an_invitation_says_that_its_email_is_on_its_way(
    harbor: Harbor, pier: Organization, notes: Application
) -> None:
    with harbor.services.database.writing() as tx:
        user = harbor.services.directory.create(
            tx, OPERATOR, tx.merge(pier), email="ann@pier.example"
        )
        place = f"/users/{user.id}/invite"
    nadia = harbor.administrator(organization=pier)
    nadia.at(place)
    nadia.does(place, client_id=notes.client_id)
    assert "The email to ann@pier.example is on its way." in nadia.text


def test_without_a_carrier_an_invitation_says_that_its_email_waits(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    with stage(database_url, tmp_path, clock) as harbor:
        services = harbor.services
        with services.database.writing() as tx:
            pier = services.organizations.create(
                tx, OPERATOR, environment=Environment.PRODUCTION, name="Pier"
            )
            services.method_settings.change(tx, OPERATOR, pier, active=True)
            user = services.directory.create(tx, OPERATOR, pier, email="ann@pier.example")
            place = f"/users/{user.id}/invite"
        notes = harbor.registers("Pier Notes", environment=Environment.PRODUCTION)
        nadia = harbor.administrator(organization=pier)
        nadia.at(place)
        nadia.does(place, client_id=notes.client_id)
        assert "Nobody carries email for Pier yet" in nadia.text
