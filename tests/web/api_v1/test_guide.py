"""Every command of the DevRIFT guide before real servers, with a real mail server receiving.

A command differs from its guide by the host, the key, contacts and codes. The guide asks for a QR
code without a command; here it is the first one with another type. Its last command of backup codes
posts to `/v1/mfa`, which sends a code to both: as printed, it works.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image

from app.models import Api, Environment
from app.services.audit import OPERATOR
from app.wiring import Services, wire
from tests.actors import keep_secret
from tests.conftest import FixedClock, make_config, serving, wait_for
from tests.ports import free_port
from tests.providers.servers import LOOPBACK, Authority, Post, Web, post, web

HEAD = """curl -X POST https://api.devrift.co/v1/{path} \\
-H "Authorization: Bearer {{sk_test_foobar...}}" \\
"""
SEND = HEAD.format(path="mfa")
VERIFY = HEAD.format(path="mfa/verify")
BACKUP = HEAD.format(path="mfa/backup")
VERIFY_EMAIL = VERIFY + '-d "User=YOUR_USERS_EMAIL, Type=EMAIL, Code=YOUR_USERS_MFA_CODE"'
VERIFY_PHONE = VERIFY + '-d "User=YOUR_USERS_PHONE_NUMBER, Type=PHONE, Code=YOUR_USERS_MFA_CODE"'
VERIFY_APP = VERIFY + '-d "User=YOUR_USERS_CONTACT, Type=APP, Code=YOUR_USERS_MFA_CODE"'
VERIFY_DUAL = VERIFY + (
    '-d "User=YOUR_USERS_EMAIL:YOUR_USERS_PHONE_NUMBER, Type=DUAL, Code=YOUR_USERS_MFA_CODE"'
)
SEND_EMAIL = SEND + '-d "User=YOUR_USERS_EMAIL, Type=EMAIL"'
SEND_SMS = SEND + '-d "User=YOUR_USERS_PHONE_NUMBER, Type=SMS"'
SEND_DUAL = SEND + '-d "User=YOUR_USERS_EMAIL:YOUR_USERS_PHONE_NUMBER, Type=DUAL"'
BEGIN_APP = SEND + '-d "User=YOUR_USERS_CONTACT, Type=APP"'
BACK_UP_BY_EMAIL = BACKUP + '-d "User=YOUR_USERS_EMAIL, Type=EMAIL"'
BACK_UP_BY_SMS = BACKUP + '-d "User=YOUR_USERS_PHONE_NUMBER, Type=SMS"'

SIGNING_SECRET = "whsec_" + base64.b64encode(b"a signing secret of 32 bytes....").decode()


class Shell:
    """Somebody who types the guide's commands, with what their own deployment is called."""

    def __init__(self, base_url: str, secret: str) -> None:
        self.base_url = base_url
        self.secret = secret

    def types(
        self, command: str, *, email: str = "", phone: str = "", contact: str = "", code: str = ""
    ) -> Any:
        """Type a command; return what it answers, which has to be a success."""
        status, answer = self.tries(command, email=email, phone=phone, contact=contact, code=code)
        assert status == 200, answer
        return answer

    def tries(self, command: str, **values: str) -> tuple[int, Any]:
        typed = command.replace("https://api.devrift.co", self.base_url)
        typed = typed.replace("{sk_test_foobar...}", self.secret)
        for name, value in (
            ("YOUR_USERS_MFA_CODE", values.get("code", "")),
            ("YOUR_USERS_PHONE_NUMBER", values.get("phone", "")),
            ("YOUR_USERS_EMAIL", values.get("email", "")),
            ("YOUR_USERS_CONTACT", values.get("contact", "")),
        ):
            typed = typed.replace(name, value)
        ran = subprocess.run(
            ["bash", "-c", f"{typed} --silent --show-error --write-out '\\n%{{http_code}}'"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        text, _, status = ran.stdout.rpartition("\n")
        return int(status), json.loads(text)


class Live:
    """A production organization whose mail and texts go to servers on this machine."""

    def __init__(self, services: Services, mails: Post, texts: Web) -> None:
        self.mails, self.texts = mails, texts
        with services.database.writing() as tx:
            organization = services.organizations.create(
                tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
            )
            services.method_settings.change(tx, OPERATOR, organization, active=True)
            accounts = services.provider_accounts
            mail = accounts.draft(
                "smtp",
                name="Mail",
                channels=["email"],
                values={
                    "host": "127.0.0.1",
                    "port": str(mails.port),
                    "security": "starttls",
                    "username": "harbor",
                    "password": keep_secret(mails.USERS["harbor"]),
                    "from_address": "mfa@harbor.example",
                },
            )
            text = accounts.draft(
                "http",
                name="Texts",
                channels=["sms"],
                values={"url": texts.url, "signing_secret": keep_secret(SIGNING_SECRET)},
            )
            for draft in (mail, text):
                accounts.create(tx, OPERATOR, organization, draft)
            services.sending_rules.change(tx, OPERATOR, organization, countries=("FR",))
            for kind in ("email", "sms", "dual"):
                services.channels.change(tx, OPERATOR, organization, kind, active=True)
            _, self.secret = services.api_keys.create(
                tx,
                OPERATOR,
                environment=Environment.PRODUCTION,
                name="Guide",
                organization=organization,
                api=Api.V1,
            )
        keep_secret(self.secret)

    def mailed(self, to: str) -> list[str]:
        return [one.part("plain") for one in list(self.mails.mails) if one.recipients == [to]]

    def texted(self, to: str) -> list[str]:
        bodies = [one.json for one in list(self.texts.came)]
        return [body["text"] for body in bodies if body["to"] == to]


def newest(read: Callable[[str], list[str]], to: str, pattern: str, seen: int = 0) -> list[str]:
    """Wait until a message after the first `seen` says something, and return what it says."""
    found: list[list[str]] = []

    def look() -> bool:
        found[:] = [hits for text in read(to)[seen:] if (hits := re.findall(pattern, text))]
        return bool(found)

    wait_for(look)
    return [keep_secret(hit) for hit in found[-1]]


CODE, BACKUP_CODE = r"(?<![\d+-])\d{6}(?!\d)", r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b"


@pytest.fixture
def live(
    database_url: str, tmp_path: Path, authority: Authority, certificate: ssl.SSLContext
) -> Iterator[tuple[Live, Shell]]:
    config = make_config(
        database_url,
        tmp_path,
        base_url=f"http://localhost:{free_port()}",
        outbound_networks=LOOPBACK,
        ca_file=authority.file,
    )
    services = wire(config, FixedClock(datetime.now(UTC)))  # noqa: TID251 (as the servers)
    with post("starttls", certificate) as mails, web(certificate) as texts:
        texts.answers(202, b"")
        made = Live(services, mails, texts)
        with serving(config, tmp_path / "server.log"):
            yield made, Shell(config.base_url, made.secret)
    services.database.engine.dispose()


def app_of(answer: dict[str, Any]) -> str:
    """Scan the QR code of an answer with a camera; return the key."""
    picture = Image.open(io.BytesIO(base64.b64decode(answer["qr_code"])))
    scanned = zxingcpp.read_barcode(picture.convert("L"))
    assert scanned is not None
    return keep_secret(parse_qs(urlsplit(scanned.text).query)["secret"][0])


def shows(key: str, later: int = 0) -> str:
    """Return what oathtool shows for a key, now or a little later."""
    command = ["oathtool", "--totp", "--base32", f"--now={later} seconds", key]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


needs_tools = pytest.mark.skipif(
    not ((shutil.which("oathtool") and shutil.which("curl")) or os.environ.get("CI")),
    reason="curl or oathtool is not installed; a check that counts has them",
)


@needs_tools
def test_every_command_of_the_guide_works_as_it_is_printed(live: tuple[Live, Shell]) -> None:
    harbor, shell = live
    by_email(harbor, shell)
    by_sms(harbor, shell)
    by_both(harbor, shell)
    by_app(shell)
    with_backup_codes(harbor, shell)
    # Mail went over TLS, each to its recipient alone.
    assert all(harbor.mails.encrypted)
    assert all(len(one.recipients) == 1 for one in harbor.mails.mails)


def by_email(harbor: Live, shell: Shell) -> None:
    email = "ada@harbor.example"
    sent = shell.types(SEND_EMAIL, email=email)
    [code] = set(newest(harbor.mailed, email, CODE))
    assert code not in json.dumps(sent)
    refused = shell.tries(VERIFY_EMAIL, email=email, code=f"{(int(code) + 1) % 10**6:06}")
    assert (refused[0], refused[1]["error"]["type"]) == (401, "invalid_code")
    assert shell.types(VERIFY_EMAIL, email=email, code=code)["status"] == "verified"


def by_sms(harbor: Live, shell: Shell) -> None:
    phone = "+33612345678"
    shell.types(SEND_SMS, phone=phone)
    [code] = set(newest(harbor.texted, phone, CODE))
    assert shell.types(VERIFY_PHONE, phone=phone, code=code)["status"] == "verified"


def by_both(harbor: Live, shell: Shell) -> None:
    email, phone = "bo@harbor.example", "+33698765432"
    shell.types(SEND_DUAL, email=email, phone=phone)
    [mailed] = set(newest(harbor.mailed, email, CODE))
    [texted] = set(newest(harbor.texted, phone, CODE))
    assert mailed == texted
    verified = shell.types(VERIFY_DUAL, email=email, phone=phone, code=texted)
    assert verified["status"] == "verified"


def by_app(shell: Shell) -> None:
    contact = "cy@harbor.example"
    key = app_of(shell.types(BEGIN_APP, contact=contact))
    assert shell.types(VERIFY_APP, contact=contact, code=shows(key))["status"] == "verified"
    # The next code, which a clock that is a little fast shows already.
    again = shell.types(VERIFY_APP, contact=contact, code=shows(key, 30))
    assert again["status"] == "verified"


def with_backup_codes(harbor: Live, shell: Shell) -> None:
    email, phone = "ada@harbor.example", "+33612345678"
    seen = len(harbor.mailed(email))
    answer = shell.types(BACK_UP_BY_EMAIL, email=email)
    codes = newest(harbor.mailed, email, BACKUP_CODE, seen)
    assert len(set(codes)) == answer["count"] == 5
    assert not any(code in json.dumps(answer) for code in codes)
    verified = shell.types(VERIFY_EMAIL, email=email, code=codes[0])
    assert verified["recovery_code_used"] is True
    shell.types(BACK_UP_BY_SMS, phone=phone)
    codes = newest(harbor.texted, phone, BACKUP_CODE)
    assert shell.types(VERIFY_PHONE, phone=phone, code=codes[0])["recovery_code_used"] is True
    # As printed: it posts to /v1/mfa.
    pair = {"email": "dee@harbor.example", "phone": "+33611223344"}
    shell.types(SEND_DUAL, **pair)
    [code] = set(newest(harbor.texted, pair["phone"], CODE))
    assert shell.types(VERIFY_DUAL, **pair, code=code)["status"] == "verified"
