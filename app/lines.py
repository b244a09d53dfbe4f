"""Connections: opened to addresses that were judged, and kept for the next request of a moment.

Opening one costs more than a request over it: a look-up, a round trip, and two more with TLS.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.deadlines import Deadline, forget, watch

_IDLE_SECONDS = 1.0
"""So long a connection waits for another request: less than servers wait before they hang up."""
_LIFE_SECONDS = 30.0
"""So long after it was opened one is used again; then its name is looked up anew."""

Place = tuple[str, str, int]
"""Scheme, host and port: what a connection leads to, and is used for alone."""


@dataclass(kw_only=True)
class Line:
    """A connection, with TLS if its place wants it.

    Attributes:
        opened_at: by the clock that only ever goes on.
    """

    place: Place
    socket: socket.socket
    opened_at: float = field(default_factory=time.monotonic)
    watched: int = -1

    def is_usable(self) -> bool:
        """Tell whether it can carry another request; if not, it is closed.

        It can while it is young, and nothing came since the last answer, such as its end.
        """
        if not forget(self.watched):
            return False  # it was closed, for it had waited too long
        ready = select.poll()
        ready.register(self.socket.fileno(), select.POLLIN)
        if time.monotonic() < self.opened_at + _LIFE_SECONDS and not ready.poll(0):
            return True
        self.socket.close()
        return False


class Lines:
    """Keeps connections over which an answer came to its end, each for a moment."""

    def __init__(self) -> None:
        self._idle: dict[Place, deque[Line]] = {}

    def take(self, place: Place) -> Line | None:
        """Return a connection to a place that nobody else has, the one that was used last."""
        idle = self._idle.get(place)
        while idle:
            try:
                line = idle.pop()
            except IndexError:
                return None  # another thread was faster
            if line.is_usable():
                return line
        return None

    def keep(self, line: Line) -> None:
        """Keep a connection that is at rest, until it is taken or its time is over."""
        line.watched = watch(_IDLE_SECONDS, line.socket.close)
        self._idle.setdefault(line.place, deque()).append(line)


def connect(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address that can be reached, without looking anything up.

    Raises:
        OSError: none can.
    """
    problem: OSError = OSError()
    for tried, address in enumerate(addresses):
        # One that swallows everything leaves time for the others.
        seconds = deadline.left / (len(addresses) - tried)
        try:
            line = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            problem = error
            continue
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a body waits for no receipt
        line.settimeout(deadline.left)
        return line
    raise problem
