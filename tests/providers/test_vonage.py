"""Vonage: what it is asked, what it answers with status 200, and which receipts are its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from app.errors import Invalid
from app.outbound import Outbound
from app.providers.base import Account, Callback, DeliveryError, Forged, Report, Sent
from app.providers.vonage import Vonage
from tests.actors import keep_secret
from tests.providers.messages import CODE, NUMBER, outgoing
from tests.providers.servers import Web, hangs, misbehaving

SECRET = "signature_secret"
CALLBACK = "https://mfa.example.com/callbacks/7f3b1c52"
DIGITS = NUMBER.removeprefix("+")
TAKEN = {"to": DIGITS, "message-id": "0A0000000123ABCD1", "status": "0", "network": "12345"}


def account(**changed: str) -> Account:
    settings = {"api_key": "abcd1234", "sms_from": "Harbor", **changed}
    secrets = {
        "api_secret": keep_secret(settings.pop("api_secret", "the secret of the tests")),
        "signature_secret": settings.pop("signature_secret", SECRET),
    }
    return Account(settings=settings, secrets=secrets)


def told(*parts: dict[str, str]) -> dict[str, Any]:
    return {"message-count": str(len(parts)), "messages": list(parts)}


@pytest.fixture
def vonage(outbound: Outbound, gateway: Web) -> Iterator[Vonage]:
    gateway.answers(200, told(TAKEN))
    yield Vonage(outbound, gateway.url)
    for came in gateway.came:  # a code never goes to anyone but its recipient
        assert came.form["to"] == DIGITS


def send(vonage: Vonage, at: Account | None = None, **more: Any) -> Sent:
    return vonage.send(at or account(), outgoing(**more), seconds=5)


def fails(vonage: Vonage, at: Account | None = None, **more: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as failed:
        send(vonage, at, **more)
    for secret in (CODE, NUMBER, DIGITS, SECRET):
        assert secret not in str(failed.value)
    return failed.value


# What it is asked


def test_an_sms_is_asked_for_once_and_to_its_recipient_alone(vonage: Vonage, gateway: Web) -> None:
    sent = send(vonage, callback_url=CALLBACK)
    came = gateway.only
    assert (came.method, came.path) == ("POST", "/sms/json")
    assert came.form == {
        "to": DIGITS,
        "from": "Harbor",
        "text": outgoing().text,
        "type": "unicode",  # the apostrophe of "Don’t"
        "client-ref": outgoing().id,
        "ttl": "600000",
        "status-report-req": "1",
        "callback": CALLBACK,
    }
    who = base64.b64encode(b"abcd1234:the secret of the tests").decode()
    assert came.headers["authorization"] == f"Basic {who}"
    assert sent == Sent(provider_id="0A0000000123ABCD1", detail="status 0, 0A0000000123ABCD1")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{CODE} is your Harbor code.\n@harbor.example #{CODE}", "text"),
        (f"Votre code à usage unique, déjà là : {CODE} €", "text"),
        (f"Code reçu : {CODE}", "unicode"),
        (f"Κωδικός {CODE}", "unicode"),
        (f"{CODE} 🔒", "unicode"),
    ],
)
def test_a_text_is_sent_in_the_cheapest_way_that_carries_it(
    text: str, kind: str, vonage: Vonage, gateway: Web
) -> None:
    send(vonage, text=text)
    assert (gateway.only.form["text"], gateway.only.form["type"]) == (text, kind)


def test_the_organization_s_sender_comes_first(vonage: Vonage, gateway: Web) -> None:
    send(vonage, sender="+15005550006")
    assert gateway.only.form["from"] == "15005550006"


def test_reports_are_asked_for_only_where_they_can_be_told_from_forged_ones(
    vonage: Vonage, gateway: Web
) -> None:
    send(vonage)
    send(vonage, account(signature_secret=""), callback_url=CALLBACK)
    sent = send(vonage, callback_url=CALLBACK + "x" * 100)
    for came in gateway.came:
        assert "callback" not in came.form
        assert "status-report-req" not in came.form
    assert "no reports" in sent.detail


@pytest.mark.parametrize("recipient", [" ", "0612345678", DIGITS, "+33612345678,+447946", "+3"])
def test_what_is_not_a_number_gets_nothing(recipient: str, vonage: Vonage, gateway: Web) -> None:
    with pytest.raises(DeliveryError) as failed:
        vonage.send(account(), outgoing(recipient=recipient), seconds=5)
    assert (failed.value.code, failed.value.undeliverable) == ("invalid_recipient", True)
    assert gateway.came == []


@pytest.mark.parametrize("channel", ["whatsapp", "voice", "email"])
def test_it_carries_sms_alone(channel: str, vonage: Vonage, gateway: Web) -> None:
    with pytest.raises(DeliveryError) as failed:
        vonage.send(account(), outgoing(channel), seconds=5)
    assert failed.value.code == "wrong_channel"
    assert gateway.came == []


# What it answers


REFUSALS = [
    ("1", "Throughput Rate Exceeded", False, False),
    ("2", "Missing to param", True, False),
    ("3", f"Invalid {DIGITS}", True, False),
    ("4", "Bad Credentials", True, False),
    ("5", "Internal Error", False, False),
    ("6", "Unroutable message", True, False),
    ("7", "Number barred", True, False),
    ("9", "Quota Exceeded - rejected", True, False),
    ("10", "Too many existing binds", False, False),
    ("15", "Invalid sender address", True, False),
    ("29", "Non White-listed Destination - rejected", True, False),
    ("33", "Number de-activated", True, True),
]


@pytest.mark.parametrize(("status", "words", "permanent", "undeliverable"), REFUSALS)
def test_a_refusal_with_http_200_is_none_the_less_one(
    status: str, words: str, permanent: bool, undeliverable: bool, vonage: Vonage, gateway: Web
) -> None:
    gateway.answers(200, told({"status": status, "error-text": words}))
    failed = fails(vonage)
    assert failed.code == f"vonage_{status}"
    assert failed.detail == f"{status}: {words.replace(DIGITS, '…')}"
    assert (failed.permanent, failed.undeliverable) == (permanent, undeliverable)
    assert not failed.maybe_sent


def test_half_of_a_long_message_is_a_failure_that_may_arrive(vonage: Vonage, gateway: Web) -> None:
    gateway.answers(200, told(TAKEN, {"status": "9", "error-text": "Quota Exceeded"}))
    failed = fails(vonage)
    assert (failed.code, failed.maybe_sent) == ("vonage_9", True)


def test_all_parts_of_a_long_message_are_one_message(vonage: Vonage, gateway: Web) -> None:
    gateway.answers(200, told(TAKEN, {**TAKEN, "message-id": "2"}))
    assert send(vonage).provider_id == TAKEN["message-id"]


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (("0.03330000",), "0.03330000"),
        (("0.0333", "0.0333"), "0.0666"),
        (("0.0333", None), None),
        ((None,), None),
        (("dear",), None),
        (("NaN",), None),
        (("Infinity", "-Infinity"), None),
        (("1E+999999",), None),
    ],
)
def test_what_it_costs_is_told_as_far_as_vonage_says_it(
    prices: tuple[str | None, ...], cost: str | None, vonage: Vonage, gateway: Web
) -> None:
    parts = [{**TAKEN, **({"message-price": one} if one else {})} for one in prices]
    gateway.answers(200, told(*parts))
    assert send(vonage).cost == cost


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"messages": []}', b'{"messages": [1]}', b'{"messages": {}}']
)
def test_a_yes_that_vonage_did_not_say_is_no_sending(
    body: bytes, vonage: Vonage, gateway: Web
) -> None:
    gateway.answers(200, body)
    failed = fails(vonage)
    assert (failed.code, failed.maybe_sent) == ("vonage_answer", True)


@pytest.mark.parametrize(
    ("status", "permanent"), [(401, True), (302, True), (429, False), (502, False), (503, False)]
)
def test_another_http_status_is_a_failure(
    status: int, permanent: bool, vonage: Vonage, gateway: Web
) -> None:
    gateway.answers(status, told(TAKEN))
    failed = fails(vonage)
    assert (failed.code, failed.permanent) == (f"vonage_http_{status}", permanent)


def test_vonage_hanging_is_left_in_time(outbound: Outbound) -> None:
    with misbehaving(hangs) as port, pytest.raises(DeliveryError) as failed:
        Vonage(outbound, f"http://127.0.0.1:{port}").send(account(), outgoing(), seconds=0.3)
    assert (failed.value.code, failed.value.maybe_sent) == ("timeout", True)


# What it reports


def signed(
    receipt: dict[str, str], secret: str = SECRET, method: str = "sha256", *, upper: bool = False
) -> dict[str, str]:
    said = "".join(
        f"&{name}={receipt[name].replace('&', '_').replace('=', '_')}" for name in sorted(receipt)
    )
    sig = hmac.new(secret.encode(), said.encode(), getattr(hashlib, method)).hexdigest()
    return {**receipt, "sig": sig.upper() if upper else sig}


RECEIPT = {
    "msisdn": DIGITS,
    "to": "Harbor",
    "network-code": "20801",
    "messageId": TAKEN["message-id"],
    "price": "0.06500000",
    "status": "delivered",
    "scts": "2603011201",
    "err-code": "0",
    "api-key": "abcd1234",
    "client-ref": "a&b=c",
    "message-timestamp": "2026-03-01 12:01:05",
    "timestamp": "1772366465",
    "nonce": "ec11dd3e-1e7f-4db5-9467-82b02cd223b9",
}


def ways(receipt: dict[str, str]) -> list[Callback]:
    """Return a receipt in each form that the dashboard offers: POST, POST-JSON, GET."""
    return [
        Callback(url=CALLBACK, headers={}, form=receipt, body=urlencode(receipt).encode()),
        Callback(url=CALLBACK, headers={}, body=json.dumps(receipt).encode()),
        Callback(url=f"{CALLBACK}?{urlencode(receipt)}", headers={}),
    ]


def test_a_signature_of_vonage_s_own_library_is_taken(vonage: Vonage) -> None:
    """The vector is from its tests (`test_sign_params`)."""
    receipt = {
        "param1": "value1",
        "param2": "value2",
        "timestamp": "1234567890",
        "sig": "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287",
    }
    assert vonage.report(account(), Callback(url=CALLBACK, headers={}, form=receipt)) is None
    with pytest.raises(Forged):
        other = {**receipt, "param2": "value3"}
        vonage.report(account(), Callback(url=CALLBACK, headers={}, form=other))


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        ("accepted", "sent", None),
        ("buffered", "sent", None),
        ("delivered", "delivered", None),
        ("failed", "failed", "vonage_receipt_6"),
        ("expired", "failed", "vonage_receipt_6"),
        ("rejected", "failed", "vonage_receipt_6"),
        ("deleted", "failed", "vonage_receipt_6"),
        ("unknown", None, None),
    ],
)
def test_a_receipt_says_what_became_of_it_however_it_comes(
    said: str, status: Any, error: str | None, vonage: Vonage
) -> None:
    receipt = {**RECEIPT, "status": said, "err-code": "6" if error else "0"}
    name = TAKEN["message-id"]
    wanted = status and Report(
        provider_id=name, status=status, error_code=error, message_id="a&b=c"
    )
    for callback in ways(signed(receipt)):
        assert vonage.report(account(), callback) == wanted


def test_the_account_s_method_counts(vonage: Vonage) -> None:
    longer = account(signature_method="sha512")
    for upper in (False, True):
        [callback, *_] = ways(signed(RECEIPT, method="sha512", upper=upper))
        assert vonage.report(longer, callback)
        with pytest.raises(Forged):
            vonage.report(account(), callback)


def test_a_receipt_that_vonage_did_not_sign_is_forged(vonage: Vonage) -> None:
    good = signed(RECEIPT)
    plain_md5 = hashlib.md5(  # noqa: S324
        ("".join(f"&{name}={RECEIPT[name]}" for name in sorted(RECEIPT)) + SECRET).encode()
    ).hexdigest()
    forged = [
        {},
        RECEIPT,
        {**good, "sig": ""},
        {**good, "sig": "é\ud800"},
        {**good, "sig": plain_md5},
        {**good, "status": "failed"},
        {**good, "messageId": "another"},
        {**good, "more": "1"},
        {name: value for name, value in good.items() if name != "price"},
        signed(RECEIPT, "another secret"),
        signed(RECEIPT, ""),
    ]
    for receipt in forged:
        for callback in (
            Callback(url=CALLBACK, headers={}, form=receipt),
            Callback(url=CALLBACK, headers={}, body=json.dumps(receipt).encode()),
        ):
            with pytest.raises(Forged):
                vonage.report(account(), callback)
            with pytest.raises(Forged):
                vonage.report(account(signature_secret=""), callback)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b"null", b"[]"])
def test_a_body_that_is_no_receipt_is_forged(body: bytes, vonage: Vonage) -> None:
    with pytest.raises(Forged):
        vonage.report(account(), Callback(url=CALLBACK, headers={}, body=body))


# What an account needs


@pytest.mark.parametrize(
    ("name", "value"),
    [("api_key", ""), ("api_secret", ""), ("sms_from", ""), ("signature_method", "md5hash")],
)
def test_a_setting_that_is_missing_or_wrong_is_told_by_its_name(
    name: str, value: str, vonage: Vonage
) -> None:
    vonage.check(account(), ["sms"])
    at = account()
    settings, secrets = {**at.settings, name: value}, dict(at.secrets)
    if name in secrets:
        secrets[name] = value
        del settings[name]
    with pytest.raises(Invalid) as refused:
        vonage.check(Account(settings=settings, secrets=secrets), ["sms"])
    assert refused.value.field == name
