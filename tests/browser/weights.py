"""What a page weighs: requests, and bytes on the wire, for a browser that has nothing of it yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page

MOST_REQUESTS = 4
MOST_BYTES = 50 * 1024


@dataclass
class Weight:
    """Of one page."""

    requests: int = 0
    size: int = 0

    @property
    def light(self) -> bool:
        """Whether it is within what a page may weigh."""
        return self.requests <= MOST_REQUESTS and self.size <= MOST_BYTES


class Scale:
    """Weighs what a tab loads from when it is emptied."""

    def __init__(self, page: Page) -> None:
        self.weight = Weight()
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self.cdp.on("Network.requestWillBeSent", self._asked)
        self.cdp.on("Network.loadingFinished", self._loaded)
        self.cdp.send("Network.enable")
        self.cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def empty(self) -> Weight:
        """Start anew, and return what was weighed until now."""
        weighed, self.weight = self.weight, Weight()
        return weighed

    def _asked(self, told: dict[str, Any]) -> None:
        self.weight.requests += told["request"]["url"].startswith("http")

    def _loaded(self, told: dict[str, Any]) -> None:
        self.weight.size += int(told["encodedDataLength"])
