"""A message to send, whose code, number and address nobody else may learn."""

from __future__ import annotations

from typing import Any

from app.providers.base import Outgoing
from tests.actors import keep_secret

CODE = "582914"
NUMBER = "+33612345678"
ADDRESS = "ada@harbor.example"


def outgoing(channel: str = "sms", **changed: Any) -> Outgoing:
    """Return a message with a code, as a sender would hand it over."""
    recipient = ADDRESS if channel == "email" else NUMBER
    values: dict[str, Any] = {
        "id": "7f3b1c52-7d2e-4e7a-9a57-0f4c1f1f7a01",
        "channel": channel,
        "recipient": recipient,
        "subject": "Your Harbor code" if channel == "email" else "",
        "text": f"{CODE} is your Harbor code. It works for 10 minutes. Don’t share it.",
        "variables": {"code": CODE, "minutes": "10", "organization": "Harbor"},
        **changed,
    }
    for secret in (CODE, values["recipient"], values["text"]):
        keep_secret(secret)
    return Outgoing(**values)
