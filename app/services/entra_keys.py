"""Microsoft's public keys: pinned at a connection, or fetched and kept for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Protocol

from app import jose
from app.addresses import NotAllowed
from app.clock import Clock
from app.exchanges import Answer, CallFailed
from app.models import EntraCloud, EntraConnection
from app.services.entra_clouds import addresses

Keys = list[dict[str, Any]]

FRESH_FOR = timedelta(hours=1)
"""After so long keys are fetched anew, if that works."""
KEPT_FOR = timedelta(hours=24)
"""After so long they count no more, whether it works or not."""
NOT_BEFORE = timedelta(seconds=60)
"""So long after a fetch no other is tried, whatever key is asked for."""
SECONDS = 5.0
MOST_BYTES = 256 * 1024


class KeysUnavailable(Exception):
    """There are no keys to check with now.

    Args:
        detail: one sentence for an administrator.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Calls(Protocol):
    """Who calls an address of the web; see `app.outbound.Outbound.request`."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        seconds: float,
        most_bytes: int,
    ) -> Answer:
        """Call it once."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Kept:
    keys: Keys
    at: datetime

    def has(self, kid: object) -> bool:
        return any(key["kid"] == kid for key in self.keys)


class EntraKeys:
    """Hands out the keys of Microsoft's clouds. What it keeps, it keeps in this process."""

    def __init__(self, clock: Clock, calls: Calls) -> None:
        self._clock = clock
        self._calls = calls
        self._kept: dict[EntraCloud, _Kept] = {}
        self._tried_at: dict[EntraCloud, datetime] = {}
        self._locks = {cloud: Lock() for cloud in EntraCloud}

    def for_hint(self, connection: EntraConnection, kid: object) -> Keys:
        """Return the keys that a hint for a connection may be signed with.

        Args:
            kid: as the hint names its key; one that we don't know may be a new one.

        Raises:
            KeysUnavailable: they can't be fetched, or were a moment ago, without this one.
        """
        if connection.pinned_keys is not None:
            return connection.pinned_keys
        with self._locks[connection.cloud]:
            return self._known(connection.cloud, kid)

    def fetch(self, cloud: EntraCloud) -> Keys:
        """Fetch the keys of a cloud now, in two calls to Microsoft; nothing is kept.

        Raises:
            KeysUnavailable: it does not work.
        """
        place = addresses(cloud)
        where = self._get(place.metadata).get("jwks_uri")
        if not isinstance(where, str) or not where.startswith(f"https://{place.host}/"):
            raise KeysUnavailable("Its metadata doesn’t say where its keys are.")
        keys = self._get(where).get("keys")
        good = [key for key in keys if jose.verifies_rs256(key)] if isinstance(keys, list) else []
        if not good:
            raise KeysUnavailable("It published no keys that can be used.")
        return good

    def _known(self, cloud: EntraCloud, kid: object) -> Keys:
        now, kept = self._clock.now(), self._kept.get(cloud)
        if kept and now - kept.at >= KEPT_FOR:
            kept = None
        fits = kept is not None and kept.has(kid)
        if kept and fits and now - kept.at < FRESH_FOR:
            return kept.keys
        try:
            return self._renewed(cloud, now)
        except KeysUnavailable:
            if kept and fits:
                return kept.keys
            raise

    def _renewed(self, cloud: EntraCloud, now: datetime) -> Keys:
        tried_at = self._tried_at.get(cloud)
        if tried_at is not None and now - tried_at < NOT_BEFORE:
            raise KeysUnavailable("Its keys were asked for a moment ago.")
        self._tried_at[cloud] = now
        self._kept[cloud] = _Kept(keys=self.fetch(cloud), at=now)
        return self._kept[cloud].keys

    def _get(self, address: str) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        try:
            answer = self._calls.request(
                "GET", address, headers=headers, seconds=SECONDS, most_bytes=MOST_BYTES
            )
            found = json.loads(answer.body) if answer.status == 200 else None
        except CallFailed as failed:
            raise KeysUnavailable(failed.detail) from None
        except NotAllowed as refused:
            raise KeysUnavailable(str(refused)) from None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise KeysUnavailable("It answered something else than its keys.")
        return found
