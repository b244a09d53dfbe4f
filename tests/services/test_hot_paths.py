"""What is done all day reads no table whole, however many rows it comes to have."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import AccessToken, Event, Message, MessageStatus, User
from app.services.webhook_claims import WebhookClaims
from tests.conftest import FixedClock
from tests.hooks import Hooks, hooked
from tests.plans import heard, scans
from tests.providers.servers import web

FEW = frozenset({"signing_keys", "webhooks"})
"""An installation has a handful: what signs, and the webhooks that claims go round."""


@pytest.fixture
def hooks(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Hooks]:
    with web() as server, hooked(database_url, tmp_path, clock, server) as made:
        yield made


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 2, 8, tzinfo=UTC))


def queues_message(hooks: Hooks) -> None:
    now = hooks.harbor.clock.now()
    row = {
        "id": uuid.uuid4(),
        "organization_id": hooks.harbor.organization.id,
        "channel": "sms",
        "recipient": "+33612345678",
        "name": "recovery_codes",
        "language": "en",
        "subject": "",
        "urgent": True,
        "body": "sealed",
        "status": MessageStatus.QUEUED,
        "due_at": now,
        "created_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    hooks.harbor.executes(sa.insert(Message).values(row))


def test_no_hot_path_reads_a_table_whole(hooks: Hooks) -> None:
    harbor, services = hooks.harbor, hooks.harbor.services
    hooks.registers()
    phone = harbor.enrolls()
    judged = f"/org/{harbor.organization.domain}/totp-challenge/validation/{harbor.ada}"
    with heard(services.database.engine) as sent:
        for code in (harbor.wrong_codes(phone)[0], harbor.code(phone)):  # by API
            assert harbor.backend.calls("POST", judged, json={"code": code}).status == 200
        harbor.clock.advance(30)
        opened, browser = harbor.notes.opens(harbor.ada), harbor.browser()
        browser.goes_to(opened["url"])  # on the page, and redeemed
        browser.types(harbor.code(phone))
        assert harbor.notes.redeems(opened["id"], browser.back["result"]).status == 200
        queues_message(hooks)  # a sender's claim
        assert len(services.sender._claims.take(services.sender._claims.due(limit=9))) == 1
        hooks.seals()  # a webhook's
        claims = WebhookClaims(services.database, harbor.clock)
        assert claims.take(claims.due(limit=9))
        for _ in range(6):  # a limit
            reply = harbor.backend.calls("POST", judged, json={"code": "000000"})
        assert reply.status == 429
    of = {table for table in ("users", "events", "results", "messages") if table in str([*sent])}
    assert of == {"users", "events", "results", "messages"}
    assert scans(services.database.engine, sent, may_scan=FEW) == []


def test_a_scan_is_seen(hooks: Hooks) -> None:
    engine = hooks.harbor.services.database.engine
    with heard(engine) as sent:
        hooks.harbor.rows(sa.select(User.id).where(User.reenrollments == 7))
        hooks.harbor.rows(sa.select(Event.id).order_by(Event.id))
        hooks.harbor.rows(sa.select(sa.func.count()).select_from(AccessToken))
    assert len(scans(engine, sent)) == 3
