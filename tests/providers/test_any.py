"""What holds for every provider, whatever it is given."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.providers import providers
from app.providers.base import (
    CHANNELS,
    Account,
    Callback,
    DeliveryError,
    Forged,
    Outgoing,
    Provider,
    Sent,
)
from tests.conftest import START, FixedClock, make_config
from tests.providers.servers import LOOPBACK, Authority, Post, Web, post, web

ACCOUNT = "AC" + "0a" * 16
NUMBER, ADDRESS = "+33612345678", "ada@harbor.example"
ANYTHING = st.text(st.characters(), max_size=40)
MANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def gateway(certificate: ssl.SSLContext) -> Iterator[Web]:
    with web(certificate) as made:
        made.answers(201, {"sid": "SM1", "messages": [{"status": "0", "message-id": "1"}]})
        yield made


@pytest.fixture(scope="module")
def server(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made


@pytest.fixture(scope="module")
def known(
    authority: Authority, gateway: Web, server: Post, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Provider]:
    config = make_config(
        "sqlite://",
        Path(tmp_path_factory.mktemp("data")),
        outbound_networks=LOOPBACK,
        ca_file=authority.file,
        twilio_url=gateway.url,
        vonage_url=gateway.url,
        mail_from="mfa@gate.example",
        smtp_url=f"smtp://localhost:{server.port}",
    )
    return providers(config, FixedClock(START))


def account(gateway: Web, server: Post) -> Account:
    """An account that every provider finds its own settings in."""
    return Account(
        settings={
            "url": gateway.url,
            "host": "localhost",
            "port": str(server.port),
            "from_address": "security@harbor.example",
            "account_sid": ACCOUNT,
            "api_key": "abcd1234",
            "sms_from": "Harbor",
            "whatsapp_from": "+15005550006",
            "voice_from": "+15005550006",
            "content_sids": "en=HX" + "0d" * 16,
        },
        secrets={
            "auth_token": "a token",
            "api_secret": "a secret",
            "signature_secret": "a secret",
            "signing_secret": "whsec_" + base64.b64encode(b"x" * 32).decode(),
        },
    )


KINDS = ["smtp", "deployment", "twilio", "vonage", "http"]


def test_these_are_all_that_there_are(known: dict[str, Provider]) -> None:
    assert set(known) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(data=st.data())
def test_sending_ends_in_a_message_sent_or_in_one_kind_of_error(
    kind: str, data: st.DataObject, known: dict[str, Provider], gateway: Web, server: Post
) -> None:
    """And whatever a message holds, it goes to its recipient and to nobody else."""
    provider = known[kind]
    channel = data.draw(st.sampled_from(sorted(CHANNELS)))
    recipient = ADDRESS if channel == "email" else NUMBER
    message = Outgoing(
        id="7f3b1c52",
        channel=channel,
        recipient=recipient,
        sender=data.draw(st.none() | ANYTHING),
        subject=data.draw(ANYTHING),
        text=data.draw(ANYTHING),
        html=data.draw(st.none() | ANYTHING),
        language=data.draw(st.sampled_from(["en", "fr"]) | ANYTHING),
        variables=data.draw(
            st.dictionaries(st.sampled_from(["code", "minutes", "organization"]), ANYTHING)
        ),
        callback_url=data.draw(st.none() | st.just("https://mfa.example.com/callbacks/1")),
    )
    gateway.came.clear()
    server.mails.clear()
    server.tried.clear()
    try:
        sent = provider.send(account(gateway, server), message, seconds=5)
    except DeliveryError as refused:
        assert refused.code
        assert refused.detail.isprintable()
        assert gateway.came == []
        assert server.mails == []
        return
    assert isinstance(sent, Sent)
    assert channel in provider.channels
    for came in gateway.came:
        assert came.body.count(b"33612345678") + came.body.count(ADDRESS.encode()) >= 1
    for mail in server.mails:
        assert mail.recipients == server.tried == [ADDRESS]
        assert [one.addr_spec for one in mail.message["To"].addresses] == [ADDRESS]
    assert len(gateway.came) + len(server.mails) == 1


HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-Twilio-Signature", "webhook-id", "webhook-timestamp", "webhook-signature", "x"]
    ),
    ANYTHING,
)
FIELDS = st.dictionaries(st.sampled_from(["sig", "status", "messageId"]) | ANYTHING, ANYTHING)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(headers=HEADERS, form=FIELDS, body=st.binary(max_size=60), query=ANYTHING)
def test_a_callback_that_anybody_made_up_is_forged(
    kind: str,
    headers: dict[str, str],
    form: dict[str, str],
    body: bytes,
    query: str,
    known: dict[str, Provider],
    gateway: Web,
    server: Post,
) -> None:
    url = f"https://mfa.example.com/callbacks/1?{query}"
    callback = Callback(url=url, headers=headers, body=body, form=form)
    told: Any = None
    try:
        told = known[kind].report(account(gateway, server), callback)
    except Forged:
        return
    assert told is None
    assert kind in {"smtp", "deployment"}  # they take none


def test_nothing_that_is_passed_around_shows_its_secrets(gateway: Web, server: Post) -> None:
    message = Outgoing(
        id="7f3b1c52",
        channel="sms",
        recipient=NUMBER,
        text="hush 582914",
        variables={"code": "582914"},
        sender="hush",
        subject="hush",
        html="hush",
        callback_url="https://hush.example",
    )
    shown = repr(message) + repr(account(gateway, server))
    shown += repr(Callback(url="hush", headers={"a": "hush"}, body=b"hush", form={"a": "hush"}))
    for secret in (NUMBER, "hush", "582914", "a token", "a secret", "whsec_"):
        assert secret not in shown
