"""Pages of a list by their number: which one is asked for, and where its neighbours are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request, url_for

PER_PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Pages:
    """What the pager says and where it leads."""

    says: str
    previous: str | None
    following: str | None


def number(name: str = "page") -> int:
    """Return the number of the page that is asked for; whatever else is there is the first."""
    given = request.args.get(name, "")
    is_number = given.isascii() and given.isdigit() and len(given) < 7
    return max(1, int(given)) if is_number else 1


def pages(
    endpoint: str,
    current: int,
    *,
    shown: int,
    total: int,
    name: str = "page",
    **kept: Any,
) -> Pages | None:
    """Return the pager of a list; None if all of it is shown.

    Args:
        shown: how many are on the current page.
        name: of the parameter that holds the number.
        kept: what else the addresses hold.
    """
    if total <= PER_PAGE and current == 1:
        return None
    before = (current - 1) * PER_PAGE
    back: dict[str, Any] = {**kept, name: current - 1}
    on: dict[str, Any] = {**kept, name: current + 1}
    more = shown and before + shown < total
    return Pages(
        says=f"{before + 1:,} to {before + shown:,} of {total:,}" if shown else f"{total:,} in all",
        previous=url_for(endpoint, **back) if current > 1 else None,
        following=url_for(endpoint, **on) if more else None,
    )
