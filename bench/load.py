"""A closed loop over HTTP: a few connections, each asks again as soon as it has its answer."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

CONNECTIONS = 4
IDLE = 1.0  # seconds, after which the server may be about to close a connection
_callers = count(1)


class WrongAnswer(Exception):
    """A server answered what the call does not expect, so there is nothing to measure."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Call:
    """One request, the status that is expected, and who learns from the answer (not timed)."""

    method: str
    path: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    then: Callable[[Reply], Any] | None = None


@dataclass
class Sample:
    """What one slice of calls took, in seconds; `done` are the calls that got their turn."""

    seconds: float
    times: list[float]
    done: list[int]

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.times) / self.seconds


class Connections:
    """Keep-alive connections to one server; every call comes from a different client's address.

    Two servers are compared through connections of the same age and number, because which worker
    process accepts which of them is chance.
    """

    def __init__(self, port: int) -> None:
        self._idle = [_Connection(port) for _ in range(CONNECTIONS)]
        self._threads = ThreadPoolExecutor(CONNECTIONS)

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        for connection in self._idle:
            connection.close()

    def ask(self, call: Call) -> Reply:
        """Send one call that is not measured, and return whatever the answer is."""
        return self._idle[0].send(call)[0]

    def measure(self, calls: Iterable[Call], seconds: float) -> Sample:
        """Send the calls, in order, until there are no more or the time is over."""
        sample, queue = Sample(0, [], []), _Queue(calls)
        began = perf_counter()
        loops = [
            self._threads.submit(_loop, one, queue, began + seconds, sample) for one in self._idle
        ]
        for loop in loops:
            loop.result()
        sample.seconds = perf_counter() - began
        return sample


class _Queue:
    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls: Iterator[tuple[int, Call]] = iter(enumerate(calls))
        self._lock = threading.Lock()

    def take(self) -> tuple[int, Call] | None:
        with self._lock:
            return next(self._calls, None)


def _loop(connection: _Connection, queue: _Queue, end: float, sample: Sample) -> None:
    while perf_counter() < end and (taken := queue.take()):
        number, call = taken
        reply, took = connection.send(call)
        if reply.status != call.status:
            told = reply.body.decode(errors="replace")[:300]
            raise WrongAnswer(
                f"{call.method} {call.path}: {reply.status} for {call.status}\n{told}"
            )
        if call.then:
            call.then(reply)
        sample.times.append(took)
        sample.done.append(number)


class _Connection:
    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("localhost", port, timeout=120)
        self._used = 0.0

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call) -> tuple[Reply, float]:
        headers = {**call.headers, "X-Forwarded-For": address(next(_callers))}
        if perf_counter() - self._used > IDLE:
            self._http.close()
        began = perf_counter()
        self._http.request(call.method, call.path, call.body, headers)
        answer = self._http.getresponse()
        body = answer.read()
        self._used = perf_counter()
        return Reply(answer.status, answer.headers, body), self._used - began


def address(number: int) -> str:
    """Return the address of the client with a number."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
