"""Twilio: SMS, WhatsApp and voice, by its REST API of 2010-04-01.

Source: Twilio's published OpenAPI description, `twilio_api_v2010.json`; twilio.com/docs/errors.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Collection, Mapping
from typing import Literal
from urllib.parse import urlencode, urlsplit

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
)
from app.providers.speech import twiml
from app.providers.twilio_account import SETTINGS, check, check_ids, contents, sender, variables
from app.providers.words import (
    delivery_error,
    header,
    is_final,
    is_number,
    lifetime,
    number,
    object_in,
    on_one_of,
    safe,
    status_error,
)

_NO_RECIPIENT = frozenset({21211, 21217, 21610, 21614, 63024})
"""Not a number, not a mobile one, not one of WhatsApp's, or its owner said STOP."""
_TRY_AGAIN = frozenset({14107, 20429, 21611, 30001, 63018})
"""Too many at once, whatever the HTTP status is."""
_STATUSES: Mapping[str, Literal["sent", "delivered", "failed"]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "ringing": "sent",
    "in-progress": "delivered",
    "completed": "delivered",
    "busy": "failed",
    "no-answer": "failed",
    "canceled": "failed",
}


class Twilio:
    """Organizations' accounts at Twilio.

    Args:
        outbound: carries the calls.
        url: where Twilio is.
    """

    kind = "twilio"
    name = "Twilio"
    channels = frozenset({"sms", "whatsapp", "voice"})
    settings = SETTINGS

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound = outbound
        self._url = url

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether the account has what the channels need; see `Provider.check`."""
        check(account, channels)

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand the message to Twilio; see `Provider.send`."""
        try:
            on_one_of(self.channels, outgoing)
            asks = {"sms": _sms, "whatsapp": _whatsapp, "voice": _voice}[outgoing.channel]
            answer = self._ask(account, asks(account, outgoing), outgoing, seconds)
        except (NotAllowed, CallFailed, Invalid) as error:
            raise delivery_error(error) from None
        if not 200 <= answer.status < 300:
            raise _refused(answer, outgoing)
        told = object_in(answer.body)
        if not isinstance(told.get("sid"), str):
            raise DeliveryError(
                "twilio_answer", "It answered without an id.", permanent=True, maybe_sent=True
            )
        detail = safe(f"{told.get('status')}, {told['sid']}", outgoing)
        return Sent(provider_id=told["sid"], detail=detail)

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Read a status callback, whose signature must be the account's; see `Provider.report`."""
        token = account.value("auth_token")
        shown = header(callback, "X-Twilio-Signature").encode(errors="replace")
        right = [_signature(token, url, callback.form) for url in _spellings(callback.url)]
        if not token or not any(hmac.compare_digest(one, shown) for one in right):
            raise Forged("twilio")
        form = callback.form
        name = form.get("MessageSid") or form.get("CallSid")
        said = form.get("MessageStatus") or form.get("CallStatus") or ""
        status = _STATUSES.get(said)
        if not name or status is None:
            return None
        why = form.get("ErrorCode") or said
        error = f"twilio_{why}" if status == "failed" else None
        return Report(provider_id=name, status=status, error_code=error, signs_address=True)

    def _ask(
        self, account: Account, fields: list[tuple[str, str]], outgoing: Outgoing, seconds: float
    ) -> Answer:
        check_ids(account)
        account_sid = account.value("account_sid")
        if key := account.value("api_key_sid"):
            who = f"{key}:{account.value('api_key_secret')}"
        else:
            who = f"{account_sid}:{account.value('auth_token')}"
        # Without the token, its reports could not be told from forged ones.
        if outgoing.callback_url and account.value("auth_token"):
            fields.append(("StatusCallback", outgoing.callback_url))
        resource = "Calls" if outgoing.channel == "voice" else "Messages"
        return self._outbound.request(
            "POST",
            f"{self._url}/2010-04-01/Accounts/{account_sid}/{resource}.json",
            headers={
                "Authorization": f"Basic {base64.b64encode(who.encode()).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=urlencode(fields, errors="replace").encode(),
            seconds=seconds,
        )


# What is asked


def _sms(account: Account, outgoing: Outgoing) -> list[tuple[str, str]]:
    fields = [("To", number(outgoing)), ("Body", outgoing.text)]
    if seconds := lifetime(outgoing):
        fields.append(("ValidityPeriod", str(seconds)))
    return [*fields, sender(account, outgoing.sender or "", "sms_from")]


def _whatsapp(account: Account, outgoing: Outgoing) -> list[tuple[str, str]]:
    """Return a template message; any other text fails where the user did not write first."""
    known = contents(account)
    content = known.get(outgoing.language) or next(iter(known.values()), "")
    if not content:
        raise Invalid("content_sids", "fill it in.")
    names = variables(account)
    for name in names.values():
        if name not in outgoing.variables:
            told = f"The template wants {name}, which the message does not have."
            raise DeliveryError("missing_variable", told, permanent=True)
    values = {place: outgoing.variables[name] for place, name in names.items()}
    field, named = sender(account, outgoing.sender or "", "whatsapp_from")
    if field == "From" and not is_number(named):
        raise DeliveryError("invalid_sender", "The WhatsApp sender is no number.", permanent=True)
    return [
        ("To", f"whatsapp:{number(outgoing)}"),
        ("ContentSid", content),
        ("ContentVariables", json.dumps(values)),
        (field, f"whatsapp:{named}" if field == "From" else named),
    ]


def _voice(account: Account, outgoing: Outgoing) -> list[tuple[str, str]]:
    caller = outgoing.sender or account.value("voice_from")
    if not is_number(caller):
        raise DeliveryError("invalid_sender", "The calling number is not one.", permanent=True)
    return [
        ("To", number(outgoing)),
        ("From", caller),
        ("Twiml", twiml(outgoing)),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
    ]


# What is answered


def _refused(answer: Answer, outgoing: Outgoing) -> DeliveryError:
    told = object_in(answer.body)
    code = told.get("code")
    if not isinstance(code, int):
        return status_error("twilio", answer.status)
    return DeliveryError(
        f"twilio_{code}",
        safe(f"{code}: {told.get('message')}", outgoing),
        permanent=is_final(answer.status) and code not in _TRY_AGAIN,
        undeliverable=code in _NO_RECIPIENT,
    )


def _signature(token: str, url: str, form: Mapping[str, str]) -> bytes:
    """Return what Twilio's X-Twilio-Signature holds (twilio.com/docs/usage/security)."""
    said = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), said.encode(errors="replace"), "sha1"))


def _spellings(url: str) -> list[str]:
    """Return an address with its port and without: Twilio signs it in either form."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = host.removesuffix(f":{parts.port}") if parts.port else host
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    spelled = (parts._replace(netloc=f"{bare}:{port}"), parts._replace(netloc=bare))
    return [one.geturl() for one in spelled]
