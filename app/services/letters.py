"""What a message says, as its row keeps it: sealed, until it was sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.crypto import Vault
from app.models import Message


@dataclass(frozen=True, kw_only=True)
class Letter:
    """The content of a message.

    Attributes:
        html: the same for mail programs that show more than text.
        variables: what stands in it, for a provider that has a text of its own.
    """

    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def sealed(vault: Vault, message_id: uuid.UUID, letter: Letter) -> str:
    """Return a letter as the row of its message keeps it."""
    content = {"text": letter.text, "html": letter.html, "variables": dict(letter.variables)}
    return vault.seal(json.dumps(content).encode(), place=_place(message_id))


def opened(vault: Vault, message: Message) -> Letter | None:
    """Return what a message says; None once it was sent and erased."""
    if message.body is None:
        return None
    return Letter(**json.loads(vault.open(message.body, place=_place(message.id))))


def _place(message_id: uuid.UUID) -> str:
    return f"messages.body:{message_id}"
