"""E-mail by SMTP, to a real server with real certificates."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from app.errors import Invalid
from app.outbound import Outbound
from app.providers.base import Account, Callback, DeliveryError, Sent
from app.providers.smtp import Smtp
from tests.actors import keep_secret
from tests.providers.messages import ADDRESS, CODE, outgoing
from tests.providers.servers import (
    LOOPBACK,
    Authority,
    Post,
    Talk,
    drips,
    floods,
    hangs,
    misbehaving,
    post,
)

PASSWORD = Post.USERS["harbor"]


@pytest.fixture
def mail(outbound: Outbound) -> Smtp:
    return Smtp(outbound, "mfa.harbor.example")


@pytest.fixture
def server(certificate: ssl.SSLContext) -> Iterator[Post]:
    with post("starttls", certificate) as made:
        yield made


def account(port: int, security: str = "starttls", **more: str) -> Account:
    password = more.pop("password", "")
    if password:
        keep_secret(password)
    settings = {
        "host": "localhost",
        "port": str(port),
        "security": security,
        "from_address": "security@harbor.example",
        "from_name": "Harbor",
        **more,
    }
    return Account(settings=settings, secrets={"password": password} if password else {})


def send(mail: Smtp, at: Account, seconds: float = 5, **changed: Any) -> Sent:
    return mail.send(at, outgoing("email", **changed), seconds=seconds)


def fails(mail: Smtp, at: Account, seconds: float = 5, **changed: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as failed:
        send(mail, at, seconds, **changed)
    for secret in (CODE, ADDRESS, PASSWORD):
        assert secret not in str(failed.value)
        assert secret not in failed.value.detail
    return failed.value


# A mail arrives


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_mail_arrives_at_its_one_recipient(
    security: str, mail: Smtp, certificate: ssl.SSLContext
) -> None:
    with post(security, None if security == "none" else certificate) as server:
        sent = send(mail, account(server.port, security))
        came = server.only()
        assert came.recipients == server.tried == [ADDRESS]
        assert came.sender == "security@harbor.example"
        assert came.message["To"] == ADDRESS
        assert came.message["From"] == "Harbor <security@harbor.example>"
        assert came.message["Subject"] == "Your Harbor code"
        assert came.message.get_all("Cc", []) + came.message.get_all("Bcc", []) == []
        assert server.encrypted == [security != "none"]
    assert sent.detail == "250 2.0.0 Ok: queued as 1A2B"


def test_a_mail_names_its_row_and_says_that_a_machine_wrote_it(mail: Smtp, server: Post) -> None:
    sent = send(mail, account(server.port))
    message = server.only().message
    assert message["Message-ID"] == f"<{outgoing().id}@harbor.example>" == sent.provider_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.year >= 2026
    assert server.greeted_by[-1] == "mfa.harbor.example"


def test_a_mail_is_plain_text_with_html_beside_it(mail: Smtp, server: Post) -> None:
    text = f"Votre code Harbor est {CODE} — valable 10 minutes.\n.\n" + "é" * 1200 + "\n"
    html = f"<p lang=fr>Votre code Harbor est <b>{CODE}</b> — «valable»</p>"
    send(mail, account(server.port), text=text, html=html)
    message = server.only().message
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert server.only().part("plain") == text
    assert server.only().part("html").strip() == html
    assert server.only().content.isascii()
    assert max(map(len, server.only().content.split(b"\r\n"))) <= 998


def test_without_html_it_is_plain_text_alone(mail: Smtp, server: Post) -> None:
    send(mail, account(server.port))
    assert server.only().message.get_content_type() == "text/plain"
    assert CODE in server.only().part("plain")


def test_the_organization_s_name_is_the_sender_s(mail: Smtp, server: Post) -> None:
    send(mail, account(server.port), sender="Café “Harbor”, Ltd <x@evil.example>")
    [sender] = server.only().message["From"].addresses
    assert sender.addr_spec == "security@harbor.example"
    assert sender.display_name == "Café “Harbor”, Ltd <x@evil.example>"
    assert server.only().sender == "security@harbor.example"


def test_no_name_at_all_is_a_bare_address(mail: Smtp, server: Post) -> None:
    send(mail, account(server.port, from_name=""))
    assert server.only().message["From"] == "security@harbor.example"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_whoever_has_a_name_signs_in(
    security: str, mail: Smtp, certificate: ssl.SSLContext
) -> None:
    with post(security, certificate) as server:
        send(mail, account(server.port, security, username="harbor", password=PASSWORD))
        assert server.only().recipients == [ADDRESS]
        wrong = account(server.port, security, username="harbor", password="a wrong one")
        refused = fails(mail, wrong)
        assert (refused.code, refused.permanent) == ("smtp_535", True)
        assert not refused.undeliverable
        assert len(server.mails) == 1


# Nothing can be slipped in


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x00", "\x0b"])
def test_no_header_can_be_slipped_in(end: str, mail: Smtp, server: Post) -> None:
    evil = f"Hello{end}Bcc: eve@evil.example{end}{end}body"
    send(mail, account(server.port, from_name=evil), subject=evil)
    send(mail, account(server.port), subject=evil, sender=evil)
    for came in server.mails:
        assert came.recipients == [ADDRESS]
        assert came.message["Bcc"] is None
        assert came.message["Subject"] == "Hello Bcc: eve@evil.example body"
        assert came.message["From"].addresses[0].display_name == came.message["Subject"]
        assert CODE in came.part("plain")


TWO = [
    "ada@harbor.example, eve@evil.example",
    "ada@harbor.example,eve@evil.example",
    "ada@harbor.example;eve@evil.example",
    "ada@harbor.example eve@evil.example",
    "ada@harbor.example\r\nRCPT TO:<eve@evil.example>",
    "ada@harbor.example\nBcc: eve@evil.example",
    "<eve@evil.example>ada@harbor.example",
    "eve@evil.example@harbor.example",
    '"eve@evil.example"@harbor.example',
    "@evil.example:ada@harbor.example",
    "ada(comment)@harbor.example",
    "Ada <ada@harbor.example>",
    "ada@[127.0.0.1]",
    "ada@harbor.example>",
    "ada@hаrbor.example",  # noqa: RUF001  (a Cyrillic letter)
    "ada@",
    "@harbor.example",
    "ada",
    "",
    " ",
]


@pytest.mark.parametrize("recipient", TWO)
def test_what_is_not_one_plain_address_gets_nothing(
    recipient: str, mail: Smtp, server: Post
) -> None:
    with pytest.raises(DeliveryError) as failed:
        mail.send(account(server.port), outgoing("email", recipient=recipient or " "), seconds=5)
    assert (failed.value.code, failed.value.undeliverable) == ("invalid_recipient", True)
    assert server.tried == []
    assert server.mails == []


# What a server refuses


REFUSALS = [
    ("rcpt", "550 5.1.1 <{to}>: Recipient address rejected: User unknown", True, True),
    ("rcpt", "550 No such user here", True, True),
    ("rcpt", "553 5.1.2 Bad address", True, True),
    ("rcpt", "551 5.1.6 User has moved", True, True),
    ("rcpt", "550 5.7.1 Unable to relay for {to}", True, False),
    ("rcpt", "554 5.7.1 <{to}>: Relay access denied", True, False),
    ("rcpt", "552 5.2.2 Mailbox full", True, False),
    ("rcpt", "450 4.2.0 Greylisted", False, False),
    ("rcpt", "452 4.5.3 Too many", False, False),
    ("rcpt", "421 4.7.0 Try again later", False, False),
    ("mail", "550 5.7.1 Sender refused", True, False),
    ("mail", "451 4.3.0 Try later", False, False),
    ("mail", "421 4.3.2 Shutting down", False, False),
    ("data", "554 5.6.0 Looks like spam: {code}", True, False),
    ("data", "452 4.3.1 Out of storage", False, False),
]


@pytest.mark.parametrize(("step", "reply", "permanent", "undeliverable"), REFUSALS)
def test_a_refusal_tells_the_server_s_words_and_what_to_do(
    step: str, reply: str, permanent: bool, undeliverable: bool, mail: Smtp, server: Post
) -> None:
    server.replies[step] = reply.format(to=ADDRESS, code=CODE)
    refused = fails(mail, account(server.port))
    assert refused.code == f"smtp_{reply[:3]}"
    assert refused.detail == reply.format(to="…", code="…")
    assert (refused.permanent, refused.undeliverable) == (permanent, undeliverable)
    assert not refused.maybe_sent
    assert server.mails == []


def test_a_server_without_tls_gets_neither_password_nor_mail(mail: Smtp) -> None:
    with post("none") as server:
        at = account(server.port, username="harbor", password=PASSWORD)
        refused = fails(mail, at)
        assert (refused.code, refused.permanent) == ("smtp_unsupported", True)
        assert "STARTTLS" in refused.detail
        assert server.tried == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_gets_nothing(
    security: str, mail: Smtp, authority: Authority
) -> None:
    with post(security, authority.server("other.example")) as server:
        refused = fails(mail, account(server.port, security))
        assert (refused.code, refused.permanent) == ("certificate", True)
        assert server.tried == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    security: str, certificate: ssl.SSLContext
) -> None:
    stranger = Smtp(Outbound(LOOPBACK), "mfa.harbor.example")
    with post(security, certificate) as server:
        assert fails(stranger, account(server.port, security)).code == "certificate"
        assert server.tried == []


# What never ends


def then_drips(line: socket.socket, over: Event) -> None:
    line.sendall(b"220 ready\r\n")
    line.recv(1000)
    drips(b"250-mail\r\n", b"250-X\r\n", 0.01)(line, over)


def hangs_after_the_mail(line: socket.socket, over: Event) -> None:
    line.sendall(b"220 ready\r\n")
    for reply in (b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
        line.recv(1000)
        line.sendall(reply)
    over.wait(60)


SLOW = {
    "says nothing": (hangs, False),
    "drips its greeting": (drips(b"2"), False),
    "drips an endless reply": (then_drips, False),
    "never says whether it took the mail": (hangs_after_the_mail, True),
}


@pytest.mark.parametrize("way", SLOW)
def test_a_server_that_never_ends_is_left_in_time(way: str, mail: Smtp) -> None:
    talk, maybe_sent = SLOW[way]
    with misbehaving(talk) as port:
        begun = time.monotonic()
        # It has to come that far first, on a busy machine, too.
        refused = fails(mail, account(port, "none"), seconds=2 if maybe_sent else 0.6)
        assert time.monotonic() - begun < 20
        assert (refused.code, refused.permanent) == ("timeout", False)
        assert refused.maybe_sent is maybe_sent


NOISE: dict[str, tuple[Talk, str]] = {
    "floods a reply": (floods(b"", b"220-" + b"x" * 500 + b"\r\n"), "unreachable"),
    "floods a line": (floods(b"220 ", b"x" * 65536), "smtp_500"),
    "speaks HTTP": (drips(b"HTTP/1.1 400 Bad Request\r\n", b""), "smtp_malformed"),
    "hangs up": (lambda line, over: None, "unreachable"),
    "is full": (drips(b"421 4.3.2 Too busy\r\n", b""), "smtp_421"),
    "is closed": (drips(b"554 No service\r\n", b""), "smtp_554"),
}


@pytest.mark.parametrize("way", NOISE)
def test_a_server_that_does_not_speak_smtp_is_left(way: str, mail: Smtp) -> None:
    talk, code = NOISE[way]
    with misbehaving(talk) as port:
        assert fails(mail, account(port, "none")).code == code


def test_nobody_there_is_told(mail: Smtp) -> None:
    with misbehaving(hangs) as port:
        pass
    refused = fails(mail, account(port))
    assert (refused.code, refused.permanent) == ("unreachable", False)


# Where mail may be handed in


INSIDE = [
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "169.254.169.254",
    "2130706433",
    "0x7f.1",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",  # noqa: S104
    "user@mail.example",
    "mail.example:25",
    "mail.example/x",
    "mail example",
]


@pytest.mark.parametrize("host", INSIDE)
def test_a_host_inside_is_refused_at_check_and_at_send(host: str) -> None:
    """F76."""
    mail = Smtp(Outbound(), "mfa.harbor.example")
    with pytest.raises(Invalid) as refused:
        mail.check(account(587, host=host), ["email"])
    assert refused.value.field == "host"
    failed = fails(mail, account(587, host=host))
    assert (failed.code, failed.permanent) == ("address_not_allowed", True)


def test_without_tls_only_an_allowed_network_is_taken(mail: Smtp) -> None:
    public = Smtp(Outbound(resolve=lambda host, port: ["93.184.216.34"]), "mfa.harbor.example")
    public.check(account(587, host="mail.example"), ["email"])
    with pytest.raises(Invalid, match="TLS"):
        public.check(account(25, "none", host="mail.example"), ["email"])
    assert fails(public, account(25, "none", host="mail.example")).code == "address_not_allowed"
    mail.check(account(25, "none"), ["email"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("from_address", ""),
        ("from_address", "Harbor"),
        ("from_address", "Harbor <security@harbor.example>"),
        ("from_address", "a@b.example\nBcc: c@d.example"),
        ("security", "ssl"),
        ("port", "0"),
        ("port", "22"),
        ("port", "80"),
        ("port", "65536"),
        ("port", "99999999999999"),
        ("port", "٥٨٧"),
        ("port", "smtp"),
    ],
)
def test_a_setting_that_can_t_be_used_is_told_by_its_name(
    name: str, value: str, mail: Smtp
) -> None:
    at = account(587)
    with pytest.raises(Invalid) as refused:
        mail.check(Account(settings={**at.settings, name: value}), ["email"])
    assert refused.value.field == name
    with pytest.raises(DeliveryError):
        send(mail, Account(settings={**at.settings, name: value}), 1)


def test_a_name_to_sign_in_with_wants_a_password(mail: Smtp) -> None:
    with pytest.raises(Invalid) as refused:
        mail.check(account(587, username="harbor"), ["email"])
    assert refused.value.field == "password"
    mail.check(account(587, username="harbor", password=PASSWORD), ["email"])


def test_the_usual_port_is_taken_where_none_is_set(mail: Smtp) -> None:
    for security in ("starttls", "tls", "none", ""):
        at = account(0, security)
        mail.check(Account(settings={**at.settings, "port": ""}), ["email"])


def test_a_mail_server_never_reports(mail: Smtp) -> None:
    assert mail.report(account(587), Callback(url="https://x.example", headers={})) is None
