"""Right codes while 200 messages a second fall due, at a provider that takes 300 ms for each."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from time import sleep

import sqlalchemy as sa
from load import Call, Connections
from part import Figure
from stage import Stage
from visits import Visit

from app.clock import SystemClock
from app.crypto import Vault, parse_keys
from app.models import Environment, Message, MessageStatus, Organization
from app.services.audit import OPERATOR
from app.services.letters import Letter, sealed

RATE = 200  # messages that fall due in a second
LASTS = 5  # seconds of that in a round
RAMP = 1.5  # seconds until as many are on their way as there will be
DRAIN = 10  # seconds, after which the rest is dropped
ROUNDS = 2
VISITS = 80
"""Sign-ins that are judged while messages are sent."""
LONGEST = 30.0  # seconds of what is measured as a whole
KEPT = 0.8
"""Of the rate of codes, at least."""


@dataclass
class Traffic:
    """An organization whose texts go out while others sign in.

    Attributes:
        rates: messages a second that were handed over while codes were judged.
    """

    made: Stage
    organization: Organization
    vault: Vault
    clock: SystemClock = field(default_factory=SystemClock)
    rates: list[float] = field(default_factory=list)

    def beside(self, measure: Callable[[], float]) -> float:
        """Measure something while messages are sent, and wait until all are."""
        self._queue()
        sleep(RAMP)
        began = self.clock.now()
        measured = measure()
        ended = self.clock.now()
        self._wait()
        self.rates.append(self._sent(began, ended) / (ended - began).total_seconds())
        return measured

    def _queue(self) -> None:
        now, wired = self.clock.now(), self.made.wired
        letter = Letter(text="123456 is your Bench code. It works for 10 minutes.")
        rows = []
        for number in range(RATE * LASTS):
            id_ = uuid.uuid4()
            rows.append(
                {
                    "id": id_,
                    "organization_id": self.organization.id,
                    "channel": "sms",
                    "recipient": f"+336{number:08d}",
                    "name": "recovery_codes",
                    "language": "en",
                    "subject": "",
                    "urgent": True,
                    "body": sealed(self.vault, id_, letter),
                    "status": MessageStatus.QUEUED,
                    "due_at": now + timedelta(seconds=number / RATE),
                    "created_at": now,
                    "expires_at": now + timedelta(hours=1),
                }
            )
        with wired.database.writing() as tx:
            tx.execute(sa.insert(Message), rows)

    def _wait(self) -> None:
        """Wait until all are sent, or drop the rest, so that nothing is left for the next round."""
        waiting = Message.status.in_((MessageStatus.QUEUED, MessageStatus.SENDING))
        waits = sa.select(sa.func.count()).select_from(Message).where(waiting)
        end = self.clock.now() + timedelta(seconds=DRAIN)
        while self.clock.now() < end:
            with self.made.wired.database.reading() as tx:
                if not tx.scalar(waits):
                    return
            sleep(0.2)
        with self.made.wired.database.writing() as tx:
            tx.execute(sa.delete(Message).where(waiting))

    def _sent(self, since: datetime, until: datetime) -> int:
        sent = sa.select(sa.func.count()).select_from(Message)
        with self.made.wired.database.reading() as tx:
            return tx.scalar(sent.where(Message.sent_at > since, Message.sent_at <= until)) or 0


def traffic(made: Stage) -> Traffic:
    """Set up the organization, with an account at the slow provider."""
    wired = made.wired
    with wired.database.writing() as tx:
        organization = wired.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Bench"
        )
        values = {"account_sid": "AC" + "0" * 32, "auth_token": "bench", "sms_from": "Bench"}
        draft = wired.provider_accounts.draft(
            "twilio", name="Slow", channels=["sms"], values=values
        )
        wired.provider_accounts.create(tx, OPERATOR, organization, draft)
        wired.channels.change(tx, OPERATOR, organization, "sms", active=True)
    keys = parse_keys(wired.config.encryption_keys.get_secret_value())
    return Traffic(made, organization, Vault(keys))


def measure(made: Stage) -> list[Figure]:
    """Measure right codes alone, beside messages that are sent, and alone again."""
    to_send, alone, beside = traffic(made), [], []
    for _ in range(ROUNDS):
        with Connections(made.port) as gateway:
            alone.append(_rate(gateway, _ready(made, gateway)))
            calls = _ready(made, gateway)
            beside.append(to_send.beside(partial(_rate, gateway, calls)))
            alone.append(_rate(gateway, _ready(made, gateway)))
    return [
        Figure(f"sent meanwhile (of {RATE} that fall due)", median(to_send.rates), "/s"),
        Figure("right codes, nothing else", median(alone), "/s"),
        Figure("right codes, meanwhile", median(beside), "/s"),
        Figure("of their rate", median(beside) / median(alone), at_least=KEPT),
    ]


def _ready(made: Stage, gateway: Connections) -> list[Call]:
    """Return right codes of people who look at the page that asks for them."""
    visits = [Visit(made, person) for person in made.enroll(VISITS)]
    for step in (Visit.open, Visit.enter, Visit.look):
        gateway.measure([step(visit) for visit in visits], LONGEST)
    return [visit.confirm() for visit in visits]


def _rate(gateway: Connections, calls: list[Call]) -> float:
    return gateway.measure(calls, LONGEST).rate
