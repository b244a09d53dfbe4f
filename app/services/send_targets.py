"""Where a message is to go, what it is counted by, how many there may be, and when the next."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.crypto import Vault
from app.errors import Invalid
from app.factors.base import Reason
from app.models import SendCooldown, SendScope, User
from app.services.client_addresses import party_of
from app.services.phone_numbers import PHONE_CHANNELS, PhoneNumber, parse
from app.services.send_counts import Slot, Window, wait_again
from app.services.sending_rules import Rules
from app.services.user_fields import email_key

PHONE, EMAIL = "phone", "email"
"""Under which an organization's messages are counted."""

_RECIPIENT = "sends to a recipient"
_ADDRESS = "sends for an address"
_PREFIX = "sends to a prefix"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where one message is to go.

    Attributes:
        channel: `sms`, `whatsapp`, `voice` or `email`.
        recipient: a phone number with its country code in any spelling, or an e-mail address.
    """

    channel: str
    recipient: str


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A target as it is judged.

    Attributes:
        number: None for e-mail, and for what is no number.
        hashes: keyed, of the recipient's one normal form; the one that is written comes first.
    """

    channel: str
    number: PhoneNumber | None
    hashes: tuple[str, ...]

    @property
    def hash(self) -> str:
        """What stands for the recipient in a row."""
        return self.hashes[0]

    @property
    def by_phone(self) -> bool:
        """Whether it goes through the phone network."""
        return self.channel in PHONE_CHANNELS

    @property
    def country(self) -> str:
        """The country of the number; empty for e-mail."""
        return self.number.country if self.number else ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is in the way of a message.

    Attributes:
        slot: counts how often it was; None for what is not worth a count.
        retry_at: when it no longer is; None for never.
    """

    reason: Reason
    aim: Aim
    slot: Slot | None = None
    retry_at: datetime | None = None


def aim_at(vault: Vault, target: Target) -> Aim:
    """Return a target in its normal form: all spellings of a recipient share one."""
    by_phone = target.channel in PHONE_CHANNELS
    number = _number(target.recipient) if by_phone else None
    normal = number.e164 if number else email_key(target.recipient)
    hashes = vault.hashes(normal, purpose=_RECIPIENT)
    return Aim(channel=target.channel, number=number, hashes=tuple(hashes))


def unreachable(organization_id: uuid.UUID, aim: Aim, rules: Rules) -> Bar | None:
    """Tell what is in the way of a number, however little was sent before."""
    if not aim.by_phone:
        return None
    if aim.number is None or not aim.number.takes(aim.channel):
        sort = aim.number.sort.value if aim.number else "invalid"
        slot = Slot(organization_id, SendScope.SORT, Window.DAY, sort)
        return Bar(reason=Reason.NUMBER_REFUSED, aim=aim, slot=slot)
    if aim.country not in rules.countries:
        slot = Slot(organization_id, SendScope.COUNTRY, Window.DAY, aim.country)
        return Bar(reason=Reason.COUNTRY_NOT_ALLOWED, aim=aim, slot=slot)
    return None


def slots(
    vault: Vault, client_address: str | None, user: User, aim: Aim, rules: Rules
) -> Iterator[Slot]:
    """Yield what one message is counted by."""
    owner = user.organization_id
    yield Slot(owner, SendScope.NUMBER, Window.DAY, aim.hash)
    yield Slot(owner, SendScope.USER, Window.DAY, str(user.id))
    if client_address is not None:
        party = vault.hash(party_of(client_address), purpose=_ADDRESS)
        yield Slot(owner, SendScope.ADDRESS, Window.HOUR, party)
    yield Slot(owner, SendScope.ORGANIZATION, Window.DAY, PHONE if aim.by_phone else EMAIL)
    if aim.number is not None:
        prefix = vault.hash(aim.number.prefix(rules.prefix_digits), purpose=_PREFIX)
        yield Slot(owner, SendScope.PREFIX, Window.HOUR, prefix)
        yield Slot(owner, SendScope.BUDGET, Window.MONTH)


def most(slot: Slot, rules: Rules) -> int:
    """Return how many messages a slot may count."""
    if slot.scope is SendScope.ORGANIZATION and slot.key == EMAIL:
        return rules.emails_per_organization_day
    return {
        SendScope.NUMBER: rules.per_number_day,
        SendScope.USER: rules.per_user_day,
        SendScope.ADDRESS: rules.per_address_hour,
        SendScope.PREFIX: rules.per_prefix_hour,
        SendScope.ORGANIZATION: rules.per_organization_day,
        SendScope.BUDGET: rules.monthly_budget,
    }[slot.scope]


def wait(
    tx: Session, organization_id: uuid.UUID, aims: Sequence[Aim], rules: Rules, now: datetime
) -> Bar | None:
    """Begin the wait after each message, unless one is still running."""
    for _, aim in sorted({aim.hash: aim for aim in aims}.items()):
        if not wait_again(tx, organization_id, aim.hash, rules.cooldowns, now):
            until = waits_until(tx, organization_id, aim)
            return Bar(reason=Reason.COOLDOWN, aim=aim, retry_at=until)
    return None


def waits_until(tx: Session, organization_id: uuid.UUID, aim: Aim) -> datetime | None:
    """Return until when the last message lets the next one wait."""
    last = sa.func.max(SendCooldown.retry_at)
    return tx.scalar(sa.select(last).where(cooldown_of(organization_id, aim)))


def cooldown_of(organization_id: uuid.UUID, aim: Aim) -> sa.ColumnElement[bool]:
    """Select the wait of a recipient."""
    return sa.and_(
        SendCooldown.organization_id == organization_id,
        SendCooldown.recipient_hash.in_(aim.hashes),
    )


def _number(recipient: str) -> PhoneNumber | None:
    try:
        return parse(recipient)
    except Invalid:
        return None
