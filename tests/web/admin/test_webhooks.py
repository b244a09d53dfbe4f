"""Webhooks in the admin area: added, tried, replayed, switched, by who may, for one's own alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import DeliveryStatus, Role, Webhook, WebhookDelivery
from app.services.audit import EventKind
from app.services.webhook_fanout import ALL
from app.services.webhook_log import MOST_KEPT
from app.web.admin.webhook_form import groups
from app.web.admin.webhook_words import why
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock
from tests.hooks import Hooks, hooked, is_signed
from tests.providers.servers import Web, web

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
PAYLOAD = """<img src=x onerror=alert(1)>'"{{7*7}}"""


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def hooks(database_url: str, tmp_path: Path, clock: FixedClock, server: Web) -> Iterator[Hooks]:
    with hooked(database_url, tmp_path, clock, server) as made:
        yield made


def adds(hooks: Hooks, nadia: Administrator, **fields: Any) -> str:
    """Fill in the form; return the secret that is shown, or nothing."""
    hooks.harbor.clock.advance(1)
    nadia.at("/webhooks/new")
    [form] = [one for one in nadia.page.forms if "once" in one["fields"]]
    typed = {"name": "Log", "target_url": f"{hooks.web.url}/hook", "reach": ALL, **fields}
    nadia.does("/webhooks/new", once=form["fields"]["once"], **typed)
    found = SECRET.search(nadia.browser.reply.text)
    return keep_secret(found[0]) if found else ""


def only(hooks: Hooks) -> Webhook:
    [(row,)] = hooks.harbor.rows(sa.select(Webhook))
    assert isinstance(row, Webhook)
    return row


def page_of(hooks: Hooks) -> str:
    return f"/webhooks/{only(hooks).id}"


# Adding


def test_one_is_added_with_a_secret_that_signs_what_comes(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    secret = adds(hooks, nadia, reach="chosen", event_codes=["user:created"])
    assert nadia.status == 200
    assert "shown only now" in nadia.text
    assert "no-store" in nadia.browser.reply.headers["cache-control"]
    hooks.happens()
    assert hooks.works() == 1
    assert is_signed(hooks.web.only, secret)
    for path in ("/webhooks", page_of(hooks)):
        assert secret not in nadia.at(path).text
    assert secret not in hooks.harbor.dump()
    row = only(hooks)
    assert (row.organization_id, row.event_codes) == (
        hooks.harbor.organization.id,
        ["user:created"],
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "1 to 100 printable characters"),
        ({"target_url": ""}, "Write an address"),
        ({"target_url": "https://10.0.0.1/hook"}, "not a public address"),
        ({"target_url": "https://169.254.169.254/"}, "not a public address"),
        ({"target_url": "http://93.184.216.34/"}, "Without TLS"),
        ({"target_url": "https://a:b@93.184.216.34/"}, "without user name"),
        ({"reach": "chosen"}, "Choose at least one"),
    ],
    ids=["name", "nothing", "inside", "metadata", "plain", "password", "no event"],
)
@ONE_DATABASE
def test_what_cannot_be_is_told_at_its_field_and_what_was_typed_stays(
    fields: dict[str, Any], words: str, hooks: Hooks
) -> None:
    nadia = hooks.harbor.administrator()
    assert adds(hooks, nadia, **{"name": "My own name", **fields}) == ""
    assert nadia.status == 422
    assert words in nadia.text
    assert nadia.page.title.startswith("Error: ")
    if "name" not in fields:
        assert 'value="My own name"' in nadia.browser.reply.text
    assert hooks.harbor.rows(sa.select(Webhook.id)) == []


def test_the_form_offers_every_event_under_its_subject() -> None:
    offered = [kind for group in groups() for kind, _ in group.kinds]
    assert sorted(offered) == sorted(kind.value for kind in EventKind)
    for group in groups():
        assert {kind.partition(":")[0] for kind, _ in group.kinds} == {group.code.partition(":")[0]}


@ONE_DATABASE
def test_what_was_chosen_stands_in_the_form_again_and_can_be_changed(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia, reach="chosen", event_codes=["user:*", "result:issued"])
    nadia.at(f"{page_of(hooks)}/edit")
    checked = [found for tag, found in nadia.page.tags if tag == "input" and "checked" in found]
    assert {found["value"] for found in checked} == {"chosen", "user:*", "result:issued"}
    nadia.does(
        f"{page_of(hooks)}/edit",
        name="Other",
        target_url=f"{hooks.web.url}/other",
        reach="chosen",
        event_codes=["user:deleted"],
    )
    row = only(hooks)
    assert (row.name, row.event_codes) == ("Other", ["user:deleted"])
    assert row.target_url.endswith("/other")
    nadia.does(f"{page_of(hooks)}/edit", name="Other", target_url="https://10.0.0.1/", reach=ALL)
    assert nadia.status == 422
    assert only(hooks).target_url.endswith("/other")


# What went there


def test_a_test_is_sent_and_its_course_is_shown(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    secret = adds(hooks, nadia, reach="chosen", event_codes=["user:deleted"])
    nadia.at(page_of(hooks))
    assert "Nothing was sent yet" in nadia.text
    nadia.does(f"{page_of(hooks)}/test")
    assert "Waiting" in nadia.text
    assert hooks.works() == 1
    came = hooks.web.only
    assert came.json["code"] == "webhook:test"
    assert came.json["id"] is None
    assert is_signed(came, secret)
    nadia.at(page_of(hooks))
    assert "Delivered" in nadia.text
    row = hooks.row()
    nadia.at(f"{page_of(hooks)}/deliveries/{row.id}")
    assert "It answered 200" in nadia.text
    assert row.message_id in nadia.text


@ONE_DATABASE
def test_a_test_that_fails_is_over_and_switches_nothing_off(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia, reach="chosen", event_codes=["user:deleted"])
    hooks.web.answers(500)
    nadia.does(f"{page_of(hooks)}/test")
    hooks.works()
    assert hooks.row().status is DeliveryStatus.FAILED
    assert hooks.waits(hours=30) == 0
    assert only(hooks).active
    assert only(hooks).failing_since is None


def test_what_failed_is_shown_with_why_and_when_it_is_tried_next(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.harbor.clock.advance(1)
    user = hooks.happens("bo")
    hooks.web.answers(503, b"<b>the inside of somebody</b>")
    hooks.works()
    nadia = hooks.harbor.administrator()
    nadia.at(page_of(hooks))
    assert "it answered 503 Service Unavailable" in nadia.text
    assert "Failing since" in nadia.text
    nadia.at(f"{page_of(hooks)}/deliveries/{hooks.row().id}")
    for words in ("Next try", "Later events of this user wait for it", "bo@harbor.example", user):
        assert words in nadia.text
    assert "inside of somebody" not in nadia.browser.reply.text
    nadia.at("/")
    assert "The webhook Log fails" in nadia.text


@ONE_DATABASE
def test_the_log_is_narrowed_by_state(hooks: Hooks) -> None:
    hooks.registers("user:created")
    bad = hooks.happens("bad")
    hooks.happens("good")
    hooks.web.decides = lambda came: 500 if came.json["data"]["user_id"] == bad else 200
    hooks.works()
    nadia = hooks.harbor.administrator()

    def shown(state: str) -> int:
        nadia.at(f"{page_of(hooks)}?state={state}")
        return nadia.browser.reply.text.count("/deliveries/")

    assert {one: shown(one) for one in ("", "waiting", "delivered", "failed", "x'--")} == {
        "": 2,
        "waiting": 1,
        "delivered": 1,
        "failed": 0,
        "x'--": 2,
    }
    nadia.at(f"{page_of(hooks)}?state=failed")
    assert "None of them" in nadia.text


@ONE_DATABASE
def test_the_log_has_pages_that_keep_the_state(hooks: Hooks) -> None:
    hooks.registers("user:created")
    for _ in range(51):
        hooks.happens()
    hooks.works()
    nadia = hooks.harbor.administrator()
    nadia.at(f"{page_of(hooks)}?state=delivered")
    assert "1 to 50 of 51" in nadia.text
    [following] = [link for link in nadia.page.links if "page=2" in link]
    assert "state=delivered" in following
    assert nadia.browser.goes_to(following).text.count("/deliveries/") == 1


def test_one_is_sent_again_under_the_same_id_and_holds_up_nobody(hooks: Hooks) -> None:
    made = hooks.registers("user:*")
    user = hooks.happens()
    hooks.works()
    first = hooks.row()
    nadia = hooks.harbor.administrator()
    nadia.at(f"{page_of(hooks)}/deliveries/{first.id}")
    nadia.does(f"{page_of(hooks)}/deliveries/{first.id}/replay")
    assert "on its way again" in nadia.text
    hooks.web.answers(500)
    hooks.works()
    hooks.web.answers(200)
    hooks.changes(user, "Bo")
    assert hooks.works() == 1
    assert hooks.told == ["user:created", "user:created", "user:updated"]
    assert hooks.waits(minutes=5) == 1
    one, again, _, last = hooks.web.came
    assert one.headers["webhook-id"] == again.headers["webhook-id"] == last.headers["webhook-id"]
    assert one.body == last.body
    assert is_signed(last, hooks.secrets[made])


@ONE_DATABASE
def test_what_is_still_on_its_way_is_not_sent_twice(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.seals()
    nadia = hooks.harbor.administrator()
    nadia.at(f"{page_of(hooks)}/deliveries/{hooks.row().id}")
    assert "Send it again" not in nadia.text
    nadia.does(f"{page_of(hooks)}/deliveries/{hooks.row().id}/replay")
    assert nadia.status == 422
    assert len(hooks.rows()) == 1


# Switching


def test_it_is_switched_off_and_on_again(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia, reach="chosen", event_codes=["user:*"])
    user = hooks.happens()
    hooks.web.answers(500)
    hooks.works()
    nadia.at(f"{page_of(hooks)}/switch-off")
    nadia.does(f"{page_of(hooks)}/switch-off")
    hooks.web.answers(200)
    hooks.harbor.clock.advance(1)
    hooks.changes(user, "Bo")
    assert hooks.works() == 0
    nadia.at(page_of(hooks))
    assert "Send a test" not in nadia.text
    nadia.does(f"{page_of(hooks)}/test")
    assert nadia.status == 409
    nadia.at(page_of(hooks))
    nadia.does(f"{page_of(hooks)}/switch-on")
    assert hooks.works() == 1
    assert hooks.told == ["user:created", "user:created"]


@ONE_DATABASE
def test_one_that_was_switched_off_by_itself_says_why_until_it_is_on(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia, reach="chosen", event_codes=["user:*"])
    hooks.happens()
    hooks.web.answers(410)
    hooks.works()
    assert "The webhook Log is off" in nadia.at("/").page.text
    assert "it is gone (410)" in nadia.at(page_of(hooks)).page.text
    nadia.does(f"{page_of(hooks)}/switch-on")
    assert "gone (410)" not in nadia.at(page_of(hooks)).page.text
    assert "The webhook Log is off" not in nadia.at("/").page.text


@ONE_DATABASE
def test_a_deleted_one_is_gone_with_its_log(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia)
    hooks.works()
    path = page_of(hooks)
    nadia.at(f"{path}/delete")
    nadia.does(f"{path}/delete")
    assert "No webhooks yet" in nadia.text
    assert hooks.harbor.rows(sa.select(WebhookDelivery.id)) == []
    assert nadia.at(path).status == 404


# Whose it is


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.HELPDESK])
@ONE_DATABASE
def test_an_auditor_reads_and_nobody_else_below_an_administrator_does(
    role: Role, hooks: Hooks
) -> None:
    made = hooks.registers("user:created")
    hooks.happens()
    hooks.works()
    delivery = f"/webhooks/{made}/deliveries/{hooks.row().id}"
    person = hooks.harbor.administrator(role)
    wanted = 200 if role is Role.AUDITOR else 403
    for path in ("/webhooks", f"/webhooks/{made}", delivery):
        assert person.at(path).status == wanted, path
        for words in ("Send a test", "Send it again", "Replace it", "Delete webhook", "Edit"):
            assert words not in person.text
    for path in ("test", "switch-off", "switch-on", "delete", "secret", "edit"):
        assert person.does(f"/webhooks/{made}/{path}").status == 403, path
    assert person.does(f"{delivery}/replay").status == 403
    assert only(hooks).active


@ONE_DATABASE
def test_a_webhook_of_the_whole_environment_is_not_the_organization_s(hooks: Hooks) -> None:
    reply = hooks.asks("*")
    keep_secret(reply.json["signature_key"])
    nadia = hooks.harbor.administrator()
    assert "No webhooks yet" in nadia.at("/webhooks").page.text
    for path in ("", "/edit", "/secret", "/delete"):
        assert nadia.at(f"/webhooks/{reply.json['id']}{path}").status == 404
    assert nadia.does(f"/webhooks/{reply.json['id']}/test").status == 404


@ONE_DATABASE
def test_a_delivery_is_found_under_its_own_webhook_alone(hooks: Hooks) -> None:
    first = hooks.registers("user:created")
    hooks.happens()
    hooks.works()
    second = hooks.registers("user:deleted")
    nadia = hooks.harbor.administrator()
    delivery = f"deliveries/{hooks.row().id}"
    assert nadia.at(f"/webhooks/{first}/{delivery}").status == 200
    assert nadia.at(f"/webhooks/{second}/{delivery}").status == 404
    assert nadia.does(f"/webhooks/{second}/{delivery}/replay").status == 404


@ONE_DATABASE
def test_what_somebody_typed_is_only_text(hooks: Hooks) -> None:
    nadia = hooks.harbor.administrator()
    adds(hooks, nadia, name=PAYLOAD, target_url=f"{hooks.web.url}/?a=<b>'")
    hooks.works()
    for path in ("/webhooks", page_of(hooks), f"{page_of(hooks)}/edit", f"{page_of(hooks)}/delete"):
        html = nadia.at(path).text
        assert "<img src=x" not in html
        assert "?a=<b>" not in html
        assert PAYLOAD in nadia.text or "&lt;img" in html


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("http_500", "it answered 500 Internal Server Error"),
        ("http_302", "it answered 302; redirects are not followed"),
        ("http_799", "it answered 799"),
        ("timeout", "no answer in time"),
        (None, ""),
    ],
)
def test_why_a_try_failed_is_said_in_words(code: str | None, words: str) -> None:
    assert why(code) == words


@ONE_DATABASE
def test_of_many_tries_the_newest_are_shown(hooks: Hooks) -> None:
    hooks.registers("user:created")
    hooks.happens()
    hooks.web.answers(503, b"", **{"Retry-After": "60"})
    for _ in range(MOST_KEPT + 5):
        hooks.waits(minutes=1)
    nadia = hooks.harbor.administrator()
    nadia.at(f"{page_of(hooks)}/deliveries/{hooks.row().id}")
    assert "Only the newest tries are kept" in nadia.text
