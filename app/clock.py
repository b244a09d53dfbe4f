"""The one place where time is read; everything else is handed a clock or a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """Return this moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return this moment by the machine's clock, in UTC."""
        return datetime.now(UTC)
