"""The bill and the abuse: caps, cooldown, countries and the budget, in real transactions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.factors.base import Refused
from app.models import (
    Environment,
    Event,
    SendCount,
    User,
)
from app.services.audit import OPERATOR, EventKind
from app.services.send_figures import Budget
from app.services.sending_rules import Rules
from app.wiring import Services
from tests.conftest import FixedClock

MOBILE = "+33612345678"
OFFICE = "192.0.2.7"
DAY = timedelta(days=1)
HIGH: dict[str, Any] = {
    "per_number_day": 1000,
    "per_user_day": 1000,
    "per_address_hour": 1000,
    "per_prefix_hour": 1000,
    "per_organization_day": 1000,
    "monthly_budget": 1000,
}
"""Nothing but the cap of the test is in the way."""


class Desk:
    """An organization that sends codes to its users."""

    def __init__(self, services: Services, clock: FixedClock, name: str = "Harbor") -> None:
        self.services, self.clock = services, clock
        with services.database.writing() as tx:
            self.organization = services.organizations.create(
                tx, OPERATOR, environment=Environment.SANDBOX, name=name
            )
        self.ada = self.user("ada")

    def user(self, name: str) -> User:
        with self.services.database.writing() as tx:
            email = f"{name}@{self.organization.domain}.example"
            return self.services.directory.create(tx, OPERATOR, self.organization, email=email)

    def rules(self, **changes: Any) -> Rules:
        with self.services.database.writing() as tx:
            return self.services.sending_rules.change(tx, OPERATOR, self.organization, **changes)

    def asks(
        self,
        recipient: str = MOBILE,
        channel: str = "sms",
        *,
        user: User | None = None,
        address: str | None = None,
    ) -> Refused | None:
        """Ask in a transaction whether one message may be sent."""
        with self.services.database.writing() as tx:
            return self.services.sending_limits.charge(
                tx,
                address,
                self.organization,
                user or self.ada,
                channel,
                recipient,
                now=self.clock.now(),
            )

    def sends(self, recipient: str = MOBILE, channel: str = "sms", **more: Any) -> bool:
        return self.asks(recipient, channel, **more) is None

    def sends_many(self, numbers: list[str], **more: Any) -> int:
        """Tell how many of these messages are sent, none of which has to wait."""
        return sum(self.sends(number, **more) for number in numbers)

    def rests(self) -> None:
        """Let the longest wait pass without leaving the day."""
        self.clock.advance(900)

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        with self.services.database.reading() as tx:
            return list(tx.scalars(statement))

    def events(self, kind: EventKind) -> list[Event]:
        mine = sa.select(Event).where(
            Event.kind == kind.value, Event.organization_id == self.organization.id
        )
        return self.rows(mine.order_by(Event.id))

    def counts(self) -> dict[tuple[str, str], int]:
        rows = self.rows(
            sa.select(SendCount).where(SendCount.organization_id == self.organization.id)
        )
        return {(row.scope.value, row.key): row.count for row in rows if row.count}

    def budget(self) -> Budget:
        with self.services.database.reading() as tx:
            return self.services.send_figures.budget(tx, self.organization)


@pytest.fixture
def desk(services: Services, clock: FixedClock) -> Desk:
    return Desk(services, clock)


def mobiles(number: int, block: str = "+3361234") -> list[str]:
    """Numbers of one block, each different."""
    return [f"{block}{index:04d}" for index in range(number)]


def scattered(number: int) -> list[str]:
    """Numbers that share no prefix."""
    return [f"+336{index:02d}345678" for index in range(10, 10 + number)]


def test_a_first_message_is_sent(desk: Desk) -> None:
    assert desk.asks(address=OFFICE) is None
