"""Webhooks that answer nothing good: switching them off, and telling who runs the organization."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.models import Administrator, AdministratorRole, Role, User, Webhook
from app.services.administrators import Administrators
from app.services.audit import SYSTEM
from app.services.webhooks import Webhooks

SUSTAINED = timedelta(hours=24)
"""If no try succeeded for so long when a delivery is given up, the webhook is switched off."""
GONE, FAILING = "gone", "failing"

log = structlog.get_logger("gatehouse.webhooks")


class WebhookOutages:
    """Keeps account of failures."""

    def __init__(self, clock: Clock, webhooks: Webhooks, administrators: Administrators) -> None:
        self._clock = clock
        self._webhooks = webhooks
        self._administrators = administrators

    def succeeded(self, tx: Session, webhook: Webhook) -> None:
        """Forget what failed before."""
        if webhook.failing_since is not None:
            tx.execute(_since(webhook, None))

    def failed(self, tx: Session, webhook: Webhook) -> None:
        """Keep since when tries fail."""
        first = _since(webhook, self._clock.now()).where(Webhook.failing_since.is_(None))
        tx.execute(first)

    def gave_up(self, tx: Session, webhook: Webhook) -> None:
        """Switch a webhook off, if a delivery was given up and nothing else arrived either."""
        tx.refresh(webhook, ["failing_since"])
        since = webhook.failing_since
        if since is not None and since <= self._clock.now() - SUSTAINED:
            self.end(tx, webhook, FAILING)

    def end(self, tx: Session, webhook: Webhook, reason: str) -> None:
        """Switch a webhook off and tell its owners and administrators, once.

        That of a whole environment has no administrators: the operator's log says it.

        Args:
            reason: `gone` or `failing`.
        """
        if not self._webhooks.switch_off(tx, SYSTEM, webhook, reason=reason):
            return
        log.warning("webhook_switched_off", webhook=webhook.id, reason=reason)
        organization = webhook.organization
        if organization is None:
            return
        runs = (
            sa.select(Administrator)
            .join(AdministratorRole)
            .where(
                AdministratorRole.organization_id == organization.id,
                AdministratorRole.role.in_((Role.OWNER, Role.ADMINISTRATOR)),
            )
            .options(joinedload(Administrator.user).joinedload(User.organization))
        )
        for administrator in tx.scalars(runs.order_by(Administrator.email_key)):
            self._administrators.tell(
                tx,
                SYSTEM,
                administrator,
                "webhook_off",
                run=organization.name,
                webhook=webhook.name,
                reason=reason,
            )


def _since(webhook: Webhook, moment: object) -> sa.Update:
    change = sa.update(Webhook).where(Webhook.id == webhook.id).values(failing_since=moment)
    return change.execution_options(synchronize_session=False)
