"""What the tests of sending share: an organization that sends, and a mail server that takes it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Config
from app.wiring import Services, wire
from tests import office as offices
from tests.conftest import FixedClock
from tests.providers.servers import Authority, Post, post


@pytest.fixture
def sending(database_url: str, tmp_path: Path, authority: Authority) -> Config:
    """Settings under which the servers of the tests may be called."""
    return offices.settings(database_url, tmp_path, authority)


@pytest.fixture
def office(sending: Config, clock: FixedClock, server: Post) -> Iterator[offices.Office]:
    """It ends before the server does, with all that is on its way."""
    wired: Services = wire(sending, clock)
    yield offices.Office(wired, clock)
    wired.sender.finish(seconds=20)
    wired.database.engine.dispose()


@pytest.fixture
def server(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made
