"""What vendors report of messages that they took, and the address at which they do."""

from __future__ import annotations

import base64
import binascii
import uuid

import sqlalchemy as sa

from app import metrics
from app.clock import Clock
from app.config import Config
from app.db import Database, touched_one
from app.errors import Refusal
from app.models import Message, MessageStatus
from app.providers.base import Callback, Forged, Report
from app.services.provider_accounts import ProviderAccounts
from app.services.send_attempts import Attempt, attempts_of, kept

PATH = "/providers"
_ARRIVES_FROM = (
    MessageStatus.QUEUED,
    MessageStatus.SENDING,
    MessageStatus.SENT,
    MessageStatus.FAILED,
)
"""Also from where our own answer was lost, or not written down yet."""


def reported_at(config: Config, account_id: uuid.UUID, message_id: uuid.UUID) -> str:
    """Return the address at which the vendor of an account reports on a message.

    It is short, for Vonage takes 100 characters.
    """
    return f"{config.base_url}{PATH}/{short(account_id)}/{short(message_id)}"


def short(id_: uuid.UUID) -> str:
    """Return the 22 characters that stand for an id."""
    return base64.urlsafe_b64encode(id_.bytes).rstrip(b"=").decode()


def long(text: str) -> uuid.UUID | None:
    """Return the id that these characters stand for, if they do for one."""
    try:
        return uuid.UUID(bytes=base64.urlsafe_b64decode(f"{text}=="))
    except (binascii.Error, ValueError):
        return None


class MessageReports:
    """Writes down what became of messages."""

    def __init__(self, database: Database, clock: Clock, accounts: ProviderAccounts) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts

    def take(self, account_id: uuid.UUID, message_id: uuid.UUID, callback: Callback) -> bool:
        """Take a vendor's word on a message.

        Returns:
            Whether the account and its message are known.

        Raises:
            Forged: the vendor did not sign it, or signed it about another message.
            Refusal: `too_early`; the vendor may say it again, once the message counts as sent.
        """
        with self._database.reading() as tx:
            carrier = self._accounts.reporter(tx, account_id)
            message = tx.get(Message, message_id)
        if carrier is None or carrier.row is None or message is None:
            return False
        if message.organization_id != carrier.row.organization_id:
            return False
        report = carrier.provider.report(carrier.account, callback)
        if report is None:
            return True
        if report.message_id not in {None, str(message.id)}:
            raise Forged(carrier.row.kind)  # one that was heard before, at another address
        self._write(message, report)
        return True

    def _write(self, message: Message, report: Report) -> None:
        """Change the row, if it is this very message that is meant.

        What has arrived does not fail any more, whatever comes late. That a message has left the
        vendor is known.
        """
        if report.status == "delivered":
            self._delivered(message, report)
        elif report.status == "failed":
            self._failed(message, report)

    def _delivered(self, message: Message, report: Report) -> None:
        now = self._clock.now()
        self._change(
            message,
            report,
            _ARRIVES_FROM,
            status=MessageStatus.DELIVERED,
            body=None,
            due_at=None,
            error=None,
            provider_message_id=report.provider_id,
            sent_at=sa.func.coalesce(Message.sent_at, sa.literal(now, Message.sent_at.type)),
            delivered_at=now,
        )

    def _failed(self, message: Message, report: Report) -> None:
        if message.status is MessageStatus.SENDING:
            raise Refusal(
                "too_early", "The message is still on its way. Tell it again.", status=503
            )
        self._change(
            message,
            report,
            (MessageStatus.SENT,),
            status=MessageStatus.FAILED,
            error=report.error_code,
            attempts=kept([*attempts_of(message), self._told(message, report)]),
        )

    def _told(self, message: Message, report: Report) -> Attempt:
        code = report.error_code or ""
        provider = message.provider or ""
        return Attempt(at=self._clock.now(), provider=provider, code=code, reported=True)

    def _change(
        self,
        message: Message,
        report: Report,
        before: tuple[MessageStatus, ...],
        **values: object,
    ) -> None:
        known = Message.provider_message_id
        is_it = known == report.provider_id
        if report.signs_address or report.message_id is not None:
            is_it = sa.or_(known.is_(None), is_it)  # before its own answer was written down
        change = sa.update(Message).where(
            Message.id == message.id,
            Message.status.in_(before),
            is_it,  # another provider may have taken it in the end
        )
        with self._database.writing() as tx:
            changed = touched_one(tx, change.values(**values))
        if changed:
            metrics.count_message(message.channel, str(values["status"]))
