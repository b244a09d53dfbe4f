"""Codes by two channels: one code that either shows, or two that are both needed."""

from __future__ import annotations

import pytest

from app.factors import MESSAGE_CODES
from app.factors.message_code import new_reference, split
from app.services.assurance import Facts, reached

DUAL = MESSAGE_CODES["dual"]


def test_one_of_two_addresses_proves_no_more_than_the_weaker() -> None:
    dual = reached(Facts(kind=DUAL.kind))
    assert (dual.amr, dual.acr) == (("otp",), "urn:gatehouse:acr:email")


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        ("123456", ["123456"]),
        ("123 456", ["123456"]),
        ("123456 654321", ["123456", "654321"]),
        ("123456,654321", ["123456", "654321"]),
        ("123 456 654 321", ["123456", "654321"]),
        ("123456 12345678", ["123456", "12345678"]),
        ("1234567890 0987654321", ["1234567890", "0987654321"]),
    ],
)
def test_an_answer_is_one_code_or_two(answer: str, codes: list[str]) -> None:
    assert split(answer) == codes
    assert DUAL.well_formed(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "12345",
        "123456 12345",
        "123456 654321 111111",
        "12345a 654321",
        "123 4 56654 321",
        "1" * 21,
    ],
)
def test_what_can_not_be_an_answer_is_none(answer: str) -> None:
    assert not DUAL.well_formed(answer)


def test_only_what_users_can_set_up_is_hosted() -> None:
    assert {kind for kind, code in MESSAGE_CODES.items() if code.hosted} == {"dual", "email", "sms"}


def test_a_reference_is_short_and_has_no_letter_to_misread() -> None:
    for _ in range(200):
        assert len(reference := new_reference()) == 4
        assert not set(reference) & set("0O1I5S2Z8B")
