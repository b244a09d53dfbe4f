"""An enrollment by API and by the pages, and a passkey's answer, beside requests of the floor.

All runs in this process (`single.py`), and figures are of the processor. How long the QR code takes
to make, and a signature to check, is taken where that is done.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from statistics import median
from time import thread_time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import floor
from borrowed import SoftwareAuthenticator
from part import Figure, Options
from single import PORT, STEP, Alone, Ask, Told, alone, jar, send
from stage import USER, Setting
from webauthn.authentication import verify_authentication_response

from app.models import Environment
from app.services.audit import OPERATOR
from app.web.support.qr import QrCode

USERS = 12
ROUNDS = 5
MOST = 3
"""Requests of the floor that all but the QR code may take."""


@dataclass
class Spent:
    """Time that passed inside of some functions while others were timed, in seconds."""

    seconds: float = 0.0

    @contextmanager
    def inside(self, owner: Any, *names: str) -> Iterator[None]:
        """Take the time of these functions of a class or module while this is open."""
        kept = {name: getattr(owner, name) for name in names}
        for name, function in kept.items():
            setattr(owner, name, self._timed(function))
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **more: Any) -> Any:
            outer, began = self.seconds, thread_time()
            try:
                return function(*given, **more)
            finally:  # one may call another of them
                self.seconds = outer + thread_time() - began

        return timed


@dataclass
class Walk:
    """What all of one kind of walk came to: the time of each request, and of what is inside."""

    times: list[list[float]] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)

    @property
    def whole(self) -> float:
        """All requests of one walk, in milliseconds."""
        return median(map(sum, self.times)) * 1000

    @property
    def within(self) -> float:
        """What is inside of them, in milliseconds."""
        return median(self.inside) * 1000


class Walks:
    """Walks users through, and times each request."""

    def __init__(self, found: Alone) -> None:
        self.found, self.spent = found, Spent()
        self._made: Setting = found.made
        demo = found.made.demo
        self._place = f"/api/v2/org/{demo['organization']['domain']}"
        self._bearer = self._token()
        self._took: list[float] = []
        self._devices: dict[str, SoftwareAuthenticator] = {}

    def by_api(self, user_id: str) -> None:
        """Begin and confirm."""
        place = f"{self._place}/totp-enrollment"
        begun = json.loads(self._call("POST", f"{place}/{user_id}", 201).body)
        code = self._code(parse_qs(urlsplit(begun["otp_uri"]).query)["secret"][0])
        self._call("PUT", f"{place}/validation/{user_id}", 200, code=code)

    def by_page(self, user_id: str) -> None:
        """Come from the application, set up, confirm, and save the recovery codes."""
        application = self._made.demo["application"]
        asked = self._call(
            "POST",
            f"{self._place}/gateway-sessions",
            201,
            user_id=user_id,
            redirect_uri=application["redirect_uri"],
            client_id=application["client_id"],
        )
        self._took.clear()  # that was the application
        url = urlsplit(json.loads(asked.body)["url"])
        browser = _Browser(self)
        browser.get(f"{url.path}?{url.query}", 303)
        browser.follow()
        browser.post(kind="totp")
        page = browser.follow()
        start = page.body.index(b"otpauth://")
        uri = page.body[start : page.body.index(b'"', start)].decode().replace("&amp;", "&")
        browser.post(code=self._code(parse_qs(urlsplit(uri).query)["secret"][0]))
        browser.follow()
        browser.post()

    def register(self, user_id: str) -> None:
        """Give the user a passkey."""
        device = SoftwareAuthenticator(origin=f"http://localhost:{PORT}")
        place = f"{self._place}/passkey-registration"
        options = json.loads(self._call("POST", f"{place}/{user_id}", 201).body)["options"]
        made = json.loads(device.create(options))
        self._call("PUT", f"{place}/validation/{user_id}", 200, credential=made)
        self._devices[user_id] = device

    def by_passkey(self, user_id: str) -> None:
        """Ask, and have the answer judged."""
        place = f"{self._place}/passkey-authentication"
        options = json.loads(self._call("POST", f"{place}/{user_id}", 201).body)["options"]
        answer = json.loads(self._devices[user_id].get(options))
        told = self._call("POST", f"{place}/validation/{user_id}", 200, credential=answer)
        assert json.loads(told.body)["success"], told.body

    def take(self, walk: Walk, step: Callable[[str], None], user_id: str) -> None:
        """Walk one user, and keep what it took."""
        self._took, self.spent.seconds = [], 0.0
        step(user_id)
        walk.times.append(self._took)
        walk.inside.append(self.spent.seconds)

    def send(self, ask: Ask) -> Told:
        """Send one request, and keep what it took."""
        told = send(self.found.app, ask)
        self._took.append(told.took)
        return told

    def _call(self, method: str, path: str, status: int, **fields: Any) -> Told:
        headers = {"HTTP_AUTHORIZATION": self._bearer}
        body = json.dumps(fields).encode()
        return self.send(Ask(path, status, body, "application/json", headers, method))

    def _code(self, key: str) -> str:
        secret = base64.b32decode(key + "=" * (-len(key) % 8))
        return floor.code(secret, floor.step_at(self.found.clock.now()))

    def _token(self) -> str:
        key = self._made.demo["api_key"]
        fields = {name: key[name] for name in ("client_id", "client_secret")}
        body = urlencode({"grant_type": "client_credentials", **fields}).encode()
        told = send(self.found.app, Ask("/oauth/token", 200, body))
        return f"Bearer {json.loads(told.body)['access_token']}"


class _Browser:
    """Keeps cookies, the form's token, and where the last answer leads."""

    def __init__(self, walks: Walks) -> None:
        self._walks, self._cookies = walks, dict[str, str]()
        self._told = Told([], b"", 0.0)
        self._page = ""

    def get(self, path: str, status: int) -> Told:
        self._page = urlsplit(path).path
        return self._keep(Ask(path, status, headers={"HTTP_COOKIE": jar(self._cookies)}))

    def follow(self) -> Told:
        return self.get(self._told.header("Location"), 200)

    def post(self, **fields: str) -> Told:
        body = urlencode({"csrf_token": self._told.csrf, **fields}).encode()
        return self._keep(Ask(self._page, 303, body, headers={"HTTP_COOKIE": jar(self._cookies)}))

    def _keep(self, ask: Ask) -> Told:
        self._told = self._walks.send(ask)
        self._cookies |= self._told.cookies
        return self._told


def measure(options: Options) -> list[Figure]:
    """Take users through each walk, between requests of the floor."""
    rounds = 1 if options.small else ROUNDS
    with ExitStack() as stack:
        found = stack.enter_context(alone(options.kind))
        _switch_passkeys_on(found.made)
        walks, floors = Walks(found), list[float]()
        stack.enter_context(walks.spent.inside(QrCode, "__init__", "path", "png", "svg"))
        stack.enter_context(walks.spent.inside(verify_authentication_response, "verify_signature"))
        api, page, passkey = Walk(), Walk(), Walk()
        holders = _people(found.made, USERS)
        for user_id in holders:
            walks.register(user_id)
        _round(walks, holders, (Walk(), Walk(), Walk()), [])  # warms up
        for _ in range(rounds):
            _round(walks, holders, (api, page, passkey), floors)
    return _figures(median(floors) * 1000, api, page, passkey)


def _round(
    walks: Walks, holders: list[str], kept: tuple[Walk, Walk, Walk], floors: list[float]
) -> None:
    found = walks.found
    found.clock.move(2 * STEP)
    devices = [(one.floor_names[0], one.secret) for one in found.made.enroll(USERS)]
    for name, secret in devices:
        fields = {"name": name, "code": floor.code(secret, floor.step_at(found.clock.now()))}
        floors.append(send(found.floor_app, Ask("/check", 200, urlencode(fields).encode())).took)
    api, page, passkey = kept
    for user_id in _people(found.made, USERS):
        walks.take(api, walks.by_api, user_id)
    for user_id in _people(found.made, USERS):
        walks.take(page, walks.by_page, user_id)
    for user_id in holders:
        walks.take(passkey, walks.by_passkey, user_id)


def _figures(least: float, api: Walk, page: Walk, passkey: Walk) -> list[Figure]:
    lines = [Figure("the floor", least, " ms")]
    for name, walk in (("by API", api), ("by the pages", page)):
        number = len(walk.times[0])
        lines += [
            Figure(f"enrollment {name}, {number} requests", walk.whole, " ms"),
            Figure(f"enrollment {name}: the QR code", walk.within, " ms"),
            Figure(f"enrollment {name}: the QR code's share", walk.within / walk.whole),
            Figure(
                f"enrollment {name}: the rest, in requests of the floor",
                (walk.whole - walk.within) / least,
                at_most=MOST,
            ),
        ]
    return [
        *lines,
        Figure("passkey by API, question and answer", passkey.whole, " ms"),
        Figure("passkey: in requests of the floor", passkey.whole / least),
        Figure("passkey: the signature's share", passkey.within / passkey.whole),
    ]


def _switch_passkeys_on(made: Setting) -> None:
    wired = made.wired
    with wired.database.writing() as tx:
        domain = made.demo["organization"]["domain"]
        organization = wired.organizations.find(tx, Environment.SANDBOX, domain)
        wired.passkey_rules.change(tx, OPERATOR, organization, active=True)


def _people(made: Setting, number: int) -> list[str]:
    """Create so many users who have nothing yet."""
    wired = made.wired
    with wired.database.writing() as tx:
        domain = made.demo["organization"]["domain"]
        organization = wired.organizations.find(tx, Environment.SANDBOX, domain)
        emails = [f"{token_hex(8)}@harbor.example" for _ in range(number)]
        users = [wired.directory.create(tx, USER, organization, email=one) for one in emails]
        return [str(one.id) for one in users]
