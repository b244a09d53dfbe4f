"""Codes by phone call: another channel to a phone number, which has one authenticator."""

from __future__ import annotations

from app.factors import MESSAGE_CODES
from app.services.assurance import Facts, reached

VOICE = MESSAGE_CODES["voice"]


def test_it_earns_what_rfc_8176_calls_a_call() -> None:
    voice = reached(Facts(kind=VOICE.kind))
    assert (voice.amr, voice.acr) == (("tel", "otp"), "urn:gatehouse:acr:sms")
    assert not VOICE.hosted
