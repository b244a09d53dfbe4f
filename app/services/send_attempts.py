"""What providers said of one message, one after another, as its row keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.models import Message

MOST_KEPT = 20
"""A notice may be tried for days: the newest are kept."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One time that a provider had a word on a message.

    Attributes:
        provider: what it was called then.
        code: why it did not take it, or why it did not arrive; "" if it took it.
        detail: its own words, without the code, the text or the recipient.
        doubtful: whether it may have taken it without saying so.
        reported: whether this came later, as the vendor's report.
    """

    at: datetime
    provider: str
    code: str = ""
    detail: str = ""
    doubtful: bool = False
    reported: bool = False


def kept(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """Return attempts as a row keeps them."""
    newest = list(attempts)[-MOST_KEPT:]
    return [{**asdict(one), "at": one.at.isoformat()} for one in newest]


def attempts_of(message: Message) -> list[Attempt]:
    """Return what providers said of a message, the oldest first."""
    return [Attempt(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in message.attempts]
