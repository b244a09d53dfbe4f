"""Eight requests in flight, by one thread: it costs tens of microseconds a request.

What a load generator takes of the machine it takes from both of the servers that are compared, and
so makes them look alike; this one takes little.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from time import perf_counter

from load import Sample, WrongAnswer

IN_FLIGHT = 8
CHUNK = 65536


def request(method: str, path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Flight:
    """Connections that are kept, each asking again as soon as it has its answer."""

    def __init__(self, port: int, in_flight: int = IN_FLIGHT) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._idle = [_Connection(port) for _ in range(in_flight)]

    def measure(self, requests: Iterator[bytes], *, holds: bytes, seconds: float) -> Sample:
        """Send requests, in order, until there are no more or the time is over.

        Args:
            holds: what each answer's body has in it.
        """
        sample, began = Sample(0, [], []), perf_counter()
        end, live = began + seconds, 0
        for connection in self._idle:
            live += self._send(connection, requests)
        while live:
            for key, _ in self._selector.select(10):
                connection = key.data
                if not connection.feed():
                    continue
                if holds not in connection.answer:
                    raise WrongAnswer(connection.answer[:600].decode(errors="replace"))
                now = perf_counter()
                sample.times.append(now - connection.began)
                sample.done.append(len(sample.done))
                self._selector.unregister(connection.socket)
                live -= 1
                if now < end:
                    live += self._send(connection, requests)
        sample.seconds = perf_counter() - began
        return sample

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.socket.close()

    def _send(self, connection: _Connection, requests: Iterator[bytes]) -> bool:
        asked = next(requests, None)
        if asked is None:
            return False
        connection.send(asked)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return True


class _Connection:
    def __init__(self, port: int) -> None:
        self._port = port
        self.answer, self.began, self._whole = b"", 0.0, 0
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, asked: bytes) -> None:
        """Ask, on a new connection if the server has closed this one meanwhile."""
        self.answer, self._whole, self.began = b"", 0, perf_counter()
        self.socket.setblocking(False)
        try:
            closed = self.socket.recv(1) == b""
        except BlockingIOError:
            closed = False
        if closed:
            self.socket.close()
            self._open()
        self.socket.setblocking(True)
        self.socket.sendall(asked)

    def feed(self) -> bool:
        """Read what is there, and tell whether the answer is whole."""
        got = self.socket.recv(CHUNK)
        self.answer += got
        if not self._whole and (end := self.answer.find(b"\r\n\r\n")) >= 0:
            head = self.answer[:end].lower()
            length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
            self._whole = end + 4 + int(length)
        if not got:
            raise WrongAnswer(f"a connection was closed after {self.answer[:200]!r}")
        return 0 < self._whole <= len(self.answer)
