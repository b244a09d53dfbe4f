"""Channels in words: what each is called, and by whom its messages are carried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.providers.base import CHANNELS
from app.services.method_settings import DUAL


@dataclass(frozen=True)
class Channel:
    """What a channel is called.

    Attributes:
        name: by itself.
        inside: within a sentence.
        many: of its messages, within a sentence.
        topic: what is switched on or off.
        icon: of `components/icons.html`.
    """

    name: str
    inside: str
    many: str
    topic: str
    icon: str


CHANNEL = {
    "email": Channel("Email", "email", "emails", "email", "mail"),
    "sms": Channel("Text message", "text message", "text messages", "text messages", "chat"),
    "whatsapp": Channel("WhatsApp", "WhatsApp", "WhatsApp messages", "WhatsApp", "whatsapp"),
    "voice": Channel("Phone call", "phone call", "phone calls", "phone calls", "call"),
    DUAL: Channel(
        "Email and text",
        "email and text message",
        "emails and text messages",
        "email and text",
        "dual",
    ),
}


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def carries(channels: Collection[str]) -> str:
    """Return what somebody carries, such as `text messages and phone calls`."""
    return listed([CHANNEL[one].many for one in CHANNELS if one in channels])


def begun(sentence: str) -> str:
    """Return a sentence with a capital at its beginning."""
    return sentence[:1].upper() + sentence[1:]
