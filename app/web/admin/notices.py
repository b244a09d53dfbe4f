"""How pages say that a user is told what was done, or that nothing reaches the user."""

from __future__ import annotations

from sqlalchemy.orm import object_session

from app.models import User
from app.services.notice_reach import EMAIL, SMS, Reach
from app.web.support import services

_BY = {EMAIL: "by email", SMS: "by text message"}


def tells(user: User, when: str = "") -> str:
    """Return the sentence about a notice that will be sent.

    Args:
        when: more about it, such as `, now and when it is used`.
    """
    reached = _reach(user)
    if reached is None:
        return (
            f"No notice reaches {user.label}: there is no email address, and no confirmed number "
            "that is texted."
        )
    return f"We tell {reached.recipient} {_by(reached)}{when}."


def told(user: User) -> str:
    """Return the sentence about a notice that was sent; nothing if none was."""
    reached = _reach(user)
    return f" We told {reached.recipient}." if reached else ""


def way_of(user: User) -> str | None:
    """Return how a user is told, such as `by email`; None if nothing reaches the user."""
    reached = _reach(user)
    return _by(reached) if reached else None


def _reach(user: User) -> Reach | None:
    tx = object_session(user)
    return services().delivery.reach(tx, user) if tx else None


def _by(reached: Reach) -> str:
    return _BY[reached.channel]
