"""Other people's servers on this machine: a web gateway, a mail server, and one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.ports import free_port

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_LOCAL = ("localhost", "127.0.0.1")


class Authority:
    """A throwaway authority for certificates, which nobody trusts who is not told to."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server of these names proves itself with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or _LOCAL)).configure_cert(context)
        return context

    def files(self, folder: Path, *names: str) -> tuple[Path, Path]:
        """Return the same as files, for a server in a process of its own: certificate, key."""
        issued = self._ca.issue_cert(*(names or _LOCAL))
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(certificate, append=number > 0)
        issued.private_key_pem.write_to_path(key)
        return certificate, key


# The web


@dataclass
class Came:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        pairs = parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs), "a field is there twice"
        return dict(pairs)

    @property
    def forms(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Web:
    """A server of the web that answers as it is told."""

    url: str
    port: int
    came: list[Came] = field(default_factory=list)
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    decides: Callable[[Came], int] | None = None
    """The status for each request, if it is not always the same."""
    connections: int = 0
    """So many were opened to it."""

    def answers(self, status: int, body: bytes | dict[str, Any] = b"{}", **headers: str) -> None:
        self.status, self.headers = status, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    @property
    def only(self) -> Came:
        [one] = self.came
        return one


@contextlib.contextmanager
def web(
    tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", *, keeps: bool = False
) -> Iterator[Web]:
    class Serves(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps else "HTTP/1.0"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came = Came(self.command, self.path, headers, body)
            made.came.append(came)
            with contextlib.suppress(OSError):
                self.send_response(made.decides(came) if made.decides else made.status)
                for name, value in made.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(made.body)))
                self.end_headers()
                self.wfile.write(made.body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: Any) -> None:
            pass  # who calls may hang up

        def get_request(self) -> Any:
            line, address = super().get_request()
            made.connections += 1
            if not tls:
                return line, address
            try:
                line.settimeout(5)
                return tls.wrap_socket(line, server_side=True), address
            except OSError:
                line.close()
                raise

    server = Server((host, 0), Serves)
    scheme = "https" if tls else "http"
    made = Web(f"{scheme}://{host}:{server.server_port}", server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# Whatever a server can do wrong


Talk = Callable[[socket.socket, Event], None]


@contextlib.contextmanager
def misbehaving(talk: Talk) -> Iterator[int]:
    """Let a function talk to whoever connects, until the test is over; yield the port."""
    over = Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                line, _ = listener.accept()
                line.settimeout(0.2)
                with line, contextlib.suppress(OSError):
                    talk(line, over)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


def hangs(line: socket.socket, over: Event) -> None:
    over.wait(60)


def drips(start: bytes, drop: bytes = b"a", every: float = 0.05) -> Talk:
    """Say something, and then a little more, again and again."""

    def talk(line: socket.socket, over: Event) -> None:
        line.sendall(start)
        while not over.wait(every):
            line.sendall(drop)

    return talk


def floods(start: bytes, wave: bytes) -> Talk:
    """Say more than anybody wants to hear."""
    return drips(start, wave, 0)


# Mail


@dataclass
class Mail:
    """An e-mail as it arrived, with the envelope that carried it."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=default)
        assert isinstance(found, EmailMessage)
        return found

    def part(self, subtype: str) -> str:
        body = self.message.get_body(preferencelist=(subtype,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass
class Post:
    """A mail server that replies as it is told, and keeps what it took."""

    port: int
    mails: list[Mail] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    """Every recipient that was named to it, refused or not."""
    greeted_by: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    seconds: float = 0
    """That it takes for each mail; a change counts for those that it has, too."""
    meanwhile: Callable[[Mail], None] = lambda mail: None
    """What happens while it has a mail, and has not said so yet."""

    USERS: ClassVar = {"harbor": "a password of the mail server"}

    def only(self) -> Mail:
        [one] = self.mails
        return one

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Session, _: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greeted_by.append(hostname)
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: Any, _: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.replies.get("mail", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, _: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried.append(address)
        reply = self.replies.get("rcpt", "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802
        self, server: Any, _: Any, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        mail = Mail(envelope.mail_from or "", [*envelope.rcpt_tos], content)
        secured = server.transport.get_extra_info("ssl_object")
        began = time.monotonic()
        while (left := began + self.seconds - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.02))
        await asyncio.to_thread(self.meanwhile, mail)
        reply = self.replies.get("data", "250 2.0.0 Ok: queued as 1A2B")
        if reply.startswith("250"):
            self.mails.append(mail)
            self.encrypted.append(secured is not None)
        return reply

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any
    ) -> Any:
        assert isinstance(data, LoginPassword)
        right = self.USERS.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, handled=False)


@contextlib.contextmanager
def post(
    security: str = "starttls", tls: ssl.SSLContext | None = None, *, port: int = 0
) -> Iterator[Post]:
    """A real mail server.

    Args:
        security: `starttls`, `tls` or `none`, as an account has it.
        port: that it listens at; 0 for one that is free.
    """
    for name in ("mail.log", "mail.debug", "asyncio"):
        logging.getLogger(name).disabled = True  # they are the other side's
    port = port or free_port()
    made = Post(port)
    options: dict[str, Any] = {"authenticator": made.authenticate, "auth_required": False}
    if security == "starttls" and tls:
        options |= {"tls_context": tls, "require_starttls": True}
    controller = Controller(
        made,
        hostname="127.0.0.1",
        port=port,
        ssl_context=tls if security == "tls" else None,
        auth_require_tls=security == "starttls",
        server_hostname="mail.harbor.example",
        ident="Mail of the tests",
        **options,
    )
    controller.start()
    try:
        yield made
    finally:
        controller.stop()
