"""Two organizations with one user each, who have the same address, and every door to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from app.models import Api, Environment, Event, GatewaySession, Message
from app.services.audit import OPERATOR
from tests import entra
from tests.actors import Browser, Reply, Wire, keep_secret
from tests.conftest import FixedClock, Harbor
from tests.web.api_v1.backend import FORM
from tests.web.cryptr.conftest import board_of
from tests.web.duo.client import duo_client
from tests.web.oidc.party import back as back_of_shop
from tests.web.oidc.party import party

EMAIL = "ada@harbor.example"
WHY = "Spoke with Ada on the number that we knew."
HIGH: dict[str, Any] = {
    "per_user_day": 1000,
    "per_address_hour": 10_000,
    "per_prefix_hour": 10_000,
    "emails_per_organization_day": 1_000_000,
}


class Watched:
    """Carries requests, and takes no failure of ours for an answer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def request(self, method: str, path: str, **more: Any) -> Reply:
        reply = self._wire.request(method, path, **more)
        assert reply.status < 500, (method, path, reply.status)
        return reply


@dataclass(frozen=True)
class Handed:
    """What a browser brought back to an application, which makes something of it once."""

    door: Door
    value: str
    fields: dict[str, str]
    made_at: datetime


class Door(Protocol):
    """A protocol that an application sends a user through."""

    name: str
    lasts: int
    """Seconds for which what it hands over can be used; 0 if it is nothing to be used up."""
    demands: bool

    def opens(self) -> Browser: ...

    def collects(self, browser: Browser) -> Handed: ...

    def redeems(self, handed: Handed, place: Place) -> Reply:
        """Bring it, as the application of a place."""


class Rest:
    name, lasts, demands = "rest", 120 + 60, False

    def __init__(self, place: Place) -> None:
        self.place = place

    def opens(self) -> Browser:
        browser, reply = self.place.browser(), self.place.notes.asks(EMAIL)
        browser.reply = reply
        if reply.status == 201:
            browser.goes_to(reply.json["url"])
        return browser

    def collects(self, browser: Browser) -> Handed:
        back = browser.back
        claims = self.place.notes.checks(back["result"])
        assert (claims["sub"], claims["org"]) == (self.place.ada, self.place.domain)
        return Handed(self, back["result"], back, self.place.now)

    def redeems(self, handed: Handed, place: Place) -> Reply:
        return place.notes.redeems(handed.fields["session_id"], handed.value)


class Oidc:
    name, lasts, demands = "oidc", 60, False

    def __init__(self, place: Place) -> None:
        self.place = place
        self.shop = party(place)

    def opens(self) -> Browser:
        browser = self.place.browser()
        browser.goes_to(self.shop.pushed(login_hint=EMAIL))
        return browser

    def collects(self, browser: Browser) -> Handed:
        back = back_of_shop(browser)
        return Handed(self, back["code"], back, self.place.now)

    def redeems(self, handed: Handed, place: Place) -> Reply:
        shop = place.doors["oidc"].shop
        reply = shop.exchanges(handed.value, code_verifier=self.shop.verifier)
        if reply.status == 200:
            assert shop.checks(reply.json["id_token"])["sub"] == place.ada
        return reply


class Duo:
    name, lasts, demands = "duo", 60, False

    def __init__(self, place: Place) -> None:
        self.place = place
        self.wiki = duo_client(place, name=f"{place.name} Wiki")

    def opens(self) -> Browser:
        browser = self.place.browser()
        self.wiki.sends(browser, EMAIL)
        return browser

    def collects(self, browser: Browser) -> Handed:
        back = browser.back
        return Handed(self, back["duo_code"], back, self.place.now)

    def redeems(self, handed: Handed, place: Place) -> Reply:
        wiki = place.doors["duo"].wiki
        reply = wiki.exchanges(handed.value)
        # Once the clock was set back, the SDK takes what was issued for a time to come.
        if reply.status == 200 and place.now >= handed.made_at:
            assert wiki.reads(reply)["sub"] == place.ada
        return reply


class Entra:
    name, lasts, demands = "entra", 0, True

    def __init__(self, place: Place) -> None:
        self.place = place
        self.directory = entra.connected(place, name=f"{place.name} Entra")

    def opens(self) -> Browser:
        return self.directory.visits()

    def collects(self, browser: Browser) -> Handed:
        [form] = browser.page.forms
        _, claims = self.directory.verified(form["fields"]["id_token"])
        assert (claims["iss"], claims["sub"]) == (self.directory.issuer, entra.SUB)
        return Handed(self, keep_secret(form["fields"]["id_token"]), {}, self.place.now)

    def redeems(self, handed: Handed, place: Place) -> Reply:
        raise AssertionError("Entra reads the token itself")


class Cryptr:
    name, lasts, demands = "cryptr", 60, False

    def __init__(self, place: Place) -> None:
        self.place = place
        self.board = board_of(place, f"{place.name} Board")

    def opens(self) -> Browser:
        self.place.clock.advance(60)  # so long the first links keep the next from being mailed
        browser = self.board.waits(EMAIL)
        for link in self.mailed_now():
            browser.goes_to(keep_secret(link))
            browser.submits()
        return browser

    def mailed_now(self) -> set[str]:
        """Return the link that was just mailed, if there is any."""
        mine = sa.select(Message).where(
            Message.name == "magic_link",
            Message.organization_id == self.place.organization.id,
            Message.created_at == self.place.now,
        )
        texts = [self.place.text_of(row.Message) for row in self.place.rows(mine)]
        return {line for text in texts for line in text.split() if "/link/" in line}

    def collects(self, browser: Browser) -> Handed:
        back = browser.back
        return Handed(self, back["code"], back, self.place.now)

    def redeems(self, handed: Handed, place: Place) -> Reply:
        board = place.doors["cryptr"].board
        return board.exchanges(handed.fields, domain=place.domain)


DOORS: list[Callable[[Place], Door]] = [Rest, Oidc, Duo, Entra, Cryptr]


class Place(Harbor):
    """One of the organizations: its user, its applications, its keys and its administrator."""

    doors: dict[str, Any]
    signed_in_at: datetime

    def __post_init__(self) -> None:
        super().__post_init__()
        self.domain = self.organization.domain
        self.backend = self.key(only=True)
        with self.services.database.writing() as tx:
            organization = tx.merge(self.organization)
            self.services.sending_rules.change(tx, OPERATOR, organization, **HIGH)
            _, secret = self.services.api_keys.create(
                tx,
                OPERATOR,
                environment=Environment.SANDBOX,
                name="DevRIFT",
                organization=organization,
                permissions=None,
                api=Api.V1,
            )
        self.v1_secret = keep_secret(secret)
        self.admin = self.administrator(
            email=f"owner@{self.domain}.example", organization=self.organization
        )
        self.signed_in_at = self.now
        self.doors = {door.name: door for door in (made(self) for made in DOORS)}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # Backends

    def calls_v2(self, method: str, path: str, **more: Any) -> Reply:
        self.backend._token = ""  # the clock goes anywhere, and a token lasts an hour
        return self.backend.calls(method, f"/org/{self.domain}{path}", **more)

    def calls_v1(self, path: str, **fields: str) -> Reply:
        body = ", ".join(f"{name}={value}" for name, value in fields.items())
        headers = {"Authorization": f"Bearer {self.v1_secret}", "Content-Type": FORM}
        return self.wire.request("POST", f"/v1{path}", headers=headers, data=body.encode())

    # Administrators

    def signs_in(self) -> None:
        """Have a session that was begun lately."""
        if not 0 <= (self.now - self.signed_in_at).total_seconds() < 300:
            self._admits(self.admin)
            self.signed_in_at = self.now

    def administers(self, action: str, **fields: str) -> None:
        """Have it done to the user."""
        self.signs_in()
        browser = self.admin.browser
        reply = self.wire.request(
            "POST",
            f"{self.admin.place}/users/{self.ada}/{action}",
            data={"csrf_token": browser.form_token, "reason": WHY, **fields},
            cookies=browser.cookies,
        )
        assert reply.status == 303, reply.page.text

    def gives_bypass_code(self) -> str:
        """Give the user a code, and return it."""
        self.signs_in()
        self.admin.at(f"/users/{self.ada}/bypass-code")
        form = next(n for n, it in enumerate(self.admin.page.forms) if not it["action"])
        self.admin.browser.submits(form, reason=WHY, minutes="30")
        return keep_secret(re.findall(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", self.admin.text)[0])

    # What happened

    def ends_of(self, browser: Browser) -> datetime:
        """Return until when the visit of a browser lasts."""
        found = GatewaySession.id == f"gateway-session_{browser.path.split('/')[2]}"
        return self.rows(sa.select(GatewaySession.expires_at).where(found))[0][0]


def two_places(wire: Wire, services: Any, clock: FixedClock) -> tuple[Place, Place]:
    """Open both, which share nothing but the gateway and what their users are called."""
    watched = Watched(wire)
    harbor = Place(watched, services, clock)
    quay = Place(watched, services, clock, name="Quay")
    assert (harbor.domain, quay.domain) == ("harbor", "quay")
    return harbor, quay


def newest_event(place: Place) -> int:
    return int(place.rows(sa.select(sa.func.coalesce(sa.func.max(Event.id), 0)))[0][0])
