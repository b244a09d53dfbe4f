"""How many requests are answered: per address for strangers, per key for who proved itself.

Counted in this process, so with several workers a stranger gets as many times more: these limits
keep load off, while the limits that safety rests on are in the database (`app.services.limits`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NoReturn

from flask import Flask, Response, current_app, g, request
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from app.clock import SystemClock
from app.config import Config
from app.errors import Refusal
from app.services.client_addresses import party_of
from app.web.support import services
from app.web.support.counted_here import CountedHere

_limiter = FixedWindowRateLimiter(CountedHere())
_OF_STRANGERS = {
    "gateway",
    "entra",
    "magic_link",
    "cryptr",
    "cryptr_link",
    "enrollment_invitation",
    "admin_sign_in",
    "admin_invitation",
    "oidc",
    "oidc_end_session",
}
_STRANGERS, _KEYS = "gatehouse address limit", "gatehouse key limit"


def init_app(app: Flask, config: Config) -> None:
    """Count every request for a hosted page; the API counts once it knows who calls."""
    app.extensions[_STRANGERS] = parse(config.address_limit)
    app.extensions[_KEYS] = parse(config.key_limit)

    @app.before_request
    def count_page() -> None:
        if request.blueprint in _OF_STRANGERS:
            count_stranger()

    @app.after_request
    def tell(response: Response) -> Response:
        if "rate_limit" in g:
            _say_what_is_left(response, *g.rate_limit)
        return response


def count_stranger() -> None:
    """Count a request without valid credentials against the address that it came from.

    Raises:
        Refusal: `rate_limited`.
    """
    _count(current_app.extensions[_STRANGERS], party_of(request.remote_addr or ""))


def refuse_stranger() -> None:
    """Refuse an address that has spent its share, without counting this request against it.

    Raises:
        Refusal: `rate_limited`.
    """
    item, who = current_app.extensions[_STRANGERS], party_of(request.remote_addr or "")
    if not _limiter.test(item, who):
        _refuse(item, who)


def count_key(client_id: str) -> None:
    """Count a request with valid credentials against these, once however often they are read.

    Raises:
        Refusal: `rate_limited`.
    """
    if "rate_limit" not in g:
        g.rate_limit = current_app.extensions[_KEYS], client_id
        _count(*g.rate_limit)


def forget() -> None:
    """Forget every request that was counted in this process (tests)."""
    _limiter.storage.reset()


def _count(item: RateLimitItem, who: str) -> None:
    if not _limiter.hit(item, who):
        _refuse(item, who)


def _refuse(item: RateLimitItem, who: str) -> NoReturn:
    g.rate_limit = item, who
    wait = _wait(_limiter.get_window_stats(item, who).reset_time)
    raise Refusal(
        "rate_limited",
        "There were too many requests. Wait until retry_at.",
        status=429,
        retry_at=services().clock.now() + wait,
    )


def _say_what_is_left(response: Response, item: RateLimitItem, who: str) -> None:
    """Say how many requests are left, and for how many seconds that holds."""
    stats = _limiter.get_window_stats(item, who)
    seconds = _wait(stats.reset_time).total_seconds()
    response.headers["RateLimit-Limit"] = str(item.amount)
    response.headers["RateLimit-Remaining"] = str(stats.remaining)
    response.headers["RateLimit-Reset"] = str(max(1, ceil(seconds)))


def _wait(reset: float) -> timedelta:
    return datetime.fromtimestamp(reset, UTC) - SystemClock().now()  # the limiter's own clock
