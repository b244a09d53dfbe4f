"""Hosted pages in a Chromium whose processor is four times slower, with nothing in its cache.

A person walks through an enrollment and comes back; each page is loaded anew a few times.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import parse_qs, urlsplit

import floor
from borrowed import FLAGS, Scale, chromium
from load import Connections, WrongAnswer
from part import Figure, Options, opened
from playwright.sync_api import Browser, Page, sync_playwright
from stage import USER, Stage
from visits import Visit

from app.models import Environment

LOADS = 7
SLOWER = 4
MOST_KB, MOST_REQUESTS = 50, 4
TIMES = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const paints = performance.getEntriesByType("paint").map(one => one.startTime);
  return [page.responseStart - page.requestStart, Math.min(...paints),
          Math.max(page.domContentLoadedEventEnd, ...paints)];
}"""
"""The server's time, the first paint, and when all is there that a page does at its start."""


@dataclass
class Loads:
    """Of one page."""

    size: int = 0
    requests: int = 0
    times: list[list[float]] = field(default_factory=list)

    def figures(self, name: str) -> list[Figure]:
        """Return medians, and what it weighs."""
        server, paint, interactive = map(median, zip(*self.times, strict=True))
        return [
            Figure(f"{name}: bytes", self.size / 1024, " KB", at_most=MOST_KB),
            Figure(f"{name}: requests", self.requests, at_most=MOST_REQUESTS),
            Figure(f"{name}: server", server, " ms"),
            Figure(f"{name}: first paint", paint, " ms"),
            Figure(f"{name}: interactive", interactive, " ms"),
        ]


def measure(options: Options) -> list[Figure]:
    """Look at each page of an enrollment, and of a sign-in."""
    path = chromium.find()
    if path is None:
        raise WrongAnswer("no Chromium was found; type: make test")
    with ExitStack() as stack:
        made = stack.enter_context(opened(options.kind))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        stack.callback(browser.close)
        return [
            figure
            for name, page in _walk(made, browser)
            for figure in _load(page, 2 if options.small else LOADS).figures(name)
        ]


def _walk(made: Stage, browser: Browser) -> Iterator[tuple[str, Page]]:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    person = _somebody(made)
    page.goto(_address(made, person))
    yield "choice of a method", page
    page.locator("button[value=totp]").click()
    page.wait_for_url("**/enroll")
    yield "authenticator app, with its QR code", page
    link = page.locator("a[href^='otpauth://']").get_attribute("href") or ""
    secret = base64.b32decode(parse_qs(urlsplit(link).query)["secret"][0])
    page.locator("#code").fill(floor.code(secret, floor.step_now()))
    page.locator("button[type=submit].btn-primary").click()
    page.wait_for_url("**/recovery-codes")
    yield "recovery codes", page
    page.close()
    page = browser.new_page(viewport={"width": 390, "height": 844})
    [enrolled] = made.enroll(1)
    page.goto(_address(made, enrolled.id))
    yield "six-digit code", page
    page.goto(f"{page.url.rpartition('/')[0]}/recover")
    yield "a recovery code instead", page
    page.close()


def _load(page: Page, number: int) -> Loads:
    found = Loads()
    scale = Scale(page)
    scale.cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    for _ in range(number):
        scale.empty()
        page.reload(wait_until="load")
        page.wait_for_function("performance.getEntriesByType('paint').length > 0")
        found.times.append(page.evaluate(TIMES))
        found.size = max(found.size, scale.weight.size)
        found.requests = max(found.requests, scale.weight.requests)
    scale.cdp.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    scale.cdp.detach()
    return found


def _address(made: Stage, user_id: str) -> str:
    """Return where the application sends a user."""
    with Connections(made.port) as to:
        visit = Visit.of(made, user_id)
        call = visit.open()
        reply = to.ask(call)
        if reply.status != call.status or call.then is None:
            raise WrongAnswer(reply.body[:300].decode(errors="replace"))
        call.then(reply)
    return f"http://localhost:{made.port}{visit.enter().path}"


def _somebody(made: Stage) -> str:
    """Create a user who has nothing yet."""
    wired = made.wired
    with wired.database.writing() as tx:
        domain = made.demo["organization"]["domain"]
        organization = wired.organizations.find(tx, Environment.SANDBOX, domain)
        return str(wired.directory.create(tx, USER, organization, email="new@harbor.example").id)
