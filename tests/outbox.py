"""The mailbox and the phone of the tests: what the sandbox captured, read by its own door."""

from __future__ import annotations

import re
from typing import Any

from app.services.audit import OPERATOR
from tests.actors import Browser, keep_secret
from tests.conftest import Harbor

ADA, MOBILE = "ada@harbor.example", "+33612345678"
CHANNELS = ("sms", "whatsapp", "voice", "email", "dual")
_CODE = re.compile(r"(?<![\d#])\d{6,10}(?!\d)")
_REFERENCE = re.compile(r"reference ([A-Z0-9]{4})")


class Outbox:
    """Reads what was sent to the users of Harbor."""

    def __init__(self, harbor: Harbor) -> None:
        self.harbor = harbor

    def all(self, *, to: str | None = None) -> list[dict[str, Any]]:
        """Return the messages with a code, to one address if it is named."""
        path = f"/org/{self.harbor.organization.domain}/messages?per_page=100"
        found = self.harbor.backend.calls("GET", path).json["data"]
        coded = [one for one in found if "code" in one["text"] and _CODE.search(one["text"])]
        return [one for one in coded if to is None or one["to"] == to]

    def code(self, browser: Browser | None = None, *, to: str) -> str:
        """Return the code of the newest message to an address.

        Args:
            browser: whose page shows the reference of the message that is meant.
        """
        found = self.all(to=to)
        told = _REFERENCE.search(browser.page.text) if browser else None
        if told:
            found = [one for one in found if told[1] in one["text"]]
        return keep_secret(_CODE.findall(found[0]["text"])[0])


def switch(harbor: Harbor, *kinds: str, active: bool = True, **settings: Any) -> None:
    """Have the organization send by channels, or not."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        for kind in kinds or CHANNELS:
            harbor.services.channels.change(
                tx, OPERATOR, organization, kind, active=active, **settings
            )


def allow(harbor: Harbor, **rules: Any) -> None:
    """Change what the organization may send."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.sending_rules.change(tx, OPERATOR, organization, **rules)


def know_number(harbor: Harbor, number: str = MOBILE, user: str | None = None) -> None:
    """Put a phone number on a user's record."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        person = harbor.services.directory.find(tx, organization, user or harbor.ada)
        person.phone_number = number


def wrong(code: str) -> str:
    """Return another code of as many digits."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def enroll(
    harbor: Harbor, kind: str = "sms", channel: str = "", user: str | None = None, **ask: Any
) -> str:
    """Set up through the pages what codes are sent to, and return the address of the first."""
    outbox, browser = Outbox(harbor), harbor.visits(user or harbor.ada, **ask)
    browser.goes_to(browser.address("set-up"))
    if kind == "email":
        browser.presses("email")
    else:
        browser.goes_to(browser.address(f"set-up/{kind}"))
        browser.presses(channel or kind, number=MOBILE)
    assert browser.path.endswith("/enroll"), browser.page.text
    address = MOBILE if kind == "sms" else ADA
    answer(browser, outbox, address)
    if browser.path.endswith("/recovery-codes"):
        browser.saves_codes()
    assert "result" in browser.back
    harbor.clock.advance(60)
    return address


def answer(browser: Browser, outbox: Outbox, to: str) -> str:
    """Type the code that was sent to an address, and return it."""
    code = outbox.code(browser, to=to)
    browser.types(code)
    return code
