"""What vendors report of messages that they took."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Message, MessageStatus
from app.providers.base import Callback, Report
from app.services.provider_accounts import ProviderAccounts

_REPORTED: dict[str, tuple[MessageStatus, tuple[MessageStatus, ...]]] = {
    "delivered": (MessageStatus.DELIVERED, (MessageStatus.SENT, MessageStatus.FAILED)),
    "failed": (MessageStatus.FAILED, (MessageStatus.SENT,)),
}
"""What each report makes of a message, and of which; that it has left the vendor is known."""


class MessageReports:
    """Writes down what became of messages."""

    def __init__(self, clock: Clock, accounts: ProviderAccounts) -> None:
        self._clock = clock
        self._accounts = accounts

    def take(
        self, tx: Session, account_id: uuid.UUID, message_id: uuid.UUID, callback: Callback
    ) -> bool:
        """Take a vendor's word on a message.

        Returns:
            Whether the account and its message are known.

        Raises:
            Forged: the vendor did not sign it.
        """
        carrier = self._accounts.reporter(tx, account_id)
        message = tx.get(Message, message_id)
        if carrier is None or message is None or message.provider_account_id != account_id:
            return False
        report = carrier.provider.report(carrier.account, callback)
        if report is not None and report.provider_id == message.provider_message_id:
            self._write(tx, message_id, report)
        return True

    def _write(self, tx: Session, message_id: uuid.UUID, report: Report) -> None:
        """Change the row; what has arrived does not fail any more, whatever comes late."""
        if report.status not in _REPORTED:
            return
        status, before = _REPORTED[report.status]
        arrived = self._clock.now() if status is MessageStatus.DELIVERED else None
        tx.execute(
            sa.update(Message)
            .where(Message.id == message_id, Message.status.in_(before))
            .values(status=status, error=report.error_code, delivered_at=arrived)
        )
