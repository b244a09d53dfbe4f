"""The page about passkeys: on and off, what is demanded, and what can't be."""

from __future__ import annotations

from typing import Any

import pytest

from app.models import Role
from app.services.passkey_settings import PasskeySettings
from tests.actors import Administrator
from tests.conftest import Harbor
from tests.software_authenticator import Maker

MODEL = "cb69481e-8ff7-4039-93ec-0a2729a154a8"
ANY = {"user_verification": "preferred", "attestation": "none", "models": "", "roots": ""}


def rules(harbor: Harbor) -> PasskeySettings:
    with harbor.services.database.reading() as tx:
        return harbor.services.passkey_rules.of(tx, harbor.organization)


def saves(nadia: Administrator, **fields: Any) -> None:
    nadia.at("/methods/passkeys")
    nadia.does("/methods/passkeys", **{**ANY, **fields})


def test_passkeys_are_switched_on_and_off(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/methods/passkeys/switch-on")
    assert "Users are offered a passkey first" in nadia.text
    nadia.does("/methods/passkeys/switch-on")
    assert rules(harbor).active
    assert "Passkeys are on." in nadia.text
    nadia.at("/methods/passkeys/switch-off")
    assert "0 users with a passkey can’t confirm with it any more." in nadia.text
    assert "Nothing else is on." not in nadia.text
    nadia.does("/methods/passkeys/switch-off")
    assert not rules(harbor).active


def test_who_switches_the_last_method_off_reads_what_that_means(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/methods")
    nadia.at("/methods/switch-off")
    assert "Nobody can confirm any more." in nadia.text
    nadia.does("/methods/passkeys/switch-on")
    nadia.at("/methods/switch-off")
    assert "Other methods work on." in nadia.text
    assert "Nobody can confirm any more." not in nadia.text
    nadia.does("/methods/switch-off")
    nadia.at("/methods/passkeys/switch-off")
    assert "Nothing else is on." in nadia.text


def test_what_is_demanded_is_kept(harbor: Harbor) -> None:
    nadia, maker = harbor.administrator(), Maker()
    saves(
        nadia,
        user_verification="required",
        refuse_copies="y",
        attestation="direct",
        models=f"{MODEL.upper()}\n{MODEL}",
        roots=maker.pem,
    )
    assert "Saved. It holds from now on." in nadia.text
    found = rules(harbor)
    assert found.user_verification == "required"
    assert found.refuse_copies
    assert found.attestation == "direct"
    assert found.models == (MODEL,)
    assert found.roots == maker.pem.strip()
    assert "YubiKey 5" in nadia.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"attestation": "direct", "roots": "x"}, "Name the models that may be used"),
        ({"attestation": "direct", "models": MODEL}, "Paste the certificates of the makers in PEM"),
        ({"attestation": "direct", "models": "yubikey", "roots": "x"}, "dashes; yubikey has not"),
        ({"roots": "-----BEGIN CERTIFICATE-----"}, "Paste the certificates of the makers in PEM"),
        ({"user_verification": "never"}, "Use preferred or required"),
        ({"attestation": "indirect"}, "Use none or direct"),
    ],
)
def test_what_can_not_be_demanded_says_why_and_keeps_what_was_typed(
    harbor: Harbor, fields: dict[str, str], says: str
) -> None:
    before, nadia = rules(harbor), harbor.administrator()
    saves(nadia, **fields)
    assert nadia.status == 422
    assert says in nadia.text, nadia.text
    assert rules(harbor) == before
    for name in ("models", "roots"):
        assert fields.get(name, "") in nadia.browser.reply.text


def test_who_may_only_read_sees_the_rules_and_no_form(harbor: Harbor) -> None:
    sam = harbor.administrator(Role.AUDITOR)
    sam.at("/methods/passkeys")
    assert "Asked where the device can" in sam.text
    assert "Save what is demanded" not in sam.text
