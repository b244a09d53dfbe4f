"""An organization whose backend hears of events: its webhooks, and the server that they lead to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook as Verifier

from app.models import WebhookDelivery
from tests.actors import Backend, Reply, keep_secret
from tests.conftest import FixedClock, Harbor, stage
from tests.providers.servers import LOOPBACK, Came, Web


@dataclass
class Hooks:
    """Harbor with a server of its own, which it registers webhooks at."""

    harbor: Harbor
    web: Web
    secrets: dict[str, str] = field(default_factory=dict)
    """By the webhook's id."""

    def asks(self, *codes: str, backend: Backend | None = None, **fields: Any) -> Reply:
        self.harbor.clock.advance(1)  # what was before is not told
        body = {
            "name": "Log",
            "event_codes": list(codes or ["*"]),
            "target_url": f"{self.web.url}/hook",
            **fields,
        }
        return (backend or self.harbor.backend).calls("POST", "/webhooks", json=body)

    def registers(self, *codes: str, **more: Any) -> str:
        """Create a webhook of Harbor and return its id."""
        more = {"organization": self.harbor.organization.domain, **more}
        reply = self.asks(*codes, **more)
        assert reply.status == 201, reply.text
        made = str(reply.json["id"])
        self.secrets[made] = keep_secret(reply.json["signature_key"])
        return made

    def shows(self, webhook_id: str) -> dict[str, Any]:
        reply = self.harbor.key().calls("GET", f"/webhooks/{webhook_id}")
        assert reply.status == 200, reply.text
        return dict(reply.json)

    def happens(self, name: str = "") -> str:
        """Let something happen to a user who is new, and return the user's id."""
        return self.harbor.person(f"{name or uuid.uuid4().hex}@harbor.example")

    def changes(self, user: str, given_name: str) -> None:
        """Let something happen to a user."""
        domain = self.harbor.organization.domain
        body = {"profile": {"given_name": given_name}}
        reply = self.harbor.backend.calls("PUT", f"/org/{domain}/users/{user}", json=body)
        assert reply.status == 200, reply.text

    def seals(self) -> None:
        while self.harbor.services.seals.seal():
            pass

    def works(self) -> int:
        """Do what a worker does until nothing is due; return the number of tries."""
        self.seals()
        number = 0
        while self.harbor.services.webhook_sender.send_next():
            number += 1
        return number

    def waits(self, **time: float) -> int:
        """Let time go by, and have a worker do what is due then."""
        self.harbor.clock.advance(
            sum(
                60 ** ["seconds", "minutes", "hours"].index(unit) * number
                for unit, number in time.items()
            )
        )
        return self.works()

    @property
    def told(self) -> list[str]:
        """The codes that came, in their order."""
        return [came.json["code"] for came in self.web.came]

    def rows(self) -> list[WebhookDelivery]:
        with self.harbor.services.database.reading() as tx:
            wanted = sa.select(WebhookDelivery)
            return list(
                tx.scalars(wanted.order_by(WebhookDelivery.created_at, WebhookDelivery.event_id))
            )

    def row(self) -> WebhookDelivery:
        [one] = self.rows()
        return one


def is_signed(came: Came, secret: str) -> bool:
    """Tell whether a request is signed with a secret, whenever it was sent."""
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(int(came.headers["webhook-timestamp"]), UTC)
    signature = Verifier(secret).sign(came.headers["webhook-id"], at, came.body.decode())
    return signature in came.headers["webhook-signature"].split(" ")


@contextmanager
def hooked(
    database_url: str, folder: Path, clock: FixedClock, web: Web, **settings: Any
) -> Iterator[Hooks]:
    """Put Harbor before a gateway that may call the servers of this machine."""
    with stage(database_url, folder, clock, outbound_networks=LOOPBACK, **settings) as harbor:
        yield Hooks(harbor, web)
