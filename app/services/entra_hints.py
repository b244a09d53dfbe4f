"""Hints of Entra: whom it sends, said in a token that is signed, and expired on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.jose import Claims
from app.models import EntraConnection
from app.services.entra_clouds import addresses

WITHIN = timedelta(minutes=10)
"""How old a hint may be, and how far ahead of our clock: so long Entra waits for an answer."""
_LONGEST = 255


@dataclass(frozen=True, kw_only=True)
class Named:
    """Whom a hint names.

    Attributes:
        sub: what goes back to Entra.
        tid: the directory.
        oid: the account; with `tid` the only name that is for good.
        username: what Entra shows for the account, which may change.
    """

    sub: str
    tid: str
    oid: str
    username: str = field(repr=False)


def judged(
    claims: Claims, key: dict[str, Any], *, connection: EntraConnection, now: datetime
) -> Named | str:
    """Judge what a hint says, whose signature is right.

    That it is expired is no reason to refuse it ("issued as expired"); that it is old is.

    Args:
        key: the one that signed it; it may be for the tokens of one directory alone.

    Returns:
        In one word, what is wrong, if anything is.
    """
    tid, issuer = claims.get("tid"), claims.get("iss")
    if claims.get("ver") != "2.0":
        return "ver"
    if tid not in connection.tenant_ids:
        return "tid"
    place = addresses(connection.cloud).issuer(str(tid))
    if issuer != place or _issuer_of(key, str(tid), place) != place:
        return "iss"
    if claims.get("aud") not in (connection.app_id, connection.application.client_id):
        return "aud"
    if not all(_is_near(claims.get(name), now) for name in ("iat", "nbf")):
        return "iat"
    return _named(claims)


def _named(claims: Claims) -> Named | str:
    names = {name: claims.get(name) for name in ("sub", "tid", "oid")}
    for name, value in names.items():
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            return name
    username = claims.get("preferred_username")
    return Named(
        sub=claims["sub"],
        tid=claims["tid"],
        oid=claims["oid"],
        username=username if isinstance(username, str) else "",
    )


def _issuer_of(key: dict[str, Any], tid: str, place: str) -> str:
    """Return whose tokens a key signs, if Microsoft says so where it publishes it."""
    return str(key.get("issuer", place)).replace("{tenantid}", tid)


def _is_near(seconds: object, now: datetime) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        return False
    return abs(seconds - int(now.timestamp())) <= int(WITHIN.total_seconds())
