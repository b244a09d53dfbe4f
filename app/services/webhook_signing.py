"""Secrets of webhooks, and signatures under them.

They are those of Standard Webhooks (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime

from standardwebhooks.webhooks import Webhook as Signer

from app.crypto import Vault
from app.models import Webhook

PREFIX = "whsec_"
_BYTES = 32


class Signing:
    """Makes secrets, keeps them sealed, and signs with them."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def issue(self, webhook: Webhook) -> str:
        """Give a webhook a new secret and return it."""
        secret = PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
        webhook.secret = self._vault.seal(secret.encode(), place=_place(webhook))
        return secret

    def replace(self, webhook: Webhook, *, until: datetime | None) -> str:
        """Give a webhook a new secret and return it.

        Args:
            until: so long requests are signed with the old one, too; None lets it end at once.
        """
        old = self._vault.open(webhook.secret, place=_place(webhook))
        sealed = self._vault.seal(old, place=_previous_place(webhook))
        webhook.previous_secret = sealed if until else None
        webhook.previous_until = until
        return self.issue(webhook)

    def headers(
        self, webhook: Webhook, message_id: str, body: str, now: datetime
    ) -> dict[str, str]:
        """Return the headers that sign a request: a signature for each secret that holds."""
        signed = [Signer(secret).sign(message_id, now, body) for secret in self._held(webhook, now)]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signed),
        }

    def _held(self, webhook: Webhook, now: datetime) -> list[str]:
        held = [self._vault.open(webhook.secret, place=_place(webhook))]
        if webhook.previous_secret and overlaps_until(webhook, now):
            held.append(self._vault.open(webhook.previous_secret, place=_previous_place(webhook)))
        return [secret.decode() for secret in held]


def mark(webhook: Webhook) -> str:
    """Return what changes whenever the secret does, and tells nothing of it."""
    return hashlib.sha256(webhook.secret.encode()).hexdigest()[:16]


def overlaps_until(webhook: Webhook, now: datetime) -> datetime | None:
    """Return until when the secret before this one signs, too, if it still does."""
    until = webhook.previous_until
    return until if until is not None and now < until else None


def _place(webhook: Webhook) -> str:
    return f"webhooks.secret:{webhook.id}"


def _previous_place(webhook: Webhook) -> str:
    return f"webhooks.previous_secret:{webhook.id}"
