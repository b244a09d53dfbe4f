"""What the tests of providers share: an authority, servers, and calls that may reach them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from app.outbound import Outbound
from tests.providers.servers import LOOPBACK, Authority, Web, web


@pytest.fixture
def gateway(certificate: ssl.SSLContext) -> Iterator[Web]:
    """A gateway on this machine, over HTTPS."""
    with web(certificate) as made:
        yield made


@pytest.fixture(scope="session")
def outbound(authority: Authority) -> Outbound:
    """Calls that may reach this machine."""
    return Outbound(LOOPBACK, ca_file=authority.file)
