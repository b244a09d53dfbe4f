"""What access tokens say whose signature was checked, so that a process checks each once."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

MOST = 1000
"""So many are remembered; the first are forgotten first."""


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """What an access token says.

    Attributes:
        kid: of the key that signed it.
        client_id: of the API key.
        expires_at: seconds since 1970.
    """

    kid: str
    client_id: uuid.UUID
    expires_at: int


class Bearers:
    """Tokens are known by a digest of all that is in them: none of them is kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Bearer] = OrderedDict()
        self._lock = Lock()

    def remember(self, token: str, bearer: Bearer) -> None:
        """Remember a token whose signature is good."""
        with self._lock:
            self._known[_digest(token)] = bearer
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def of(self, token: str) -> Bearer | None:
        """Return what a token says, if it is remembered."""
        return self._known.get(_digest(token))


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
