"""Messages to users: rows, written in the transaction of what they tell."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from babel.dates import format_datetime
from sqlalchemy.orm import Session

from app import texts
from app.clock import Clock
from app.crypto import Vault
from app.models import Authenticator, Message, Organization, User
from app.services.audit import Actor


class Delivery:
    """Writes messages; until there are channels, all of them stay captured."""

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    def notify(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        name: str,
        **facts: Any,
    ) -> None:
        """Tell a user, at the address that we know, what happened to the account.

        Args:
            actor: by whose hand; the text names the device and the address.
            name: of the text in `templates/messages`.
            facts: what else the text names.
        """
        now = self._clock.now()
        language = _language(organization, user)
        text = texts.message(
            name,
            language,
            organization=organization.name,
            user=user.email,
            time=format_datetime(now, "d MMMM y, HH:mm", locale=language),
            place=", ".join(filter(None, (actor.device, actor.address))),
            **facts,
        )
        self._write(tx, user, "email", user.email, name, text)

    def send_code(
        self, tx: Session, user: User, authenticator: Authenticator, *, code: str, minutes: int
    ) -> None:
        """Send a one-time code to what an authenticator stands for.

        Args:
            minutes: for how long it works.
        """
        organization = user.organization
        text = texts.message(
            "code",
            _language(organization, user),
            channel=authenticator.kind,
            organization=organization.name,
            code=code,
            minutes=minutes,
        )
        self._write(tx, user, authenticator.kind, authenticator.recipient or "", "code", text)

    def page(
        self, tx: Session, organization: Organization, *, page: int, per_page: int
    ) -> tuple[list[tuple[Message, str]], int]:
        """Return a page of an organization's messages, newest first, and their number.

        Each comes with its text, which the row holds only sealed.
        """
        mine = sa.select(Message).join(User).where(User.organization_id == organization.id)
        total = tx.scalar(sa.select(sa.func.count()).select_from(mine.subquery())) or 0
        newest = mine.order_by(Message.created_at.desc(), Message.id.desc())
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * per_page))
        return [(row, self.text_of(row)) for row in rows], total

    def text_of(self, message: Message) -> str:
        """Return what a message says."""
        return self._vault.open(message.body, place=_place(message.id)).decode()

    def _write(
        self, tx: Session, user: User, channel: str, recipient: str, name: str, text: texts.Text
    ) -> None:
        message_id = uuid.uuid4()
        tx.add(
            Message(
                id=message_id,
                user_id=user.id,
                channel=channel,
                recipient=recipient,
                name=name,
                subject=text.subject,
                body=self._vault.seal(text.body.encode(), place=_place(message_id)),
                status="captured",
                created_at=self._clock.now(),
            )
        )


def _language(organization: Organization, user: User) -> str:
    wish = user.profile.get("locale")
    personal = wish if isinstance(wish, str) else None
    return texts.language_of(personal, organization.locale) or "en"


def _place(message_id: uuid.UUID) -> str:
    return f"messages.body:{message_id}"
