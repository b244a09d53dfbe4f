"""Tests of providers: a real message that holds a made-up code, to see what the provider says."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from app import texts
from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.errors import Invalid, Refusal
from app.models import Environment, Organization, SendScope
from app.providers.base import DeliveryError, Outgoing, Sent
from app.services.audit import Actor, Audit, EventKind
from app.services.channels import Channels
from app.services.delivery import Delivery
from app.services.phone_numbers import PHONE_CHANNELS, parse
from app.services.provider_accounts import Carrier, ProviderAccounts
from app.services.recipients import masked
from app.services.send_counts import Slot, Window, add
from app.services.send_targets import Target, aim_at, unreachable
from app.services.sending_rules import Rulebook, Rules
from app.services.sendings import DEADLINE
from app.services.user_fields import checked_email

PER_ADMINISTRATOR_HOUR, PER_ORGANIZATION_DAY = 10, 50
_CODE = "1234567890"
_REFERENCE = "TEST"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a provider said.

    Attributes:
        taken: whether it took the message; whether that arrives is another matter.
        code: why not, as a stable code; "" if it did.
        detail: its own words.
        seconds: how long it took to say them.
        error: the failure with all that is known of it.
    """

    carrier: str
    channel: str
    recipient: str = field(repr=False)
    taken: bool
    detail: str
    seconds: float
    code: str = ""
    error: DeliveryError | None = None


class ProviderTests:
    """Sends messages for administrators who want to know whether a provider works."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        accounts: ProviderAccounts,
        rules: Rulebook,
        channels: Channels,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._accounts = accounts
        self._rules = rules
        self._channels = channels
        self._delivery = delivery
        self._audit = audit

    def send(
        self,
        actor: Actor,
        organization: Organization,
        account_id: uuid.UUID | None,
        *,
        channel: str,
        recipient: str,
    ) -> Outcome:
        """Send a test message by one provider, and by no other if that fails.

        It waits for the provider, `DEADLINE` at most: call it outside of any transaction.

        Args:
            account_id: None means the deployment's own mail server.
            channel: one that the account carries.
            recipient: an e-mail address, or a number; without country code it is one of the
                organization's own country.

        Raises:
            Invalid: `channel` or `recipient` can't be used.
            NotFound: there is no such provider.
            Refusal: `sandbox`, where nothing real is ever sent; `rate_limited`; `budget_spent`.
        """
        if organization.environment is Environment.SANDBOX:
            raise Refusal("sandbox", "The sandbox sends nothing: there is nothing to test.")
        with self._database.writing() as tx:
            carrier = self._accounts.carrier(tx, organization, account_id)
            address = self._checked(tx, organization, carrier, channel, recipient)
            self._charge(tx, actor, organization, channel)
            outgoing = self._outgoing(tx, organization, channel, address)
        outcome = _handed_over(carrier, outgoing)
        with self._database.writing() as tx:
            self._audit.record(
                tx,
                EventKind.PROVIDER_TESTED,
                actor,
                organization_id=organization.id,
                provider=carrier.provider.kind,
                name=carrier.name,
                channel=channel,
                recipient=masked(address),
                outcome="taken" if outcome.taken else outcome.code,
            )
        return outcome

    def _checked(
        self,
        tx: Session,
        organization: Organization,
        carrier: Carrier,
        channel: str,
        recipient: str,
    ) -> str:
        """Return the recipient in its normal form, if a code might go there, too."""
        carried = carrier.row.channels if carrier.row else carrier.provider.channels
        if channel not in carried:
            raise Invalid("channel", f"{carrier.name} does not carry it.")
        if channel not in PHONE_CHANNELS:
            try:
                return checked_email(recipient.strip())
            except Invalid:
                raise Invalid("recipient", "write one e-mail address.") from None
        return self._checked_number(
            organization, self._rules.of(tx, organization), channel, recipient
        )

    def _checked_number(
        self, organization: Organization, rules: Rules, channel: str, recipient: str
    ) -> str:
        try:
            number = parse(recipient.strip(), country=self._rules.home(organization)[0])
        except Invalid:
            raise Invalid("recipient", "write a number such as +33612345678.") from None
        aim = aim_at(self._vault, Target(channel=channel, recipient=number.e164))
        if unreachable(organization.id, aim, rules) is None:
            return number.e164
        if number.takes(channel):
            raise Invalid("recipient", f"numbers of {number.country} are not allowed here.")
        raise Invalid("recipient", "a number of this kind is never texted or called.")

    def _charge(self, tx: Session, actor: Actor, organization: Organization, channel: str) -> None:
        """Count it, and against the budget if somebody is paid for it."""
        now = self._clock.now()
        rules = self._rules.of(tx, organization)
        for slot, most in _slots(actor, organization, rules, by_phone=channel in PHONE_CHANNELS):
            if add(tx, slot, 1, most, now) is None:
                raise _refusal(slot, most, now)

    def _outgoing(
        self, tx: Session, organization: Organization, channel: str, recipient: str
    ) -> Outgoing:
        """Return what users would get, with a code that is none and a word that says so."""
        language = texts.language_of(organization.locale) or "en"
        settings = self._channels.settings(tx, organization, channel)
        facts = {
            "code": _CODE[: settings.digits],
            "minutes": str(settings.minutes),
            "organization": organization.name,
            "reference": _REFERENCE,
        }
        real = self._delivery.code_text(tx, organization, channel, language, facts)
        note = texts.message("test", language, subject=real.subject)
        text = texts.Text(subject=note.subject, body=f"{note.body}\n{real.body}")
        html = texts.as_html(text, language, code=facts["code"]) if channel == "email" else None
        return Outgoing(
            id=str(uuid.uuid4()),
            channel=channel,
            recipient=recipient,
            sender=settings.sender,
            subject=text.subject if channel == "email" else "",
            text=text.body,
            html=html,
            language=language,
            variables=facts,
        )


def _handed_over(carrier: Carrier, outgoing: Outgoing) -> Outcome:
    begun = time.monotonic()
    outcome: Sent | DeliveryError
    try:
        outcome = carrier.provider.send(carrier.account, outgoing, seconds=DEADLINE.total_seconds())
    except DeliveryError as error:
        outcome = error
    failed = outcome if isinstance(outcome, DeliveryError) else None
    return Outcome(
        carrier=carrier.name,
        channel=outgoing.channel,
        recipient=outgoing.recipient,
        taken=failed is None,
        code=failed.code if failed else "",
        detail=outcome.detail,
        seconds=time.monotonic() - begun,
        error=failed,
    )


def _slots(
    actor: Actor, organization: Organization, rules: Rules, *, by_phone: bool
) -> Iterator[tuple[Slot, int]]:
    """Yield what a test is counted by, in the order in which all lock."""
    owner, test = organization.id, SendScope.TEST
    if by_phone:
        yield Slot(owner, SendScope.BUDGET, Window.MONTH), rules.monthly_budget
    yield Slot(owner, test, Window.DAY), PER_ORGANIZATION_DAY
    yield Slot(owner, test, Window.HOUR, actor.name), PER_ADMINISTRATOR_HOUR


def _refusal(slot: Slot, most: int, now: datetime) -> Refusal:
    until = slot.window.ends(now)
    if slot.scope is SendScope.BUDGET:
        told = "The month’s budget for messages is spent."
        return Refusal("budget_spent", told, status=429, retry_at=until)
    of_whom = f"{most} tests an hour are yours" if slot.key else f"{most} tests a day are there"
    return Refusal("rate_limited", f"{of_whom}, and all are spent.", status=429, retry_at=until)
