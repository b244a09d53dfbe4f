"""A backend written for the DevRIFT API: it has a secret, and names people by their contacts."""

from __future__ import annotations

import re
from typing import Any

from app.models import Api, Application, Environment
from app.services.api_keys import Permission
from app.services.audit import OPERATOR
from tests.actors import Reply, keep_secret
from tests.conftest import Harbor

FORM = "application/x-www-form-urlencoded"
EMAIL, PHONE = "ada@harbor.example", "+33612345678"
OTHER = "+33698765432"


class Devrift:
    """Harbor's backend, with e-mail, SMS, dual and app switched on."""

    def __init__(
        self,
        harbor: Harbor,
        *,
        permissions: list[Permission] | None = None,
        application: Application | None = None,
    ) -> None:
        self.harbor = harbor
        with harbor.services.database.writing() as tx:
            for kind in ("email", "sms", "dual"):
                harbor.services.channels.change(
                    tx, OPERATOR, harbor.organization, kind, active=True
                )
            harbor.services.sending_rules.change(
                tx, OPERATOR, harbor.organization, countries=("FR",)
            )
            self.key, secret = harbor.services.api_keys.create(
                tx,
                OPERATOR,
                environment=Environment.SANDBOX,
                name="DevRIFT",
                organization=harbor.organization,
                permissions=permissions,
                api=Api.V1,
                application=application,
            )
        self.secret = keep_secret(secret)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def calls(self, path: str, body: str | bytes = b"", kind: str = FORM, **more: str) -> Reply:
        data = body.encode() if isinstance(body, str) else body
        headers = {**self.headers, "Content-Type": kind, **more}
        return self.harbor.wire.request("POST", f"/v1{path}", headers=headers, data=data)

    def asks(self, user: str, type_: str, path: str = "/mfa") -> Reply:
        """Send what the guide sends, as one string."""
        return self.calls(path, f"User={user}, Type={type_}")

    def verifies(self, user: str, type_: str, code: str) -> Reply:
        return self.calls("/mfa/verify", f"User={user}, Type={type_}, Code={code}")

    def backs_up(self, user: str, type_: str) -> Reply:
        return self.asks(user, type_, "/mfa/backup")

    # What people receive

    def messages(self, to: str) -> list[dict[str, Any]]:
        found = self.harbor.backend.calls("GET", "/org/harbor/messages?per_page=100").json["data"]
        return [one for one in found if one["to"] == to]

    def code(self, to: str) -> str:
        """Return the newest code that somebody received."""
        for message in self.messages(to):
            if found := re.search(r"(?<![\d-])\d{6}(?!\d)", message["text"]):
                return keep_secret(found[0])
        raise AssertionError(f"nothing was sent to {to}")

    def backup_codes(self, to: str) -> list[str]:
        """Return the newest set of backup codes that somebody received."""
        for message in self.messages(to):
            found = re.findall(r"\b(?:[0-9A-Z]{4}-){3,}[0-9A-Z]{4}\b", message["text"])
            if found:
                return [keep_secret(code) for code in found]
        raise AssertionError(f"no backup codes were sent to {to}")

    def sends(self, user: str, type_: str, to: str | None = None) -> str:
        """Ask for a code, and return it as its recipient reads it."""
        reply = self.asks(user, type_)
        assert reply.status == 200, reply.text
        return self.code(to or user)

    def later(self, seconds: int = 3600) -> None:
        """Let the wait between two codes pass; a token of the REST API may be over by then."""
        self.harbor.clock.advance(seconds)
        self.harbor.backend._token = ""


def wrong(code: str) -> str:
    """Return another code."""
    return f"{(int(code) + 1) % 10**6:06}"
