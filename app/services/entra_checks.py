"""Checks of a connection to Entra: what Microsoft reads of ours, and what we read of Microsoft's.

Our side is called as Microsoft calls it, at its public address, so that a name that leads nowhere,
a certificate that is wrong or a proxy that answers instead shows here, and not at a sign-in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app import jose
from app.addresses import NotAllowed
from app.exchanges import Answer, CallFailed
from app.models import EntraConnection, KeyUse
from app.services.entra_clouds import addresses
from app.services.entra_connections import EntraConnections
from app.services.entra_keys import MOST_BYTES, SECONDS, Calls, EntraKeys, KeysUnavailable
from app.services.signing_keys import SigningKeys
from app.services.trial_ways import Check


class _Wrong(Exception):
    """What was found in the place of what is wanted.

    Args:
        found: in a few words.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class EntraChecks:
    """Looks at both ends of a connection; it changes nothing, and takes nobody in."""

    def __init__(
        self,
        calls: Calls,
        keys: EntraKeys,
        connections: EntraConnections,
        signing_keys: SigningKeys,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._connections = connections
        self._signing_keys = signing_keys

    def signing_kid(self, tx: Session) -> str:
        """Return the id of the key that signs what Entra gets."""
        return str(self._signing_keys.signer(tx, KeyUse.ENTRA).kid)

    def look(self, connection: EntraConnection, *, kid: str) -> list[Check]:
        """Look at everything; it calls out, so within no transaction.

        Args:
            kid: see `signing_kid`.
        """
        issuer = self._connections.issuer(connection.id)
        return [
            *self._published(issuer, kid),
            self._authorize(f"{issuer}/authorize"),
            self._microsoft(connection),
        ]

    def _published(self, issuer: str, kid: str) -> list[Check]:
        """Look at our metadata, and at the keys where it says that they are."""
        wanted = f"our metadata, as {issuer}"
        try:
            metadata = self._json(f"{issuer}/.well-known/openid-configuration")
            _demand_own(metadata, issuer)
        except _Wrong as wrong:
            return [_failed("discovery", wanted, wrong)]
        found = f"{issuer}, and all that Entra asks"
        discovery = Check(name="discovery", passed=True, wanted=wanted, found=found)
        return [discovery, self._certified(metadata["jwks_uri"], kid)]

    def _certified(self, address: str, kid: str) -> Check:
        wanted = f"key {kid}, which signs, and each with its certificate"
        try:
            keys = _certified_keys(self._json(address))
            if kid not in {key.get("kid") for key in keys}:
                raise _Wrong("other keys than the one that signs")
        except _Wrong as wrong:
            return _failed("jwks", wanted, wrong)
        told = f"{len(keys)} keys with certificates, and it is one of them"
        return Check(name="jwks", passed=True, wanted=wanted, found=told)

    def _authorize(self, address: str) -> Check:
        """See that forms get there: one that says nothing has to be turned down."""
        wanted = f"{address} turns down a form that isn’t Entra’s"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            status = self._call("POST", address, headers).status
            if status != 400:
                raise _Wrong(f"status {status}")
        except _Wrong as wrong:
            return _failed("authorize", wanted, wrong)
        return Check(name="authorize", passed=True, wanted=wanted, found="turned down")

    def _microsoft(self, connection: EntraConnection) -> Check:
        """See that there are keys to check hints with, fetched now or pinned."""
        host, pinned = addresses(connection.cloud).host, connection.pinned_keys
        wanted = f"the keys of {host}" + (", among them a pinned one" if pinned else "")
        try:
            keys = self._keys.fetch(connection.cloud)
        except KeysUnavailable as unavailable:
            found = unavailable.detail
            if pinned:
                found = f"pinned keys: {len(pinned)}, not compared: {found}"
            return Check(name="microsoft", passed=bool(pinned), wanted=wanted, found=found)
        common = {key["kid"] for key in keys} & {key["kid"] for key in pinned or keys}
        found = f"keys fetched now: {len(keys)}"
        if pinned:
            found = f"pinned keys: {len(common)} of {len(pinned)} among the {len(keys)} fetched now"
        return Check(name="microsoft", passed=bool(common), wanted=wanted, found=found)

    def _json(self, address: str) -> dict[str, Any]:
        answer = self._call("GET", address, {"Accept": "application/json"})
        if answer.status != 200:
            raise _Wrong(f"status {answer.status}")
        if "content-length" not in answer.headers:
            raise _Wrong("an answer without Content-Length, which Entra refuses")
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise _Wrong("something else than JSON of ours")
        return found

    def _call(self, method: str, address: str, headers: Mapping[str, str]) -> Answer:
        try:
            return self._calls.request(
                method, address, headers=headers, seconds=SECONDS, most_bytes=MOST_BYTES
            )
        except CallFailed as failed:
            raise _Wrong(failed.detail) from None
        except NotAllowed as refused:
            raise _Wrong(str(refused)) from None


def _demand_own(metadata: dict[str, Any], issuer: str) -> None:
    """See that metadata are ours, and say what Entra demands (its reference, Discovery).

    Raises:
        _Wrong: they don't.
    """
    must = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "jwks_uri": f"{issuer}/jwks",
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["id_token"],
        "response_modes_supported": ["form_post"],
        "scopes_supported": ["openid"],
    }
    wrong = [name for name, value in must.items() if metadata.get(name) != value]
    if wrong:
        raise _Wrong(f"another {', '.join(wrong)}")


def _certified_keys(published: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the keys of a set, all of which have a certificate over them.

    Raises:
        _Wrong: one has none, or there are none.
    """
    keys = published.get("keys")
    if not isinstance(keys, list) or not keys:
        raise _Wrong("no keys")
    bare = sum(1 for key in keys if not jose.is_certified(key))
    if bare:
        raise _Wrong(f"{bare} of {len(keys)} keys without a certificate that fits")
    return keys


def _failed(name: str, wanted: str, wrong: _Wrong) -> Check:
    return Check(name=name, passed=False, wanted=wanted, found=wrong.found)
