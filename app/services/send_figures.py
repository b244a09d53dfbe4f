"""What sending came to: the month's budget, today's refusals, and which codes came back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Organization, SendCount, SendScope
from app.services.send_counts import CONVERSION_DAYS, DAY, Slot, Window, find
from app.services.send_targets import EMAIL, PHONE
from app.services.sending_rules import Rulebook, Rules


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an organization has sent by the phone network in this calendar month.

    Attributes:
        alarm_at: so many ring the alarm.
        until: when the next month begins, in UTC.
        refused: how many more there would have been.
    """

    sent: int
    most: int
    alarm_at: int
    until: datetime
    refused: int

    @property
    def is_spent(self) -> bool:
        """Whether nothing more is sent."""
        return self.sent >= self.most

    @property
    def is_low(self) -> bool:
        """Whether most of it is spent, but not all."""
        return self.alarm_at <= self.sent < self.most


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much of one cap is used in the window of now.

    Attributes:
        sent: so many messages; where each recipient, user, address or block of numbers has a count
            of its own, those of the one with the most.
        refused: how many more there would have been, of all.
        is_largest: whether `sent` is the largest of several counts.
    """

    sent: int
    refused: int
    window: Window
    is_largest: bool


_ONE = {
    "monthly_budget": (SendScope.BUDGET, Window.MONTH, ""),
    "per_organization_day": (SendScope.ORGANIZATION, Window.DAY, PHONE),
    "emails_per_organization_day": (SendScope.ORGANIZATION, Window.DAY, EMAIL),
}
_MANY = {
    "per_number_day": (SendScope.NUMBER, Window.DAY),
    "per_user_day": (SendScope.USER, Window.DAY),
    "per_address_hour": (SendScope.ADDRESS, Window.HOUR),
    "per_prefix_hour": (SendScope.PREFIX, Window.HOUR),
}
"""What is counted for each cap of `Rules`: once for the organization, or for each of many."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How many codes of one country and channel came back right.

    Attributes:
        country: of ISO 3166; empty for e-mail.
    """

    country: str
    channel: str
    sent: int
    confirmed: int

    @property
    def rate(self) -> float:
        """The share that came back; of a country that is pumped next to none does."""
        return self.confirmed / self.sent


class SendFigures:
    """Reads what was counted; each of its queries looks at a few rows."""

    def __init__(self, clock: Clock, rules: Rulebook) -> None:
        self._clock = clock
        self._rules = rules

    def budget(
        self,
        tx: Session,
        organization: Organization,
        rules: Rules | None = None,
        now: datetime | None = None,
    ) -> Budget:
        """Return how this month's budget stands.

        Args:
            rules: other ones than the organization's, such as proposed ones.
            now: another moment than the clock's.
        """
        now = now or self._clock.now()
        rules = rules or self._rules.of(tx, organization)
        row = find(tx, Slot(organization.id, SendScope.BUDGET, Window.MONTH), now)
        return Budget(
            sent=row.count if row else 0,
            most=rules.monthly_budget,
            alarm_at=rules.alarm_at,
            until=Window.MONTH.ends(now),
            refused=row.refused if row else 0,
        )

    def capped_today(self, tx: Session, organization: Organization) -> int:
        """Return how many messages the cap of the whole organization's day has refused."""
        slot = Slot(organization.id, SendScope.ORGANIZATION, Window.DAY, PHONE)
        row = find(tx, slot, self._clock.now())
        return row.refused if row else 0

    def uses(self, tx: Session, organization: Organization) -> dict[str, Use]:
        """Return how much of each cap is used now, by its name in `Rules`."""
        now = self._clock.now()
        found = {}
        for name, (scope, window, key) in _ONE.items():
            row = find(tx, Slot(organization.id, scope, window, key), now)
            sent, refused = (row.count, row.refused) if row else (0, 0)
            found[name] = Use(sent=sent, refused=refused, window=window, is_largest=False)
        for name, (scope, window) in _MANY.items():
            sent, refused = _most_of(tx, organization, scope, window, now)
            found[name] = Use(sent=sent, refused=refused, window=window, is_largest=True)
        return found

    def refused_countries(self, tx: Session, organization: Organization) -> list[tuple[str, int]]:
        """Return to which countries messages were refused today, the most refused first."""
        rows = tx.execute(
            sa.select(SendCount.key, SendCount.refused).where(
                SendCount.organization_id == organization.id,
                SendCount.scope == SendScope.COUNTRY,
                SendCount.begins_at == Window.DAY.begins(self._clock.now()),
            )
        )
        return sorted(((key, number) for key, number in rows), key=lambda one: (-one[1], one[0]))

    def conversion(self, tx: Session, organization: Organization) -> list[Conversion]:
        """Return what became of the codes of the last 30 days, by country and channel.

        The most sent come first.
        """
        since = Window.DAY.begins(self._clock.now()) - (CONVERSION_DAYS - 1) * DAY
        rows = tx.execute(
            sa.select(SendCount.key, SendCount.scope, sa.func.sum(SendCount.count))
            .where(
                SendCount.organization_id == organization.id,
                SendCount.scope.in_([SendScope.SENT, SendScope.CONFIRMED]),
                SendCount.begins_at >= since,
            )
            .group_by(SendCount.key, SendCount.scope)
        )
        counts: dict[str, dict[SendScope, int]] = defaultdict(dict)
        for key, scope, number in rows:
            counts[key][scope] = int(number)
        found = [_conversion(key, of) for key, of in counts.items() if SendScope.SENT in of]
        return sorted(found, key=lambda one: (-one.sent, one.country, one.channel))


def _most_of(
    tx: Session, organization: Organization, scope: SendScope, window: Window, now: datetime
) -> tuple[int, int]:
    """Return the largest count of a scope in the window of now, and all that was refused."""
    largest, refused = tx.execute(
        sa.select(sa.func.max(SendCount.count), sa.func.sum(SendCount.refused)).where(
            SendCount.organization_id == organization.id,
            SendCount.scope == scope,
            SendCount.begins_at == window.begins(now),
        )
    ).one()
    return int(largest or 0), int(refused or 0)


def _conversion(key: str, counts: dict[SendScope, int]) -> Conversion:
    country, _, channel = key.partition(":")
    sent = counts[SendScope.SENT]
    return Conversion(
        country=country,
        channel=channel,
        sent=sent,
        confirmed=counts.get(SendScope.CONFIRMED, 0),
    )
