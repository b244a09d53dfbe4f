"""`make demo` from end to end: Harbor Notes on another origin, over HTTP and over HTTPS."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, Page, expect

from app.clock import SystemClock
from tests.actors import Phone
from tests.conftest import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.browser


def certificate(folder: Path) -> list[str]:
    """Make a throwaway certificate for localhost."""
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ["--certfile", str(folder / "cert.pem"), "--keyfile", str(folder / "key.pem")]


@pytest.fixture(params=["http", "https"])
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Run the demo as `make demo` does, and stop it as Ctrl-C does."""
    import os

    options = certificate(tmp_path) if request.param == "https" else []
    command = [sys.executable, "docs/examples/demo.py", "--json", "--data-dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, "PORT": str(free_port())},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = json.loads(process.stdout.readline())
            assert found["base_url"].startswith(request.param + "://")
            yield found
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def claim(page: Page, name: str) -> str:
    return page.locator(f'[data-claim="{name}"] .value').inner_text()


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    """A page that trusts the throwaway certificate, and on which nothing may be complained."""
    context = chrome.new_context(ignore_https_errors=True)
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    context.close()
    assert complaints == []


def manages(page: Page, demo: dict[str, Any]) -> None:
    """Ask for the user's own page, which wants a fresh code first, and come back."""
    page.get_by_role("link", name="Back to the noticeboard").click()
    page.get_by_role("button", name="Manage your methods").click()
    expect(page.get_by_label("Six-digit code")).to_be_visible()
    assert page.url.startswith(demo["base_url"])
    page.goto(demo["application_url"] + "/logbook")


def test_the_demo_from_sign_in_to_verified_claims(page: Page, demo: dict[str, Any]) -> None:
    clock = SystemClock()

    page.goto(demo["application_url"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Open the private logbook").click()
    assert page.url.startswith(demo["base_url"])
    assert "token=" not in page.url
    page.get_by_role("button", name="Authenticator app").click()
    phone = Phone(page.locator("a[href^=otpauth]").get_attribute("href") or "")
    page.get_by_label("Type the code the app shows").fill(phone.code(clock.now()))
    page.get_by_role("button", name="Confirm code").click()
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("heading", name="The logbook is open")).to_be_visible()
    assert page.url == demo["application_url"] + "/logbook"
    assert claim(page, "status") == "enrolled"
    assert claim(page, "iss") == demo["base_url"]
    assert claim(page, "sub") == demo["users"][0]["id"]

    manages(page, demo)
    page.get_by_role("button", name="Lock it again").click()
    page.get_by_role("button", name="Open the private logbook").click()
    # The first code counts as used; the next one is accepted a step early.
    page.get_by_label("Six-digit code").fill(phone.code(clock.now(), 1))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="The logbook is open")).to_be_visible()
    assert claim(page, "status") == "verified"
    assert claim(page, "acr") == "urn:gatehouse:acr:otp"
