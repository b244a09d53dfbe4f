"""What keeps messages from arriving: channels that nobody carries, and what failed of late."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Message, MessageStatus, Organization
from app.providers.base import CHANNELS
from app.services.channels import Channels
from app.services.message_ranges import Way, along
from app.services.method_settings import DUAL
from app.services.provider_accounts import ProviderAccounts
from app.services.send_jobs import EXPIRED, WITHDRAWN

_LATELY = timedelta(days=1)
_LEAST = 3
"""So many failures of a channel, and nothing that went out, tell that its providers don't work."""
_COUNTED = 10_000
"""So many messages are looked at, at most: the page says how bad it is, not to the last one."""
_NOBODY_S = (EXPIRED, WITHDRAWN)
"""Why messages end that no provider and no setting is to blame for."""


@dataclass(frozen=True, kw_only=True)
class Troubles:
    """What an administrator can mend.

    Attributes:
        uncarried: channels that are on, and nobody carries them.
        broken: channels by which nothing went out in the last day, with how much failed.
        failed: how many other messages failed in the last day.
    """

    uncarried: Sequence[str]
    broken: Mapping[str, int]
    failed: int


class SendTroubles:
    """Looks for what keeps messages from arriving."""

    def __init__(self, clock: Clock, channels: Channels, accounts: ProviderAccounts) -> None:
        self._clock = clock
        self._channels = channels
        self._accounts = accounts

    def of(self, tx: Session, organization: Organization) -> Troubles:
        """Return what is wrong with an organization's messages now."""
        since = self._clock.now() - _LATELY
        uncarried = self._uncarried(tx, organization)
        failed = _failed(tx, organization.id, since)
        broken = {
            channel: number
            for channel, number in failed.items()
            if number >= _LEAST
            and channel not in uncarried
            and not _went_out(tx, organization.id, channel, since)
        }
        rest = {channel: number for channel, number in failed.items() if channel not in broken}
        return Troubles(uncarried=uncarried, broken=broken, failed=sum(rest.values()))

    def _uncarried(self, tx: Session, organization: Organization) -> list[str]:
        needed = {one for one in CHANNELS if self._channels.is_active(tx, organization, one)}
        if self._channels.is_active(tx, organization, DUAL):
            needed |= {"email", "sms"}
        if not needed:
            return []
        carried = self._accounts.carried(tx, organization)
        return [one for one in CHANNELS if one in needed - carried]


def _failed(tx: Session, organization_id: uuid.UUID, since: datetime) -> dict[str, int]:
    """Return how many messages failed since then, by channel."""
    way: Way = {
        Message.organization_id: organization_id,
        Message.status: MessageStatus.FAILED,
    }
    newest = (
        along(way, None, since=since)
        .with_only_columns(Message.channel, Message.error)
        .limit(_COUNTED)
        .subquery()
    )
    theirs = sa.func.coalesce(newest.c.error, "").not_in(_NOBODY_S)
    counted = sa.select(newest.c.channel, sa.func.count()).where(theirs)
    return {row[0]: row[1] for row in tx.execute(counted.group_by(newest.c.channel))}


def _went_out(tx: Session, organization_id: uuid.UUID, channel: str, since: datetime) -> bool:
    way: Way = {Message.organization_id: organization_id, Message.channel: channel}
    near = along(way, None, since=since).limit(_COUNTED).subquery()
    went = near.c.status.in_([MessageStatus.SENT, MessageStatus.DELIVERED])
    return tx.scalar(sa.select(near.c.id).where(went).limit(1)) is not None
