"""Codes by phone call: another channel to a phone number, which has one authenticator."""

from __future__ import annotations

from app.factors import MESSAGE_CODES

VOICE = MESSAGE_CODES["voice"]


def test_it_earns_what_rfc_8176_calls_a_call() -> None:
    assert (VOICE.amr, VOICE.acr) == (("tel", "otp"), "urn:gatehouse:acr:sms")
    assert not VOICE.hosted
