"""How a message leaves the building: what a provider is given, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

CHANNELS = ("email", "sms", "whatsapp", "voice")


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One message as a provider delivers it; its `repr` tells neither who nor what.

    Attributes:
        id: of the message's row; also the idempotency key, where the vendor has one.
        channel: one of `CHANNELS`.
        recipient: the e-mail address, or the number in E.164.
        sender: what the organization set for the channel: a name for e-mail, a number or name
            for the others. None: the account's own.
        subject: of an e-mail; "" elsewhere.
        text: the whole message in plain text. For voice, what is spoken.
        html: the same as a page, for e-mail.
        language: of the text, such as `fr`.
        variables: what the text names, for templates at the vendor: `code`, `minutes`,
            `organization`. The code is here and in the text, spelled the same.
        callback_url: where the vendor may report what became of it.
    """

    id: str
    channel: str
    recipient: str = field(repr=False)
    sender: str | None = field(default=None, repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    language: str = "en"
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    callback_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A provider took a message.

    Attributes:
        provider_id: the vendor's id of it, by which a `Report` comes back.
        detail: the vendor's own words in one line, without the code, the text or the recipient.
        cost: what the vendor takes for it, as far as it says so at once.
    """

    provider_id: str | None
    detail: str
    cost: str | None = None


class DeliveryError(Exception):
    """A provider did not take a message.

    Args:
        code: stable, such as `timeout`, or the vendor's, such as `twilio_21211`, `smtp_550`.
        detail: one line for an administrator, without the code, the text or the recipient.
        permanent: trying again at this provider is useless.
        undeliverable: the recipient itself is refused, so no other provider helps either.
        maybe_sent: the answer was lost after everything was said: it may arrive all the same.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        permanent: bool = False,
        undeliverable: bool = False,
        maybe_sent: bool = False,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.permanent = permanent or undeliverable
        self.undeliverable = undeliverable
        self.maybe_sent = maybe_sent


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A request by which a vendor reports.

    Attributes:
        url: the whole address as it was given to the vendor, with its query.
        headers: in any case.
        body: as it came, byte for byte.
        form: its fields, if it is a form.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a message that a vendor took.

    Attributes:
        provider_id: the vendor's id of it, as `Sent` told it.
        status: `sent`: it has left the vendor; `delivered`: it has arrived.
        error_code: why it failed, such as `twilio_30003`.
        message_id: our own id of it, where the vendor signed that, too.
        signs_address: whether the vendor signed the address at which it reports, which names the
            message.
    """

    provider_id: str
    status: Literal["sent", "delivered", "failed"]
    error_code: str | None = None
    message_id: str | None = None
    signs_address: bool = False


class Forged(Exception):
    """A callback that its vendor did not sign."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One field of an account, as a form asks for it.

    Attributes:
        name: its key in `Account.settings`, or in `Account.secrets`.
        label: what the form calls it.
        secret: it is kept encrypted and never shown again.
        required: an account without it can't be used on any channel.
        hint: one sentence of help.
        kind: which sort of field.
        choices: (value, label) of each; the first is taken if nothing is chosen.
        channels: only these need it; empty: all.
        addressee: it says to whom the secrets are told; with another one they are asked for anew.
    """

    name: str
    label: str
    secret: bool = False
    required: bool = False
    hint: str = ""
    kind: Literal["text", "password", "number", "choice", "textarea"] = "text"
    choices: tuple[tuple[str, str], ...] = ()
    channels: frozenset[str] = frozenset()
    addressee: bool = False


@dataclass(frozen=True, kw_only=True)
class Account:
    """An organization's access to a provider: the values of its `settings`, by name.

    What is not there counts as "".
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> str:
        """Return a setting or secret without space around it, "" if it is not there."""
        return (self.settings.get(name) or self.secrets.get(name) or "").strip()


class Provider(Protocol):
    """Who carries messages of some channels; one module, one row in `providers`, one test."""

    @property
    def kind(self) -> str:
        """Return its name in the database, such as `twilio`."""
        ...

    @property
    def name(self) -> str:
        """Return its name for people, such as `Twilio`."""
        ...

    @property
    def channels(self) -> frozenset[str]:
        """Return the channels that it can carry."""
        ...

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Return the fields of an account, in the order of a form."""
        ...

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether an account can be used; looks names up, but sends nothing.

        Args:
            account: as it would be kept.
            channels: on which it is to be used.

        Raises:
            Invalid: the value of one setting can't be used; `field` is its name.
        """
        ...

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand a message to the vendor, to its recipient and to nobody else.

        Args:
            account: as it passed `check`.
            outgoing: the message.
            seconds: after which it is given up, however much of an answer drips in.

        Raises:
            DeliveryError: it was not taken; nothing else is raised.
        """
        ...

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Read what a vendor reports; None if it says nothing new, or the vendor never reports.

        Raises:
            Forged: it does not hold the account's signature.
        """
        ...
