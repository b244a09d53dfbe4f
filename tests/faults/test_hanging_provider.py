"""A provider that takes calls and never answers holds nobody up, and loses no message."""

from __future__ import annotations

import ssl
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Message
from app.wiring import wire
from tests.conftest import FixedClock, Harbor, OverHttp, serving, wait_for
from tests.faults.load import Load
from tests.office import Office, settings
from tests.ports import free_port
from tests.providers.servers import Authority, hangs, misbehaving, post

pytestmark = [pytest.mark.both_databases, pytest.mark.soak]
MESSAGES, LONGER = 3, 20


def test_sign_ins_go_on_while_the_only_provider_hangs_and_then_it_gets_all_of_them(
    database_url: str, tmp_path: Path, authority: Authority, certificate: ssl.SSLContext, soak: bool
) -> None:
    base_url = f"http://localhost:{free_port()}"
    config = settings(database_url, tmp_path, authority, base_url=base_url)
    number = MESSAGES * (LONGER if soak else 1)
    with serving(config, tmp_path / "server.log"):
        wired = wire(config)
        clock = FixedClock(wired.clock.now())
        office, harbor = (
            Office(wired, clock, "Pier"),
            Harbor(OverHttp(base_url), wired, clock, base_url),
        )
        with Load(harbor, people=30) as load:
            with misbehaving(hangs) as port:
                office.mail_server(port)
                posted = office.codes(number)
                wait_for(lambda: tried(harbor) > 0)
                load.goes_on(5)
                assert "sent" not in office.statuses()
            with post("starttls", certificate, port=port) as server:
                wait_for(lambda: office.statuses().get("sent") == number)
        print(f"\n{load.counts}")
        assert load.broken == []
        load.proves()
    recipients = Counter(mail.recipients[0] for mail in server.mails)
    assert recipients == Counter(one.recipient for one in posted)
    wired.database.engine.dispose()


def tried(harbor: Harbor) -> int:
    """Count how often anybody tried to send anything."""
    [[times]] = harbor.rows(sa.select(sa.func.coalesce(sa.func.sum(Message.tries), 0)))
    return int(times)
