"""Passkeys as a factor: what is one, what it earns, and what a browser is asked."""

from __future__ import annotations

import json

import pytest

from app.factors import PASSKEY
from app.factors.base import Refused
from app.factors.passkey import (
    Demands,
    RelyingParty,
    challenge_of,
    id_of,
    provider_of,
    registered,
)
from app.factors.passkey_options import Owner, creation_options, request_options
from tests.software_authenticator import SoftwareAuthenticator, b64

PARTY = RelyingParty(id="localhost", origin="http://localhost")
CHALLENGE = b"c" * 32
OWNER = Owner(handle=b"h" * 16, name="ada@harbor.example", organization="Harbor")


def made(device: SoftwareAuthenticator) -> str:
    asked = creation_options(PARTY, OWNER, CHALLENGE, Demands(), known=[])
    return device.create(json.loads(json.dumps(asked)))


def test_an_answer_says_for_what_it_is_and_from_whom() -> None:
    device = SoftwareAuthenticator()
    answer = made(device)
    assert PASSKEY.well_formed(answer)
    assert challenge_of(answer) == b64(CHALLENGE)
    assert id_of(answer) == b64(device.credential_id)


@pytest.mark.parametrize("answer", ["123456", "", "{}", "[]", '"x"', "{" * 50])
def test_what_is_no_answer_is_none(answer: str) -> None:
    assert not PASSKEY.well_formed(answer)
    assert challenge_of(answer) is None
    assert id_of(answer) is None


def test_a_new_passkey_is_kept_with_what_its_answers_are_judged_by() -> None:
    found = registered(
        made(SoftwareAuthenticator(sign_count=5)),
        party=PARTY,
        challenge=CHALLENGE,
        demands=Demands(),
    )
    assert not isinstance(found, Refused)
    assert found.sign_count == 5
    assert found.user_verified
    assert set(found.parameters) == {
        "public_key",
        "aaguid",
        "transports",
        "backup_eligible",
        "backed_up",
        "key",
    }
    assert provider_of(found.parameters) == "YubiKey 5"


def test_an_unknown_model_has_no_name() -> None:
    assert provider_of({"aaguid": "00000000-0000-0000-0000-000000000000"}) is None
    assert provider_of({}) is None


@pytest.mark.parametrize("demanding", [False, True])
def test_a_browser_is_asked_for_what_the_organization_demands(demanding: bool) -> None:
    demands = Demands(user_verification=demanding, attested=demanding)
    known = [(b64(b"i" * 16), {"transports": ["usb", "nfc"]})]
    creation = creation_options(PARTY, OWNER, CHALLENGE, demands, known=known)
    request = request_options(PARTY, CHALLENGE, demands, known=known)

    wanted = "required" if demanding else "preferred"
    assert creation["authenticatorSelection"]["userVerification"] == wanted
    assert request["userVerification"] == wanted
    assert creation["attestation"] == ("direct" if demanding else "none")
    assert (creation["timeout"], request["timeout"]) == (300_000, 300_000)  # milliseconds
    assert (creation["rp"]["id"], request["rpId"]) == ("localhost", "localhost")
    descriptor = {"id": b64(b"i" * 16), "type": "public-key", "transports": ["usb", "nfc"]}
    assert creation["excludeCredentials"] == request["allowCredentials"] == [descriptor]
