"""How pages say that a user is told what was done, or that nothing reaches the user."""

from __future__ import annotations

from app.models import User
from app.services.delivery import EMAIL, Reach
from app.web.support import services

_BY = {EMAIL: "by email"}


def tells(user: User, when: str = "") -> str:
    """Return the sentence about a notice that will be sent.

    Args:
        when: more about it, such as `, now and when it is used`.
    """
    reached = services().delivery.reach(user)
    if reached is None:
        return f"No notice reaches {user.label}: there is no email address."
    return f"We tell {reached.recipient} {_by(reached)}{when}."


def told(user: User) -> str:
    """Return the sentence about a notice that was sent; nothing if none was."""
    reached = services().delivery.reach(user)
    return f" We told {reached.recipient}." if reached else ""


def way_of(user: User) -> str | None:
    """Return how a user is told, such as `by email`; None if nothing reaches the user."""
    reached = services().delivery.reach(user)
    return _by(reached) if reached else None


def _by(reached: Reach) -> str:
    return _BY[reached.channel]
