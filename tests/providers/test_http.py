"""Any gateway by HTTPS: what it gets, that it is signed, and that the address is judged."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.errors import Invalid
from app.outbound import Outbound
from app.providers import http_body
from app.providers.base import Account, Callback, DeliveryError, Forged, Report, Sent
from app.providers.http import HttpGateway
from tests.actors import keep_secret
from tests.conftest import FixedClock
from tests.providers.messages import ADDRESS, CODE, NUMBER, outgoing
from tests.providers.servers import Web, drips, floods, hangs, misbehaving, web

SECRET = "whsec_" + base64.b64encode(b"a signing secret of 32 bytes....").decode()
AUTHORIZATION = "Bearer the-token-of-the-tests"
CALLBACK = "https://mfa.example.com/callbacks/7f3b1c52"


def account(url: str, **changed: str) -> Account:
    settings = {"url": url, "from": "Harbor", **changed}
    secrets = {"signing_secret": keep_secret(settings.pop("signing_secret", SECRET))}
    if authorization := settings.pop("authorization", ""):
        secrets["authorization"] = keep_secret(authorization)
    return Account(settings=settings, secrets=secrets)


@pytest.fixture
def clock() -> FixedClock:
    """The library that checks a signature has no clock but the machine's."""
    return FixedClock(datetime.now(UTC))  # noqa: TID251


@pytest.fixture
def http(outbound: Outbound, gateway: Web, clock: FixedClock) -> Iterator[HttpGateway]:
    gateway.answers(202, b"")
    yield HttpGateway(outbound, clock)
    for came in gateway.came:
        Webhook(SECRET).verify(came.body, came.headers, json_parse=False)


def send(http: HttpGateway, at: Account, channel: str = "sms", **more: Any) -> Sent:
    return http.send(at, outgoing(channel, **more), seconds=5)


def fails(http: HttpGateway, at: Account, seconds: float = 5, **more: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as failed:
        http.send(at, outgoing(**more), seconds=seconds)
    for secret in (CODE, NUMBER, SECRET, AUTHORIZATION):
        assert secret not in str(failed.value)
    return failed.value


# What a gateway gets


def test_a_message_is_one_signed_request_to_its_recipient_alone(
    http: HttpGateway, gateway: Web, clock: FixedClock
) -> None:
    sent = send(http, account(f"{gateway.url}/send?tenant=7", authorization=AUTHORIZATION))
    came, message = gateway.only, outgoing()
    assert (came.method, came.path) == ("POST", "/send?tenant=7")
    assert came.json == {
        "id": message.id,
        "channel": "sms",
        "to": NUMBER,
        "from": "Harbor",
        "subject": "",
        "text": message.text,
        "language": "en",
    }
    assert came.headers["content-type"] == "application/json"
    assert came.headers["authorization"] == AUTHORIZATION
    assert came.headers["idempotency-key"] == came.headers["webhook-id"] == message.id
    assert came.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert sent == Sent(provider_id=message.id, detail="HTTP 202")


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "voice", "email"])
def test_every_channel_can_go_through_a_gateway(
    channel: str, http: HttpGateway, gateway: Web
) -> None:
    body = json.dumps({"to": "{recipient}", "over": "{channel}", "text": "{text}", "h": "{html}"})
    send(http, account(gateway.url, body=body), channel, html="<p>x</p>", sender="Pier")
    to = ADDRESS if channel == "email" else NUMBER
    wanted = {"to": to, "over": channel, "text": outgoing(channel).text, "h": "<p>x</p>"}
    assert gateway.only.json == wanted


def test_a_template_may_be_of_any_shape(http: HttpGateway, gateway: Web) -> None:
    body = json.dumps(
        {
            "messages": [{"to": ["{recipient_digits}"], "n": 1, "on": True, "no": None}],
            "body": "{organization}: {code}, {minutes} min, {language}, {sender}, {{code}",
            "{code}": "a name is never replaced",
            "report": "{callback_url}",
        }
    )
    at = account(gateway.url, body=body)
    http.check(at, ["sms"])
    send(http, at, sender="Pier", callback_url=CALLBACK)
    assert gateway.only.json == {
        "messages": [{"to": [NUMBER[1:]], "n": 1, "on": True, "no": None}],
        "body": f"Harbor: {CODE}, 10 min, en, Pier, {{{CODE}",
        "{code}": "a name is never replaced",
        "report": CALLBACK,
    }


def test_a_form_is_filled_in_the_same_way(http: HttpGateway, gateway: Web) -> None:
    body = "to={recipient}&msg={text}\nfrom={sender} &flag=a%26b+c&{code}=x"
    at = account(gateway.url, body=body, format="form")
    http.check(at, ["sms"])
    send(http, at, sender="A&to=+1900", callback_url=CALLBACK)
    came = gateway.only
    assert came.headers["content-type"] == "application/x-www-form-urlencoded"
    assert came.form == {
        "to": NUMBER,
        "msg": outgoing().text,
        "from": "A&to=+1900",
        "flag": "a&b c",
        "{code}": "x",
    }


EVIL = [
    '", "to": "+19005550000',
    '"}, {"to": "+19005550000',
    "&to=%2B19005550000&text=x",
    "\r\n\r\nto=+19005550000",
    "{recipient}{sender}{id}",
    "\\u0022\\",
    "{{7*7}}{% x %}${7*7}",
    "\x00\x1b\ud800",
]


@pytest.mark.parametrize("format_", ["json", "form"])
@pytest.mark.parametrize("evil", EVIL)
def test_what_a_value_holds_stays_a_value(
    format_: str, evil: str, http: HttpGateway, gateway: Web
) -> None:
    """No text, name or organization adds a field, or is itself a template."""
    variables = {"code": CODE, "minutes": "10", "organization": evil}
    body = {
        "json": '{"to": "{recipient}", "text": "{text}", '
        '"org": "{organization}", "from": "{sender}"}',
        "form": "to={recipient}&text={text}&org={organization}&from={sender}",
    }[format_]
    at = account(gateway.url, format=format_, body=body)
    http.send(at, outgoing(text=evil, sender=evil, variables=variables), seconds=5)
    came = gateway.only
    found = came.json if format_ == "json" else came.form
    value = evil if format_ == "json" else evil.replace("\ud800", "?")
    assert found == {"to": NUMBER, "text": value, "org": value, "from": value}


def test_a_value_that_is_not_there_stands_for_nothing(http: HttpGateway, gateway: Web) -> None:
    body = '{"to": "{recipient}", "text": "{text}", "code": "{code}", "url": "{callback_url}"}'
    send(http, account(gateway.url, body=body), variables={})
    assert gateway.only.json["code"] == gateway.only.json["url"] == ""


@pytest.mark.parametrize("recipient", [" ", "0612345678", "+33612345678,+447946", "ada@x.example"])
def test_what_is_not_a_number_gets_nothing(recipient: str, http: HttpGateway, gateway: Web) -> None:
    with pytest.raises(DeliveryError) as failed:
        http.send(account(gateway.url), outgoing(recipient=recipient), seconds=5)
    assert (failed.value.code, failed.value.undeliverable) == ("invalid_recipient", True)
    with pytest.raises(DeliveryError) as failed:
        http.send(account(gateway.url), outgoing("email", recipient=NUMBER), seconds=5)
    assert failed.value.code == "invalid_recipient"
    assert gateway.came == []


# What it answers


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (404, True), (408, False), (422, True), (429, False), (500, False),
     (502, False), (503, False)],
)  # fmt: skip
def test_a_refusal_tells_its_status_and_never_its_body(
    status: int, permanent: bool, http: HttpGateway, gateway: Web
) -> None:
    """F76: whoever names an address inside must not read what is there."""
    gateway.answers(status, b"the secret of the inner network")
    failed = fails(http, account(gateway.url))
    assert (failed.code, failed.detail) == (f"http_{status}", f"HTTP {status}")
    assert (failed.permanent, failed.undeliverable) == (permanent, False)


def test_a_body_that_drips_or_floods_keeps_no_message_back(http: HttpGateway) -> None:
    for talk in (
        drips(b"HTTP/1.1 200 OK\r\n\r\n"),
        floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9999),
    ):
        with misbehaving(talk) as port:
            sent = http.send(account(f"http://127.0.0.1:{port}/"), outgoing(), seconds=1)
            assert sent.detail == "HTTP 200"


def test_a_gateway_that_hangs_is_left_in_time(http: HttpGateway) -> None:
    with misbehaving(hangs) as port:
        failed = fails(http, account(f"http://127.0.0.1:{port}/"), 0.3)
    assert (failed.code, failed.permanent, failed.maybe_sent) == ("timeout", False, True)


def test_a_redirect_is_not_followed(http: HttpGateway, gateway: Web) -> None:
    with web() as inside:
        for status in (301, 302, 303, 307, 308):
            gateway.answers(status, b"", Location=f"{inside.url}/latest/meta-data")
            assert fails(http, account(gateway.url)).code == f"http_{status}"
        assert inside.came == []


# Where it may be


INSIDE = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://0.0.0.0/",
    "https://user:password@gateway.example/",
    "https://gateway.example:25/",
    "http://93.184.216.34/",
    "gopher://gateway.example/",
    "file:///etc/passwd",
    "gateway.example",
]


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_is_refused_at_check_and_at_send(url: str, clock: FixedClock) -> None:
    """F76."""
    http = HttpGateway(Outbound(), clock)
    with pytest.raises(Invalid) as refused:
        http.check(account(url), ["sms"])
    assert refused.value.field == "url"
    failed = fails(http, account(url))
    assert (failed.code, failed.permanent) == ("address_not_allowed", True)


# What it reports


def report(http: HttpGateway, body: Any, secret: str = SECRET, **changed: Any) -> Report | None:
    now = datetime.now(UTC)  # noqa: TID251
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = raw.decode(errors="replace")
    headers = {
        "Webhook-Id": "report-1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("report-1", now, said),
        **changed,
    }
    callback = Callback(url=CALLBACK, headers=headers, body=raw)
    return http.report(account("https://gateway.example"), callback)


def test_a_signed_report_says_what_became_of_it(http: HttpGateway) -> None:
    for status in ("sent", "delivered"):
        told = report(http, {"id": "m-1", "status": status})
        assert told == Report(provider_id="m-1", status=status, message_id="m-1")  # type: ignore[arg-type]
    failed = report(http, {"id": "m-1", "status": "failed", "error_code": "no\nroute"})
    assert failed == Report(
        provider_id="m-1", status="failed", error_code="http_no route", message_id="m-1"
    )
    for body in ({}, {"id": "m-1"}, {"id": "m-1", "status": "read"}, {"id": 7, "status": "sent"}):
        assert report(http, body) is None
    for raw in (b"null", b"[1]", b"", b"x"):
        assert report(http, raw) is None


def test_a_report_that_nobody_signed_is_forged(http: HttpGateway) -> None:
    good = {"id": "m-1", "status": "delivered"}
    other = "whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode()
    for changed in (
        {"secret": other},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "v1,!!!,x"},
        {"Webhook-Signature": "v2,AAAA"},
        {"Webhook-Id": "report-2"},
        {"Webhook-Timestamp": "x"},
        {"Webhook-Timestamp": "0"},
        {"Webhook-Timestamp": "99999999999999999999"},
        {"Webhook-Timestamp": "1e400"},
    ):
        with pytest.raises(Forged):
            report(http, good, **changed)
    with pytest.raises(Forged):
        report(http, b"\xff")
    with pytest.raises(Forged):
        http.report(
            account("https://gateway.example"), Callback(url=CALLBACK, headers={}, body=b"{}")
        )
    unsigned = Account(settings={"url": "https://gateway.example"})
    with pytest.raises(Forged):
        http.report(unsigned, Callback(url=CALLBACK, headers={}, body=b"{}"))


# What the guide says


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """The code of the guide, as a reader copies it."""
    text = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    [body] = re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S)
    copied: dict[str, Any] = {"body": body.strip()}
    exec(compile(code, "docs/providers.md", "exec"), copied)  # noqa: S102
    return copied


def test_the_guide_s_gateway_takes_a_message_and_reports(
    http: HttpGateway, gateway: Web, guide: dict[str, Any]
) -> None:
    sent = send(http, account(gateway.url))
    came = gateway.only
    assert guide["take"](SECRET, came.headers, came.body) == came.json
    with pytest.raises(WebhookVerificationError):
        guide["take"](SECRET, came.headers, came.body.replace(b"+33", b"+44"))
    for status in ("sent", "delivered", "failed"):
        headers, body = guide["report"](SECRET, sent.provider_id, status, "no_route")
        callback = Callback(url=CALLBACK, headers=headers, body=body.encode())
        told = http.report(account(gateway.url), callback)
        assert told is not None
        assert (told.provider_id, told.status) == (outgoing().id, status)


def test_the_guide_tells_the_names_and_the_usual_body(guide: dict[str, Any]) -> None:
    assert guide["body"] == http_body.USUAL[http_body.JSON]
    text = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    table = text.partition("| Name | Stands for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`\{(\w+)\}`", table)) == set(http_body.NAMES)


# What an account needs


WRONG = [
    ("url", ""),
    ("signing_secret", ""),
    ("signing_secret", "short"),
    ("signing_secret", "whsec_c2hvcnQ="),
    ("signing_secret", "whsec_" + "!" * 40),
    ("authorization", "Bearer a\r\nX-Evil: 1"),
    ("authorization", "Bearer é"),
    ("format", "xml"),
    ("body", "not json"),
    ("body", '["{recipient}", "{text}"]'),
    ("body", "[" * 5000),
    ("body", '{"to": "{recipient}"}'),
    ("body", '{"text": "{text}"}'),
    ("body", '{"{recipient}": "{text}"}'),
    ("body", '{"to": "{recipient}", "text": "{text}", "x": "{password}"}'),
    ("body", '{"to": "{recipient}", "text": "{text}", "x": "' + "x" * 10_000 + '"}'),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_setting_that_is_missing_or_wrong_is_told_by_its_name(
    name: str, value: str, http: HttpGateway, gateway: Web
) -> None:
    http.check(account(gateway.url, authorization=AUTHORIZATION), ["sms"])
    at = account(gateway.url)
    settings, secrets = dict(at.settings), dict(at.secrets)
    (secrets if name in {"signing_secret", "authorization"} else settings)[name] = value
    with pytest.raises(Invalid) as refused:
        http.check(Account(settings=settings, secrets=secrets), ["sms"])
    assert refused.value.field == name


def test_without_a_secret_nothing_is_sent(http: HttpGateway, gateway: Web) -> None:
    for secret in ("", "whsec_", "é"):
        at = Account(settings={"url": gateway.url}, secrets={"signing_secret": secret})
        assert fails(http, at).code == "invalid_setting"
    assert gateway.came == []


def test_the_usual_bodies_are_good_ones() -> None:
    for format_, template in http_body.USUAL.items():
        http_body.check(format_, template)
