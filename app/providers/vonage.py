"""Vonage: SMS, by its SMS API.

Source: developer.vonage.com, "SMS API", "Delivery receipts" and "Signing messages"; the same in
Vonage's own Python library.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from app.addresses import NotAllowed
from app.errors import Invalid
from app.exchanges import Answer, CallFailed
from app.outbound import Outbound
from app.providers.base import (
    Account,
    Callback,
    DeliveryError,
    Forged,
    Outgoing,
    Report,
    Sent,
    Setting,
)
from app.providers.words import (
    delivery_error,
    lifetime,
    number,
    object_in,
    on_one_of,
    required,
    safe,
    status_error,
)

_TAKEN = "0"
_TRY_AGAIN = frozenset({"1", "5", "10"})
"""Throttled, an error of theirs, too many connections."""
_NO_RECIPIENT = frozenset({"33"})
"""The number was given up."""
_LONGEST_CALLBACK = 100
_PRICE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,12})?")
_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)
"""What a text message carries at 7 bits a sign (GSM 03.38); others cost twice as much."""
_STATUSES: Mapping[str, Literal["sent", "delivered", "failed"]] = {
    "accepted": "sent",
    "buffered": "sent",
    "delivered": "delivered",
    "expired": "failed",
    "failed": "failed",
    "rejected": "failed",
    "deleted": "failed",
}


class Vonage:
    """Organizations' accounts at Vonage.

    Args:
        outbound: carries the calls.
        url: where Vonage is.
    """

    kind = "vonage"
    name = "Vonage"
    channels = frozenset({"sms"})
    settings = (
        Setting(name="api_key", label="API key", required=True),
        Setting(name="api_secret", label="API secret", secret=True, required=True, kind="password"),
        Setting(
            name="sms_from",
            label="SMS sender",
            required=True,
            hint="A number such as +15005550006, or a name of up to 11 letters and digits.",
        ),
        Setting(
            name="signature_secret",
            label="Signature secret",
            secret=True,
            kind="password",
            hint="Vonage signs its reports with it, once its support has switched that on. "
            "Without it, nobody learns what was delivered.",
        ),
        Setting(
            name="signature_method",
            label="Signature method",
            kind="choice",
            choices=(("sha256", "SHA-256 HMAC"), ("sha512", "SHA-512 HMAC")),
            hint="As it is set in Vonage’s dashboard.",
        ),
    )

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound = outbound
        self._url = url

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether the account is whole; see `Provider.check`."""
        required(account, "api_key", "api_secret", "sms_from")
        if account.value("signature_method") not in {"", "sha256", "sha512"}:
            raise Invalid("signature_method", "choose sha256 or sha512.")

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand the message to Vonage; see `Provider.send`."""
        who = f"{account.value('api_key')}:{account.value('api_secret')}"
        try:
            on_one_of(self.channels, outgoing)
            answer = self._outbound.request(
                "POST",
                f"{self._url}/sms/json",
                headers={
                    "Authorization": f"Basic {base64.b64encode(who.encode()).decode()}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                body=urlencode(_fields(account, outgoing), errors="replace").encode(),
                seconds=seconds,
            )
        except (NotAllowed, CallFailed, Invalid) as error:
            raise delivery_error(error) from None
        sent = _judged(answer, outgoing)
        if len(outgoing.callback_url or "") > _LONGEST_CALLBACK:
            return replace(sent, detail=f"{sent.detail}; no reports: their address is too long")
        return sent

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Read a delivery receipt, which the account must have signed; see `Provider.report`."""
        receipt = _receipt(callback)
        secret = account.value("signature_secret")
        method = "sha512" if account.value("signature_method") == "sha512" else "sha256"
        right, shown = _signature(secret, method, receipt), receipt.get("sig", "").lower()
        if not secret or not hmac.compare_digest(right, shown.encode(errors="replace")):
            raise Forged("vonage")
        status = _STATUSES.get(receipt.get("status", ""))
        if status is None or not receipt.get("messageId"):
            return None
        why = receipt.get("err-code", "0")
        error = f"vonage_receipt_{why}" if status == "failed" else None
        return Report(
            provider_id=receipt["messageId"],
            status=status,
            error_code=error,
            message_id=receipt.get("client-ref"),
        )


def _fields(account: Account, outgoing: Outgoing) -> dict[str, str]:
    sender = outgoing.sender or account.value("sms_from")
    if not sender:
        raise Invalid("sms_from", "fill it in.")
    fields = {
        "to": number(outgoing).removeprefix("+"),
        "from": sender.removeprefix("+"),
        "text": outgoing.text,
        "type": "text" if set(outgoing.text) <= _GSM else "unicode",
        "client-ref": outgoing.id,
    }
    if seconds := lifetime(outgoing):
        fields["ttl"] = str(seconds * 1000)
    if _reports(account, outgoing):
        fields |= {"status-report-req": "1", "callback": outgoing.callback_url or ""}
    return fields


def _reports(account: Account, outgoing: Outgoing) -> bool:
    """Tell whether Vonage can report, in a way that can be told from a forged one."""
    url = outgoing.callback_url
    return bool(url and account.value("signature_secret") and len(url) <= _LONGEST_CALLBACK)


def _judged(answer: Answer, outgoing: Outgoing) -> Sent:
    """Return what was taken: a refusal of Vonage has the HTTP status 200, too.

    Raises:
        DeliveryError: not all of it was.
    """
    if not 200 <= answer.status < 300:
        raise status_error("vonage", answer.status)
    parts = object_in(answer.body).get("messages")
    if not isinstance(parts, list) or not parts or not all(isinstance(one, dict) for one in parts):
        raise DeliveryError(
            "vonage_answer", "It answered without an id.", permanent=True, maybe_sent=True
        )
    failed = [part for part in parts if str(part.get("status")) != _TAKEN]
    if failed:
        raise _refused(failed[0], outgoing, some=len(failed) < len(parts))
    first = str(parts[0].get("message-id", ""))
    detail = safe(f"status 0, {first}", outgoing)
    return Sent(provider_id=first or None, detail=detail, cost=_cost(parts))


def _cost(parts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what the parts cost together, in the account's currency, if each says so."""
    prices = [str(part.get("message-price", "")) for part in parts]
    if not all(map(_PRICE.fullmatch, prices)):
        return None
    return f"{sum(map(Decimal, prices), Decimal()):f}"


def _refused(part: Mapping[str, Any], outgoing: Outgoing, *, some: bool) -> DeliveryError:
    code = str(part.get("status"))
    return DeliveryError(
        f"vonage_{code}" if code.isdecimal() else "vonage_answer",
        safe(f"{code}: {part.get('error-text', '')}", outgoing),
        permanent=code not in _TRY_AGAIN,
        undeliverable=code in _NO_RECIPIENT,
        maybe_sent=some,
    )


def _receipt(callback: Callback) -> dict[str, str]:
    """Return the fields of a receipt, which come as a form, as JSON, or in the address."""
    if callback.form:
        return dict(callback.form)
    if found := object_in(callback.body):
        return {name: str(value) for name, value in found.items()}
    return dict(parse_qsl(urlsplit(callback.url).query, keep_blank_values=True))


def _signature(secret: str, method: str, receipt: Mapping[str, str]) -> bytes:
    """Return what Vonage's `sig` holds, in lower case."""
    said = "".join(
        f"&{name}={receipt[name].replace('&', '_').replace('=', '_')}"
        for name in sorted(receipt)
        if name != "sig"
    )
    return hmac.digest(secret.encode(), said.encode(errors="replace"), method).hex().encode()
