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
from app.services.send_targets import PHONE
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


def _conversion(key: str, counts: dict[SendScope, int]) -> Conversion:
    country, _, channel = key.partition(":")
    sent = counts[SendScope.SENT]
    return Conversion(
        country=country,
        channel=channel,
        sent=sent,
        confirmed=counts.get(SendScope.CONFIRMED, 0),
    )
