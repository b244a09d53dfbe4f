"""Messages to users: rows, written in the transaction of what they tell."""

from __future__ import annotations

from babel.dates import format_datetime
from sqlalchemy.orm import Session

from app import texts
from app.clock import Clock
from app.models import Message, Organization, User
from app.services.audit import Actor


class Delivery:
    """Writes messages; until there are channels, all of them stay captured."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def notify(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        name: str,
        **facts: str | int,
    ) -> None:
        """Tell a user, at the address that we know, what happened to the account.

        Args:
            actor: by whose hand; the text names the device and the address.
            name: of the text in `templates/messages`.
            facts: what else the text names.
        """
        now = self._clock.now()
        wish = user.profile.get("locale")
        personal = wish if isinstance(wish, str) else None
        language = texts.language_of(personal, organization.locale) or "en"
        text = texts.message(
            name,
            language,
            organization=organization.name,
            user=user.email,
            time=format_datetime(now, "d MMMM y, HH:mm", locale=language),
            place=", ".join(filter(None, (actor.device, actor.address))),
            **facts,
        )
        tx.add(
            Message(
                user_id=user.id,
                channel="email",
                recipient=user.email,
                name=name,
                subject=text.subject,
                body=text.body,
                created_at=now,
            )
        )
