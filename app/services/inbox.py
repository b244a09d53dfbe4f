"""The sandbox's inbox: messages that were captured instead of sent; production has none.

A captured message may hold a code that lets somebody in, so whoever reads asks here, and here it
is refused for anything but the sandbox, whichever door the ask came by.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.crypto import Vault
from app.db import UtcDateTime
from app.errors import NotFound
from app.models import Environment, Message, Organization
from app.services.letters import Letter, opened

EMAIL, SMS = "email", "sms"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in the row of messages, between two of them."""

    at: datetime
    id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A message with what it says, which its row holds only sealed."""

    message: Message
    text: str
    html: str | None

    @property
    def place(self) -> Place:
        """Where it stands among the others."""
        return Place(at=self.message.created_at, id=self.message.id)


class Inbox:
    """Opens captured messages."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def demand(self, environment: Environment) -> None:
        """Refuse whoever doesn't come from the sandbox.

        Raises:
            NotFound: nothing is captured to be read elsewhere.
        """
        if environment is not Environment.SANDBOX:
            raise NotFound("inbox")

    def page(
        self, tx: Session, organization: Organization, *, page: int, per_page: int
    ) -> tuple[list[Captured], int]:
        """Return a page of an organization's messages, newest first, and their number.

        Raises:
            NotFound: the organization is not in the sandbox.
        """
        self.demand(organization.environment)
        mine = Message.organization_id == organization.id
        total = tx.scalar(sa.select(sa.func.count()).select_from(Message).where(mine)) or 0
        rows = tx.scalars(_newest(mine).limit(per_page).offset((page - 1) * per_page))
        return [self._open(row) for row in rows], total

    def newest(
        self,
        tx: Session,
        organization: Organization,
        channel: str,
        *,
        number: int,
        user_id: uuid.UUID | None = None,
        before: Place | None = None,
    ) -> tuple[list[Captured], bool]:
        """Return so many messages of one channel, newest first, and whether there are older ones.

        Args:
            user_id: only those to this user.
            before: only those that are older than this place.

        Raises:
            NotFound: the organization is not in the sandbox.
        """
        self.demand(organization.environment)
        wanted = [Message.organization_id == organization.id, Message.channel == channel]
        if user_id is not None:
            wanted.append(Message.user_id == user_id)
        if before is not None:
            place = sa.tuple_(Message.created_at, Message.id)
            there = sa.tuple_(
                sa.literal(before.at, UtcDateTime()), sa.literal(before.id, sa.Uuid())
            )
            wanted.append(place < there)
        rows: Sequence[Message] = tx.scalars(_newest(*wanted).limit(number + 1)).all()
        return [self._open(row) for row in rows[:number]], len(rows) > number

    def text_of(self, organization: Organization, message: Message) -> str:
        """Return what a message of an organization says.

        Raises:
            NotFound: the organization is not in the sandbox, or it is not its message.
        """
        self.demand(organization.environment)
        if message.organization_id != organization.id:
            raise NotFound("message")
        return self._open(message).text

    def _open(self, message: Message) -> Captured:
        letter = opened(self._vault, message) or Letter(text="")
        return Captured(message=message, text=letter.text, html=letter.html)


def _newest(*wanted: sa.ColumnElement[bool]) -> sa.Select[Message]:
    newest = (Message.created_at.desc(), Message.id.desc())
    return sa.select(Message).where(*wanted).order_by(*newest)
