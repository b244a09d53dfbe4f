"""What Harbor Notes remembers of each browser, in memory: a restart signs everybody out."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from harbor_notes.settings import User

T = TypeVar("T")

VISIT_LIVES = 8 * 3600  # seconds
ASK_LIVES = 35 * 60  # a gateway session lives at most 30 minutes
STEP_UP_LIVES = 10 * 60


def secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


class Shelf(Generic[T]):
    """Keeps the newest `size` values, each under its key and for `lifetime` seconds."""

    def __init__(self, *, lifetime: float, size: int) -> None:
        self._lifetime = lifetime
        self._size = size
        self._items: dict[str, tuple[float, T]] = {}
        self._lock = Lock()

    def put(self, key: str, value: T) -> None:
        """Keep a value; the oldest go when the shelf is full."""
        with self._lock:
            while len(self._items) >= self._size:
                del self._items[next(iter(self._items))]
            self._items[key] = (time.monotonic() + self._lifetime, value)

    def get(self, key: str) -> T | None:
        """Return the value and keep it."""
        return _fresh(self._items.get(key))

    def take(self, key: str) -> T | None:
        """Return the value and forget it: of two callers, one gets it."""
        with self._lock:
            return _fresh(self._items.pop(key, None))


def _fresh(item: tuple[float, T] | None) -> T | None:
    return item[1] if item and item[0] > time.monotonic() else None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question to Gatehouse whose answer this browser has yet to bring."""

    session_id: str
    nonce: str


@dataclass(frozen=True, kw_only=True)
class StepUp:
    """A good result, which opens the logbook for ten minutes."""

    claims: dict[str, Any]
    until: float = field(default_factory=lambda: time.time() + STEP_UP_LIVES)

    @property
    def confirmed(self) -> bool:
        """Whether there was a second step, and not a policy, or a trusted browser, instead of it.

        Harbor Notes lets the user in all the same: the organization has decided. An application
        that must have a second factor refuses here.
        """
        return self.claims.get("status") in {"verified", "enrolled"}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a browser came back with nothing: a check failed, or Gatehouse reports an error."""

    check: str = ""
    error: str = ""
    detail: str = ""


@dataclass(kw_only=True)
class Visit:
    """One browser, from sign-in to sign-out."""

    user: User | None = None
    form_token: str = field(default_factory=secret)
    asks: Shelf[Ask] = field(default_factory=lambda: Shelf(lifetime=ASK_LIVES, size=10))
    step_up: StepUp | None = None
    refusal: Refusal | None = None

    @property
    def unlocked(self) -> StepUp | None:
        """The second step, while it still counts."""
        return self.step_up if self.step_up and self.step_up.until > time.time() else None
