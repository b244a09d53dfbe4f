"""Workers that are killed at any point lose no event of a webhook, and mix up no user's order."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Config
from app.models import DeliveryStatus, WebhookDelivery
from app.services.audit import OPERATOR
from app.services.user_fields import UserChanges
from app.services.webhooks import Webhooks
from app.wiring import Services, wire
from tests.actors import keep_secret
from tests.cli.test_killed_senders import ALIVE, LONGER, Senders
from tests.conftest import FixedClock, wait_for
from tests.hooks import is_signed
from tests.office import Office, settings
from tests.providers.servers import Authority, Came, Web, web

USERS, CHANGES, KILLS = 25, 5, 12


@pytest.fixture
def config(database_url: str, tmp_path: Path, authority: Authority) -> Config:
    return settings(database_url, tmp_path, authority, sender_threads=4)


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def workers(server: Web, config: Config, tmp_path: Path, soak: bool) -> Iterator[Senders]:
    made = Senders(config, tmp_path / "workers.log", KILLS * (LONGER if soak else 1))
    yield made
    made.end()


@pytest.mark.soak
def test_killed_workers_lose_no_event_and_keep_each_user_s_order(
    workers: Senders, server: Web, config: Config, soak: bool
) -> None:
    """25 users, six events each; workers die, more of them with a request half answered."""
    wired, users = wire(config), USERS * (LONGER if soak else 1)
    office = Office(wired, FixedClock(wired.clock.now()))
    secret = registers(wired, office, server)
    server.decides = dying_with_events_in_hand(workers)
    happens(wired, office, users)
    for _ in range(ALIVE):
        workers.starts()
    while workers.killed < workers.kills and left(wired, users):
        time.sleep(secrets.randbelow(1000) / 1000)
        workers.loses()
    wait_for(lambda: not left(wired, users), 90)

    assert workers.killed > 3
    came: dict[str, list[int]] = defaultdict(list)
    for one in server.came:
        came[one.json["data"]["user_id"]].append(one.json["id"])
        assert is_signed(one, secret)
    assert len(came) == users
    for ids in came.values():
        assert len(set(ids)) == 1 + CHANGES  # each, some of them again
        assert ids == sorted(ids)
    of_event = {one.json["id"]: one.headers["webhook-id"] for one in server.came}
    assert {one.headers["webhook-id"] for one in server.came} == set(of_event.values())
    assert max(row.tries for row in rows(wired)) > 1, "nobody was at it when it was killed"
    wired.database.engine.dispose()


def dying_with_events_in_hand(workers: Senders) -> Callable[[Came], int]:
    """Let all die over the first event, whoever of them brought it, and then one now and then."""

    first = iter([True])

    def decides(_came: Came) -> int:
        if next(first, False):  # however many were lost before they had any
            workers.loses_all()
        elif secrets.randbelow(10) == 0:
            workers.loses()
        return 200

    return decides


def registers(wired: Services, office: Office, server: Web) -> str:
    draft = wired.webhook_drafts.drafted(
        name="Log", target_url=f"{server.url}/hook", event_codes=["user:*"]
    )
    webhooks: Webhooks = wired.webhooks
    with wired.database.writing() as tx:
        _, secret = webhooks.create(
            tx,
            OPERATOR,
            draft,
            environment=office.organization.environment,
            organization=tx.merge(office.organization),
        )
    return keep_secret(secret)


def happens(wired: Services, office: Office, users: int) -> None:
    for _ in range(users):
        user = office.user(f"user-{uuid.uuid4().hex[:12]}")
        for number in range(CHANGES):
            with wired.database.writing() as tx:
                organization = tx.merge(office.organization)
                changes: UserChanges = {"profile": {"given_name": f"Name {number}"}}
                wired.directory.update(tx, OPERATOR, organization, str(user.id), changes)


def rows(wired: Services) -> list[WebhookDelivery]:
    with wired.database.reading() as tx:
        return list(tx.scalars(sa.select(WebhookDelivery)))


def left(wired: Services, users: int) -> bool:
    """Tell whether something is not delivered yet."""
    found = rows(wired)
    done = [row for row in found if row.status is DeliveryStatus.DELIVERED]
    return len(done) < users * (1 + CHANGES)
