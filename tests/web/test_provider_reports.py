"""/providers/<account>/<message>: what vendors report of messages that they took."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy.orm import Session
from standardwebhooks.webhooks import Webhook

from app.models import Message, MessageStatus, ProviderAccount
from app.services import sendings
from app.services.audit import OPERATOR
from app.services.message_reports import reported_at, short
from app.services.send_attempts import attempts_of
from tests import actors
from tests.actors import keep_secret
from tests.conftest import FixedClock, Harbor, make_config, stage
from tests.office import Office, Posted
from tests.providers.servers import LOOPBACK, Web, hangs, misbehaving, web

BASE = "https://mfa.example"
TOKEN, OTHER_TOKEN = "the auth token of the tests", "the token of somebody else"
SECRET = "whsec_" + base64.b64encode(b"a signing secret of 32 bytes....").decode()


class Desk:
    """An organization that sends by SMS, and its vendors, who report over the web."""

    def __init__(self, harbor: Harbor, gateway: Web) -> None:
        self.harbor, self.gateway = harbor, gateway
        self.office = Office(harbor.services, harbor.clock, "Quay")
        self.twilio = self.twilio_account(self.office)
        self.number = 0

    def twilio_account(self, office: Office, token: str = TOKEN) -> ProviderAccount:
        values = {"account_sid": "AC" + "0a" * 16, "sms_from": "Harbor"}
        return office.account("twilio", ["sms"], {**values, "auth_token": keep_secret(token)})

    def http_account(self) -> ProviderAccount:
        values = {"url": self.gateway.url, "signing_secret": keep_secret(SECRET)}
        return self.office.account("http", ["sms"], values)

    def vonage_account(self, secret: str) -> ProviderAccount:
        values = {
            "api_key": "abcd1234",
            "api_secret": keep_secret("an API secret"),
            "sms_from": "Harbor",
            "signature_secret": secret,
        }
        return self.office.account("vonage", ["sms"], values)

    def code(self) -> Posted:
        self.number += 1
        phone = f"+336123456{self.number:02d}"
        return self.office.code(self.office.user(f"u{self.number}", phone), "sms")

    def sent(self) -> Posted:
        """Have a code taken by the vendor, who calls it SM and its own id."""
        posted = self.code()
        self.gateway.answers(201, {"sid": f"SM{posted.id.hex}", "status": "queued"})
        assert self.office.sends()
        assert self.office.status(posted) == "sent"
        return posted

    def address(self, posted: Posted, account: ProviderAccount | None = None) -> str:
        account = account or self.twilio
        return reported_at(self.harbor.services.config, account.id, posted.id)

    def reports(
        self,
        posted: Posted,
        status: str,
        *,
        at: str = "",
        token: str = TOKEN,
        signature: str | None = None,
        **more: str,
    ) -> actors.Reply:
        """Say something as Twilio does."""
        url = at or self.address(posted)
        form = {"MessageSid": f"SM{posted.id.hex}", "MessageStatus": status, **more}
        signed = signature if signature is not None else signed_by(token, url, form)
        return self.posts(url, form, {"X-Twilio-Signature": signed})

    def posts(self, url: str, form: dict[str, str], headers: dict[str, str]) -> actors.Reply:
        return self.harbor.wire.request(
            "POST", url.removeprefix(BASE), data=form, headers={**headers}
        )

    def row(self, posted: Posted) -> Message:
        return self.office.row(posted)


def signed_report(posted: Posted) -> tuple[str, dict[str, str]]:
    """Return what any gateway says of a message that arrived."""
    body = json.dumps({"id": str(posted.id), "status": "delivered"})
    now = datetime.now(UTC)  # noqa: TID251 (the library that checks has no other clock)
    return body, {
        "Content-Type": "application/json",
        "webhook-id": "report-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("report-1", now, body),
    }


def receipt_of(secret: str, **fields: str) -> str:
    """Return a receipt as Vonage signs it, for the address."""
    said = "".join(f"&{name}={fields[name]}" for name in sorted(fields))
    return urlencode({**fields, "sig": hmac.digest(secret.encode(), said.encode(), "sha256").hex()})


def signed_by(token: str, url: str, form: dict[str, str]) -> str:
    said = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), said.encode(), hashlib.sha1)).decode()


@pytest.fixture
def gateway() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def desk(database_url: str, tmp_path: Path, clock: FixedClock, gateway: Web) -> Iterator[Desk]:
    with stage(
        database_url,
        tmp_path,
        clock,
        base_url=BASE,
        outbound_networks=LOOPBACK,
        twilio_url=gateway.url,
        vonage_url=gateway.url,
        address_limit="20 per minute",
    ) as harbor:
        yield Desk(harbor, gateway)


# What is believed


def test_a_signed_report_tells_that_a_message_arrived(desk: Desk) -> None:
    posted = desk.sent()
    assert desk.gateway.only.form["StatusCallback"] == desk.address(posted)
    desk.office.clock.advance(3)
    reply = desk.reports(posted, "delivered")
    assert (reply.status, reply.text) == (204, "")
    row = desk.row(posted)
    assert (row.status, row.error) == (MessageStatus.DELIVERED, None)
    assert row.delivered_at == desk.office.clock.now()
    assert row.sent_at == desk.office.clock.now() - timedelta(seconds=3)


def test_a_signed_report_tells_why_a_message_failed(desk: Desk) -> None:
    posted = desk.sent()
    assert desk.reports(posted, "undelivered", ErrorCode="30003").status == 204
    row = desk.row(posted)
    assert (row.status, row.error) == (MessageStatus.FAILED, "twilio_30003")
    assert row.delivered_at is None
    taken, reported = attempts_of(row)
    assert (taken.code, taken.reported) == ("", False)
    assert (reported.code, reported.reported) == ("twilio_30003", True)


def test_that_it_is_on_its_way_is_known(desk: Desk) -> None:
    posted = desk.sent()
    for status in ("queued", "sending", "sent", "a word of the future"):
        assert desk.reports(posted, status).status == 204
    assert desk.row(posted).status is MessageStatus.SENT


def test_any_gateway_reports_by_the_id_that_it_was_given(desk: Desk) -> None:
    quay = desk.office
    quay.changes(
        lambda tx: desk.harbor.services.provider_accounts.remove(
            tx, OPERATOR, tx.merge(desk.twilio)
        )
    )
    account = desk.http_account()
    posted = desk.code()
    assert quay.sends()
    body, headers = signed_report(posted)
    path = desk.address(posted, account).removeprefix(BASE)
    forged = {**headers, "webhook-signature": "v1,AAAA"}
    assert desk.harbor.wire.request("POST", path, data=body.encode(), headers=forged).status == 403
    assert desk.row(posted).status is MessageStatus.SENT
    assert desk.harbor.wire.request("POST", path, data=body.encode(), headers=headers).status == 204
    assert desk.row(posted).status is MessageStatus.DELIVERED


def test_vendors_that_report_by_get_are_heard(desk: Desk) -> None:
    secret = keep_secret("the signature secret")
    desk.office.changes(
        lambda tx: desk.harbor.services.provider_accounts.remove(
            tx, OPERATOR, tx.merge(desk.twilio)
        )
    )
    account = desk.vonage_account(secret)
    posted = desk.code()
    desk.gateway.answers(200, {"messages": [{"status": "0", "message-id": "V1"}]})
    assert desk.office.sends()
    assert desk.gateway.only.form["callback"] == desk.address(posted, account)
    receipt = receipt_of(secret, messageId="V1", status="delivered", **{"err-code": "0"})
    path = desk.address(posted, account).removeprefix(BASE)
    assert desk.harbor.wire.request("GET", f"{path}?{receipt}").status == 204
    assert desk.row(posted).status is MessageStatus.DELIVERED


# What is not


FORGERIES = ["", "AAAA", "é", "x" * 5000]


@pytest.mark.parametrize("signature", FORGERIES)
def test_a_report_that_its_vendor_did_not_sign_changes_nothing(signature: str, desk: Desk) -> None:
    posted = desk.sent()
    reply = desk.reports(posted, "delivered", signature=signature.encode().decode("latin-1"))
    assert reply.status == 403
    assert desk.row(posted).status is MessageStatus.SENT


def test_a_signature_of_other_words_changes_nothing(desk: Desk) -> None:
    posted, other = desk.sent(), desk.sent()
    form = {"MessageSid": f"SM{posted.id.hex}", "MessageStatus": "failed"}
    signed = signed_by(TOKEN, desk.address(posted), form)
    assert desk.reports(posted, "delivered", signature=signed).status == 403
    assert desk.reports(posted, "delivered", token=OTHER_TOKEN).status == 403
    elsewhere = signed_by(
        TOKEN, desk.address(other), {"MessageSid": f"SM{posted.id.hex}", "MessageStatus": "sent"}
    )
    assert desk.reports(posted, "sent", signature=elsewhere).status == 403
    assert {desk.row(one).status for one in (posted, other)} == {MessageStatus.SENT}


def test_the_account_of_another_organization_says_nothing_of_a_message(desk: Desk) -> None:
    """Its own administrators know its token, and could sign whatever they like."""
    posted = desk.sent()
    pier = Office(desk.harbor.services, desk.office.clock, "Pier")
    theirs = desk.twilio_account(pier, OTHER_TOKEN)
    at = desk.address(posted, theirs)
    assert desk.reports(posted, "delivered", at=at, token=OTHER_TOKEN).status == 404
    assert desk.row(posted).status is MessageStatus.SENT


def test_a_report_about_another_message_changes_nothing(desk: Desk) -> None:
    posted = desk.sent()
    reply = desk.reports(posted, "delivered", MessageSid="SM" + "9" * 32)
    assert reply.status == 204
    assert desk.row(posted).status is MessageStatus.SENT


def test_a_report_that_was_heard_of_one_message_says_nothing_of_another(desk: Desk) -> None:
    """Signed by any gateway, and posted again where another message still waits."""
    account = desk.http_account()
    posted, waiting = desk.sent(), desk.code()
    body, headers = signed_report(posted)
    path = desk.address(waiting, account).removeprefix(BASE)
    reply = desk.harbor.wire.request("POST", path, data=body.encode(), headers=headers)
    assert reply.status == 403
    assert desk.row(waiting).status is MessageStatus.QUEUED
    assert desk.row(waiting).body is not None


@pytest.mark.parametrize("named", [True, False])
def test_a_receipt_of_vonage_says_nothing_of_another_message(desk: Desk, named: bool) -> None:
    secret = keep_secret("the signature secret")
    account = desk.vonage_account(secret)
    posted, waiting = desk.sent(), desk.code()
    name = {"client-ref": str(posted.id)} if named else {}
    receipt = receipt_of(secret, messageId="V1", status="delivered", **name)
    path = desk.address(waiting, account).removeprefix(BASE)
    reply = desk.harbor.wire.request("GET", f"{path}?{receipt}")
    assert reply.status == (403 if named else 204)
    assert desk.row(waiting).status is MessageStatus.QUEUED
    right = receipt_of(
        secret, messageId="V2", status="delivered", **{"client-ref": str(waiting.id)}
    )
    assert desk.harbor.wire.request("GET", f"{path}?{right}").status == 204
    assert desk.row(waiting).status is MessageStatus.DELIVERED


SOMEBODY = uuid.UUID("5f0c7d0a-4c5e-4f0e-9d55-0b8f3f1f6a01")
UNKNOWN = [
    f"{short(SOMEBODY)}/{short(SOMEBODY)}",
    f"{SOMEBODY}/{SOMEBODY}",
    "x/y",
    "%00/%00",
    "é/é",
    "a" * 3000 + "/b",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_nobody_knows_is_not_found(path: str, desk: Desk) -> None:
    posted = desk.sent()
    assert desk.reports(posted, "delivered", at=f"{BASE}/providers/{path}").status == 404
    assert desk.row(posted).status is MessageStatus.SENT


def test_a_message_in_the_sandbox_is_captured_whatever_anybody_reports(desk: Desk) -> None:
    posted = desk.code()

    def capture(tx: Session) -> None:
        row = tx.get_one(Message, posted.id)
        row.status, row.due_at = MessageStatus.CAPTURED, None

    desk.office.changes(capture)
    for status in ("delivered", "failed"):
        assert desk.reports(posted, status).status == 204
    assert desk.row(posted).status is MessageStatus.CAPTURED
    assert desk.row(posted).body is not None


# Late, early, and again


def test_a_report_that_comes_again_changes_nothing_more(desk: Desk) -> None:
    posted = desk.sent()
    assert desk.reports(posted, "delivered").status == 204
    first = desk.row(posted).delivered_at
    desk.office.clock.advance(60)
    assert desk.reports(posted, "delivered").status == 204
    assert desk.row(posted).delivered_at == first


def test_what_has_arrived_does_not_fail_any_more(desk: Desk) -> None:
    posted = desk.sent()
    assert desk.reports(posted, "delivered").status == 204
    for status in ("sent", "undelivered", "failed"):
        assert desk.reports(posted, status, ErrorCode="30005").status == 204
    assert (desk.row(posted).status, desk.row(posted).error) == (MessageStatus.DELIVERED, None)


def test_what_failed_may_arrive_after_all(desk: Desk) -> None:
    posted = desk.sent()
    assert desk.reports(posted, "failed").status == 204
    assert desk.reports(posted, "delivered").status == 204
    assert (desk.row(posted).status, desk.row(posted).error) == (MessageStatus.DELIVERED, None)


def test_a_vendor_may_be_faster_than_its_own_answer(desk: Desk) -> None:
    posted = desk.code()
    claims = desk.harbor.services.sender._claims
    [claim] = claims.take(claims.due(limit=1)).values()
    early = desk.reports(posted, "failed")
    assert early.status == 503
    assert desk.row(posted).status is MessageStatus.SENDING
    assert desk.reports(posted, "delivered").status == 204
    row = desk.row(posted)
    assert (row.status, row.body, row.due_at) == (MessageStatus.DELIVERED, None, None)
    assert row.sent_at == row.delivered_at == desk.office.clock.now()
    assert not claims.settle(claim, MessageStatus.SENT, sent_at=desk.office.clock.now())
    assert claims.renew(claim) is None
    assert desk.row(posted).status is MessageStatus.DELIVERED


def test_a_message_whose_answer_was_lost_is_not_sent_again_once_it_arrived(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendings, "DEADLINE", timedelta(seconds=1.5))
    posted = desk.code()
    with misbehaving(hangs) as port:
        twilio = desk.harbor.services.provider_accounts.providers["twilio"]
        monkeypatch.setattr(twilio, "_url", f"http://127.0.0.1:{port}")
        assert desk.office.sends()
    row = desk.row(posted)
    assert (row.status, row.doubts) == (MessageStatus.QUEUED, 1)
    assert desk.reports(posted, "delivered").status == 204
    desk.office.clock.advance(60)
    assert not desk.office.sends()
    row = desk.row(posted)
    assert (row.status, row.provider_message_id) == (
        MessageStatus.DELIVERED,
        f"SM{posted.id.hex}",
    )


# How many


def test_a_vendor_reports_as_much_as_it_likes_and_a_forger_does_not(desk: Desk) -> None:
    posted = desk.sent()
    for _ in range(30):
        assert desk.reports(posted, "sent").status == 204
    answers = [desk.reports(posted, "delivered", signature="AAAA").status for _ in range(25)]
    assert answers == [403] * 20 + [429] * 5
    assert desk.row(posted).status is MessageStatus.SENT


JUNK = [
    ("application/x-www-form-urlencoded", b"%00%ff&&==&MessageSid"),
    ("application/json", b'{"id": [], "status": {}}'),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
    ("multipart/form-data", b"x"),
    ("text/plain; charset=none", b"\xff\xfe"),
    ("", b""),
]


@pytest.mark.parametrize(("kind", "body"), JUNK)
def test_junk_is_refused(kind: str, body: bytes, desk: Desk) -> None:
    posted = desk.sent()
    path = urlsplit(desk.address(posted)).path
    for method in ("GET", "POST"):
        reply = desk.harbor.wire.request(method, path, data=body, headers={"Content-Type": kind})
        assert reply.status in {400, 403}
    assert desk.row(posted).status is MessageStatus.SENT


def test_nothing_else_is_done_there(desk: Desk) -> None:
    path = urlsplit(desk.address(desk.sent())).path
    for method in ("PUT", "DELETE", "PATCH"):
        assert desk.harbor.wire.request(method, path).status == 405


def test_the_address_is_short_enough_for_every_vendor(tmp_path: Path) -> None:
    """Vonage takes 100 characters."""
    base = "https://second-factor.example-company.com"
    config = make_config("sqlite://", tmp_path, base_url=base)
    assert len(reported_at(config, uuid.uuid4(), uuid.uuid4())) <= 100


def test_only_an_address_that_a_vendor_can_reach_is_told(
    database_url: str, tmp_path: Path, clock: FixedClock, gateway: Web
) -> None:
    settings = {"outbound_networks": LOOPBACK, "twilio_url": gateway.url}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        desk = Desk(harbor, gateway)
        desk.sent()
        assert "StatusCallback" not in gateway.only.form
