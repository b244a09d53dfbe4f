"""When a delivery that failed is tried again, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS = (
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=20),
    timedelta(hours=1),
    timedelta(hours=2),
)
"""After the first try, the second, and so on; from then on the last of them for `THEN_FOR`."""
THEN_FOR = timedelta(hours=24)
LASTS = sum(DELAYS, timedelta()) + THEN_FOR
"""A try that fails so long after the first is the last one."""

SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=24)
"""What we make of a Retry-After that is shorter or longer."""


def next_try(
    tries: int, first: datetime, now: datetime, retry_after: timedelta | None = None
) -> datetime | None:
    """Return when to try again after a failure; None if it is given up.

    Args:
        tries: with the one that failed.
        first: when the first was.
        retry_after: what the other side asked for.
    """
    if now >= first + LASTS:
        return None
    return now + (retry_after or DELAYS[min(tries, len(DELAYS)) - 1])


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return how long a header Retry-After asks to wait, within bounds; None if it says nothing.

    See RFC 9110 section 10.2.3: seconds, or a date.
    """
    asked = _asked(header.strip(), now) if header else None
    return None if asked is None else min(max(asked, SOONEST), LATEST)


def _asked(header: str, now: datetime) -> timedelta | None:
    if header.isascii() and header.isdecimal():
        return timedelta(seconds=int(header)) if len(header) <= 9 else LATEST
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
