"""Messages to users: rows, written in the transaction of what they tell."""

from __future__ import annotations

import uuid
from typing import Any

from babel.dates import format_datetime
from sqlalchemy.orm import Session

from app import texts
from app.clock import Clock
from app.crypto import Vault
from app.models import Authenticator, Environment, Message, Organization, User
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
        *,
        outlives_user: bool = False,
        address: str | None = None,
        **facts: Any,
    ) -> None:
        """Tell a user, at the address that we know, what happened to the account.

        Args:
            actor: by whose hand; the text names the device and the address, but of an
                administrator nothing else than that it was one.
            name: of the text in `templates/messages`.
            outlives_user: whether it tells of the user's deletion, and so must stay after it.
            address: where the user was reached before, if it is that which has changed.
            facts: what else the text names.
        """
        now = self._clock.now()
        language = _language(organization, user)
        by_administrator = _is_administrator(organization, actor)
        place = None if by_administrator else ", ".join(filter(None, (actor.device, actor.address)))
        text = texts.message(
            name,
            language,
            organization=organization.name,
            user=user.email,
            time=format_datetime(now, "d MMMM y, HH:mm", locale=language),
            place=place,
            by_administrator=by_administrator,
            **facts,
        )
        owner = None if outlives_user else user.id
        self._write(tx, user, "email", address or user.email, name, text, owner=owner)

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
        recipient = authenticator.recipient or ""
        self._write(tx, user, authenticator.kind, recipient, "code", text, owner=user.id)

    def _write(
        self,
        tx: Session,
        user: User,
        channel: str,
        recipient: str,
        name: str,
        text: texts.Text,
        *,
        owner: uuid.UUID | None,
    ) -> None:
        message_id = uuid.uuid4()
        tx.add(
            Message(
                id=message_id,
                organization_id=user.organization_id,
                user_id=owner,
                channel=channel,
                recipient=recipient,
                name=name,
                subject=text.subject,
                body=self._vault.seal(text.body.encode(), place=body_place(message_id)),
                status="captured",
                created_at=self._clock.now(),
            )
        )


def _is_administrator(organization: Organization, actor: Actor) -> bool:
    """Tell whether somebody did it whose job it is; to themselves administrators are users."""
    is_own = organization.environment is Environment.ADMINISTRATION
    return actor.name.startswith("administrator:") and not is_own


def _language(organization: Organization, user: User) -> str:
    wish = user.profile.get("locale")
    personal = wish if isinstance(wish, str) else None
    return texts.language_of(personal, organization.locale) or "en"


def body_place(message_id: uuid.UUID) -> str:
    """Return where a message's text stands, to bind the sealed one to it."""
    return f"messages.body:{message_id}"
