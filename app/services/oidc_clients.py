"""OIDC clients: what an application that speaks OpenID Connect is held to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy.orm import Session

from app import client_keys
from app.db import lock
from app.errors import Invalid
from app.models import Application, ClientAuth, Door, OidcClient
from app.services.application_reach import own_to
from app.services.audit import Actor, Audit, EventKind
from app.services.redirect_uris import why_not

_MOST_KEYS = 10
_MOST_ADDRESSES = 20


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """What a client is held to; see `OidcClient`.

    Attributes:
        keys: a JSON Web Key Set, or one key, as JSON; empty for none.
    """

    auth: ClientAuth = ClientAuth.BASIC
    keys: str = ""
    algorithm: str = "ES256"
    requires_pushed: bool = True
    requires_signed: bool = False
    requires_pkce: bool = True
    takes_unauthenticated: bool = False
    post_logout_redirect_uris: Sequence[str] = ()


class OidcClients:
    """Keeps the settings that OpenID Connect has beside those of every application."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def find(self, tx: Session, client_id: str) -> OidcClient | None:
        """Return the client with this id, if an application of this door has it."""
        try:
            found = tx.get(OidcClient, uuid.UUID(client_id))
        except ValueError:
            return None
        if found is None or found.application.deleted_at is not None:
            return None
        return found if found.application.door is Door.OIDC else None

    def of(self, tx: Session, application: Application) -> OidcClient:
        """Return the settings of an application of this door."""
        return tx.get_one(OidcClient, application.id)

    def register(
        self, tx: Session, application: Application, settings: OidcSettings | None = None
    ) -> OidcClient:
        """Give a new application of this door its settings.

        Raises:
            Invalid: a field can't be used.
        """
        client = OidcClient(application_id=application.id, application=application)
        _apply(client, settings or OidcSettings())
        tx.add(client)
        tx.flush()
        return client

    def change(
        self, tx: Session, actor: Actor, client: OidcClient, settings: OidcSettings
    ) -> list[str]:
        """Hold a client to other settings; return the names of those that are different.

        Raises:
            Invalid: a field can't be used.
        """
        lock(tx, OidcClient.application_id, client.application_id)
        tx.refresh(client)
        changed = _apply(client, settings)
        if not changed:
            return []
        application = client.application
        owners: set[uuid.UUID | None] = {*own_to(application)}
        for organization_id in owners or {None}:
            self._audit.record(
                tx,
                EventKind.APPLICATION_UPDATED,
                actor,
                organization_id=organization_id,
                application_id=application.id,
                client_id=application.client_id,
                name=application.name,
                changed=" ".join(changed),
            )
        return changed


def _apply(client: OidcClient, settings: OidcSettings) -> list[str]:
    """Change what is different, and return its names."""
    if settings.algorithm not in client_keys.ALGORITHMS:
        told = f"use one of {', '.join(client_keys.ALGORITHMS)}."
        raise Invalid("algorithm", told)
    keys = checked_keys(settings.keys, settings.algorithm)
    if not keys and (settings.auth is ClientAuth.KEY or settings.requires_signed):
        raise Invalid("keys", "paste the public key with which the application signs.")
    addresses = _checked_addresses(settings.post_logout_redirect_uris)
    wanted = {one.name: getattr(settings, one.name) for one in fields(settings)}
    wanted |= {"keys": keys, "post_logout_redirect_uris": addresses}
    changed = [name for name, value in wanted.items() if getattr(client, name, None) != value]
    for name in changed:
        setattr(client, name, wanted[name])
    return changed


def checked_keys(text: str, algorithm: str) -> list[dict[str, Any]]:
    """Return the public keys in a JSON Web Key Set, or the one key, as they can be registered.

    Raises:
        Invalid: it is none, or a key in it doesn't fit the algorithm, or is a private one.
    """
    if not text.strip():
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("keys", "paste JSON: a key set, or one key.") from None
    found = value.get("keys", [value]) if isinstance(value, dict) else None
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_KEYS:
        raise Invalid("keys", f"paste a JSON Web Key Set with 1 to {_MOST_KEYS} keys, or one key.")
    return _each_checked(found, algorithm)


def _each_checked(found: list[Any], algorithm: str) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = []
    for number, one in enumerate(found, 1):
        try:
            keys.append(client_keys.checked_key(one, algorithm))
        except ValueError as wrong:
            raise Invalid("keys", f"key {number} {wrong}") from None
    if len({one["kid"] for one in keys}) < len(keys):
        raise Invalid("keys", "two keys have the same kid.")
    return keys


def _checked_addresses(addresses: Sequence[str]) -> list[str]:
    if len(addresses) > _MOST_ADDRESSES:
        raise Invalid("post_logout_redirect_uris", f"at most {_MOST_ADDRESSES}.")
    for one in addresses:
        if reason := why_not(one):
            raise Invalid("post_logout_redirect_uris", f"{one[:200]!r} {reason}")
    return list(addresses)
