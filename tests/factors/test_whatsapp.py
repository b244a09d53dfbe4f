"""Codes by WhatsApp: another channel to a phone number, which has one authenticator."""

from __future__ import annotations

from app.factors import MESSAGE_CODES
from app.services.assurance import Facts, reached

WHATSAPP = MESSAGE_CODES["whatsapp"]


def test_it_earns_no_more_than_a_text_message() -> None:
    whatsapp = reached(Facts(kind=WHATSAPP.kind))
    assert (whatsapp.amr, whatsapp.acr) == (("otp",), "urn:gatehouse:acr:sms")
    assert not WHATSAPP.hosted
