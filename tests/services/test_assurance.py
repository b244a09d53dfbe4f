"""What a result says was reached, from facts alone: RFC 8176, and the EAP classes."""

from __future__ import annotations

import itertools

import pytest

from app.factors import FACTORS
from app.models import Authenticator, KeyStorage
from app.services.assurance import (
    CLASSES,
    EMAIL,
    OTP,
    PHR,
    PHRH,
    SMS,
    Facts,
    known,
    reached,
    satisfies,
    suitable,
    suits,
)

RFC_8176 = {
    "face",
    "fpt",
    "geo",
    "hwk",
    "iris",
    "kba",
    "mca",
    "mfa",
    "otp",
    "pin",
    "pop",
    "pwd",
    "rba",
    "retina",
    "sc",
    "sms",
    "swk",
    "tel",
    "user",
    "vbm",
    "wia",
}
HARDWARE, SYNCED, UNPROVEN = KeyStorage.HARDWARE, KeyStorage.SYNCED, KeyStorage.UNPROVEN

CODES = [
    # kind, amr, acr, and whether a vouched first factor makes it two
    ("totp", "otp", OTP, True),
    ("sms", "sms otp", SMS, True),
    ("whatsapp", "otp", SMS, True),
    ("voice", "tel otp", SMS, True),
    ("email", "otp", EMAIL, False),
    ("dual", "otp", EMAIL, False),
    ("magic_link", "otp", EMAIL, False),
    ("recovery_code", "otp", "urn:gatehouse:acr:recovery", False),
    ("bypass_code", "", "urn:gatehouse:acr:bypass", False),
    ("trusted_browser", "", "urn:gatehouse:acr:trusted_browser", False),
    ("none", "", "urn:gatehouse:acr:none", False),
]

KEYS = [
    # key, user verification seen, vouched, amr, acr
    (HARDWARE, True, False, "hwk user mfa", PHRH),
    (HARDWARE, False, False, "hwk user", PHR),
    (HARDWARE, False, True, "hwk user mfa", PHR),
    (SYNCED, True, False, "swk user mfa", PHR),
    (SYNCED, False, False, "swk user", PHR),
    (SYNCED, False, True, "swk user mfa", PHR),
    (UNPROVEN, True, False, "pop user mfa", PHR),
    (UNPROVEN, False, False, "pop user", PHR),
    (UNPROVEN, False, True, "pop user mfa", PHR),
    (None, True, False, "pop user mfa", PHR),
    (None, False, False, "pop user", PHR),
]


@pytest.mark.parametrize(("kind", "amr", "acr", "second"), CODES)
def test_a_code_is_one_factor_and_two_only_if_the_first_is_vouched_for(
    kind: str, amr: str, acr: str, *, second: bool
) -> None:
    alone, vouched = (reached(Facts(kind=kind, vouched=told)) for told in (False, True))
    assert (alone.amr, alone.acr, alone.method) == (tuple(amr.split()), acr, kind)
    assert vouched.acr == acr
    assert vouched.amr == (*alone.amr, *(("mfa",) if second else ()))


@pytest.mark.parametrize(("key", "verified", "vouched", "amr", "acr"), KEYS)
def test_a_passkey_is_two_factors_with_user_verification(
    key: KeyStorage | None, amr: str, acr: str, *, verified: bool, vouched: bool
) -> None:
    told = reached(Facts(kind="passkey", key=key, user_verified=verified, vouched=vouched))
    assert (told.amr, told.acr, told.method) == (tuple(amr.split()), acr, "passkey")


def test_never_mfa_without_two_factors_or_a_word_for_the_first() -> None:
    kinds = {kind for kind, *_ in CODES} | {"passkey"}
    assert kinds >= set(FACTORS)
    for kind, key in itertools.product(kinds, (None, *KeyStorage)):
        told = reached(Facts(kind=kind, key=key))
        assert "mfa" not in told.amr
        assert set(told.amr) <= RFC_8176
    for kind in kinds - {"passkey"}:  # a flag that only a passkey can raise
        assert "mfa" not in reached(Facts(kind=kind, user_verified=True)).amr


def test_a_class_satisfies_itself_and_those_below_it() -> None:
    assert CLASSES == (PHRH, PHR, OTP, SMS, EMAIL)
    for acr, wanted in itertools.product(CLASSES, CLASSES):
        assert satisfies(acr, [wanted]) is (CLASSES.index(acr) <= CLASSES.index(wanted))


def test_of_several_classes_the_lowest_is_enough() -> None:
    assert satisfies(SMS, [PHRH, SMS])
    assert satisfies(PHR, [SMS, PHRH])
    assert not satisfies(EMAIL, [PHRH, SMS])


def test_what_is_no_class_satisfies_no_wish_and_is_fine_without_one() -> None:
    others = {acr for _, _, acr, _ in CODES} - set(CLASSES)
    assert len(others) == 4
    for acr in others:
        assert satisfies(acr, [])
        assert not satisfies(acr, [EMAIL])


def test_an_authenticator_suits_what_it_can_reach_at_best() -> None:
    def has(kind: str, **parameters: str) -> Authenticator:
        return Authenticator(kind=kind, parameters=parameters)

    assert suits(has("passkey", key="hardware"), [PHRH])
    assert not suits(has("passkey", key="synced"), [PHRH])
    assert not suits(has("passkey"), [PHRH])
    assert suits(has("passkey"), [PHR])
    assert suits(has("totp"), [OTP])
    assert not suits(has("totp"), [PHR])
    assert not suits(has("sms"), [OTP])


def test_only_kinds_that_can_be_expected_to_reach_it_are_set_up_for_it() -> None:
    kinds = {"passkey", "totp", "sms", "email"}
    for attested in (False, True):
        assert suitable(kinds, [], attested=attested) == kinds
        assert suitable(kinds, [PHR], attested=attested) == {"passkey"}
        assert suitable(kinds, [OTP], attested=attested) == {"passkey", "totp"}
        assert suitable(kinds, [EMAIL], attested=attested) == kinds
    assert suitable(kinds, [PHRH], attested=False) == set()
    assert suitable(kinds, [PHRH], attested=True) == {"passkey"}


def test_unknown_classes_are_left_out_and_repeated_ones_kept_once() -> None:
    assert known(["gold", OTP, "urn:x", PHR, OTP]) == [OTP, PHR]
    assert known(["gold", ""]) == []
