"""How far the sending of one message has come: who failed, and whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.providers.base import DeliveryError
from app.services.provider_accounts import Carrier
from app.services.send_attempts import Attempt, kept
from app.services.send_claims import Claim

MOST_DOUBTS = 2
"""So often a message is handed over that may have arrived.

A lost answer counts as a failure, for a person waits, and the same code twice does no harm. But
somebody pays for each.
"""


@dataclass
class Course:
    """How far the sending of a message has come."""

    claim: Claim
    doubts: int
    attempts: list[Attempt]
    failures: list[DeliveryError] = field(default_factory=list)
    last: dict[str, object] = field(default_factory=dict)
    """What the row is to tell of the last failure."""

    def failed(self, carrier: Carrier, error: DeliveryError, now: datetime) -> None:
        """Count that a provider did not take it."""
        self.failures.append(error)
        self.doubts += error.maybe_sent
        self.attempts.append(
            Attempt(
                at=now,
                provider=carrier.name,
                code=error.code,
                detail=error.detail,
                doubtful=error.maybe_sent,
            )
        )
        self.last = {
            **named(carrier),
            "detail": error.detail,
            "error": error.code,
            "doubts": self.doubts,
            "attempts": kept(self.attempts),
        }

    @property
    def is_over(self) -> bool:
        """Whether no provider is to be asked any more, now or later."""
        return self.doubts >= MOST_DOUBTS or any(one.undeliverable for one in self.failures)

    @property
    def is_hopeless(self) -> bool:
        """Whether trying again is useless."""
        return self.is_over or all(one.permanent for one in self.failures)


def named(carrier: Carrier) -> dict[str, object]:
    """Return what a row tells of who was asked."""
    return {
        "provider_account_id": carrier.row.id if carrier.row else None,
        "provider": carrier.name,
    }
