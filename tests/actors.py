"""The cast of the tests, and the only code that knows addresses and the names of fields.

Ada is a user, Harbor Notes the application that sends her. Each actor works through the front
door alone: HTTP requests to a running application, never its objects.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

SECRETS: set[str] = set()
"""Everything secret that any actor has learned; `conftest` looks for it in the logs."""


def keep_secret(value: str) -> str:
    """Note down that this must not appear in any log."""
    SECRETS.add(value)
    return value


_ID = re.compile(r"[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def holds(text: str, secret: str) -> bool:
    """Return whether a secret stands in a text.

    Random ids are left aside for a short one: any six digits stand in one of them now and then.
    """
    return secret in (_ID.sub(" ", text) if len(secret) < 16 else text)


@dataclass
class Reply:
    """An HTTP answer, whoever carried it."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def error(self) -> str:
        return self.json["error"]["type"]

    @cached_property
    def page(self) -> Page:
        return Page(self.text)

    @property
    def form_token(self) -> str:
        """The token of the page's forms, or nothing if it has none."""
        found = re.search(r'name="csrf_token" value="([^"]*)"', self.text)
        return found[1] if found else ""


class Wire(Protocol):
    """Something that carries requests: the application in this process, or a server."""

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: Any = None,
        json: Any = None,
        cookies: dict[str, str] | None = None,
    ) -> Reply: ...


class Phone:
    """An authenticator app: RFC 6238 by the standard library, sharing no code with the product."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.uri = uri
        self.label = parts.path.removeprefix("/")
        self.settings = dict(parse_qsl(parts.query))
        self.key = keep_secret(self.settings["secret"])
        self.secret = base64.b32decode(self.key)
        self.digits = int(self.settings.get("digits", 6))
        self.period = int(self.settings.get("period", 30))
        self.algorithm = self.settings.get("algorithm", "SHA1").lower()

    def code(self, moment: datetime, steps: int = 0) -> str:
        counter = int(moment.timestamp()) // self.period + steps
        digest = hmac.digest(self.secret, struct.pack(">Q", counter), self.algorithm)
        offset = digest[-1] & 15
        number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
        return f"{number % 10**self.digits:0{self.digits}d}"


class Page(HTMLParser):
    """What a person (or a screen reader) finds on a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.area = ""
        self.title = ""
        self.heading = ""
        self._inside = ""
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self._inside = tag
        if tag == "form":
            self.forms.append({"action": found.get("action") or "", "fields": {}, "buttons": []})
        if tag == "button" and self.forms:
            self.forms[-1]["buttons"].append(found)
        unchecked = found.get("type") in {"checkbox", "radio"} and "checked" not in found
        if tag == "input" and self.forms and found.get("name") and not unchecked:
            self.forms[-1]["fields"][found["name"]] = found.get("value") or ""
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "textarea":
            self.area += data
        if self._inside == "title":
            self.title += data
        if self._inside == "h1":
            self.heading += data
        if self._inside not in {"script", "style"}:
            self.words.append(data)

    def attribute(self, tag: str, name: str) -> str | None:
        return next(
            (found[name] for kind, found in self.tags if kind == tag and name in found), None
        )


@dataclass
class Application:
    """Harbor Notes, or another backend with credentials of its own."""

    wire: Wire
    client_id: str
    client_secret: str
    redirect_uri: str
    organization: str
    base_url: str

    def basic(self) -> dict[str, str]:
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def asks(self, user: str, **more: Any) -> Reply:
        body = {"user_id": user, "redirect_uri": self.redirect_uri, **more}
        return self.wire.request(
            "POST",
            f"/api/v2/org/{self.organization}/gateway-sessions",
            headers=self.basic(),
            json={name: value for name, value in body.items() if value is not None},
        )

    def opens(self, user: str, **more: Any) -> dict[str, Any]:
        reply = self.asks(user, **more)
        assert reply.status == 201, reply.text
        keep_secret(parse_qs(urlsplit(reply.json["url"]).query)["token"][0])
        return dict(reply.json)

    def looks_at(self, session_id: str) -> Reply:
        return self.wire.request(
            "GET",
            f"/api/v2/org/{self.organization}/gateway-sessions/{session_id}",
            headers=self.basic(),
        )

    def redeems(self, session_id: str, result: str) -> Reply:
        return self.wire.request(
            "POST",
            f"/api/v2/org/{self.organization}/gateway-sessions/{session_id}/redeem",
            headers=self.basic(),
            json={"result": result},
        )

    def exchanges(self, code: str, **more: Any) -> Reply:
        """Bring the code of a magic link, as the browser brought it back."""
        return self.wire.request(
            "POST",
            "/api/v2/magic-link-challenge/token",
            **{"headers": self.basic(), "json": {"code": code}, **more},
        )

    def checks(self, result: str) -> dict[str, Any]:
        """Verify the signature by the published keys, and return the claims."""
        keys = KeySet.import_key_set(self.wire.request("GET", "/.well-known/jwks.json").json)
        token = jwt.decode(result, keys, algorithms=["ES256", "RS256", "Ed25519"])
        assert token.header["typ"] == "gatehouse-result+jwt"
        return token.claims


@dataclass
class Backend:
    """Code with an API key."""

    wire: Wire
    client_id: str
    client_secret: str
    _token: str = ""

    def asks_token(self, **fields: Any) -> Reply:
        body = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            **fields,
        }
        return self.wire.request("POST", "/oauth/token", json=body)

    @property
    def token(self) -> str:
        if not self._token:
            self._token = keep_secret(self.asks_token().json["access_token"])
        return self._token

    def calls(self, method: str, path: str, **more: Any) -> Reply:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.wire.request(method, f"/api/v2{path}", headers=headers, **more)

    def asks_link(self, email: str, redirect_uri: str, **more: Any) -> Reply:
        """Ask for a magic link."""
        body = {"user_email": email, "redirect_uri": redirect_uri, **more}
        reply = self.calls("POST", "/magic-link-challenge", json=body)
        if reply.status == 200:
            keep_secret(parse_qs(urlsplit(reply.json["waiting_url"]).query)["token"][0])
            keep_secret((reply.json["magic_link"] or "/not told").rpartition("/")[2])
        return reply


@dataclass
class Browser:
    """A browser with its cookies; it follows redirects as long as they stay at the gateway."""

    wire: Wire
    base_url: str
    cookies: dict[str, str] = field(default_factory=dict)
    reply: Reply = field(default_factory=lambda: Reply(0, {}, ""))
    path: str = ""
    form_token: str = ""
    """Of the newest form that this browser was given."""

    def goes_to(self, address: str, method: str = "GET", **more: Any) -> Reply:
        path = address.removeprefix(self.base_url)
        while True:
            if self.base_url.startswith("https") and method == "POST":
                more.setdefault("headers", {"Referer": self.base_url + self.path})
            self.reply = self.wire.request(method, path, cookies=self.cookies, **more)
            self.path = path.split("?")[0]
            self.form_token = self.reply.form_token or self.form_token
            if not 300 <= self.reply.status < 400 or not self.stays(self.reply.location):
                return self.reply
            assert self.reply.status == 303
            method, path, more = "GET", self.reply.location.removeprefix(self.base_url), {}

    def address(self, page: str) -> str:
        """Return where a page of this visit is."""
        return "/".join([*self.path.split("/")[:3], page]).rstrip("/")

    def sends(self, page: str, **fields: Any) -> Reply:
        """Post to any page of this visit, whichever is open."""
        data = {"csrf_token": self.form_token, **fields}
        return self.goes_to(self.address(page), "POST", data=data)

    def stays(self, location: str) -> bool:
        location = location.removeprefix(self.base_url)
        return location.startswith("/") and not location.startswith("//")

    @property
    def page(self) -> Page:
        return self.reply.page

    def submits(self, number: int = 0, **fields: Any) -> Reply:
        """Submit one of the page's forms, as it stands but for these fields."""
        form = self.page.forms[number]
        return self.goes_to(form["action"] or self.path, "POST", data={**form["fields"], **fields})

    def presses(self, value: str, **fields: Any) -> Reply:
        """Press the first button with this value, and send the form that it belongs to."""
        form, button = next(
            (form, button)
            for form in self.page.forms
            for button in form["buttons"]
            if button.get("value") == value
        )
        address = button.get("formaction") or form["action"] or self.path
        data = {**form["fields"], button["name"]: value, **fields}
        return self.goes_to(address, "POST", data=data)

    def submits_to(self, path: str, **fields: Any) -> Reply:
        """Send a form of this visit to any address, as a forger with the page's token would."""
        token = next(form["fields"]["csrf_token"] for form in self.page.forms)
        return self.goes_to(path, "POST", data={"csrf_token": token, **fields})

    def sets_up(self) -> Phone:
        """Go on from the first page to the one with the QR code, and scan it."""
        assert self.path.endswith("/set-up"), self.path
        offered = [form["fields"].get("kind") for form in self.page.forms]
        if "totp" in offered:
            self.submits(offered.index("totp"))
        else:
            self.presses("totp")
        assert self.path.endswith("/enroll"), self.path
        return self.scans()

    def scans(self) -> Phone:
        return Phone(next(link for link in self.page.links if link.startswith("otpauth:")))

    def types(self, code: str) -> Reply:
        return self.submits(code=code)

    def saves_codes(self) -> list[str]:
        codes = self.page.area.split()
        for code in codes:
            keep_secret(code)
        self.submits(1)
        return codes

    @property
    def back(self) -> dict[str, str]:
        """The fields with which the browser was sent back to the application."""
        assert self.reply.status == 303, (self.reply.status, self.page.text)
        fields = dict(parse_qsl(urlsplit(self.reply.location).query, keep_blank_values=True))
        for name in fields.keys() & {"result", "code"}:
            keep_secret(fields[name])
        return fields


@dataclass
class Administrator:
    """Somebody who runs an organization, at a browser, with a password and a phone."""

    browser: Browser
    email: str
    password: str
    phone: Phone
    now: Callable[[], datetime]
    place: str
    """Such as `/admin/sandbox/harbor`."""

    def signs_in(self) -> Reply:
        """Go the whole way: the password, then the code on the hosted page."""
        self.browser.goes_to("/admin/sign-in")
        self.browser.submits(email=self.email, password=self.password)
        return self.proves()

    def proves(self) -> Reply:
        """Type the code on the hosted page that is open, and come back."""
        assert self.browser.path.endswith("/verify"), self.browser.path
        return self.browser.types(self.phone.code(self.now()))

    def at(self, path: str = "") -> Reply:
        """Open a page of the organization."""
        return self.browser.goes_to(self.place + path)

    def does(self, path: str, **fields: Any) -> Reply:
        """Post to a page of the organization, with this browser's form token."""
        data = {"csrf_token": self.browser.form_token, **fields}
        return self.browser.goes_to(self.place + path, "POST", data=data)

    @property
    def page(self) -> Page:
        return self.browser.page

    @property
    def text(self) -> str:
        return self.browser.page.text

    @property
    def status(self) -> int:
        return self.browser.reply.status
