"""How the API writes times and lists."""

from __future__ import annotations

from datetime import datetime


def naive(moment: datetime) -> str:
    """Return a moment as the Cryptr resources have it: UTC, whole seconds, no zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def zoned(moment: datetime) -> str:
    """Return a moment as our own resources have it: RFC 3339, UTC, whole seconds."""
    return f"{naive(moment)}Z"


def listing(
    data: list[dict[str, object]], total: int, *, page: int, per_page: int
) -> dict[str, object]:
    """Return the list envelope of the Cryptr API."""
    pages = max(1, -(-total // per_page))
    return {
        "__type__": "List",
        "data": data,
        "total": total,
        "pagination": {
            "current_page": page,
            "current_pages": list(range(max(1, page - 2), min(pages, page + 2) + 1)),
            "next_page": page + 1 if page < pages else None,
            "prev_page": page - 1 if page > 1 else None,
            "per_page": per_page,
            "total_pages": pages,
        },
    }
