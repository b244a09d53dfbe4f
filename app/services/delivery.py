"""Messages to users: rows, written in the transaction of what they tell, and sent after it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from babel.dates import format_datetime
from sqlalchemy.orm import Session

from app import texts
from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.models import (
    Challenge,
    Environment,
    Message,
    MessageStatus,
    Organization,
    User,
)
from app.services.audit import Actor
from app.services.channels import Channels, filled
from app.services.letters import Letter, sealed

NOTICE_FOR = timedelta(days=3)
"""So long a notice is tried before it is given up."""
CODE = "code"
"""The name of the one message that is worth nothing once its challenge is answered or gone."""
CODES_FOR = timedelta(hours=1)
"""So long new recovery codes are tried to be sent."""

EMAIL = "email"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where a message goes.

    Attributes:
        channel: of the message's template.
        recipient: as the channel names them, such as an e-mail address.
    """

    channel: str
    recipient: str


class Delivery:
    """Writes messages; senders take them (`app.services.sender`), but those of the sandbox."""

    def __init__(self, config: Config, clock: Clock, vault: Vault, channels: Channels) -> None:
        self._host = urlsplit(config.base_url).hostname or ""
        self._clock = clock
        self._vault = vault
        self._channels = channels

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
        lasts: timedelta | None = None,
        **facts: Any,
    ) -> None:
        """Tell a user what happened to the account, where we can reach them (see `reach`).

        Args:
            actor: by whose hand; the text names the device and the address, but of an
                administrator nothing else than that it was one.
            name: of the text in `templates/messages`.
            outlives_user: whether it tells of the user's deletion, and so must stay after it.
            address: where the user was reached before, if it is that which has changed.
            lasts: for how long what it brings works, if the user waits for that.
            facts: what else the text names.
        """
        reached = Reach(channel=EMAIL, recipient=address) if address else self.reach(user)
        if reached is None:
            return
        now = self._clock.now()
        language = _language(organization, user)
        by_administrator = _is_administrator(organization, actor)
        place = None if by_administrator else ", ".join(filter(None, (actor.device, actor.address)))
        text = texts.message(
            name,
            language,
            organization=organization.name,
            user=user.label,
            time=format_datetime(now, "d MMMM y, HH:mm", locale=language),
            place=place,
            by_administrator=by_administrator,
            **facts,
        )
        self._write(
            tx,
            organization,
            Message(
                user_id=None if outlives_user else user.id,
                channel=reached.channel,
                recipient=reached.recipient,
                name=name,
                language=language,
                subject=text.subject,
                urgent=lasts is not None,
                expires_at=now + (lasts or NOTICE_FOR),
            ),
            Letter(text=text.body, html=texts.as_html(text, language)),
        )

    def reach(self, user: User) -> Reach | None:
        """Return where a user is told what happens: by e-mail, to whoever has an address.

        Nothing is told to who is known by the phone number alone: no channel sends notices there.
        """
        return Reach(channel=EMAIL, recipient=user.email) if user.email else None

    def send_code(
        self,
        tx: Session,
        user: User,
        challenge: Challenge,
        *,
        code: str,
        channel: str,
        recipient: str,
    ) -> Message:
        """Send the code of a challenge.

        Args:
            code: in plain, for the message alone.
            channel: by which it goes.
            recipient: the address or number.
        """
        organization = user.organization
        language = _language(organization, user)
        minutes = int((challenge.expires_at - challenge.created_at).total_seconds()) // 60
        facts = {
            "code": code,
            "minutes": str(minutes),
            "organization": organization.name,
            "reference": challenge.reference,
        }
        text = self.code_text(tx, organization, channel, language, facts)
        html = texts.as_html(text, language, code=code) if channel == "email" else None
        return self._write(
            tx,
            organization,
            Message(
                user_id=user.id,
                challenge_id=challenge.id,
                channel=channel,
                recipient=recipient,
                name=CODE,
                language=language,
                subject=text.subject,
                urgent=True,
                expires_at=challenge.expires_at,
            ),
            Letter(text=text.body, html=html, variables=facts),
        )

    def send_recovery_codes(
        self, tx: Session, user: User, codes: Sequence[str], *, channel: str, recipient: str
    ) -> Message:
        """Send new recovery codes to their user, who alone reads them.

        Args:
            codes: in plain, for the message alone.
            channel: `email` or `sms`.
            recipient: the address or number.
        """
        organization = user.organization
        language = _language(organization, user)
        text = texts.message(
            "recovery_codes",
            language,
            channel=channel,
            organization=organization.name,
            codes="\n".join(codes),
        )
        return self._write(
            tx,
            organization,
            Message(
                user_id=user.id,
                channel=channel,
                recipient=recipient,
                name="recovery_codes",
                language=language,
                subject=text.subject,
                urgent=True,
                expires_at=self._clock.now() + CODES_FOR,
            ),
            Letter(text=text.body, html=texts.as_html(text, language) if text.subject else None),
        )

    def code_text(
        self,
        tx: Session,
        organization: Organization,
        channel: str,
        language: str,
        facts: dict[str, str],
    ) -> texts.Text:
        """Return what a message with a code says: the organization's own words, or ours.

        What nobody may leave out is added here: never to share it, and, by SMS, the form that
        binds the code to our address (https://wicg.github.io/sms-one-time-codes/).
        """
        own = self._channels.settings(tx, organization, channel).texts.get(language)
        return self.written(channel, language, facts, own)

    def written(
        self, channel: str, language: str, facts: dict[str, str], own: str | None
    ) -> texts.Text:
        """Return what a message says with such a text; see `code_text`.

        Args:
            own: words of an organization; None for ours.
        """
        ours = texts.message(CODE, language, channel=channel, host=self._host, **facts)
        body = ours.body
        if own is not None:
            warning = texts.message("code_warning", language, channel=channel, **facts)
            between = "\n\n" if channel == "email" else "\n"
            body = f"{filled(own, facts).strip()}{between}{warning.body}"
        if channel == "sms":
            body = f"{body.strip()}\n\n@{self._host} #{facts['code']}\n"
        return texts.Text(subject=ours.subject, body=body)

    def start(self, language: str) -> str:
        """Return words that an organization may begin with, with their placeholders."""
        facts = {name: f"{{{name}}}" for name in ("code", "minutes")}
        return texts.message("code_start", language, **facts).body.strip()

    def _write(
        self, tx: Session, organization: Organization, message: Message, letter: Letter
    ) -> Message:
        now = self._clock.now()
        captured = organization.environment is Environment.SANDBOX
        message.id = uuid.uuid4()
        message.organization_id = organization.id
        message.body = sealed(self._vault, message.id, letter)
        message.status = MessageStatus.CAPTURED if captured else MessageStatus.QUEUED
        message.due_at = None if captured else now
        message.created_at = now
        tx.add(message)
        return message


def _is_administrator(organization: Organization, actor: Actor) -> bool:
    """Tell whether somebody did it whose job it is; to themselves administrators are users."""
    is_own = organization.environment is Environment.ADMINISTRATION
    return actor.name.startswith("administrator:") and not is_own


def _language(organization: Organization, user: User) -> str:
    wish = user.profile.get("locale")
    personal = wish if isinstance(wish, str) else None
    return texts.language_of(personal, organization.locale) or "en"
