"""Counts of requests in this process, for `limits`, without a thread that clears them away.

The storage that comes with it starts a thread whenever something is counted and none runs, which
took longer than all else that a verification does outside of the database.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic

from limits.storage import Storage

from app.clock import SystemClock

_SWEEP_EVERY = 60.0
"""Seconds after which counts whose time is over are thrown away, all at once."""


class CountedHere(Storage):
    """Counts by key, each for a window of time that begins with its first."""

    STORAGE_SCHEME = ["gatehouse-memory"]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, tuple[int, float]] = {}
        self._lock = Lock()
        self._swept = monotonic()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What it raises when it fails."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count more, in a window of so many seconds, and return how many that are."""
        now = _now()
        with self._lock:
            self._sweep(now)
            count, until = self._counts.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + expiry
            self._counts[key] = count + amount, until
            return count + amount

    def get(self, key: str) -> int:
        """Return how many were counted in the window that is open."""
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > _now() else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window closes, in seconds since 1970; now if none is open."""
        now = _now()
        return max(now, self._counts.get(key, (0, now))[1])

    def check(self) -> bool:
        """Tell that it works."""
        return True

    def clear(self, key: str) -> None:
        """Forget what was counted for a key."""
        self._counts.pop(key, None)

    def reset(self) -> int:
        """Forget everything, and return how many keys that were."""
        with self._lock:
            number = len(self._counts)
            self._counts.clear()
        return number

    def _sweep(self, now: float) -> None:
        if monotonic() - self._swept < _SWEEP_EVERY:
            return
        self._swept = monotonic()
        self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}


def _now() -> float:
    return SystemClock().now().timestamp()
