"""Ends of exchanges with machines that may answer slowly, in part, or never."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Deadline:
    """The one end of an exchange, however much drips in before it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, at least a moment: a timeout of 0 would mean something else."""
        return max(self._end - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self._end

    @contextmanager
    def guarding(self, line: socket.socket) -> Iterator[None]:
        """Cut a connection at the end, whatever is being read from it or written to it."""
        # The copy is the same connection, also after TLS has taken the original over.
        copy = line.dup()
        timer = threading.Timer(self.left, _cut, [copy])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            copy.close()


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster
