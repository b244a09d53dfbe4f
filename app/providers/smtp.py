"""E-mail by SMTP: over TLS, to one recipient, in plain text and HTML."""

from __future__ import annotations

import re
import smtplib
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from io import BufferedReader

from app.addresses import NotAllowed
from app.deadlines import Deadline
from app.errors import Invalid
from app.exchanges import CallFailed, failure
from app.outbound import Outbound
from app.providers.base import Account, Callback, DeliveryError, Outgoing, Report, Sent, Setting
from app.providers.words import (
    delivery_error,
    is_mailbox,
    mailbox,
    on_one_of,
    one_line,
    required,
    safe,
)

_USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_FIRST_FREE_PORT, _LAST_PORT, _DIGITS = 1024, 65535, 5
_MOST_SAID = 64 * 1024
_AS_SENT = SMTP.clone(cte_type="7bit")  # no server has to know 8BITMIME
_OK, _WILL_FORWARD, _FOR_GOOD = 250, 251, 500
_UNKNOWN_RECIPIENT = frozenset({550, 551, 553})
_RULES = re.compile(r"[0-9]+ 5\.7\.")
"""An enhanced status (RFC 3463) of the server's rules: nothing is wrong with the recipient."""


class Smtp:
    """Mail servers that organizations name.

    Args:
        outbound: says which hosts may be called.
        name: how we introduce ourselves, a host name or an address literal.
    """

    kind = "smtp"
    name = "Mail server (SMTP)"
    channels = frozenset({"email"})
    settings = (
        Setting(
            name="host",
            label="Host",
            required=True,
            hint="Such as smtp.example.com.",
            addressee=True,
        ),
        Setting(
            name="security",
            label="Encryption",
            kind="choice",
            choices=(("starttls", "STARTTLS"), ("tls", "TLS from the start"), ("none", "None")),
            hint="None works only in networks that the operator allows.",
        ),
        Setting(
            name="port",
            label="Port",
            kind="number",
            hint="Usually 587 with STARTTLS, 465 with TLS, 25 with none.",
        ),
        Setting(name="username", label="User name", hint="Leave it empty if there is no sign-in."),
        Setting(name="password", label="Password", secret=True, kind="password"),
        Setting(
            name="from_address",
            label="From address",
            required=True,
            hint="Such as security@example.com.",
        ),
        Setting(name="from_name", label="From name", hint="What recipients see as the sender."),
    )

    def __init__(self, outbound: Outbound, name: str) -> None:
        self._outbound = outbound
        self._own_name = name

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether the mail server can be used; see `Provider.check`."""
        required(account, "host", "from_address")
        security, port = _security(account), _port(account)
        if not is_mailbox(account.value("from_address")):
            raise Invalid("from_address", "write one address, such as security@example.com.")
        if account.value("username") and not account.value("password"):
            raise Invalid("password", "fill it in: there is a user name.")
        try:
            self._outbound.check_host(account.value("host"), port, encrypted=security != "none")
        except NotAllowed as refused:
            raise Invalid("host", str(refused)) from None

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand the message to the mail server; see `Provider.send`."""
        deadline, talk = Deadline(seconds), _Talk()
        host, encrypted = account.value("host"), account.value("security") != "none"
        try:
            on_one_of(self.channels, outgoing)
            message = _message(account, outgoing)
            with (
                self._outbound.line(host, _port(account), deadline, encrypted=encrypted) as line,
                self._signed_in(account, line) as client,
            ):
                reply = _hand_over(client, message, talk)
        except (NotAllowed, CallFailed, Invalid) as error:
            raise delivery_error(error) from None
        except smtplib.SMTPRecipientsRefused as refused:
            raise _recipient_refused(refused, outgoing) from None
        except (OSError, ValueError) as error:
            raise _told(error, deadline, talk, outgoing) from None
        return Sent(provider_id=message["Message-ID"], detail=safe(reply, outgoing))

    def sign_in(self, account: Account, *, seconds: float) -> None:
        """Go as far as signing in, and hang up without having sent anything.

        Raises:
            DeliveryError: a message would not get further either.
        """
        deadline, nothing = (
            Deadline(seconds),
            Outgoing(id="", channel="email", recipient="", text=""),
        )
        host, encrypted = account.value("host"), account.value("security") != "none"
        try:
            with (
                self._outbound.line(host, _port(account), deadline, encrypted=encrypted) as line,
                self._signed_in(account, line) as client,
            ):
                client.ehlo_or_helo_if_needed()
                client.quit()
        except (NotAllowed, CallFailed, Invalid) as error:
            raise delivery_error(error) from None
        except (OSError, ValueError) as error:
            raise _told(error, deadline, _Talk(), nothing) from None

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Return None: mail servers don't call back."""
        return None

    @contextmanager
    def _signed_in(self, account: Account, line: socket.socket) -> Iterator[_Client]:
        """Start TLS, and sign in if there is a name to do so."""
        security, host = _security(account), account.value("host")
        with self._outbound.secured(line, host) if security == "tls" else nullcontext(line) as said:
            client = _Client(said, host, self._own_name)
            try:
                if security == "starttls":
                    client.starttls(context=self._outbound.tls)
                if name := account.value("username"):
                    client.login(name, account.value("password"))
                yield client
            finally:
                client.close()


@dataclass
class _Talk:
    """How far a conversation got: whether the message itself was said."""

    said: bool = False


class _Client(smtplib.SMTP):
    """The standard library's client, over a connection that is there, with an end to replies."""

    def __init__(self, line: socket.socket, host: str, own_name: str) -> None:
        self._line = line
        super().__init__(host, local_hostname=own_name)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._line

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply, as the standard library does, from a stream that ends."""
        if self.file is None and self.sock is not None:
            self.file = _Capped(self.sock.makefile("rb"))
        return super().getreply()


class _Capped:
    """What a server says, up to a number of bytes."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._left = _MOST_SAID

    def readline(self, size: int) -> bytes:
        line = self._stream.readline(min(size, self._left))
        self._left -= len(line)
        return line

    def close(self) -> None:
        self._stream.close()


def _hand_over(client: smtplib.SMTP, message: EmailMessage, talk: _Talk) -> str:
    """Give the message to its one recipient, and return what the server said at the end."""
    [sender], [recipient] = message["From"].addresses, message["To"].addresses
    client.ehlo_or_helo_if_needed()
    code, reply = client.mail(sender.addr_spec)
    if code != _OK:
        raise smtplib.SMTPSenderRefused(code, reply, sender.addr_spec)
    code, reply = client.rcpt(recipient.addr_spec)
    if code not in {_OK, _WILL_FORWARD}:
        raise smtplib.SMTPRecipientsRefused({recipient.addr_spec: (code, reply)})
    talk.said = True
    code, reply = client.data(message.as_bytes())
    if code != _OK:
        raise smtplib.SMTPDataError(code, reply)
    with suppress(OSError):
        client.putcmd("quit")
    return _line(code, reply)


def _message(account: Account, outgoing: Outgoing) -> EmailMessage:
    """Write the e-mail.

    Raises:
        DeliveryError: the recipient or the sender is not one plain address.
    """
    own = account.value("from_address")
    if not is_mailbox(own):
        raise DeliveryError("invalid_sender", "The From address is not one.", permanent=True)
    message = EmailMessage(_AS_SENT)
    message["From"] = Address(
        one_line(outgoing.sender or account.value("from_name")), addr_spec=own
    )
    message["To"] = Address(addr_spec=mailbox(outgoing))
    message["Subject"] = one_line(outgoing.subject)
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{outgoing.id}@{own.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no reply from a machine
    message.set_content(outgoing.text)
    if outgoing.html:
        message.add_alternative(outgoing.html, subtype="html")
    return message


def _security(account: Account) -> str:
    security = account.value("security") or "starttls"
    if security not in _USUAL_PORTS:
        raise Invalid("security", "choose starttls, tls or none.")
    return security


def _port(account: Account) -> int:
    security, text = _security(account), account.value("port")
    if not text:
        return _USUAL_PORTS[security]
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0
    if port not in _USUAL_PORTS.values() and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
        raise Invalid("port", "use 587, 465, 25, or one from 1024 to 65535.")
    return port


def _line(code: int, reply: bytes | str) -> str:
    words = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return f"{code} {words}"


def _recipient_refused(refused: smtplib.SMTPRecipientsRefused, outgoing: Outgoing) -> DeliveryError:
    [(code, reply)] = refused.recipients.values()
    words = _line(code, reply)
    return DeliveryError(
        f"smtp_{code}",
        safe(words, outgoing),
        permanent=code >= _FOR_GOOD,
        undeliverable=code in _UNKNOWN_RECIPIENT and not _RULES.match(words),
    )


def _told(error: Exception, deadline: Deadline, talk: _Talk, outgoing: Outgoing) -> DeliveryError:
    """Return why a mail server did not take a message."""
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
        return DeliveryError(
            f"smtp_{error.smtp_code}",
            safe(_line(error.smtp_code, error.smtp_error), outgoing),
            permanent=error.smtp_code >= _FOR_GOOD,
        )
    of_network = isinstance(error, smtplib.SMTPServerDisconnected)
    if of_network or deadline.over or not isinstance(error, smtplib.SMTPException):
        return delivery_error(failure(error, deadline, said=talk.said))
    if isinstance(error, smtplib.SMTPResponseException):
        return DeliveryError("smtp_malformed", "It does not speak SMTP as it should.")
    return DeliveryError("smtp_unsupported", safe(str(error), outgoing), permanent=True)
