"""The users of an organization: a list to search, filter and sort."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from sqlalchemy.orm import Session

from app.factors import FACTORS
from app.services.roles import Action
from app.services.user_lists import PER_PAGE, ListedUser, UserFilter
from app.services.user_orders import Sort
from app.services.user_states import UserStatus
from app.web.admin.desk import Seat, noun, page, render
from app.web.admin.event_words import METHODS
from app.web.admin.user import STATES
from app.web.support import services

blueprint = noun("users")

SORTS: dict[str, tuple[Sort, bool, str]] = {
    "-last_verified": (Sort.LAST_VERIFIED, True, "Last verified, newest"),
    "last_verified": (Sort.LAST_VERIFIED, False, "Last verified, oldest"),
    "name": (Sort.NAME, False, "Name, A to Z"),
    "-name": (Sort.NAME, True, "Name, Z to A"),
    "email": (Sort.EMAIL, False, "Email, A to Z"),
    "-email": (Sort.EMAIL, True, "Email, Z to A"),
    "-added": (Sort.ADDED, True, "Added, newest"),
    "added": (Sort.ADDED, False, "Added, oldest"),
}
"""How an address says what to sort by; the first is meant if it says nothing of these."""

_USUAL = next(iter(SORTS))
_FURTHEST_PAGE = 10**6


@blueprint.get("")
@page(Action.SEE_USERS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List users, a page at a time."""
    lists, wanted, sort = services().user_lists, asked(), _sort()
    column, descending, _ = SORTS[sort]
    found = lists.page(
        tx, seat.organization, wanted, sort=column, descending=descending, number=_number()
    )
    counts = {
        status: lists.count(tx, seat.organization, status)
        for status in (UserStatus.OVERDUE, UserStatus.LOCKED)
    }
    now = services().clock.now()
    return render(
        "admin/users/index.html",
        seat,
        page=found,
        total=lists.count(tx, seat.organization) if wanted.narrows else found.total,
        counts=counts,
        wanted=wanted,
        query=query_of(wanted),
        sort=sort,
        sorts=SORTS,
        states=STATES,
        methods=METHODS,
        kinds=list(FACTORS),
        verified={one.user.id: _last(one, now) for one in found.rows},
        address=_address,
        more=found.number * PER_PAGE < found.total,
    )


def asked() -> UserFilter:
    """Return which users the address asks for; what it can't ask for, it does not."""
    status, method = request.args.get("status", ""), request.args.get("method", "")
    return UserFilter(
        search=request.args.get("q", "").strip(),
        status=UserStatus(status) if status in {one.value for one in UserStatus} else None,
        method=method if method in FACTORS else None,
    )


def query_of(wanted: UserFilter) -> dict[str, str]:
    """Return what an address has to say to ask for these users."""
    said = {
        "q": wanted.search,
        "status": wanted.status.value if wanted.status else "",
        "method": wanted.method or "",
    }
    return {name: value for name, value in said.items() if value}


def seen(moment: datetime | None, now: datetime) -> str:
    """Return in few words when something was, in UTC as all times of these pages."""
    if moment is None:
        return "Never"
    day = moment.date()
    if day == now.date():
        return f"Today, {moment:%H:%M}"
    if day == (now - timedelta(days=1)).date():
        return f"Yesterday, {moment:%H:%M}"
    return str(format_date(moment, "d MMM" if day.year == now.year else "d MMM y"))


def _last(one: ListedUser, now: datetime) -> str:
    """Return when a user was last verified; of who never was, whether they were invited."""
    if one.user.last_verified_at is None and one.invited_at is not None:
        when = seen(one.invited_at, now)
        return f"Invited {when[:1].lower() + when[1:]}"
    return seen(one.user.last_verified_at, now)


def _sort() -> str:
    wanted = request.args.get("sort", "")
    return wanted if wanted in SORTS else _USUAL


def _number() -> int:
    typed = request.args.get("page", "")
    return min(int(typed), _FURTHEST_PAGE) if typed.isdecimal() and len(typed) < 10 else 1


def _address(**changes: Any) -> str:
    """Return the address of this list with something else asked of it."""
    query: dict[str, Any] = {**query_of(asked()), "sort": _sort(), **changes}
    if query["sort"] == _USUAL:
        del query["sort"]
    return url_for("admin_users.index", **query)
