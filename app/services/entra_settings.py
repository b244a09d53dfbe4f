"""What may be set of an Entra connection, and what is wrong with what may not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app import jose
from app.errors import Invalid
from app.models import EntraCloud

MOST_TENANTS = 50
_FIELDS = ("kty", "kid", "n", "e", "use", "issuer")
"""What is kept of a pinned key."""


@dataclass(frozen=True, kw_only=True)
class EntraSettings:
    """How a connection works.

    Attributes:
        app_id: of the app registration in Entra.
        tenant_ids: directories whose users may be sent.
        pinned_keys: a JSON Web Key Set of Microsoft's; "" means that keys are fetched.
        links_by_name: whether somebody who is new is the user with the e-mail address that Entra
            names.
        creates_users: whether somebody whom we don't know becomes a user.
    """

    app_id: str
    tenant_ids: Sequence[str]
    cloud: EntraCloud = EntraCloud.GLOBAL
    pinned_keys: str = ""
    links_by_name: bool = True
    creates_users: bool = False


def checked_app_id(value: str) -> str:
    """Return an application id as Entra writes it.

    Raises:
        Invalid: it is none.
    """
    return _guid(value, "app_id", "the Application (client) ID of the app registration")


def checked_tenant_ids(values: Sequence[str]) -> list[str]:
    """Return the ids of directories, each once.

    Raises:
        Invalid: there is none, there are too many, or one is none.
    """
    wanted = dict.fromkeys(
        _guid(one, "tenant_ids", "each the Directory (tenant) ID of a tenant") for one in values
    )
    if not wanted:
        raise Invalid("tenant_ids", "write at least one.")
    if len(wanted) > MOST_TENANTS:
        raise Invalid("tenant_ids", f"write {MOST_TENANTS} at most.")
    return list(wanted)


def checked_keys(text: str) -> list[dict[str, Any]] | None:
    """Return the public keys of a JSON Web Key Set; None if nothing was written.

    Raises:
        Invalid: it is none, or holds another key than those that sign RS256.
    """
    if not text.strip():
        return None
    keys = _key_set(text)
    if not keys or not all(jose.verifies_rs256(key) for key in keys):
        raise Invalid(
            "pinned_keys",
            "paste the whole JSON of Microsoft’s keys: public RSA keys with kid, n and e.",
        )
    return [{name: key[name] for name in _FIELDS if name in key} for key in keys]


def _key_set(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    keys = found.get("keys") if isinstance(found, dict) else None
    return keys if isinstance(keys, list) else []


def _guid(value: str, field: str, wanted: str) -> str:
    try:
        return str(uuid.UUID(value.strip()))
    except ValueError:
        raise Invalid(
            field, f"write {wanted}, such as 14c2f153-90a7-4689-9db7-9543bf084dad."
        ) from None
