"""API keys: credentials of backends."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.models import ApiKey, Environment, Organization
from app.services.audit import Actor, Audit, EventKind

SECRET_PREFIX = "ghk_"  # noqa: S105  (what a secret scanner looks for, not a secret)
_PURPOSE = "api key secret"


class ApiKeys:
    """Creates, finds and authenticates API keys."""

    def __init__(self, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._clock = clock
        self._vault = vault
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        *,
        environment: Environment,
        name: str,
        organization: Organization | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key; return it with its secret, which is shown this once.

        Args:
            organization: the one that it reaches; none makes it account-wide.
        """
        key = ApiKey(
            id=uuid.uuid4(),
            environment=environment,
            name=name,
            secret_hash="",
            organization_id=organization.id if organization else None,
            created_at=self._clock.now(),
        )
        secret = self._set_secret(key)
        tx.add(key)
        self._audit.record(
            tx,
            EventKind.API_KEY_CREATED,
            actor,
            organization_id=key.organization_id,
            client_id=str(key.id),
        )
        return key, secret

    def replace_secret(self, tx: Session, actor: Actor, key: ApiKey) -> str:
        """Give the key a new secret and return it; the old one is dead at once."""
        self._audit.record(
            tx,
            EventKind.API_KEY_SECRET_REPLACED,
            actor,
            organization_id=key.organization_id,
            client_id=str(key.id),
        )
        return self._set_secret(key)

    def find(self, tx: Session, client_id: str) -> ApiKey | None:
        """Return the key with this `client_id`, if there is one."""
        try:
            return tx.get(ApiKey, uuid.UUID(client_id))
        except ValueError:
            return None

    def authenticate(self, tx: Session, client_id: str, secret: str) -> ApiKey | None:
        """Return the key whose credentials these are."""
        key = self.find(tx, client_id)
        stored = key.secret_hash if key else None
        return key if self._vault.matches(secret, stored, purpose=_PURPOSE) else None

    def _set_secret(self, key: ApiKey) -> str:
        secret = SECRET_PREFIX + new_token()
        key.secret_hash = self._vault.hash(secret, purpose=_PURPOSE)
        return secret
