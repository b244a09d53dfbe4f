"""docs/webhooks.md: its code runs on a real request, and its tables are those of the code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import WebhookVerificationError

from app.models import Webhook
from app.services.audit import EventKind
from app.services.webhook_schedule import DELAYS, LASTS
from app.services.webhook_sendings import SECONDS
from app.web.admin.recipes import verify_event
from tests.conftest import ONE_DATABASE, FixedClock
from tests.hooks import Hooks, hooked
from tests.providers.servers import Came, Web, web
from tests.test_docs import ROOT, blocks

GUIDE = ROOT / "docs/webhooks.md"


@pytest.fixture
def clock() -> FixedClock:
    """The guide's code has no clock but the machine's."""
    return FixedClock(datetime.now(UTC))  # noqa: TID251


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def hooks(database_url: str, tmp_path: Path, clock: FixedClock, server: Web) -> Iterator[Hooks]:
    with hooked(database_url, tmp_path, clock, server) as made:
        yield made


@pytest.fixture
def read_event(monkeypatch: pytest.MonkeyPatch, hooks: Hooks) -> Any:
    """What a reader gets who copies the guide's Python, with the secret where it is read."""
    made = hooks.registers("user:created")
    monkeypatch.setenv("WEBHOOK_SECRET", hooks.secrets[made])
    copied: dict[str, Any] = {"__name__": "copied"}
    [block] = blocks(GUIDE, "python")
    exec(compile(block, "docs/webhooks.md", "exec"), copied)  # noqa: S102
    return copied["read_event"]


def one(hooks: Hooks) -> Came:
    hooks.happens()
    hooks.works()
    return hooks.web.came[-1]


@ONE_DATABASE
def test_the_guide_s_code_reads_a_real_request(hooks: Hooks, read_event: Any) -> None:
    came = one(hooks)
    assert read_event(came.body, came.headers)["code"] == "user:created"


@ONE_DATABASE
def test_the_guide_s_code_refuses_what_is_not_ours(
    hooks: Hooks, read_event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = one(hooks)
    for body, headers in (
        (came.body + b" ", came.headers),
        (came.body, {**came.headers, "webhook-id": "msg_1"}),
        (came.body, {**came.headers, "webhook-signature": "v1,AAAA"}),
        (came.body, {name: came.headers[name] for name in ("webhook-id", "webhook-timestamp")}),
    ):
        with pytest.raises(WebhookVerificationError):
            read_event(body, headers)
    other = base64.b64encode(b"another secret of 32 bytes......").decode()
    monkeypatch.setenv("WEBHOOK_SECRET", f"whsec_{other}")
    with pytest.raises(WebhookVerificationError):
        read_event(came.body, came.headers)


@ONE_DATABASE
def test_the_guide_s_code_refuses_an_old_request(
    hooks: Hooks, read_event: Any, clock: FixedClock
) -> None:
    hooks.harbor.executes(sa.update(Webhook).values(listens_from=clock.now() - timedelta(hours=1)))
    for minutes in (4, 2):
        clock.moment -= timedelta(minutes=minutes)
        came = one(hooks)
        if minutes == 4:
            read_event(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        read_event(came.body, came.headers)


@ONE_DATABASE
def test_by_hand_it_is_as_the_guide_says(hooks: Hooks, read_event: Any) -> None:
    came, [secret] = one(hooks), hooks.secrets.values()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{came.headers['webhook-id']}.{came.headers['webhook-timestamp']}.".encode() + came.body
    signature = base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
    assert came.headers["webhook-signature"] == f"v1,{signature}"


@ONE_DATABASE
def test_the_guide_s_event_has_the_shape_of_a_real_one(hooks: Hooks, read_event: Any) -> None:
    [shown] = (json.loads(block) for block in blocks(GUIDE, "json"))
    real = one(hooks).json
    assert list(shown) == list(real)
    assert list(shown["data"]) == list(real["data"])


def test_the_guide_and_the_admin_area_show_the_same_code() -> None:
    assert blocks(GUIDE, "python") == [verify_event()]


def test_the_guide_names_every_event() -> None:
    text = GUIDE.read_text()
    assert [kind for kind in EventKind if f"`{kind.value}`" not in text] == []


def test_the_guide_s_times_are_those_of_the_code() -> None:
    text = GUIDE.read_text()
    told = [f"{int(one.total_seconds()) // 60} minutes" for one in DELAYS[:3]]
    told += [f"{int(one.total_seconds()) // 3600} hour" for one in DELAYS[3:]]
    rows = [line for line in text.splitlines() if line.startswith("| the ")]
    assert len(rows) == len(DELAYS)
    for row, words in zip(rows, told, strict=True):
        assert words in row
    hours, minutes = divmod(int(LASTS.total_seconds()) // 60, 60)
    assert f"{hours} hours and {minutes} minutes" in text
    assert f"{SECONDS:.0f} seconds" in text
