"""Metrics: what this process counts for Prometheus, and how the processes of one server share it.

Every label is from a list of ours, never from a client: no user, organization, address or path.
What waits in the database is not counted here; whoever serves the metrics looks there.
"""

from __future__ import annotations

import fcntl
import os
from itertools import count
from pathlib import Path

from prometheus_client import Counter, Histogram, values

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library, and child processes of ours, know the shared folder."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
UNKNOWN_ROUTE = "unknown"
"""Of every address that leads nowhere."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# None of them is in the library's registry: `app.cli.metrics` reads the shared folder.
_requests = Counter(
    "gatehouse_requests",
    "Requests answered, by method, pattern of the address, and class of the status.",
    ["method", "route", "status"],
    registry=None,
)
_seconds = Histogram(
    "gatehouse_request_seconds",
    "How long answers took, by front door.",
    ["door"],
    buckets=_BUCKETS,
    registry=None,
)
_verifications = Counter(
    "gatehouse_verifications",
    "Answers judged, by method: accepted, or why refused.",
    ["method", "outcome"],
    registry=None,
)
_results = Counter(
    "gatehouse_results",
    "Results issued, by the protocol of the application.",
    ["door"],
    registry=None,
)
_events = Counter(
    "gatehouse_events", "Events of the audit record, by kind.", ["kind"], registry=None
)
_messages = Counter(
    "gatehouse_messages",
    "Messages that came into a state, by channel.",
    ["channel", "state"],
    registry=None,
)
_database_errors = Counter(
    "gatehouse_database_errors", "Errors of the database, by kind.", ["kind"], registry=None
)


class Seats:
    """Gives each process that counts in a folder a number of its own, and the dead's to the next.

    The library names its files by it. So there are never more files than processes at one time,
    and a number goes on where a process that died left it. The lock ends with the process, however
    that ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = 0
        self._seat = 0
        self._held = -1

    def __call__(self) -> int:
        """Return the number of this process; after a fork a new one is taken."""
        if self._process != os.getpid():
            self._seat, self._held = self._free_one()
            self._process = os.getpid()
        return self._seat

    def _free_one(self) -> tuple[int, int]:
        for seat in count():
            path = self._folder / f"seat_{seat}"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                return seat, file
        raise AssertionError  # there is always a next number


def share(folder: Path) -> None:
    """Count in files of a folder from now on, and so in all processes that come from this one.

    Call it before anything is counted. The folder is empty, or another process of this server
    counts there.
    """
    os.environ[FOLDER] = str(folder)
    by_seat = values.MultiProcessValue(Seats(folder))  # type: ignore[no-untyped-call]
    values.ValueClass = by_seat


def shared_folder() -> Path | None:
    """Return where the process that started this one shares what is counted, if it does."""
    return Path(os.environ[FOLDER]) if os.environ.get(FOLDER) else None


def count_request(method: str, route: str, door: str, status: int, seconds: float) -> None:
    """Count an answered request.

    Args:
        route: pattern of the address, `UNKNOWN_ROUTE` if it leads nowhere.
        door: the front door that answered.
    """
    known = method if method in _METHODS else _OTHER
    _requests.labels(known, route, f"{status // 100}xx").inc()
    _seconds.labels(door).observe(seconds)


def count_verification(method: str, outcome: str) -> None:
    """Count an answer that was judged: `accepted`, or why it was refused."""
    _verifications.labels(method, outcome).inc()


def count_result(door: str) -> None:
    """Count a result that was issued."""
    _results.labels(door).inc()


def count_events(kind: str, number: int = 1) -> None:
    """Count events of the audit record."""
    _events.labels(kind).inc(number)


def count_message(channel: str, state: str) -> None:
    """Count a message that came into a state."""
    _messages.labels(channel, state).inc()


def count_database_error(kind: str) -> None:
    """Count an error of the database."""
    _database_errors.labels(kind).inc()
