"""Previews of messages with a code: the very text that is sent, with a code that is made up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

from app import texts
from app.models import Organization
from app.services.channels import ChannelSettings
from app.web.support import services
from app.web.support.headers import allow_styles

_CODE, _REFERENCE = "4829130756", "K7QM"
_STYLE = re.compile(r' style="([^"]*)"')
_SHEET = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ONE_UNIT = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO_UNITS = set("^{}\\[~]|€")
"""What a text message carries at 7 bits a unit (3GPP TS 23.038); all else takes 16 bits."""
_SEVEN_BITS, _SIXTEEN_BITS = (160, 153), (70, 67)
"""Units in one message, and in each part of a longer one."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A message to look at.

    Attributes:
        subject: of an e-mail.
        text: the whole of it; of a call, what is spoken, the code sign by sign.
        html: an e-mail as a page; None for the others.
        parts: as how many a text message is sent, and paid for; 0 for the others.
        strange: signs in a text message for which all of it takes twice the room.
    """

    channel: str
    subject: str
    text: str
    html: str | None
    parts: int
    strange: str


def preview(
    organization: Organization,
    channel: str,
    language: str,
    settings: ChannelSettings,
    own: str | None,
) -> Preview:
    """Return what a message would say.

    Args:
        own: words of the organization that were checked; None for ours.
    """
    facts = {
        "code": _CODE[: settings.digits],
        "minutes": str(settings.minutes),
        "organization": organization.name,
        "reference": _REFERENCE,
    }
    said = services().delivery.written(channel, language, facts, own)
    text = said.body.strip()
    html = texts.as_html(said, language, code=facts["code"]) if channel == "email" else None
    if html:
        allow_styles([*_STYLE.findall(html), *_SHEET.findall(html)])
    if channel == "voice":
        text = text.replace(facts["code"], ", ".join(facts["code"]))
    is_sms = channel == "sms"
    return Preview(
        channel=channel,
        subject=said.subject if channel == "email" else "",
        text=text,
        html=html,
        parts=parts_of(text) if is_sms else 0,
        strange="".join(sorted(_strange(text))) if is_sms else "",
    )


def parts_of(text: str) -> int:
    """Return as how many messages a text is sent."""
    whole, each = _SIXTEEN_BITS if _strange(text) else _SEVEN_BITS
    if _strange(text):
        units = len(text.encode("utf-16-be")) // 2
    else:
        units = len(text) + sum(one in _TWO_UNITS for one in text)
    return 1 if units <= whole else ceil(units / each)


def _strange(text: str) -> set[str]:
    return set(text) - _ONE_UNIT - _TWO_UNITS
