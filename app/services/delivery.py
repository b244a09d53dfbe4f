"""Messages to users: rows, written in the transaction of what they tell, and sent after it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from app import metrics, texts
from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.db import once_kept
from app.models import (
    Challenge,
    Environment,
    Message,
    MessageStatus,
    Organization,
    User,
)
from app.services.audit import SYSTEM, Actor, Audit, EventKind
from app.services.channels import Channels, filled
from app.services.freeze_links import FreezeLinks
from app.services.letters import Letter, sealed
from app.services.notice_reach import SMS, NoticeReach, Reach
from app.services.notice_texts import notice
from app.services.phone_numbers import country_of
from app.services.sending_limits import SendingLimits

NOTICE_FOR = timedelta(days=3)
"""So long a notice is tried before it is given up."""
_USER = "user"
CODE = "code"
"""The name of the one message that is worth nothing once its challenge is answered or gone."""
CODES_FOR = timedelta(hours=1)
"""So long new recovery codes are tried to be sent."""


class Delivery:
    """Writes messages; senders take them (`app.services.sender`), but those of the sandbox."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        channels: Channels,
        reach: NoticeReach,
        sending_limits: SendingLimits,
        freeze_links: FreezeLinks,
        audit: Audit,
    ) -> None:
        self._host = urlsplit(config.base_url).hostname or ""
        self._clock = clock
        self._vault = vault
        self._channels = channels
        self._reach = reach
        self._sending_limits = sending_limits
        self._freeze_links = freeze_links
        self._audit = audit

    def notify(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        name: str,
        *,
        outlives_user: bool = False,
        at: Reach | None = None,
        lasts: timedelta | None = None,
        added: str | None = None,
        authenticator_id: uuid.UUID | None = None,
        within_budget: bool = False,
        **facts: Any,
    ) -> bool:
        """Tell a user what happened to the account, where we can reach them (see `NoticeReach`).

        By SMS it is told shortly; that is counted in the budget, which never stops it. That
        nobody could be told is an event.

        Args:
            actor: by whose hand; the text names the device and the address, but of an
                administrator nothing else than that it was one.
            name: of the text in `templates/messages`.
            outlives_user: whether it tells of the user's deletion, and so must stay after it.
            at: where the user was reached before, if it is that which has changed.
            lasts: for how long what it brings works, if the user waits for that: a link, which
                goes by e-mail alone.
            added: where codes go from now on; a number is not told of itself.
            authenticator_id: what was added, if it can be stopped (see `FreezeLinks`).
            within_budget: whether no text goes once the budget is spent: for notices to many.
            facts: what else the text names.

        Returns:
            Whether it goes anywhere.
        """
        reached = at or self.reach(tx, user)
        by_sms = reached is not None and reached.channel == SMS
        if reached is None or (by_sms and lasts is not None):
            return self._tell_of_silence(tx, organization, user, name)
        if by_sms and reached.recipient == added:
            return False
        now = self._clock.now()
        limits = self._sending_limits
        if by_sms and not limits.count_notice(tx, organization, now=now, capped=within_budget):
            return self._tell_of_silence(tx, organization, user, name)
        language = _language(organization, user)
        if actor.name == _USER:
            facts["stop"] = self._freeze_links.make(tx, organization, user, name, authenticator_id)
        text = notice(organization, user, actor, name, language, facts, now=now, short=by_sms)
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
            Letter(text=text.body, html=None if by_sms else texts.as_html(text, language)),
        )
        return True

    def _tell_of_silence(
        self, tx: Session, organization: Organization, user: User, name: str
    ) -> bool:
        self._audit.record(
            tx,
            EventKind.NOTICE_NOT_SENT,
            SYSTEM,
            organization_id=organization.id,
            user_id=user.id,
            notice=name,
        )
        return False

    def reach(self, tx: Session, user: User) -> Reach | None:
        """Return where a user is told what happens; None if nothing reaches the user."""
        return self._reach.of(tx, user)

    def reach_at(
        self, tx: Session, user: User, email: str | None, number: str | None
    ) -> Reach | None:
        """Return the same as if these were the user's address and number."""
        return self._reach.at(tx, user, email, number)

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
        message.country = country_of(message.recipient)
        message.body = sealed(self._vault, message.id, letter)
        message.status = MessageStatus.CAPTURED if captured else MessageStatus.QUEUED
        message.due_at = None if captured else now
        message.created_at = now
        tx.add(message)
        once_kept(tx, partial(metrics.count_message, message.channel, message.status.value))
        return message


def _language(organization: Organization, user: User) -> str:
    wish = user.profile.get("locale")
    personal = wish if isinstance(wish, str) else None
    return texts.language_of(personal, organization.locale) or "en"
