"""Twilio: what it is asked, what it answers, and which reports are its own."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest

from app.errors import Invalid
from app.outbound import Outbound
from app.providers.base import Account, Callback, DeliveryError, Forged, Report, Sent
from app.providers.twilio import Twilio
from tests.actors import keep_secret
from tests.providers.messages import CODE, NUMBER, outgoing
from tests.providers.servers import Came, Web, hangs, misbehaving

ACCOUNT = "AC" + "0a" * 16
SERVICE = "MG" + "0b" * 16
KEY = "SK" + "0c" * 16
ENGLISH, FRENCH = "HX" + "0d" * 16, "HX" + "0e" * 16
TOKEN = "the auth token of the tests"
SENDER = "+15005550006"
CALLBACK = "https://mfa.example.com/callbacks/7f3b1c52"


def account(*without: str, **more: str) -> Account:
    settings = {
        "account_sid": ACCOUNT,
        "sms_from": SENDER,
        "whatsapp_from": SENDER,
        "voice_from": SENDER,
        "content_sids": f"en={ENGLISH}\nfr={FRENCH}",
        **more,
    }
    secret = {"auth_token": keep_secret(TOKEN), "api_key_secret": settings.pop("key", "")}
    kept = {name: value for name, value in settings.items() if name not in without}
    return Account(
        settings=kept,
        secrets={name: value for name, value in secret.items() if name not in without},
    )


@pytest.fixture
def twilio(outbound: Outbound, gateway: Web) -> Iterator[Twilio]:
    gateway.answers(201, {"sid": "SM" + "1" * 32, "status": "queued", "to": "shown by nobody"})
    yield Twilio(outbound, gateway.url)
    for came in gateway.came:  # a code never goes to anyone but its recipient
        to = [value for name, value in came.forms if name == "To"]
        assert to in ([NUMBER], [f"whatsapp:{NUMBER}"])
        assert_as_twilio_says(came)


def send(twilio: Twilio, channel: str = "sms", at: Account | None = None, **more: Any) -> Sent:
    return twilio.send(at or account(), outgoing(channel, **more), seconds=5)


def fails(twilio: Twilio, channel: str = "sms", at: Account | None = None, **more: Any) -> Any:
    with pytest.raises(DeliveryError) as failed:
        send(twilio, channel, at, **more)
    for secret in (CODE, NUMBER, NUMBER.removeprefix("+"), TOKEN):
        assert secret not in str(failed.value)
    return failed.value


# As Twilio describes its own API


def spec() -> dict[str, Any] | None:
    path = os.environ.get("GATEHOUSE_TEST_TWILIO_SPEC")
    found: dict[str, Any] | None = json.loads(Path(path).read_text()) if path else None
    return found


SPEC = spec()


def assert_as_twilio_says(came: Came) -> None:
    """Hold a request to Twilio's own OpenAPI description, where there is a copy of it."""
    if SPEC is None:
        return
    resource = came.path.rpartition("/")[2]
    path = f"/2010-04-01/Accounts/{{AccountSid}}/{resource}"
    operation = SPEC["paths"][path]["post"]
    [parameter] = operation["parameters"]
    sid = re.fullmatch(path.replace("{AccountSid}", "([^/]+)").replace(".", r"\."), came.path)
    assert sid is not None
    assert re.fullmatch(parameter["schema"]["pattern"], sid[1])
    form = "application/x-www-form-urlencoded"
    assert came.headers["content-type"] == form
    schema = copy.deepcopy(operation["requestBody"]["content"][form]["schema"])
    # The description lets unknown fields pass, which Twilio itself ignores: a slip of the pen.
    schema |= {"additionalProperties": False, "components": SPEC["components"]}
    jsonschema_rs.Draft4Validator(schema).validate(typed(came.forms, schema["properties"]))
    names = {name for name, _ in came.forms}
    for one_of in operation["x-twilio"]["conditional"]:
        assert names & {pascal(name) for name in one_of}


def typed(fields: list[tuple[str, str]], properties: dict[str, Any]) -> dict[str, Any]:
    """Return a form's fields in the types that the description gives them."""
    values: dict[str, Any] = {}
    for name, text in fields:
        kind = properties.get(name, {}).get("type")
        if kind == "array":
            values.setdefault(name, []).append(text)
            continue
        assert name not in values, name
        values[name] = int(text) if kind == "integer" else text
    return values


def pascal(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


@pytest.mark.skipif(SPEC is None, reason="GATEHOUSE_TEST_TWILIO_SPEC names no copy of Twilio's API")
@pytest.mark.parametrize("channel", ["sms", "whatsapp", "voice"])
def test_every_request_is_as_twilio_describes_it(
    channel: str, twilio: Twilio, gateway: Web
) -> None:
    """And the description would notice: each of its rules is broken once."""
    send(twilio, channel, callback_url=CALLBACK)
    came = gateway.only
    for broken in (
        Came(came.method, came.path.replace(ACCOUNT, "AC1"), came.headers, came.body),
        Came(came.method, came.path, came.headers, came.body.replace(b"To=", b"Too=")),
        Came(came.method, came.path, came.headers, came.body.replace(b"From=", b"Form=")),
        Came(came.method, came.path, came.headers, came.body + b"&Unknown=1"),
        Came(came.method, came.path, came.headers, came.body + b"&ApplicationSid=AP1"),
        Came(came.method, came.path, {"content-type": "application/json"}, came.body),
    ):
        with pytest.raises((AssertionError, jsonschema_rs.ValidationError)):
            assert_as_twilio_says(broken)


@pytest.mark.skipif(SPEC is None, reason="GATEHOUSE_TEST_TWILIO_SPEC names no copy of Twilio's API")
@pytest.mark.parametrize(("channel", "resource"), [("sms", "Messages"), ("voice", "Calls")])
def test_every_answer_that_twilio_describes_is_understood(
    channel: str, resource: str, twilio: Twilio, gateway: Web
) -> None:
    assert SPEC is not None
    path = f"/2010-04-01/Accounts/{{AccountSid}}/{resource}.json"
    answer = SPEC["paths"][path]["post"]["responses"]["201"]["content"]["application/json"]
    assert answer["examples"]
    for example in answer["examples"].values():
        gateway.answers(201, example["value"])
        sent = send(twilio, channel)
        assert sent.provider_id == example["value"]["sid"]


# What it is asked


def test_an_sms_is_asked_for_once_and_to_its_recipient_alone(twilio: Twilio, gateway: Web) -> None:
    sent = send(twilio, callback_url=CALLBACK)
    came = gateway.only
    assert (came.method, came.path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert came.form == {
        "To": NUMBER,
        "From": SENDER,
        "Body": outgoing().text,
        "ValidityPeriod": "600",
        "StatusCallback": CALLBACK,
    }
    assert came.headers["authorization"] == basic(ACCOUNT, TOKEN)
    assert sent == Sent(provider_id="SM" + "1" * 32, detail=f"queued, SM{'1' * 32}")


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def test_an_api_key_signs_in_in_place_of_the_token(twilio: Twilio, gateway: Web) -> None:
    key = account("auth_token", api_key_sid=KEY, key=keep_secret("the secret of the key"))
    twilio.check(key, ["sms"])
    send(twilio, at=key, callback_url=CALLBACK)
    assert gateway.only.headers["authorization"] == basic(KEY, "the secret of the key")
    assert "StatusCallback" not in gateway.only.form  # nobody could tell a forged report


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_a_service_picks_the_sender_unless_the_organization_named_one(
    channel: str, twilio: Twilio, gateway: Web
) -> None:
    served = account("sms_from", "whatsapp_from", messaging_service_sid=SERVICE)
    twilio.check(served, [channel])
    send(twilio, channel, served)
    send(twilio, channel, served, sender="+15005550009")
    first, second = gateway.came
    assert first.form["MessagingServiceSid"] == SERVICE
    assert "From" not in first.form
    prefix = "whatsapp:" if channel == "whatsapp" else ""
    assert second.form["From"] == f"{prefix}+15005550009"
    assert "MessagingServiceSid" not in second.form


def test_a_name_can_send_sms(twilio: Twilio, gateway: Web) -> None:
    send(twilio, sender="Harbor")
    assert gateway.only.form["From"] == "Harbor"


@pytest.mark.parametrize(
    ("language", "content"), [("en", ENGLISH), ("fr", FRENCH), ("de", ENGLISH)]
)
def test_whatsapp_gets_a_template_in_the_user_s_language(
    language: str, content: str, twilio: Twilio, gateway: Web
) -> None:
    """Free text fails outside the 24 hours after a message of the user's (Twilio 63016)."""
    send(twilio, "whatsapp", language=language, callback_url=CALLBACK)
    assert gateway.only.form == {
        "To": f"whatsapp:{NUMBER}",
        "From": f"whatsapp:{SENDER}",
        "ContentSid": content,
        "ContentVariables": json.dumps({"1": CODE}),
        "StatusCallback": CALLBACK,
    }


def test_a_template_has_the_variables_that_the_account_says(twilio: Twilio, gateway: Web) -> None:
    at = account(content_variables="1 = organization\n2=code\n\nmin=minutes")
    twilio.check(at, ["whatsapp"])
    send(twilio, "whatsapp", at, variables={"code": CODE, "minutes": "5", "organization": 'A "B"'})
    values = json.loads(gateway.only.form["ContentVariables"])
    assert values == {"1": 'A "B"', "2": CODE, "min": "5"}


def test_a_message_without_what_its_template_wants_is_not_sent(
    twilio: Twilio, gateway: Web
) -> None:
    failed = fails(twilio, "whatsapp", variables={"organization": "Harbor"})
    assert (failed.code, failed.permanent) == ("missing_variable", True)
    assert fails(twilio, "whatsapp", account("content_sids")).code == "invalid_setting"
    assert gateway.came == []


@pytest.mark.parametrize(("language", "voice"), [("en", "en-US"), ("fr", "fr-FR")])
def test_a_call_says_the_code_digit_by_digit_and_again(
    language: str, voice: str, twilio: Twilio, gateway: Web
) -> None:
    text = f"Voici votre code <Harbor> & Co : {CODE}. Je répète : {CODE}.\nNe le partagez pas."
    send(twilio, "voice", text=text, language=language, callback_url=CALLBACK)
    came = gateway.only
    assert came.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    fields = came.forms
    assert ("To", NUMBER) in fields
    assert ("From", SENDER) in fields
    assert ("StatusCallback", CALLBACK) in fields
    assert [value for name, value in fields if name == "StatusCallbackEvent"] == [
        "answered",
        "completed",
    ]
    [twiml] = [value for name, value in fields if name == "Twiml"]
    response = ElementTree.fromstring(twiml)  # noqa: S314
    assert [child.tag for child in response] == ["Pause", "Say"] * 3
    assert {say.get("language") for say in response.iter("Say")} == {voice}
    spelled = "5, 8, 2, 9, 1, 4"
    said = f"Voici votre code <Harbor> & Co : {spelled}. Je répète : {spelled}. Ne le partagez pas."
    assert {say.text for say in response.iter("Say")} == {said}
    assert CODE not in twiml


def test_no_text_can_steer_a_call(twilio: Twilio, gateway: Web) -> None:
    evil = f"{CODE}</Say><Dial>+19005550000</Dial><Say>\x00\x1b"
    send(twilio, "voice", text=evil)
    [twiml] = [value for name, value in gateway.only.forms if name == "Twiml"]
    assert {child.tag for child in ElementTree.fromstring(twiml)} == {"Pause", "Say"}  # noqa: S314


def test_what_is_too_long_to_be_spoken_is_not_sent(twilio: Twilio, gateway: Web) -> None:
    assert fails(twilio, "voice", text="x" * 1400).code == "too_long"
    assert gateway.came == []


NOBODY = [
    "",
    " ",
    "0612345678",
    "33612345678",
    "+0612345678",
    "+336",
    "+33612345678,+4479460",
    "123",
]
NOBODY += [
    "+33612345678\n",
    "+33 612345678",
    "whatsapp:+33612345678",
    "client:eve",
    "sip:a@b",
    "+١٢٣٤٥٦٧٨",
]


@pytest.mark.parametrize("recipient", NOBODY)
@pytest.mark.parametrize("channel", ["sms", "whatsapp", "voice"])
def test_what_is_not_a_number_gets_nothing_and_nobody_in_its_place_does(
    channel: str, recipient: str, twilio: Twilio, gateway: Web
) -> None:
    with pytest.raises(DeliveryError) as failed:
        twilio.send(account(), outgoing(channel, recipient=recipient or " "), seconds=5)
    assert (failed.value.code, failed.value.undeliverable) == ("invalid_recipient", True)
    assert gateway.came == []


@pytest.mark.parametrize("channel", ["whatsapp", "voice"])
def test_only_a_number_calls_or_writes_by_whatsapp(
    channel: str, twilio: Twilio, gateway: Web
) -> None:
    assert fails(twilio, channel, sender="Harbor").code == "invalid_sender"
    assert gateway.came == []


def test_it_carries_no_e_mail(twilio: Twilio, gateway: Web) -> None:
    with pytest.raises(DeliveryError) as failed:
        twilio.send(account(), outgoing("email"), seconds=5)
    assert (failed.value.code, failed.value.permanent) == ("wrong_channel", True)
    assert gateway.came == []


def test_an_account_can_t_lead_to_another_address(twilio: Twilio, gateway: Web) -> None:
    for sid in ("../../evil", "AC1", ACCOUNT + "/x", ACCOUNT + "?x", ""):
        assert fails(twilio, at=account(account_sid=sid)).code == "invalid_setting"
    assert gateway.came == []


# What it answers


REFUSALS: list[tuple[int, Any, str, str, bool, bool]] = [
    (400, (21211, "The 'To' number +33612345678 is not a valid phone number."), "twilio_21211",
     "21211: The 'To' number … is not a valid phone number.", True, True),
    (400, (21614, "'To' number +33 6 12 34 56 78 is not a valid mobile number"), "twilio_21614",
     "21614: 'To' number … is not a valid mobile number", True, True),
    (400, (21610, "Attempt to send to unsubscribed recipient"), "twilio_21610",
     "21610: Attempt to send to unsubscribed recipient", True, True),
    (400, (21217, "Phone number does not appear to be valid"), "twilio_21217",
     "21217: Phone number does not appear to be valid", True, True),
    (400, (21408, "Permission to send an SMS has not been enabled"), "twilio_21408",
     "21408: Permission to send an SMS has not been enabled", True, False),
    (400, (21606, "The From number is not valid"), "twilio_21606",
     "21606: The From number is not valid", True, False),
    (400, (21611, "This 'From' number has exceeded the maximum"), "twilio_21611",
     "21611: This 'From' number has exceeded the maximum", False, False),
    (401, (20003, "Authenticate"), "twilio_20003", "20003: Authenticate", True, False),
    (403, (20003, f"No: {CODE}"), "twilio_20003", "20003: No: …", True, False),
    (429, (20429, "Too Many Requests"), "twilio_20429", "20429: Too Many Requests", False, False),
    (500, (20500, "Internal Server Error"), "twilio_20500", "20500: Internal Server Error",
     False, False),
    (429, b"slow down", "twilio_http_429", "HTTP 429", False, False),
    (502, b"<html><h1>502 Bad Gateway</h1></html>", "twilio_http_502", "HTTP 502", False, False),
    (503, b"", "twilio_http_503", "HTTP 503", False, False),
    (302, b"", "twilio_http_302", "HTTP 302", True, False),
    (404, b"[1]", "twilio_http_404", "HTTP 404", True, False),
    (400, b"[" * 5000, "twilio_http_400", "HTTP 400", True, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer", "code", "detail", "permanent", "undeliverable"), REFUSALS
)
def test_a_refusal_tells_twilio_s_words_and_what_to_do(
    status: int,
    answer: Any,
    code: str,
    detail: str,
    permanent: bool,
    undeliverable: bool,
    twilio: Twilio,
    gateway: Web,
) -> None:
    body = (
        answer if isinstance(answer, bytes) else dict(zip(("code", "message"), answer, strict=True))
    )
    gateway.answers(status, body)
    failed = fails(twilio)
    assert (failed.code, failed.detail) == (code, detail)
    assert (failed.permanent, failed.undeliverable) == (permanent, undeliverable)
    assert failed.maybe_sent is (status == 502)


@pytest.mark.parametrize("body", [b"", b"<html>Welcome</html>", b"{}", b'{"sid": 7}', b"null"])
def test_a_yes_that_twilio_did_not_say_is_no_sending(
    body: bytes, twilio: Twilio, gateway: Web
) -> None:
    gateway.answers(200, body)
    failed = fails(twilio)
    assert (failed.code, failed.maybe_sent) == ("twilio_answer", True)


def test_a_redirect_is_not_followed(twilio: Twilio, gateway: Web) -> None:
    gateway.answers(307, b"", Location=f"{gateway.url}/elsewhere")
    assert fails(twilio).code == "twilio_http_307"
    assert len(gateway.came) == 1


def test_twilio_hanging_is_left_in_time(outbound: Outbound) -> None:
    with misbehaving(hangs) as port, pytest.raises(DeliveryError) as failed:
        Twilio(outbound, f"http://127.0.0.1:{port}").send(account(), outgoing(), seconds=0.3)
    assert (failed.value.code, failed.value.permanent) == ("timeout", False)
    assert failed.value.maybe_sent


def test_a_huge_answer_is_not_read(twilio: Twilio, gateway: Web) -> None:
    gateway.answers(201, b"x" * 1_000_000)
    failed = fails(twilio)
    assert (failed.code, failed.maybe_sent) == ("answer_too_large", True)


def test_twilio_s_address_is_judged_like_any_other(gateway: Web) -> None:
    failed = fails(Twilio(Outbound(), gateway.url))
    assert (failed.code, failed.permanent) == ("address_not_allowed", True)
    assert gateway.came == []


# What it reports


# Worked out by Twilio itself: twilio.com/docs/usage/security, and the tests of its own library.
KNOWN: dict[str, Any] = {
    "url": "https://mycompany.com/myapp.php?foo=1&bar=2",
    "token": "12345",
    "form": {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    },
    "signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
}


def test_a_signature_that_twilio_published_is_taken(twilio: Twilio) -> None:
    at = Account(settings={"account_sid": ACCOUNT}, secrets={"auth_token": KNOWN["token"]})
    came = Callback(
        url=KNOWN["url"],
        headers={"X-Twilio-Signature": KNOWN["signature"]},
        form=KNOWN["form"],
    )
    assert twilio.report(at, came) is None  # nothing new in it, but not forged
    with pytest.raises(Forged):
        changed = {**KNOWN["form"], "Digits": "1235"}
        twilio.report(at, Callback(url=KNOWN["url"], headers=came.headers, form=changed))


def signed(form: dict[str, str], url: str = CALLBACK, token: str = TOKEN, **more: Any) -> Callback:
    said = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    digest = hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()
    headers = {"x-twilio-signature": base64.b64encode(digest).decode()}
    return Callback(**{"url": url, "headers": headers, "form": form, **more})


STATUSES = [
    ("MessageStatus", "queued", None, None),
    ("MessageStatus", "sending", None, None),
    ("MessageStatus", "sent", "sent", None),
    ("MessageStatus", "delivered", "delivered", None),
    ("MessageStatus", "read", "delivered", None),
    ("MessageStatus", "undelivered", "failed", "twilio_30003"),
    ("MessageStatus", "failed", "failed", "twilio_30003"),
    ("MessageStatus", "made up", None, None),
    ("CallStatus", "initiated", None, None),
    ("CallStatus", "in-progress", "delivered", None),
    ("CallStatus", "completed", "delivered", None),
    ("CallStatus", "busy", "failed", "twilio_busy"),
    ("CallStatus", "no-answer", "failed", "twilio_no-answer"),
    ("CallStatus", "canceled", "failed", "twilio_canceled"),
]


@pytest.mark.parametrize(("field", "said", "status", "error"), STATUSES)
def test_a_report_says_what_became_of_it(
    field: str, said: str, status: Any, error: str | None, twilio: Twilio
) -> None:
    name = "MessageSid" if field == "MessageStatus" else "CallSid"
    form = {name: "SM1", field: said, "To": NUMBER, "AccountSid": ACCOUNT}
    if error == "twilio_30003":
        form["ErrorCode"] = "30003"
    wanted = status and Report(
        provider_id="SM1", status=status, error_code=error, signs_address=True
    )
    assert twilio.report(account(), signed(form)) == wanted


def test_a_signature_holds_with_the_port_and_without(twilio: Twilio) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    for ours, theirs in (
        (CALLBACK, CALLBACK.replace(".com/", ".com:443/")),
        (CALLBACK.replace(".com/", ".com:8443/"), CALLBACK),
    ):
        made = signed(form, theirs)
        assert twilio.report(account(), Callback(url=ours, headers=made.headers, form=form))


def test_a_report_that_twilio_did_not_sign_is_forged(twilio: Twilio) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    good = signed(form)
    assert twilio.report(account(), good)
    forged = [
        signed(form, token="another token"),
        signed(form, token=""),
        Callback(url=CALLBACK + "?x=1", headers=good.headers, form=form),
        Callback(url=CALLBACK, headers=good.headers, form={**form, "MessageSid": "SM2"}),
        Callback(url=CALLBACK, headers=good.headers, form={**form, "ErrorCode": ""}),
        Callback(url=CALLBACK, headers=good.headers, form={"MessageSid": "SM1"}),
        Callback(url=CALLBACK, headers={}, form=form),
        Callback(url=CALLBACK, headers={"X-Twilio-Signature": ""}, form=form),
        Callback(url=CALLBACK, headers={"X-Twilio-Signature": "é\ud800"}, form=form),
        Callback(url=CALLBACK, headers=good.headers, body=b"MessageSid=SM1"),
    ]
    for callback in forged:
        with pytest.raises(Forged):
            twilio.report(account(), callback)


def test_an_account_without_a_token_takes_no_report(twilio: Twilio) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    for token in ("", TOKEN):
        with pytest.raises(Forged):
            twilio.report(account("auth_token"), signed(form, token=token))


# What an account needs


NEEDED = [
    (["sms"], {"account_sid": ""}, "account_sid"),
    (["sms"], {"account_sid": "AC1"}, "account_sid"),
    (["sms"], {"account_sid": SERVICE}, "account_sid"),
    (["sms"], {"sms_from": ""}, "sms_from"),
    (["sms"], {"messaging_service_sid": "MG1"}, "messaging_service_sid"),
    (["sms"], {"api_key_sid": "SK1"}, "api_key_sid"),
    (["sms"], {"api_key_sid": KEY}, "api_key_secret"),
    (["whatsapp"], {"content_sids": ""}, "content_sids"),
    (["whatsapp"], {"content_sids": "  \n "}, "content_sids"),
    (["whatsapp"], {"content_sids": "en=HX1"}, "content_sids"),
    (["whatsapp"], {"content_sids": ENGLISH}, "content_sids"),
    (["whatsapp"], {"content_variables": "code"}, "content_variables"),
    (["whatsapp"], {"content_variables": "1=recipient"}, "content_variables"),
    (["whatsapp"], {"whatsapp_from": ""}, "whatsapp_from"),
    (["whatsapp"], {"whatsapp_from": "Harbor"}, "whatsapp_from"),
    (["voice"], {"voice_from": ""}, "voice_from"),
    (["voice"], {"voice_from": "Harbor"}, "voice_from"),
    (["sms", "voice"], {"voice_from": ""}, "voice_from"),
]


@pytest.mark.parametrize(("channels", "changed", "field"), NEEDED)
def test_a_setting_that_is_missing_or_wrong_is_told_by_its_name(
    channels: list[str], changed: dict[str, str], field: str, twilio: Twilio
) -> None:
    twilio.check(account(), channels)
    with pytest.raises(Invalid) as refused:
        twilio.check(account(**changed), channels)
    assert refused.value.field == field


def test_a_channel_that_is_not_used_needs_nothing(twilio: Twilio) -> None:
    twilio.check(account("content_sids", "whatsapp_from", "voice_from"), ["sms"])
    twilio.check(account("sms_from", "whatsapp_from", "content_sids"), ["voice"])


def test_somebody_must_sign_in(twilio: Twilio) -> None:
    with pytest.raises(Invalid) as refused:
        twilio.check(account("auth_token"), ["sms"])
    assert refused.value.field == "api_key_sid"
