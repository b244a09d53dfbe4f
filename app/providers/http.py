"""Any gateway that takes messages by HTTPS, in requests that are signed.

Requests and reports are signed as Standard Webhooks (standardwebhooks.com) says.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from app.addresses import NotAllowed
from app.clock import Clock
from app.errors import Invalid
from app.exchanges import CallFailed
from app.outbound import Outbound
from app.providers import http_body
from app.providers.base import (
    CHANNELS,
    Account,
    Callback,
    Forged,
    Outgoing,
    Report,
    Sent,
    Setting,
)
from app.providers.words import (
    delivery_error,
    mailbox,
    number,
    object_in,
    on_one_of,
    one_line,
    required,
    status_error,
)

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,128}={0,2}")
_HEADER = re.compile(r"[\x20-\x7e]{0,2000}")
_LONGEST_CODE = 100
_STATUSES: tuple[Literal["sent", "delivered", "failed"], ...] = ("sent", "delivered", "failed")


class HttpGateway:
    """Gateways that organizations name by address and body.

    Args:
        outbound: carries the calls, to where they may go.
        clock: for the moment that is signed.
    """

    kind = "http"
    name = "Another gateway (HTTP)"
    channels = frozenset(CHANNELS)
    settings = (
        Setting(
            name="url",
            label="Address",
            required=True,
            hint="Such as https://sms.example.com/send. It gets a POST for each message.",
            addressee=True,
        ),
        Setting(
            name="signing_secret",
            label="Signing secret",
            secret=True,
            required=True,
            kind="password",
            hint="It begins with whsec_, and at least 24 random bytes in base64 follow. Both sides "
            "sign with it, as Standard Webhooks says.",
        ),
        Setting(
            name="authorization",
            label="Authorization header",
            secret=True,
            kind="password",
            hint="The whole of it, such as Bearer abc, if the gateway wants one.",
        ),
        Setting(
            name="format",
            label="Format",
            kind="choice",
            choices=((http_body.JSON, "JSON"), (http_body.FORM, "Form")),
        ),
        Setting(
            name="body",
            label="Body",
            kind="textarea",
            hint="Names in braces stand for values: "
            + ", ".join(f"{{{name}}}" for name in http_body.NAMES)
            + ". If it is empty, the usual one is sent.",
        ),
        Setting(
            name="from", label="Sender", hint="What {sender} stands for, if nothing else is set."
        ),
    )

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether the gateway may be called and what it would get; see `Provider.check`."""
        required(account, "url", "signing_secret")
        if not _SECRET.fullmatch(account.value("signing_secret")):
            raise Invalid("signing_secret", "write whsec_ and at least 24 bytes in base64.")
        if not _HEADER.fullmatch(account.value("authorization")):
            raise Invalid("authorization", "use printable ASCII, on one line.")
        http_body.check(*_template(account))
        try:
            self._outbound.check(account.value("url"))
        except NotAllowed as refused:
            raise Invalid("url", str(refused)) from None

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand the message to the gateway; see `Provider.send`."""
        try:
            on_one_of(self.channels, outgoing)
            if outgoing.channel == "email":
                mailbox(outgoing)
            else:
                number(outgoing)
            format_, template = _template(account)
            sender = outgoing.sender or account.value("from")
            body = http_body.filled(format_, template, outgoing, sender)
            answer = self._outbound.request(
                "POST",
                account.value("url"),
                headers=self._headers(account, outgoing, format_, body),
                body=body,
                seconds=seconds,
                most_bytes=0,  # who asks for it names the address, and must not read what is there
            )
        except (NotAllowed, CallFailed, Invalid) as error:
            raise delivery_error(error) from None
        if not 200 <= answer.status < 300:
            raise status_error("http", answer.status)
        return Sent(provider_id=outgoing.id, detail=f"HTTP {answer.status}")

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Read `{"id", "status", "error_code"}`, signed; the id is ours; see `Provider.report`."""
        try:
            signer = Webhook(account.value("signing_secret"))
            signer.verify(callback.body, dict(callback.headers), json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
            raise Forged("http") from None
        told = object_in(callback.body)
        name, status = told.get("id"), told.get("status")
        if not isinstance(name, str) or status not in _STATUSES:
            return None
        why = one_line(str(told.get("error_code") or "failed"))[:_LONGEST_CODE]
        error = f"http_{why}" if status == "failed" else None
        return Report(provider_id=name, status=status, error_code=error, message_id=name)

    def _headers(
        self, account: Account, outgoing: Outgoing, format_: str, body: bytes
    ) -> dict[str, str]:
        """Return the headers of a request, among them those of Standard Webhooks.

        Raises:
            Invalid: the account has no secret to sign with.
        """
        now = self._clock.now()
        try:
            signer = Webhook(account.value("signing_secret"))
        except (EmptyWebhookSecretError, ValueError):
            raise Invalid(
                "signing_secret", "write whsec_ and at least 24 bytes in base64."
            ) from None
        headers = {
            "Content-Type": http_body.CONTENT_TYPES[format_],
            "Idempotency-Key": outgoing.id,
            "webhook-id": outgoing.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(outgoing.id, now, body.decode()),
        }
        if authorization := account.value("authorization"):
            headers["Authorization"] = authorization
        return headers


def _template(account: Account) -> tuple[str, str]:
    """Return the format and the template of the body.

    Raises:
        Invalid: there is no such format.
    """
    format_ = account.value("format") or http_body.JSON
    if format_ not in http_body.CONTENT_TYPES:
        raise Invalid("format", "choose json or form.")
    return format_, account.value("body") or http_body.USUAL[format_]
