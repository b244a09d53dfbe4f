"""A real Chromium, before an application in this process whose clock the test moves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.actors import Phone
from tests.browser import chromium
from tests.conftest import (
    FixedClock,
    Harbor,
    OverHttp,
    application,
    fresh_database,
    make_config,
)


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    path = chromium.find()
    assert path, "no Chromium was found; type: make test"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        browser.close()


class Callback(BaseHTTPRequestHandler):
    """The application's end of the way back: it keeps what it is sent."""

    received: list[dict[str, str]]

    def do_GET(self) -> None:
        self._keep(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._keep({**dict(parse_qsl(body)), "method": "POST"})

    def _keep(self, fields: dict[str, str]) -> None:
        if urlsplit(self.path).path == "/callback":
            self.received.append(fields)
        page = b"<!doctype html><html lang=en><title>Notes</title><h1>Back at the notes</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None: ...


class Quiet(WSGIRequestHandler):
    """The development server logs whole addresses; `gatehouse serve` does not."""

    def log(self, *_: object) -> None: ...


@dataclass
class Stage:
    """A gateway, an application's callback on another origin, and a browser between them."""

    harbor: Harbor
    clock: FixedClock
    received: list[dict[str, str]]
    chrome: Browser
    options: dict[str, Any] = field(default_factory=dict)
    """Of every browser that is opened."""
    complaints: list[str] = field(default_factory=list)
    """What the console said, what a page's security policy kept from happening, and which foreign
    addresses were asked for: nothing, hopefully."""
    app: Flask | None = None
    """The application, where it is in this process."""
    visited: set[str] = field(default_factory=set)
    """The addresses, without their queries, that were answered by a page."""

    def opens_browser(self, **options: Any) -> Page:
        context: BrowserContext = self.chrome.new_context(
            **{"viewport": {"width": 390, "height": 844}, **self.options, **options}
        )
        context.set_default_timeout(10_000)
        # Of every page that is opened in it, by whoever.
        context.on("console", self._listen)
        context.on("weberror", lambda found: self.complaints.append(str(found.error)))
        context.on("request", self._watch)
        context.on("response", self._note)
        context.add_init_script(_TELL_VIOLATIONS)
        return context.new_page()

    def arrives(self, page: Page, user: str | None = None, **ask: Any) -> None:
        page.goto(self.harbor.notes.opens(user or self.harbor.ada, **ask)["url"])

    def code(self, phone: Phone, steps: int = 0) -> str:
        return phone.code(self.clock.now(), steps)

    def _listen(self, message: ConsoleMessage) -> None:
        # Chromium reports every 4xx page as an error of its own.
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def _watch(self, request: Request) -> None:
        ours = (self.harbor.base_url, self.harbor.notes.redirect_uri.removesuffix("/callback"))
        if not request.url.startswith((*ours, "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    def _note(self, response: Response) -> None:
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/html") and response.request.is_navigation_request():
            self.visited.add(urlsplit(response.url).path)


_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", it => console.error(
  `The policy forbids: ${it.effectiveDirective} ${it.blockedURI} on ${it.documentURI}`));
"""


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database on SQLite, unless a test asks for both."""
    return fresh_database(request)


@pytest.fixture(scope="session")
def listener() -> Iterator[socket.socket]:
    """Where each test's server takes its calls: one address, so that the application can be kept.

    It listens all the time, so that nobody else can be given its port between two tests.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening


@pytest.fixture
def stage(
    chrome: Browser,
    clock: FixedClock,
    database_url: str,
    tmp_path: Path,
    listener: socket.socket,
) -> Iterator[Stage]:
    """The cast with a browser; after the test, nothing may have been complained about."""
    host, port = listener.getsockname()
    config = make_config(database_url, tmp_path, base_url=f"http://localhost:{port}")
    app = application(config, clock)
    wired = app.extensions["gatehouse"]
    server = make_server(
        host, port, app, threaded=True, request_handler=Quiet, fd=listener.fileno()
    )
    with _serving(server):
        harbor = Harbor(OverHttp(config.base_url), wired, clock, config.base_url)
        yield from _staged(harbor, chrome, app)


@pytest.fixture
def tls_stage(chrome: Browser, tls_harbor: Harbor) -> Iterator[Stage]:
    """The same before a server process that speaks TLS, whose authority no browser knows."""
    yield from _staged(tls_harbor, chrome, None, ignore_https_errors=True)


def _staged(harbor: Harbor, chrome: Browser, app: Flask | None, **options: Any) -> Iterator[Stage]:
    back = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    with _serving(back):
        Callback.received = []
        uri = f"http://127.0.0.1:{back.server_port}/callback"
        harbor.notes = harbor.registers(redirect_uri=uri)
        found = Stage(harbor, harbor.clock, Callback.received, chrome, options, app=app)
        yield found
        for context in chrome.contexts:
            context.close()
        assert found.complaints == []


@contextmanager
def _serving(server: BaseServer) -> Iterator[None]:
    """Serve until the end, and free the address however the test went."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
