"""A provider that fails while somebody waits for a code: real servers, and the page as it tells."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Config
from app.models import Environment, User
from app.services.audit import OPERATOR
from app.wiring import wire
from tests.actors import Browser, keep_secret
from tests.conftest import PATIENCE, FixedClock, Harbor, OverHttp, serving
from tests.office import Office, settings
from tests.ports import free_port
from tests.providers.servers import Authority, Post, Web, post, web

SIGNING_SECRET = "whsec_" + "c2lnbmluZyBzZWNyZXQgb2YgdGhlIHRlc3Rz"


@pytest.fixture
def config(database_url: str, tmp_path: Path, authority: Authority) -> Config:
    base_url = f"http://localhost:{free_port()}"
    return settings(database_url, tmp_path, authority, base_url=base_url)


@pytest.fixture
def failing(certificate: ssl.SSLContext) -> Iterator[Web]:
    """A gateway that is reached, and fails."""
    with web(certificate) as made:
        made.answers(500, b"")
        yield made


@pytest.fixture
def mails(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made


@pytest.fixture
def harbor(config: Config, tmp_path: Path) -> Iterator[Harbor]:
    wired = wire(config)
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    with serving(config, tmp_path / "server.log"):
        clock = FixedClock(wired.clock.now())
        yield Harbor(OverHttp(config.base_url), wired, clock, config.base_url)
    wired.database.engine.dispose()


def watched(browser: Browser) -> str:
    """Return what the page's script asks for."""
    [address] = re.findall(r'data-watch="([^"]+)"', browser.reply.text)
    return address


def told(browser: Browser, address: str, until: str) -> list[str]:
    """Ask as the script does, less and less often, until it is told something; return all of it."""
    pause, found, end = 1.5, [], time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(pause)
        answer = browser.wire.request("GET", address, cookies=browser.cookies)
        assert answer.status == 200, answer.text
        assert "data-underway" in answer.text or until in answer.text, answer.text
        found.append(answer.text)
        if until in answer.text:
            return found
        pause *= 1.25
    raise TimeoutError(found)


def test_the_next_provider_takes_a_code_while_its_page_waits(
    harbor: Harbor, failing: Web, mails: Post
) -> None:
    office = Office(harbor.services, harbor.clock, "Pier")
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(
            tx, OPERATOR, tx.merge(office.organization), active=True
        )
    values = {"url": failing.url, "signing_secret": keep_secret(SIGNING_SECRET)}
    office.account("http", ["email"], values)
    office.mail_server(mails)
    bo = office.user("bo")
    with harbor.services.database.writing() as tx:
        person = tx.get_one(User, bo.id)
        person.enrollment_open, person.enrolled = False, True
        office.authenticator(tx, person).confirmed_at = harbor.clock.now()
    notes = harbor.registers(
        "Pier Notes", environment=Environment.PRODUCTION, organization=office.organization.domain
    )
    browser = harbor.browser()
    browser.goes_to(notes.opens(str(bo.email))["url"])
    browser.presses("email")
    assert "Sending" in browser.page.text
    assert "Sent" in told(browser, watched(browser), "Sent")[-1]
    # The first one was asked, and the second one has it: once, and nobody else.
    assert {one.path for one in failing.came} == {"/"}
    assert failing.only.json["to"] == bo.email
    mail = mails.only()
    assert mail.recipients == [bo.email]
    [code] = set(re.findall(r"(?<![\d#])\d{6}(?!\d)", mail.part("plain")))
    browser.types(keep_secret(code))
    assert notes.checks(browser.back["result"])["sub"] == str(bo.id)
