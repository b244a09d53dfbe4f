"""An organization of production that sends: accounts at providers, users, codes and notices."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import crypto
from app.config import Config
from app.factors.base import Refused
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Challenge,
    Environment,
    Message,
    MessageStatus,
    ProviderAccount,
    User,
)
from app.services.audit import OPERATOR
from app.services.letters import opened
from app.wiring import Services, wire
from tests.actors import keep_secret
from tests.conftest import ENCRYPTION_KEYS, FixedClock, make_config
from tests.providers.servers import LOOPBACK, Authority, Post

HIGH: dict[str, Any] = {
    "per_prefix_hour": 10_000,
    "per_organization_day": 10_000,
    "per_user_day": 1000,
    "per_number_day": 1000,
    "risk_accepted": True,
}
"""No cap is in the way."""
VAULT = crypto.Vault(crypto.parse_keys(ENCRYPTION_KEYS))


@dataclass(frozen=True)
class Posted:
    """A message that waits, and what only its recipient may learn."""

    id: uuid.UUID
    recipient: str
    code: str
    text: str


class Office:
    """One organization, which sends by what it is told."""

    def __init__(self, services: Services, clock: FixedClock, name: str = "Harbor") -> None:
        self.services, self.clock = services, clock
        with services.database.writing() as tx:
            self.organization = services.organizations.create(
                tx, OPERATOR, environment=Environment.PRODUCTION, name=name
            )
            services.sending_rules.change(tx, OPERATOR, self.organization, **HIGH)

    # What it has

    def mail_server(self, post: Post | int, **more: str) -> ProviderAccount:
        """Add an account at a mail server, as the last choice."""
        values = {
            "host": "localhost",
            "port": str(post if isinstance(post, int) else post.port),
            "from_address": "security@harbor.example",
            **more,
        }
        return self.account("smtp", ["email"], values)

    def account(self, kind: str, channels: list[str], values: dict[str, str]) -> ProviderAccount:
        """Add an account at a provider, as the last choice."""
        accounts = self.services.provider_accounts
        with self.services.database.writing() as tx:
            number = len(accounts.all(tx, self.organization)) + 1
            draft = accounts.draft(
                kind=kind, name=f"Number {number}", channels=channels, values=values
            )
            account = accounts.create(tx, OPERATOR, self.organization, draft)
            tx.flush()
            for channel in channels:
                self.services.channels.change(tx, OPERATOR, self.organization, channel, active=True)
            return account

    def user(self, name: str = "ada", phone: str | None = None) -> User:
        with self.services.database.writing() as tx:
            email = f"{name}@{self.organization.domain}.example"
            return self.services.directory.create(
                tx, OPERATOR, self.organization, email=email, phone_number=phone
            )

    # What waits to be sent

    def code(
        self, user: User | None = None, channel: str = "email", *, of: Authenticator | None = None
    ) -> Posted:
        """Have a code wait for a user.

        Args:
            of: the authenticator that it is asked for once more.
        """
        user = user or self.user(f"user-{uuid.uuid4().hex[:12]}")
        with self.services.database.writing() as tx:
            user = tx.get_one(User, user.id, options=[sa.orm.joinedload(User.organization)])
            one = of or self.authenticator(tx, user, channel)
            asked = self.services.message_codes.send(tx, OPERATOR, user, one, channel=channel)
            assert not isinstance(asked, Refused), asked
            return self._posted(asked.messages[0])

    def authenticator(self, tx: Session, user: User, channel: str = "email") -> Authenticator:
        """Give a user what codes go to."""
        recipient = user.email if channel == "email" else user.phone_number
        one = Authenticator(
            id=uuid.uuid4(),
            user_id=user.id,
            kind="email" if channel == "email" else "sms",
            status=AuthenticatorStatus.ACTIVE,
            parameters={},
            recipient=recipient,
            created_at=self.clock.now(),
        )
        tx.add(one)
        tx.flush()
        return one

    def codes(self, number: int) -> list[Posted]:
        """Have codes wait, each for another user."""
        posted = []
        with self.services.database.writing() as tx:
            organization = tx.merge(self.organization)
            for _ in range(number):
                name = f"user-{uuid.uuid4().hex[:12]}"
                user = self.services.directory.create(
                    tx, OPERATOR, organization, email=f"{name}@{organization.domain}.example"
                )
                one = self.authenticator(tx, user)
                asked = self.services.message_codes.send(tx, OPERATOR, user, one, channel="email")
                assert not isinstance(asked, Refused), asked
                posted.append(self._posted(asked.messages[0]))
        return posted

    def notice(self, user: User | None = None) -> Posted:
        """Have a notice wait for a user."""
        user = user or self.user(f"user-{uuid.uuid4().hex[:12]}")
        with self.services.database.writing() as tx:
            self.services.delivery.notify(
                tx, OPERATOR, self.organization, user, "authenticator_added", kind="totp"
            )
            tx.flush()
            newest = sa.select(Message).where(Message.user_id == user.id)
            return self._posted(tx.scalars(newest.order_by(Message.created_at.desc())).first())

    def _posted(self, message: Message | None) -> Posted:
        assert message is not None
        letter = opened(VAULT, message)
        assert letter is not None
        code = letter.variables.get("code", "")
        for secret in filter(None, (code, message.recipient, letter.text)):
            keep_secret(secret)
        return Posted(message.id, message.recipient, code, letter.text)

    # What became of it

    def row(self, posted: Posted) -> Message:
        with self.services.database.reading() as tx:
            return tx.get_one(Message, posted.id)

    def challenge(self, posted: Posted) -> Challenge:
        with self.services.database.reading() as tx:
            return tx.get_one(Challenge, self.row(posted).challenge_id)

    def status(self, posted: Posted) -> str:
        return self.row(posted).status.value

    def statuses(self) -> dict[str, int]:
        with self.services.database.reading() as tx:
            count = sa.select(Message.status, sa.func.count()).group_by(Message.status)
            return {MessageStatus(status).value: number for status, number in tx.execute(count)}

    def changes(self, act: Callable[[Session], object]) -> None:
        """Do something in a transaction of its own."""
        with self.services.database.writing() as tx:
            act(tx)

    def sends(self) -> bool:
        """Let a sender take one message, and see it through."""
        return self.services.sender.send_next()

    def sends_all(self) -> int:
        number = 0
        while self.sends():
            number += 1
        return number


def settings(database_url: str, data_dir: Path, authority: Authority, **more: Any) -> Config:
    """Return settings under which the servers of the tests may be called."""
    return make_config(
        database_url,
        data_dir,
        **{
            "base_url": "https://mfa.example",
            "outbound_networks": LOOPBACK,
            "ca_file": authority.file,
            "sender_threads": 4,
            **more,
        },
    )


@contextlib.contextmanager
def another(config: Config, clock: FixedClock) -> Iterator[Services]:
    """The services of another process on the same database."""
    wired = wire(config, clock)
    yield wired
    wired.database.engine.dispose()
