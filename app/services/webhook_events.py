"""Events about webhooks: what is done to them stands in the record of whose they are."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.models import Webhook
from app.services.audit import Actor, Audit, EventKind


class WebhookEvents:
    """Records them."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def record(
        self, tx: Session, kind: EventKind, actor: Actor, webhook: Webhook, **detail: Any
    ) -> None:
        """Append one event; `detail` is as in `Audit.record`."""
        if webhook.organization_id is None:  # nothing else would say where it belongs
            detail["environment"] = webhook.environment.value
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=webhook.organization_id,
            webhook=webhook.id,
            name=webhook.name,
            **detail,
        )
