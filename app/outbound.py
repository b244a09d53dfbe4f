"""Calls to addresses that customers may name: no way inside, no detour, no end in sight unseen.

What is called is what was checked: a name is resolved once, all its addresses are judged, and the
connection goes to one of them, under the name's own certificate. Redirects are answers like any
other, and an exchange has an end in seconds and in bytes. Nothing here is logged.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from app.addresses import NotAllowed, Target, host_name, is_public, target, unwrapped
from app.deadlines import Deadline

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

MOST_BYTES = 64 * 1024
"""Of an answer's body."""
CHECK_SECONDS = 5.0


class CallFailed(Exception):
    """A call that got no answer.

    Args:
        code: `timeout`, `unresolvable`, `unreachable`, `certificate`, `answer_too_large` or
            `malformed_request`.
        detail: one sentence for an administrator.
        said: everything was said, so the other side may have acted on it.
    """

    def __init__(self, code: str, detail: str, *, said: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.said = said


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: names in lower case.
        body: whole, or b"" if it was not asked for.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def resolve(host: str, port: int) -> Sequence[str]:
    """Return all addresses of a name, in the order of the system's preference.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outbound:
    """Calls what customers name, as far as the operator lets them.

    Args:
        networks: private ones that may be called all the same, also without TLS.
        ca_file: certificates (PEM) that are trusted beside those of the system.
        resolve: another way to look names up (tests).
    """

    def __init__(
        self,
        networks: Sequence[Network] = (),
        *,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._networks = tuple(networks)
        self._ca_file = ca_file
        self._resolve = resolve

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """How the other side must prove who it is."""
        context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context

    def check(self, url: str) -> None:
        """See whether an address of the web may be called; looks its name up.

        Raises:
            NotAllowed: it may not, or its name is unknown.
        """
        called = target(url)
        self.check_host(called.host, called.port, encrypted=called.scheme == "https")

    def check_host(self, host: str, port: int, *, encrypted: bool) -> None:
        """See whether a host may be called; looks its name up.

        Args:
            encrypted: whether TLS will protect what is said.

        Raises:
            NotAllowed: it may not, or its name is unknown.
        """
        try:
            self._addresses(host_name(host), port, Deadline(CHECK_SECONDS), encrypted=encrypted)
        except CallFailed as failed:
            raise NotAllowed(failed.detail) from None

    @contextmanager
    def line(
        self, host: str, port: int, deadline: Deadline, *, encrypted: bool
    ) -> Iterator[socket.socket]:
        """Connect to a host that may be called; the connection does not outlive the deadline.

        Args:
            encrypted: whether TLS will protect what is said; starting it is the caller's part.

        Raises:
            NotAllowed: the host may not be called.
            CallFailed: its name is unknown.
            OSError: it can't be reached; `failure` says why.
        """
        addresses = self._addresses(host_name(host), port, deadline, encrypted=encrypted)
        with _connected(addresses, port, deadline) as line, deadline.guarding(line):
            yield line

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        seconds: float,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """Call an address of the web once, and follow nothing that it answers.

        Args:
            seconds: after which the whole exchange is given up.
            most_bytes: of the answer's body; 0 leaves it unread.

        Raises:
            NotAllowed: the address may not be called.
            CallFailed: there is no answer.
        """
        called, deadline, said = target(url), Deadline(seconds), False
        encrypted = called.scheme == "https"
        try:
            with (
                self.line(called.host, called.port, deadline, encrypted=encrypted) as line,
                self.secured(line, called.host) if encrypted else nullcontext(line) as spoken,
            ):
                connection = _Pinned(called, spoken)
                connection.ask(method, headers, body)
                said = True
                return _read(connection.getresponse(), most_bytes, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise failure(error, deadline, said=said) from None

    @contextmanager
    def secured(self, line: socket.socket, host: str) -> Iterator[ssl.SSLSocket]:
        """Start TLS on a connection, with a host that proves to be the one of this name.

        Raises:
            OSError: it does not.
        """
        with self.tls.wrap_socket(line, server_hostname=host) as secured:
            yield secured

    def _addresses(
        self, host: str, port: int, deadline: Deadline, *, encrypted: bool
    ) -> Sequence[str]:
        """Return the addresses of a host, every one of which may be called."""
        found = self._looked_up(host, port, deadline)
        for one in map(ipaddress.ip_address, found):
            inside = any(one in net or unwrapped(one) in net for net in self._networks)
            if not inside and not (encrypted and is_public(one)):
                raise NotAllowed(
                    "It is not a public address. The operator can allow its network."
                    if encrypted
                    else "Without TLS only networks that the operator allows can be called."
                )
        return found

    def _looked_up(self, host: str, port: int, deadline: Deadline) -> Sequence[str]:
        """Look a name up in a thread of its own, which alone can be left behind."""
        answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

        def look() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError):
                answers.put(())

        threading.Thread(target=look, daemon=True).start()
        try:
            found = answers.get(timeout=deadline.left)
        except queue.Empty:
            raise CallFailed("timeout", "Its name took too long to look up.") from None
        if not found:
            raise CallFailed("unresolvable", "Its name is unknown.")
        return found


@contextmanager
def _connected(addresses: Sequence[str], port: int, deadline: Deadline) -> Iterator[socket.socket]:
    """Connect to the first address that can be reached, without looking anything up."""
    problem: OSError = OSError()
    for tried, address in enumerate(addresses):
        # One that swallows everything leaves time for the others.
        seconds = deadline.left / (len(addresses) - tried)
        try:
            line = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            problem = error
            continue
        with line:
            line.settimeout(deadline.left)
            yield line
            return
    raise problem


class _Pinned(http.client.HTTPConnection):
    """Speaks HTTP over a connection that is there already, and opens none by itself."""

    auto_open = 0

    def __init__(self, called: Target, line: socket.socket) -> None:
        super().__init__(called.host, called.port)
        self._called = called
        self.sock = line

    def ask(self, method: str, headers: Mapping[str, str], body: bytes) -> None:
        own = {
            "Host": self._called.authority,
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": "Gatehouse",
        }
        self.request(method, self._called.path, body, {**own, **headers})


def _read(response: http.client.HTTPResponse, most: int, deadline: Deadline) -> Answer:
    """Read an answer to its end, which must be there in time and in size.

    Raises:
        CallFailed: it is not.
    """
    with response:
        body = response.read(most + 1) if most else b""
        if most and (deadline.over or response.length) and len(body) <= most:
            raise http.client.IncompleteRead(b"")
    if len(body) > most:
        raise CallFailed("answer_too_large", f"It answered more than {most} bytes.", said=True)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=body)


def failure(error: Exception, deadline: Deadline, *, said: bool) -> CallFailed:
    """Return what to tell of an error of the network."""
    if deadline.over or isinstance(error, TimeoutError):
        return CallFailed("timeout", "It did not answer in time.", said=said)
    if isinstance(error, ssl.SSLCertVerificationError):
        return CallFailed("certificate", f"Its certificate is refused: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return CallFailed("unreachable", "It does not speak TLS as it should.", said=said)
    if isinstance(error, ValueError):
        return CallFailed("malformed_request", "A header holds what HTTP can't carry.")
    if said:
        return CallFailed("unreachable", "It hung up without a whole answer.", said=True)
    return CallFailed("unreachable", "It can't be reached.")
