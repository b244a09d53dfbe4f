"""Refusals that cross a layer: each has a stable code, a sentence, and an HTTP status."""

from __future__ import annotations

from datetime import datetime


class Refusal(Exception):
    """An ask that can't be granted, told to the caller in the shape of the door it came by.

    Raising rolls the transaction back, so nothing that must be counted may be refused this way:
    a wrong code is a returned value (`app.factors.base.Refused`), never a `Refusal`.

    Args:
        code: stable, lower-case, documented name, such as `user_not_found`.
        message: one or two English sentences for a developer: what happened, what to do.
        status: the HTTP status that says the same.
        retry_at: when it may be granted, if only time is in the way (UTC).
    """

    def __init__(
        self, code: str, message: str, *, status: int = 422, retry_at: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_at = retry_at


class NotFound(Refusal):
    """The thing is not there for this caller, who can't tell "unknown" from "not yours"."""

    def __init__(self, noun: str) -> None:
        super().__init__("not_found", f"No such {noun}. Check the address.", status=404)


class Invalid(Refusal):
    """A field holds something that we can't take.

    Args:
        field: the name of the field as the caller spells it.
        message: what is wrong with it and what would be right.
    """

    def __init__(self, field: str, message: str, *, code: str = "invalid_request") -> None:
        super().__init__(code, f"{field}: {message}", status=422)
        self.field = field
