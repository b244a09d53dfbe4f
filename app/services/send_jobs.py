"""What it takes to send messages, read for many of them at once."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Challenge,
    Message,
    MethodSetting,
    Organization,
    User,
)
from app.services.channels import settings_of
from app.services.delivery import CODE
from app.services.letters import Letter, opened
from app.services.provider_accounts import Carrier, ProviderAccounts
from app.services.send_claims import Claim

NO_PROVIDER, EXPIRED, WITHDRAWN, BROKEN = "no_provider", "expired", "withdrawn", "internal_error"

_Way = tuple[uuid.UUID, str]
"""An organization, and one of its channels."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A message with all that it takes to send it."""

    message: Message
    letter: Letter = field(repr=False)
    carriers: list[Carrier]
    sender: str | None


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What was read at once.

    Attributes:
        messages: those that are there and wanted.
    """

    messages: Mapping[uuid.UUID, Message]
    carriers: Mapping[_Way, list[Carrier]]
    senders: Mapping[_Way, str | None]


class Jobs:
    """Reads them."""

    def __init__(
        self, database: Database, clock: Clock, vault: Vault, accounts: ProviderAccounts
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._accounts = accounts

    def load(self, claims: Sequence[Claim]) -> dict[uuid.UUID, Job | str]:
        """Return what is to be sent, or why it is not, for each message that is claimed."""
        with self._database.reading() as tx:
            rows = tx.execute(_with_withdrawal([one.message_id for one in claims])).all()
            messages = {row.Message.id: row.Message for row in rows if not row.is_withdrawn}
            wanted = {(one.organization_id, one.channel) for one in messages.values()}
            read = _Read(
                messages=messages,
                carriers=self._accounts.carriers_of(tx, wanted),
                senders=_senders(tx, wanted),
            )
        return {one.message_id: self._job(one, read) for one in claims}

    def is_late(self, claim: Claim) -> bool:
        """Tell whether a message is not worth sending any more."""
        return claim.expires_at is not None and claim.expires_at <= self._clock.now()

    def _job(self, claim: Claim, read: _Read) -> Job | str:
        message = read.messages.get(claim.message_id)
        if message is None:
            return WITHDRAWN
        letter = opened(self._vault, message)
        if letter is None or self.is_late(claim):
            return EXPIRED
        way = message.organization_id, message.channel
        return Job(
            message=message,
            letter=letter,
            carriers=read.carriers[way],
            sender=read.senders.get(way),
        )


def _senders(tx: Session, wanted: Collection[_Way]) -> dict[_Way, str | None]:
    """Return whom messages are from, where an organization set it for a channel."""
    rows = sa.select(MethodSetting).where(
        MethodSetting.organization_id.in_({one for one, _ in wanted}),
        MethodSetting.kind.in_({channel for _, channel in wanted}),
    )
    return {(row.organization_id, row.kind): settings_of(row).sender for row in tx.scalars(rows)}


def _with_withdrawal(message_ids: Collection[uuid.UUID]) -> sa.Select[Message, bool]:
    """Select messages, and whether each is not to be sent any more, for all that was since."""
    works = sa.and_(
        Challenge.id.is_not(None),
        Challenge.used_at.is_(None),
        Authenticator.status != AuthenticatorStatus.REMOVED,
    )
    is_withdrawn = sa.or_(
        Organization.deleted_at.is_not(None),
        sa.and_(Message.urgent, User.suspended_at.is_not(None)),
        sa.and_(Message.name == CODE, ~works),
    )
    return (
        sa.select(Message, is_withdrawn.label("is_withdrawn"))
        .join(Organization, Organization.id == Message.organization_id)
        .outerjoin(User, User.id == Message.user_id)
        .outerjoin(Challenge, Challenge.id == Message.challenge_id)
        .outerjoin(Authenticator, Authenticator.id == Challenge.authenticator_id)
        .where(Message.id.in_(message_ids))
    )
