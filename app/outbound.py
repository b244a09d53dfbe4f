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
from contextlib import contextmanager
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from app.addresses import NotAllowed, Target, host_name, is_public, target, unwrapped
from app.deadlines import Deadline
from app.exchanges import MOST_BYTES, Answer, Asking, CallFailed, failure
from app.lines import Line, Lines, connect

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

CHECK_SECONDS = 5.0


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
        keeps: whether a connection over which an answer was read is kept for the next request, a
            moment at most.
        resolve: another way to look names up (tests).
    """

    def __init__(
        self,
        networks: Sequence[Network] = (),
        *,
        ca_file: Path | None = None,
        keeps: bool = False,
        resolve: Resolve = resolve,
    ) -> None:
        self._networks = tuple(networks)
        self._ca_file = ca_file
        self._keeps = keeps
        self._lines = Lines()
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
        with connect(addresses, port, deadline) as line, deadline.guarding(line):
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
        called, keeps = target(url), self._keeps and most_bytes > 0
        asking = Asking(called, method, headers, body, most_bytes, Deadline(seconds), keeps)
        try:
            return self._asked(asking)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise failure(error, asking.deadline, said=asking.said) from None

    def _asked(self, asking: Asking) -> Answer:
        """Ask over a connection that was kept, if there is one that works, or else a new one."""
        if asking.keeps and (kept := self._lines.take(asking.called.place)):
            try:
                return self._over(kept, asking)
            except OSError:
                if asking.said or asking.deadline.over:
                    raise
        return self._over(self._opened(asking.called, asking.deadline), asking)

    def _over(self, line: Line, asking: Asking) -> Answer:
        keeps = False
        try:
            with asking.deadline.guarding(line.socket):
                answer, keeps = asking.over(line.socket)
            return answer
        finally:
            if keeps:
                self._lines.keep(line)
            else:
                line.socket.close()

    def _opened(self, called: Target, deadline: Deadline) -> Line:
        encrypted = called.scheme == "https"
        addresses = self._addresses(called.host, called.port, deadline, encrypted=encrypted)
        spoken = connect(addresses, called.port, deadline)
        try:
            with deadline.guarding(spoken):
                if encrypted:
                    spoken = self.tls.wrap_socket(spoken, server_hostname=called.host)
        except BaseException:
            spoken.close()
            raise
        return Line(place=called.place, socket=spoken)

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
