"""Ends of exchanges with machines that may answer slowly, in part, or never.

One thread of the process minds all ends; a thread for each would cost more than the exchange.
"""

from __future__ import annotations

import heapq
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count


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
        copy = socket.fromfd(line.fileno(), line.family, line.type)
        watched = watch(self.left, lambda: _cut(copy))
        try:
            yield
        finally:
            forget(watched)
            copy.close()


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


class _Watch:
    """Does things when their time has come, all in one thread, which begins with the first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = count()
        self._acts: dict[int, Callable[[], object]] = {}
        self._ends: list[tuple[float, int]] = []
        self._wakes_at = 0.0
        self._thread: threading.Thread | None = None

    def add(self, seconds: float, act: Callable[[], object]) -> int:
        with self._changed:
            number, end = next(self._numbers), time.monotonic() + seconds
            self._acts[number] = act
            heapq.heappush(self._ends, (end, number))
            if self._thread is None:
                self._thread = threading.Thread(target=self._mind, name="deadlines", daemon=True)
                self._thread.start()
            elif end < self._wakes_at:
                self._changed.notify()
        return number

    def remove(self, number: int) -> bool:
        with self._changed:
            return self._acts.pop(number, None) is not None

    def _mind(self) -> None:
        with self._changed:
            while True:
                self._act()
                self._wakes_at = self._ends[0][0] if self._ends else float("inf")
                left = self._wakes_at - time.monotonic() if self._ends else None
                self._changed.wait(left)

    def _act(self) -> None:
        """Do what is due, with the lock held: what is forgotten is never done after that."""
        while self._ends and (
            self._ends[0][0] <= time.monotonic() or self._ends[0][1] not in self._acts
        ):
            _, number = heapq.heappop(self._ends)
            if act := self._acts.pop(number, None):
                act()


_of_process = _Watch()


def watch(seconds: float, act: Callable[[], object]) -> int:
    """Have something done after a time, unless it is forgotten before; return its number.

    Args:
        act: is quick, waits for nothing, and raises nothing.
    """
    return _of_process.add(seconds, act)


def forget(watched: int) -> bool:
    """Have it not done any more; tell whether it had not been done yet.

    Once this has returned, it is not being done either.
    """
    return _of_process.remove(watched)


def _anew() -> None:
    """Begin with nothing in a child: the thread and its lock are the parent's."""
    global _of_process
    _of_process = _Watch()


os.register_at_fork(after_in_child=_anew)
