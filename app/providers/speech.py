"""What a call says: the text as it is, but for the code, which is said sign by sign."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from app.providers.base import DeliveryError, Outgoing
from app.providers.words import one_line

_TIMES = 3
_LONGEST = 4000
"""Of TwiML that is sent along with a call."""
_VOICES = {"en": "en-US", "fr": "fr-FR"}


def spoken(outgoing: Outgoing) -> str:
    """Return the text with its code sign by sign: 482913 would be said as one large number."""
    code = outgoing.variables.get("code", "")
    text = one_line(outgoing.text)
    return text.replace(code, ", ".join(code)) if code else text


def twiml(outgoing: Outgoing) -> str:
    """Return a call as Twilio's markup: the text in its language, three times.

    Source: twilio.com/docs/voice/twiml/say.

    Raises:
        DeliveryError: the text is too long.
    """
    response = Element("Response")
    for _ in range(_TIMES):
        SubElement(response, "Pause", length="1")
        language = _VOICES.get(outgoing.language, outgoing.language)
        SubElement(response, "Say", language=language).text = spoken(outgoing)
    call = tostring(response, encoding="unicode")
    if len(call) > _LONGEST:
        raise DeliveryError("too_long", "The text is too long to be spoken.", permanent=True)
    return call
